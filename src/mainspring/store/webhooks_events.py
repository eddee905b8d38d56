"""Events in the store: who wants to hear of them, and a delivery to each of those in the transaction of the cause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from mainspring.core.changes import Result
from mainspring.core.ids import KeySource
from mainspring.core.limits import SECOND
from mainspring.core.model import RunState
from mainspring.core.queue_model import Queue
from mainspring.core.timing import Plan, PlannedGap
from mainspring.core.webhooks_events import (
    body_of,
    dead_lettered,
    endpoint_disabled,
    matches,
    missed,
    run_failed,
    run_recovered,
)
from mainspring.core.webhooks_model import DisabledEndpoint, Emission, Emitted, OwnEvent, OwnEventType
from mainspring.store.db import Db, Row, Tx
from mainspring.store.webhooks_gates import Gates, Parcel

_PROJECTS_KEPT = 10_000
_RUN_EVENTS: dict[RunState, OwnEventType] = {"failed": "cron.run.failed", "succeeded": "cron.run.recovered"}
Read = Callable[..., Awaitable[list[Row]]]
_filters = msgspec.json.Decoder(tuple[str, ...])


@lru_cache(maxsize=4_096)
def filters_of(text: str) -> tuple[str, ...]:
    """The filters of an endpoint, from its column."""
    return _filters.decode(text)


class Announcer:
    """Tells endpoints. Who listens for what in a project is remembered: a project without endpoints costs a look into a
    dictionary, and one with thousands no more than those that hear. A change made here is known at once; one made by
    another node before anything is told, though whether there is anything to tell is known within a second."""

    def __init__(self, db: Db, keys: KeySource, gates: Gates) -> None:
        self._db = db
        self._keys = keys
        self._gates = gates
        # By project, and there by filters: many endpoints have the same ones.
        self._heard: dict[str, dict[tuple[str, ...], list[Row]]] = {}
        self._version: int | None = None
        self._asked_at = 0

    def forget(self, project: str) -> None:
        """A project's endpoints are not what they were."""
        self._heard.pop(project, None)

    async def look(self, now: int, projects: Iterable[str], read: Read | None = None, *, afresh: bool = False) -> None:
        """See to it that these projects are known. `read`: how to ask, inside a transaction; `afresh`: also what other
        nodes have changed within the last second."""
        read = read or self._db.read
        if self._db.dialect != "sqlite" and (afresh or not self._asked_at <= now < self._asked_at + SECOND):
            [(version,)] = await read("endpoints_changed")
            if version != self._version:
                self._heard.clear()
                self._version = version
            self._asked_at = now
        for project in projects:
            if project not in self._heard:
                if len(self._heard) >= _PROJECTS_KEPT:
                    self._heard.clear()
                by_filters: dict[tuple[str, ...], list[Row]] = {}
                for row in await read("find_listeners", project=project):
                    by_filters.setdefault(filters_of(row[4]), []).append(row)
                self._heard[project] = by_filters

    def wants(self, project: str, kind: str) -> bool:
        """Whether an endpoint of the project may listen for such events; `look` first."""
        listening = self._heard.get(project)
        return bool(listening) and any(matches(filters, kind) for filters in listening or ())

    def _listeners(self, project: str, kind: str) -> list[Row]:
        by_filters = self._heard[project]
        return [row for filters, rows in by_filters.items() if matches(filters, kind) for row in rows]

    async def expects_of(self, now: int, results: Sequence[Result]) -> bool:
        """Whether something may have to be told because of these results."""
        await self.look(now, {result.claim.project for result in results})
        return any(self._listening(result) for result in results)

    def _listening(self, result: Result) -> bool:
        project, kind = result.claim.project, _RUN_EVENTS.get(result.state)
        if result.delivery is not None:
            return result.state != "succeeded" and self.wants(project, "webhook.endpoint_disabled")
        return kind is not None and self.wants(project, kind)

    async def of_runs(self, tx: Tx, results: Sequence[Result]) -> list[OwnEvent]:
        """What is to be told of runs that are over, before their schedules know of it."""
        told = [one for one in results if one.delivery is None and one.claim.kind in ("cron", "task")]
        told = [one for one in told if one.state in _RUN_EVENTS and self._listening(one)]
        if not told:
            return []
        asked = sorted({(one.claim.schedule_id,) for one in told if one.claim.schedule_id is not None})
        last: dict[int | None, RunState | None] = dict(await tx.fetch_in("last_states", asked))
        events: list[OwnEvent] = []
        for one in results:
            claim = one.claim
            if one in told and one.state == "failed":
                events.append(run_failed(claim, one.ended_at, one.status, one.error))
            elif one in told and last.get(claim.schedule_id) == "failed":
                events.append(run_recovered(claim, one.ended_at, one.status))
            last[claim.schedule_id] = one.state
        return events

    async def of_disabled(self, tx: Tx, now: int, disabled: Sequence[DisabledEndpoint]) -> list[OwnEvent]:
        """What is to be told of endpoints that were switched off."""
        events = []
        for one in disabled:
            self.forget(one.project)
            [row] = await tx.fetch_in("get_endpoints", [(one.endpoint_id,)])
            events.append(endpoint_disabled(one, row[17], now))
        return events

    async def announce(self, tx: Tx, now: int, events: Sequence[OwnEvent]) -> None:
        """A delivery of each event to each endpoint of its project that listens for it."""
        if not events:
            return
        await self.look(now, {event.project for event in events}, tx.fetch, afresh=True)
        parcels: list[Parcel] = []
        for event in events:
            event_id = self._keys.next(now) if event.id is None else event.id
            body = body_of(event_id, event.type, event.at, event.data)
            parcels += self._parcels(now, self._listeners(event.project, event.type), event.type, body)
        await self._gates.post(tx, now, parcels)

    async def announce_missed(self, tx: Tx, now: int, plans: Sequence[Plan]) -> None:
        """Tell of the instants that these plans say were missed."""
        gaps = [(plan.due, entry) for plan in plans for entry in plan.entries if isinstance(entry, PlannedGap)]
        gaps = [(due, gap) for due, gap in gaps if gap.outcome == "missed"]
        if not gaps:
            return
        await self.look(now, {due.project for due, _ in gaps}, tx.fetch)
        told = [missed(due, gap, now) for due, gap in gaps if self.wants(due.project, "cron.missed")]
        await self.announce(tx, now, told)

    async def announce_dead(self, tx: Tx, now: int, queue: Queue, grave: Queue, buried: Mapping[int, str]) -> None:
        """Tell of messages of a queue, with their reasons, that have become dead letters."""
        await self.look(now, [queue.project], tx.fetch)
        if self.wants(queue.project, "queue.dead_lettered"):
            told = dead_lettered(queue.project, queue.name, grave.name, sorted(buried), list(buried.values()), now)
            await self.announce(tx, now, [told])

    async def emit(self, tx: Tx, now: int, emissions: Sequence[Emission]) -> list[Emitted | None]:
        """The same for events that somebody else has stated; None where the only endpoint meant is not there."""
        await self.look(now, {one.project for one in emissions if one.only is None}, tx.fetch, afresh=True)
        parcels: list[Parcel] = []
        emitted: list[Emitted | None] = []
        for one in emissions:
            if one.only is None:
                heard = self._listeners(one.project, one.type)
            elif not (heard := await tx.fetch("find_listener", id=one.only, project=one.project)):
                emitted.append(None)
                continue
            event_id = self._keys.next(now)
            made = self._parcels(now, heard, one.type, body_of(event_id, one.type, now, one.data))
            parcels += made
            emitted.append(Emitted(event_id, one.type, tuple(parcel.run_id for parcel in made)))
        await self._gates.post(tx, now, parcels)
        return emitted

    def _parcels(self, now: int, heard: Sequence[Row], kind: str, body: bytes) -> list[Parcel]:
        run_ids = self._keys.take(now, len(heard))
        return [
            Parcel(
                run_id=run_id,
                project=project,
                circuit_id=endpoint_id,
                endpoint_id=endpoint_id,
                event=kind,
                webhook_id=run_id,
                target_id=target_id,
                origin=origin,
                payload=body,
            )
            for run_id, (project, endpoint_id, target_id, origin, _) in zip(run_ids, heard, strict=True)
        ]
