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
    """Tells endpoints. What a project's endpoints listen for is remembered, so that a project without any costs a look
    into a dictionary; a change made here is known at once, one made by another node within a second."""

    def __init__(self, db: Db, keys: KeySource, gates: Gates) -> None:
        self._db = db
        self._keys = keys
        self._gates = gates
        self._heard: dict[str, frozenset[tuple[str, ...]]] = {}
        self._version: int | None = None
        self._asked_at = 0

    def forget(self, project: str) -> None:
        """A project's endpoints are not what they were."""
        self._heard.pop(project, None)

    async def look(self, now: int, projects: Iterable[str], read: Read | None = None) -> None:
        """See to it that `wants` knows these projects. `read`: how to ask, inside a transaction."""
        read = read or self._db.read
        if self._db.dialect != "sqlite" and not self._asked_at <= now < self._asked_at + SECOND:
            [(version,)] = await read("endpoints_changed")
            if version != self._version:
                self._heard.clear()
                self._version = version
            self._asked_at = now
        for project in projects:
            if project not in self._heard:
                if len(self._heard) >= _PROJECTS_KEPT:
                    self._heard.clear()
                found = await read("filters_of", project=project)
                self._heard[project] = frozenset(filters_of(row[0]) for row in found)

    def wants(self, project: str, kind: str) -> bool:
        """Whether an endpoint of the project may listen for such events; `look` first."""
        listening = self._heard.get(project)
        return bool(listening) and any(matches(filters, kind) for filters in listening or ())

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
        listeners: dict[str, list[Row]] = {}
        for row in await tx.fetch_in("find_listeners", sorted({(event.project,) for event in events})):
            listeners.setdefault(row[0], []).append(row)
        parcels: list[Parcel] = []
        for event in events:
            event_id = self._keys.next(now) if event.id is None else event.id
            body = body_of(event_id, event.type, event.at, event.data)
            heard = [row for row in listeners.get(event.project, ()) if matches(filters_of(row[4]), event.type)]
            parcels += self._parcels(now, heard, event.type, body)
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
        listeners: dict[str, list[Row]] = {}
        open_to_all = sorted({(one.project,) for one in emissions if one.only is None})
        for row in await tx.fetch_in("find_listeners", open_to_all) if open_to_all else ():
            listeners.setdefault(row[0], []).append(row)
        parcels: list[Parcel] = []
        emitted: list[Emitted | None] = []
        for one in emissions:
            heard = [row for row in listeners.get(one.project, ()) if matches(filters_of(row[4]), one.type)]
            if one.only is not None:
                heard = await tx.fetch("find_listener", id=one.only, project=one.project)
            if one.only is not None and not heard:
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
