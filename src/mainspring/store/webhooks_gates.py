"""The gates before targets of webhooks: deliveries wait there, and are let through as their circuit allows.

A circuit's row is held while anything is let through, so what all nodes together have in flight is no more than it
may be. To targets whose last word was a success, deliveries go on at once; to all others a few at a time and from one
place (`turn`), so that however many targets are down they never take more than a fifth of the seats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

import msgspec
from msgspec.structs import replace

from mainspring.core import ids, webhooks_circuits
from mainspring.core.changes import Result
from mainspring.core.limits import (
    DOUBTFUL_MAX,
    ENDPOINT_FAILING_MAX,
    ORIGIN_ROOM,
    PRUNE_BATCH,
    SECOND,
)
from mainspring.core.model import Trigger
from mainspring.core.runs import INTERRUPTED
from mainspring.core.webhooks_circuits import AHEAD
from mainspring.core.webhooks_model import Circuit, DeliveryEnd, DisabledEndpoint, EndKind
from mainspring.store.db import Collided, Row, Tx
from mainspring.store.horizon import Horizon

LET_THROUGH = "http"
_CIRCUITS_AT_ONCE = 200
# To targets that fail, small bites and seldom: however many there are, they cost those that work next to nothing. With
# 20 of them every 50 ms, a thousand that refused connections made the others' p99 five times as long. Each bite is a
# transaction: 4 every 100 ms took twice the time of 8 every 200 ms. With 20 a second, 10,000 that fail each have their
# turn within the longest rest of a circuit.
_NEW_AT_ONCE = 20
_NEW_BEAT = 20
_FAILING_AT_ONCE = 5
_FAILING_BEAT = 250
# What waits for seats of an origin that has none is looked at again after so long.
_FULL_BEAT = 5 * SECOND
_REASONS = {"disabled": ("failed", "the endpoint is disabled"), "deleted": ("cancelled", "the endpoint was deleted")}
_EXPIRED = "its target has failed for 5 days"


class Parcel(msgspec.Struct, frozen=True):
    """A delivery on its way into the store. `circuit_id`: whose gate it waits at."""

    run_id: int
    project: str
    circuit_id: int
    endpoint_id: int | None
    event: str | None
    webhook_id: int
    target_id: int
    origin: str
    payload: bytes | None
    trigger: Trigger = "manual"
    replay_of: int | None = None


class Gates:
    """What other slices do with them, in transactions of theirs."""

    def __init__(self, key: Callable[[int], int], horizon: Horizon) -> None:
        self._key = key
        self._horizon = horizon
        self._next_at: int | None = 0
        self._looked_at = 0
        self.switched_off: list[DisabledEndpoint] = []
        self._new_at = 0
        self._bite_at = 0

    async def post(self, tx: Tx, now: int, parcels: Sequence[Parcel]) -> None:
        """Put deliveries to their gates, and let through what may go at once."""
        if not parcels:
            return
        counts = Counter(parcel.circuit_id for parcel in parcels)
        circuits = await self.take(tx, set(counts))
        if len(circuits) < len(counts):
            raise Collided
        # What need not wait at a gate does not go there.
        straight = [one for one in circuits if _straight_through(one, counts[one.id], now)]
        lanes = {one.id: one.lane for one in circuits} | {one.id: LET_THROUGH for one in straight}
        await tx.many("insert_runs", [_run_row(parcel, lanes[parcel.circuit_id], now) for parcel in parcels])
        await tx.many("insert_deliveries", [_delivery_row(parcel) for parcel in parcels])
        if straight:
            after = [webhooks_circuits.let_through(one, counts[one.id], now) for one in straight]
            await self._save(tx, now, after)
        gated = [one for one in circuits if lanes[one.id] != LET_THROUGH]
        if gated:
            await self.pass_on(tx, now, gated, below=ids.KEY_MAX)

    async def of_origins(self, tx: Tx, now: int, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The circuits of (project, origin), made where there are none."""
        asked = sorted(wanted)
        found = {(row[0], row[1]): row[2] for row in await tx.fetch_in("find_circuits_of_origins", asked)}
        missing = [one for one in asked if one not in found]
        if missing:
            rows = [(self._key(now), project, origin, ORIGIN_ROOM, 0, None, None) for project, origin in missing]
            await tx.many("insert_circuits", rows, now=now)
            found |= {(row[0], row[1]): row[2] for row in await tx.fetch_in("find_circuits_of_origins", missing)}
        return found

    async def take(self, tx: Tx, circuit_ids: set[int]) -> list[Circuit]:
        """Circuits whose rows are held from now on."""
        found = await tx.fetch_in("take_circuits", [(one,) for one in sorted(circuit_ids)]) if circuit_ids else []
        return list({row[0]: circuit_of(row) for row in found}.values())

    async def hold(self, tx: Tx, results: Sequence[Result]) -> None:
        """Before the runs of these results are changed."""
        held = sorted({result.delivery.circuit_id for result in results if result.delivery is not None})
        if held:
            await tx.hold("hold_circuits", [(one,) for one in held])

    async def stopped(self, tx: Tx, results: Sequence[Result]) -> dict[int, str]:
        """Deliveries among these that nobody wants to be tried again, with the reason."""
        retrying = [(r.claim.run_id,) for r in results if r.delivery is not None and r.state == "retrying"]
        if not retrying:
            return {}
        return {row[0]: "cancelled" for row in await tx.fetch_in("cancelled_deliveries", retrying)}

    async def settle(self, tx: Tx, now: int, results: Sequence[Result]) -> list[DisabledEndpoint]:
        """What follows for the targets of deliveries whose attempts have ended; endpoints switched off by it."""
        by_circuit: dict[int, list[Result]] = {}
        for result in results:
            if result.delivery is not None:
                by_circuit.setdefault(result.delivery.circuit_id, []).append(result)
        if not by_circuit:
            return []
        after: list[Circuit] = []
        empty: list[Circuit] = []
        off: dict[int, DisabledEndpoint] = {}
        for circuit in await self.take(tx, set(by_circuit)):
            ended = by_circuit[circuit.id]
            ends = [_end(result) for result in ended]
            changed = webhooks_circuits.after(circuit, ends, now)
            if webhooks_circuits.nothing_waits(circuit) and all(one.state == "succeeded" for one in ended):
                empty.append(changed)
                continue
            if changed.ordered:
                waits = max((r.due_at or 0 for r in ended if r.state == "retrying"), default=0)
                changed = replace(changed, hold_until=max(changed.hold_until, waits))
            reason = webhooks_circuits.disabled_because(changed, ends, now)
            if reason is not None:
                off[circuit.id] = DisabledEndpoint(circuit.project, circuit.id, reason)
            after.append(await self._turned(tx, now, circuit, changed, ended))
        await self._send_back(tx, {circuit.id: circuit for circuit in [*after, *empty]}, by_circuit)
        switched = set(await self._switch_off(tx, now, off))
        after = [replace(one, ended="disabled") if one.id in switched else one for one in after]
        if empty:
            await self._save(tx, now, empty)
        if after:
            await self.pass_on(tx, now, after, below=self._horizon.key)
        return [off[one] for one in switched]

    async def _turned(self, tx: Tx, now: int, before: Circuit, after: Circuit, ended: Sequence[Result]) -> Circuit:
        """A circuit that has opened takes back what was let through and not sent yet; one that never closes gives up
        what has waited for too long."""
        if after.open_until > max(now, before.open_until) and after.active > 0:
            for origin in {result.claim.origin for result in ended}:
                where = {"circuit_id": after.id, "lane": after.lane, "origin": origin}
                back = await tx.fetch("pull_back", **where)
                after = replace(after, active=max(0, after.active - len(back)))
        if after.origin is not None and webhooks_circuits.outlasted(after, now):
            too_old = ids.floor_of(now - ENDPOINT_FAILING_MAX)
            await self._drop(tx, now, after.lane, ("failed", _EXPIRED), too_old)
        return after

    async def _send_back(self, tx: Tx, circuits: dict[int, Circuit], ended: dict[int, list[Result]]) -> None:
        """Those that are tried again wait at their gate. Of an ordered endpoint they keep their place at its head: the
        gate waits in their stead."""
        back: list[Row] = []
        probes: list[Row] = []
        for circuit_id, circuit in circuits.items():
            for result in ended[circuit_id]:
                assert result.delivery is not None
                run_id = result.claim.run_id
                if result.state == "retrying":
                    back.append((run_id, circuit.lane, ids.made_at(run_id) if circuit.ordered else result.due_at))
                if result.delivery.probe:
                    probes.append((run_id, int(result.state == "retrying" and result.error != INTERRUPTED)))
        if back:
            await tx.many("send_back_to_gate", sorted(back))
        if probes:
            await tx.many("end_probes", sorted(probes))

    async def _switch_off(self, tx: Tx, now: int, off: dict[int, DisabledEndpoint]) -> list[int]:
        if not off:
            return []
        rows = [(one.endpoint_id, one.reason) for _, one in sorted(off.items())]
        switched = [row[0] for row in await tx.many("disable_endpoints", rows, now=now)]
        if switched:
            await tx.fetch("take_numbers", name="endpoints", count=1)
        return switched

    async def pass_on(
        self,
        tx: Tx,
        now: int,
        circuits: Sequence[Circuit],
        *,
        below: int,
        doubtful: int | None = None,
        full: Collection[str] = (),
    ) -> None:
        """Let through what may go now, and write the circuits, whose rows are held. `doubtful`: how many may go to
        targets that are not known to work, None: those are for `turn`. `full`: origins with more than they have seats
        for already; what is in doubt waits for them here, where it is in nobody's way."""
        left = doubtful or 0
        wanted: list[Row] = []
        for circuit in circuits:
            room = webhooks_circuits.room_at(circuit, now)
            if not circuit.trusted:
                # One at a time: what is set aside for one that has less to send is lost for the others.
                room = min(room, left, 1)
                left -= room
            if room > 0:
                wanted.append((circuit.lane, now, below, room))
        gone: dict[str, list[int]] = {}
        trusted = {circuit.lane for circuit in circuits if circuit.trusted}
        later: set[str] = set()
        for lane, run_id, origin in await tx.each("find_gated", wanted) if wanted else ():
            if lane in trusted or origin not in full:
                gone.setdefault(lane, []).append(run_id)
            else:
                later.add(lane)
        if gone:
            await tx.many("let_through", sorted((one,) for runs in gone.values() for one in runs), now=now)
            probes = [one for c in circuits if webhooks_circuits.probing(c) for one in gone.get(c.lane, ())]
            if probes:
                await tx.many("mark_probes", sorted((one,) for one in probes))
        after = [webhooks_circuits.let_through(c, len(gone.get(c.lane, ())), now) for c in circuits]
        first: dict[str, int | None] = dict(await tx.many("first_gated", [(circuit.lane,) for circuit in after]))
        looks = {c.lane: webhooks_circuits.look_at(c, now, first[c.lane]) for c in after}
        after = [replace(c, next_at=now + _FULL_BEAT if c.lane in later else looks[c.lane]) for c in after]
        await self._save(tx, now, after)

    async def _save(self, tx: Tx, now: int, circuits: Sequence[Circuit]) -> None:
        await tx.many("save_circuits", [_circuit_row(c) for c in sorted(circuits, key=lambda c: c.id)], now=now)
        for circuit in circuits:
            if circuit.next_at is not None and (self._next_at is None or circuit.next_at < self._next_at):
                self._next_at = circuit.next_at

    async def turn(self, tx: Tx, now: int, full: Collection[str]) -> None:
        """Let through what has come due; nothing in doubt to the origins that are `full`."""
        if self._looked_at <= now < self._looked_at + SECOND and (self._next_at is None or self._next_at > now):
            return
        self._looked_at = now
        self._expect(now, await tx.fetch("next_circuits"))
        if self._next_at is None or self._next_at > now:
            return
        [(busy,)] = await tx.fetch("count_doubtful")
        left = max(0, DOUBTFUL_MAX - busy)
        rows = await tx.fetch("take_due_circuits", trusted=1, now=now, limit=_CIRCUITS_AT_ONCE)
        rows += await self._in_doubt(tx, now, left)
        circuits = [circuit_of(row) for row in rows]
        for circuit in circuits:
            if circuit.ended is not None:
                await self._drop(tx, now, circuit.lane, _REASONS[circuit.ended], ids.KEY_MAX)
        await self.pass_on(tx, now, circuits, below=self._horizon.key, doubtful=left, full=full)
        self._expect(now, await tx.fetch("next_circuits"))

    def _expect(self, now: int, found: Sequence[Row]) -> None:
        """When to look next, from the first instants of targets that are trusted and of the others."""
        [(trusted, doubtful)] = found
        if doubtful is not None:
            new = doubtful <= now - AHEAD // 2
            doubtful = self._new_at if new else max(doubtful, self._bite_at)
        self._next_at = min((one for one in (trusted, doubtful) if one is not None), default=None)

    async def _in_doubt(self, tx: Tx, now: int, left: int) -> list[Row]:
        """Targets that are not known to work and whose turn it is: the new ones first. When there are more of them than
        one bite, the next one waits for its beat."""
        found: list[Row] = []
        if not now < self._new_at <= now + _NEW_BEAT:
            limit = min(left, _NEW_AT_ONCE)
            found = await tx.fetch("take_due_circuits", trusted=0, now=now - AHEAD // 2, limit=limit)
            self._new_at = now + _NEW_BEAT if len(found) >= limit else 0
        if not now < self._bite_at <= now + _FAILING_BEAT:
            limit = min(left - len(found), _FAILING_AT_ONCE)
            due = await tx.fetch("take_due_circuits", trusted=0, now=now, limit=len(found) + limit)
            failing = [row for row in due if row not in found]
            self._bite_at = now + _FAILING_BEAT if len(failing) >= limit else 0
            found += failing
        return found

    def next_turn(self, now: int) -> int:
        """In how many ms there may be more, at most 1 s."""
        return SECOND if self._next_at is None else min(SECOND, max(1, self._next_at - now))

    async def _drop(self, tx: Tx, now: int, lane: str, fate: tuple[str, str], below: int) -> None:
        state, reason = fate
        where = {"lane": lane, "below": below, "limit": PRUNE_BATCH}
        await tx.fetch("drop_gated", state=state, reason=reason, now=now, **where)


def _straight_through(circuit: Circuit, count: int, now: int) -> bool:
    """Whether so many new deliveries may go at once, with none that waits before them."""
    waits_now = circuit.next_at is not None and (circuit.ordered or circuit.next_at <= now)
    first = webhooks_circuits.nothing_waits(circuit) or (circuit.next_at is not None and not waits_now)
    return first and circuit.trusted and count <= webhooks_circuits.room_at(circuit, now)


def circuit_of(row: Row) -> Circuit:
    """A circuit, from `circuit_columns`."""
    return Circuit(*(*row[:4], bool(row[4]), *row[5:7], bool(row[7]), *row[8:]))


def _circuit_row(circuit: Circuit) -> Row:
    return (
        circuit.id,
        circuit.room,
        int(circuit.ordered),
        circuit.rate_milli,
        circuit.active,
        int(circuit.trusted),
        circuit.streak,
        circuit.last_failed,
        circuit.failing_since,
        circuit.open_until,
        circuit.hold_until,
        circuit.rate_at,
        circuit.next_at,
        circuit.ended,
    )


def _run_row(parcel: Parcel, lane: str, now: int) -> Row:
    return (
        parcel.run_id,
        None,
        parcel.project,
        "webhook",
        lane,
        parcel.trigger,
        0,
        now,
        now,
        parcel.target_id,
        parcel.origin,
        parcel.payload,
        now,
    )


def _delivery_row(parcel: Parcel) -> Row:
    return (
        parcel.run_id,
        parcel.project,
        parcel.circuit_id,
        parcel.endpoint_id,
        parcel.event,
        parcel.webhook_id,
        parcel.replay_of,
    )


def _end(result: Result) -> DeliveryEnd:
    """What the end of an attempt says about its target."""
    assert result.delivery is not None
    kind: EndKind = "failed"
    if result.state == "succeeded":
        kind = "delivered"
    elif result.status == 410:
        kind = "gone"
    elif result.rest_until or result.error == INTERRUPTED or result.delivery.stopped is not None:
        kind = "neither"
    return DeliveryEnd(result.claim.run_id, kind, result.rest_until)
