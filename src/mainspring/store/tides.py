"""What time does to messages: leases end, delays are over, retention runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainspring.core.ids import KeySource, floor_of
from mainspring.core.limits import DAY, DEDUP_WINDOW, MESSAGE_RETENTION_DAYS_MAX, MINUTE, PRUNE_BATCH, TIDE_BATCH
from mainspring.core.queue_model import Queue, Turned
from mainspring.store.burials import bury, take_out
from mainspring.store.db import Db, Tx, again_after_collisions
from mainspring.store.queues import QueueStore, queue_of
from mainspring.store.waiting import WRITER_PRUNE, WRITER_TURN, Arrived, Tally, Waiting, move_up, settle_down


class TideStore:
    """One method, one bounded transaction."""

    def __init__(self, db: Db, keys: KeySource, queues: QueueStore, writer: Callable[[], int]) -> None:
        self._db = db
        self._keys = keys
        self._queues = queues
        self._writer = writer

    @again_after_collisions
    async def turn(self, now: int) -> Turned:
        """End what leases are over, each counted as a failure, and show what was delayed until now."""
        [(lease_until, visible_at)] = await self._db.read("next_turn")
        next_at = min((one for one in (lease_until, visible_at) if one is not None), default=None)
        if next_at is None or next_at > now:
            return Turned(expired=0, surfaced=0, dead=(), ready=(), next_at=next_at, more=False)
        async with self._db.transaction() as tx:
            expired = await tx.fetch("take_expired", now=now, limit=TIDE_BATCH)
            surfaced = await tx.fetch("take_surfacing", now=now, limit=TIDE_BATCH)
            generations = sorted({row[1] for row in [*expired, *surfaced]})
            queues = {queue.generation: queue for queue in await self._queues_of(tx, generations)}
            tally, arrived = Tally(), Arrived()
            dead = await self._expire(tx, now, expired, queues, tally, arrived)
            shown = [Waiting(*row) for row in surfaced if row[1] in queues]
            for row in shown:
                tally.postponed(row.generation, -1)
            await settle_down(tx, [(row, None) for row in shown], now, tally, arrived)
            orphans = sorted((row[0],) for row in [*expired, *surfaced] if row[1] not in queues)
            await tx.many("delete_messages", orphans)
            await tally.write(tx, self._writer() + WRITER_TURN)
            [(lease_until, visible_at)] = await tx.fetch("next_turn")
        for queue in queues.values():
            arrived.at(queue)
        return Turned(
            expired=len(expired),
            surfaced=len(surfaced),
            dead=dead,
            ready=arrived.told(),
            next_at=min((one for one in (lease_until, visible_at) if one is not None), default=None),
            more=max(len(expired), len(surfaced)) >= TIDE_BATCH,
        )

    async def _expire(
        self,
        tx: Tx,
        now: int,
        expired: Sequence[tuple[int, ...]],
        queues: dict[int, Queue],
        tally: Tally,
        arrived: Arrived,
    ) -> tuple[tuple[str, str, int], ...]:
        back: list[Waiting] = []
        failed: dict[tuple[int, int | None], list[Waiting]] = {}
        overrides = await self._overrides(tx, expired)
        for *columns, holder in expired:
            row = Waiting(*columns)
            if (queue := queues.get(row.generation)) is None:
                continue
            tally.leased(row.generation, -1)
            row = row._replace(failures=row.failures + 1)
            retries, grave = overrides.get(holder, (None, None))
            if row.failures > (queue.max_retries if retries is None else retries):
                failed.setdefault((row.generation, grave), []).append(row)
            back.append(row)
        dead: set[int] = set()
        told: list[tuple[str, str, int]] = []
        for (generation, grave), rows in failed.items():
            queue = queues[generation]
            reasons = [(row, "max_retries") for row in rows]
            buried = await bury(tx, self._queues, self._keys, now, queue, reasons, tally, arrived, grave)
            dead |= buried
            if buried:
                told.append((queue.project, queue.name, len(buried)))
        await settle_down(tx, [(row, None) for row in back if row.id not in dead], now, tally, arrived)
        await move_up(tx, [row for row in back if row.id in dead], now, tally, arrived)
        return tuple(told)

    async def _overrides(self, tx: Tx, expired: Sequence[tuple[int, ...]]) -> dict[int, tuple[int | None, int | None]]:
        """What the subscriptions among the holders say instead of their queues."""
        holders = sorted({row[-1] for row in expired})
        found = await tx.fetch_in("find_push_limits", [(one,) for one in holders]) if holders else []
        return {row[0]: (row[1], row[2]) for row in found}

    async def _queues_of(self, tx: Tx, generations: Sequence[int]) -> list[Queue]:
        found = await tx.fetch_in("find_queues_by_generation", [(one,) for one in generations]) if generations else []
        return [queue_of(row) for row in found]

    @again_after_collisions
    async def prune(self, now: int) -> int:
        """Forget what nobody can ask for any more, and clear away what a purge left; how many rows went."""
        async with self._db.transaction() as tx:
            removed = len(await tx.fetch("prune_dedup", before=now - DEDUP_WINDOW, limit=PRUNE_BATCH))
            oldest = now - MESSAGE_RETENTION_DAYS_MAX * DAY
            removed += len(await tx.fetch("prune_redriven", before=oldest, limit=PRUNE_BATCH))
            await tx.fetch("prune_receives", now=now)
            left = await tx.fetch("take_leftover", before=now - MINUTE)
            for (generation,) in left:
                removed += await self._clear(tx, generation)
        return removed

    async def _clear(self, tx: Tx, generation: int) -> int:
        where = {"generation": generation, "limit": PRUNE_BATCH}
        rows = [*await tx.fetch("empty_ready", **where), *await tx.fetch("empty_blocked", **where)]
        await tx.many("delete_messages", sorted((row[0],) for row in rows))
        others = len(await tx.fetch("empty_groups", **where)) + len(await tx.fetch("empty_dead", **where))
        if not rows and not others:
            # Publishers who read the queue before it was emptied may still come; a second look finds what they left.
            await tx.fetch("drop_counts", generation=generation)
            await tx.fetch("drop_leftover", generation=generation)
            return 1
        return len(rows) + others

    @again_after_collisions
    async def expire(self, now: int, after: int) -> tuple[int, int]:
        """Remove what has outlived its retention from the next few queues above id `after`; how many messages went, and
        the id to go on from: 0 when all queues have been seen."""
        async with self._db.transaction() as tx:
            found = await tx.fetch("queues_after", after=after, limit=20)
            queues = [queue_of(row) for row in await tx.fetch_in("get_queues", found)] if found else []
            removed = 0
            tally, arrived = Tally(), Arrived()
            for queue in queues:
                removed += await self._outlived(tx, now, queue, tally, arrived)
            await tally.write(tx, self._writer() + WRITER_PRUNE)
        if removed >= PRUNE_BATCH:
            return removed, after
        return removed, found[-1][0] if len(found) == 20 else 0

    async def _outlived(self, tx: Tx, now: int, queue: Queue, tally: Tally, arrived: Arrived) -> int:
        cutoff = now - queue.retention_ms
        where = {"generation": queue.generation, "limit": PRUNE_BATCH}
        old = await tx.fetch("find_old_ready", before=floor_of(cutoff), cutoff=cutoff, **where)
        if queue.holds_dead:
            old += await tx.fetch("find_old_dead", before=cutoff, **where)
        if not old:
            return 0
        first, behind = await take_out(tx, sorted({(queue.generation, row[0]) for row in old}), tally)
        gone = sorted((row.id,) for row in [*first, *behind])
        await tx.many("delete_messages", gone)
        await tx.many("delete_dead", gone)
        await move_up(tx, first, now, tally, arrived)
        return len(gone)
