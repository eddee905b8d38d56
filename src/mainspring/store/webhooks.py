"""Webhook deliveries in the store: made, sent again, cancelled, read, removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.core.errors import Conflict, NotFound, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KEY_MAX, KeySource, floor_of
from mainspring.core.limits import DAY, PRUNE_BATCH, REPLAY_MAX
from mainspring.core.model import FINAL_STATES
from mainspring.core.webhooks_model import (
    Cancelling,
    Delivery,
    DeliveryFilter,
    DeliveryPage,
    DeliveryWithAttempts,
    DisabledEndpoint,
    Emission,
    Emitted,
    NewDelivery,
    Outgoing,
    Replayed,
    Replaying,
)
from mainspring.store import rows
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.horizon import Horizon
from mainspring.store.once import apply_once
from mainspring.store.webhooks_events import Announcer
from mainspring.store.webhooks_gates import Gates, Parcel

_RUN_WIDTH = 24


class DeliveryStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, horizon: Horizon, gates: Gates, announcer: Announcer) -> None:
        self._db = db
        self._keys = keys
        self._horizon = horizon
        self._gates = gates
        self._announcer = announcer

    def next_turn(self, now: int) -> int:
        """In how many ms the turn of others may have come, at most 1 s."""
        return self._gates.next_turn(now)

    def switched_off(self) -> list[DisabledEndpoint]:
        """Endpoints that were switched off here since the last time this was asked."""
        told, self._gates.switched_off = self._gates.switched_off, []
        return told

    @again_after_collisions
    async def send(self, now: int, items: Sequence[NewDelivery]) -> Sequence[Delivery | Replay | Refused]:
        """Make deliveries to targets that are no endpoints."""
        with self._horizon.writing(self._keys.next(now), now):
            async with self._db.transaction() as tx:

                async def insert(fresh: Sequence[NewDelivery]) -> list[Delivery | Refused]:
                    return list(await self._send(tx, now, fresh))

                return await apply_once(tx, now, items, lambda item: item.once, insert)

    async def _send(self, tx: Tx, now: int, items: Sequence[NewDelivery]) -> list[Delivery]:
        circuits = await self._gates.of_origins(tx, now, {(item.project, item.target.origin) for item in items})
        ids = self._keys.take(now, 2 * len(items))
        targets, parcels = ids[: len(items)], []
        for item, run_id, target_id in zip(items, ids[len(items) :], targets, strict=True):
            parcels.append(
                Parcel(
                    run_id=run_id,
                    project=item.project,
                    circuit_id=circuits[item.project, item.target.origin],
                    endpoint_id=None,
                    event=item.event,
                    webhook_id=run_id,
                    target_id=target_id,
                    origin=item.target.origin,
                    payload=item.payload,
                )
            )
        made = [(one, *rows.of_target(item.target, None)[1:]) for one, item in zip(targets, items, strict=True)]
        await tx.many("insert_targets", made)
        await self._gates.post(tx, now, parcels)
        return await self._read(tx, [parcel.run_id for parcel in parcels])

    @again_after_collisions
    async def emit(self, now: int, items: Sequence[Emission]) -> Sequence[Emitted | Replay | Refused]:
        """Make the deliveries of events."""
        with self._horizon.writing(self._keys.next(now), now):
            async with self._db.transaction() as tx:

                async def insert(fresh: Sequence[Emission]) -> list[Emitted | Refused]:
                    made = await self._announcer.emit(tx, now, fresh)
                    return [_no_such_endpoint() if one is None else one for one in made]

                return await apply_once(tx, now, items, lambda item: item.once, insert)

    @again_after_collisions
    async def replay(self, now: int, items: Sequence[Replaying]) -> Sequence[Replayed | Replay | Refused]:
        """Make new deliveries of old ones."""
        with self._horizon.writing(self._keys.next(now), now):
            async with self._db.transaction() as tx:

                async def insert(fresh: Sequence[Replaying]) -> list[Replayed | Refused]:
                    return [await self._replay(tx, now, item) for item in fresh]

                return await apply_once(tx, now, items, lambda item: item.once, insert)

    async def _replay(self, tx: Tx, now: int, item: Replaying) -> Replayed | Refused:
        if isinstance(item.chosen, DeliveryFilter):
            name = "find_replayable_failed" if item.chosen.state == "failed" else "find_replayable"
            found = await tx.fetch(name, **_where(item.project, item.chosen), limit=min(item.limit, REPLAY_MAX) + 1)
            more, chosen = len(found) > item.limit, [row[0] for row in found[: item.limit]]
            originals = await self._read(tx, chosen)
        else:
            more, originals = False, await self._read(tx, [item.chosen])
            if not originals or originals[0].run.project != item.project:
                return no_such_delivery()
            if originals[0].run.state not in FINAL_STATES:
                return Conflict("this delivery is still under way", hint="Wait for its end, or cancel it.")
        if not originals:
            return Replayed((), more=False)
        parcels = await self._copies(tx, now, item, originals)
        if isinstance(parcels, Refused):
            return parcels
        await tx.many("mark_replayed", sorted((one.run.id,) for one in originals), now=now)
        await self._gates.post(tx, now, parcels)
        return Replayed(tuple(await self._read(tx, [parcel.run_id for parcel in parcels])), more)

    async def _copies(self, tx: Tx, now: int, item: Replaying, originals: Sequence[Delivery]) -> list[Parcel] | Refused:
        """Of a delivery to an endpoint, one to its present target; of another, one to a copy of its target."""
        apart = [one for one in originals if one.endpoint_id is None]
        circuits = await self._gates.of_origins(tx, now, {(one.run.project, one.run.origin) for one in apart})
        targets = dict(zip((one.run.id for one in apart), self._keys.take(now, len(apart)), strict=True))
        copied = [(targets[one.run.id], one.run.target_id) for one in apart]
        if copied:
            await tx.many("copy_targets", copied)
        parcels: list[Parcel] = []
        for one in originals:
            run_id, origin, target_id = self._keys.next(now), one.run.origin, targets.get(one.run.id, 0)
            if one.endpoint_id is not None:
                there = await tx.fetch("find_listener", id=one.endpoint_id, project=one.run.project)
                if not there:
                    return Conflict(
                        "the endpoint of this delivery is disabled or was deleted", hint="Enable it, then try again."
                    )
                _, _, target_id, origin, _ = there[0]
            parcels.append(
                Parcel(
                    run_id=run_id,
                    project=one.run.project,
                    circuit_id=one.endpoint_id or circuits[one.run.project, one.run.origin],
                    endpoint_id=one.endpoint_id,
                    event=one.event,
                    webhook_id=run_id if item.new_id else one.webhook_id,
                    target_id=target_id,
                    origin=origin,
                    payload=one.run.payload,
                    trigger="replay",
                    replay_of=one.run.id,
                )
            )
        return parcels

    @again_after_collisions
    async def cancel(self, now: int, items: Sequence[Cancelling]) -> Sequence[Delivery | Replay | Refused]:
        """Try deliveries no more; what is being sent ends, and counts if it succeeds."""
        async with self._db.transaction() as tx:

            async def stop(fresh: Sequence[Cancelling]) -> list[Delivery | Refused]:
                return [await self._cancel(tx, now, item) for item in fresh]

            return await apply_once(tx, now, items, lambda item: item.once, stop)

    async def _cancel(self, tx: Tx, now: int, item: Cancelling) -> Delivery | Refused:
        found = await tx.fetch("circuit_of_delivery", id=item.delivery_id, project=item.project)
        if not found:
            return no_such_delivery()
        circuits = await self._gates.take(tx, {found[0][0]})
        [before] = await self._read(tx, [item.delivery_id])
        if before.run.state in FINAL_STATES:
            if before.run.state == "cancelled":
                return before
            return Conflict(f"this delivery is over: {before.state}", hint="Only what is under way can be cancelled.")
        await tx.fetch("mark_cancelled", id=item.delivery_id, now=now)
        stopped = await tx.fetch("cancel_delivery", id=item.delivery_id, now=now)
        if stopped:
            let_through = stopped[0][0] == "http"
            circuits = [
                msgspec.structs.replace(
                    one,
                    active=max(0, one.active - int(let_through)),
                    hold_until=0 if one.ordered else one.hold_until,
                )
                for one in circuits
            ]
            await self._gates.pass_on(tx, now, circuits, below=self._horizon.key)
        [after] = await self._read(tx, [item.delivery_id])
        return after

    async def outgoing(self, run_ids: Sequence[int]) -> dict[int, Outgoing]:
        """What is to be known of deliveries that are about to be sent."""
        found = await self._db.read_in("outgoing", [(one,) for one in run_ids])
        return {row[0]: Outgoing(*(*row[:7], bool(row[7]), *row[8:10], bool(row[10]))) for row in found}

    async def get(self, project: str, delivery_id: int) -> DeliveryWithAttempts | None:
        found = await self._db.read_in("get_deliveries", [(delivery_id,)])
        if not found or (one := delivery_of(found[0])).run.project != project:
            return None
        attempts = await self._db.read("get_attempts", run_id=delivery_id)
        return DeliveryWithAttempts(one, tuple(rows.attempt(row) for row in attempts))

    async def page(self, asked: DeliveryPage) -> list[Delivery]:
        """Newest first."""
        wanted, before = asked.filter, asked.page.before
        where = _where(asked.project, wanted) | {"state": wanted.state, "limit": asked.page.limit}
        if before is not None:
            where["before"] = min(where["before"], before[0])
        name = "page_deliveries"
        if wanted.state == "failed":
            name = "page_failed_deliveries"
        elif wanted.endpoint_id is not None:
            name = "page_deliveries_of"
        return [delivery_of(row) for row in await self._db.scan(name, **where)]

    async def count(self, project: str, wanted: DeliveryFilter) -> int:
        """How many a replay of these would send."""
        [(count,)] = await self._db.scan("count_replayable", **_where(project, wanted))
        return int(count)

    @again_after_collisions
    async def prune(self, now: int, days: int) -> int:
        """Remove one batch of deliveries that ended so long ago, of endpoints deleted then, and circuits of a day ago
        at which nothing waits; how many rows went."""
        before = now - days * DAY
        async with self._db.transaction() as tx:
            await tx.hold("hold_upkeep")
            doomed = await tx.fetch("find_old_deliveries", before=before, limit=PRUNE_BATCH)
            runs = [(row[0],) for row in doomed]
            await tx.many("delete_attempts", runs)
            await tx.many("delete_deliveries", runs)
            await tx.many("delete_runs", runs)
            await tx.many("delete_targets", [(target,) for _, target, endpoint in doomed if endpoint is None])
            gone = await tx.fetch("find_gone_endpoints", before=before, limit=PRUNE_BATCH)
            await tx.many("delete_endpoints", [(row[0],) for row in gone])
            await tx.many("delete_circuits", [(row[0],) for row in gone])
            await tx.many("delete_targets", [(row[1],) for row in gone])
            idle = await tx.fetch("prune_circuits", before=now - DAY, limit=PRUNE_BATCH)
        return len(doomed) + len(gone) + len(idle)

    async def _read(self, tx: Tx, run_ids: Sequence[int]) -> list[Delivery]:
        found = await tx.fetch_in("get_deliveries", [(one,) for one in run_ids]) if run_ids else []
        by_id = {row[0]: delivery_of(row) for row in found}
        return [by_id[one] for one in run_ids if one in by_id]


def delivery_of(row: Row) -> Delivery:
    """A delivery, from `delivery_columns`."""
    return Delivery(rows.run(row[:_RUN_WIDTH]), *row[_RUN_WIDTH:])


def no_such_delivery() -> NotFound:
    """The refusal for an id that is none of this project's."""
    return NotFound("there is no such delivery", hint="List the deliveries to see their ids.")


def _no_such_endpoint() -> NotFound:
    return NotFound("there is no such endpoint that is enabled", hint="List the endpoints to see their ids and states.")


def _where(project: str, wanted: DeliveryFilter) -> dict[str, Any]:
    return {
        "project": project,
        "since": floor_of(wanted.since),
        "before": KEY_MAX if wanted.until is None else floor_of(wanted.until),
        "event": wanted.event,
        "endpoint_id": wanted.endpoint_id or 0,
        "unreplayed": int(wanted.unreplayed),
        "state": wanted.state,
    }
