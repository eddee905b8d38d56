"""Upkeep: facts about the store itself, and the removal of what has outlived its retention, in small steps."""

from __future__ import annotations

from mainspring.core.limits import DAY, IDEMPOTENCY_WINDOW, PRUNE_BATCH
from mainspring.store.db import Db, Row, Tx, again_after_collisions


class UpkeepStore:
    """One method, one transaction; every removal is bounded and says how much it did."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def ping(self) -> None:
        """Raises `Unavailable` when the store cannot be read."""
        await self._db.read("ping")

    async def get_meta(self, name: str) -> str | None:
        found = await self._db.read("get_meta", name=name)
        return found[0][0] if found else None

    @again_after_collisions
    async def set_meta(self, name: str, value: str) -> None:
        async with self._db.transaction() as tx:
            await tx.fetch("set_meta", name=name, value=value)

    @again_after_collisions
    async def keep_meta(self, name: str, value: str) -> str:
        """Write a value that is not there yet; the value that is there then, whoever wrote it."""
        async with self._db.transaction() as tx:
            await tx.fetch("keep_meta", name=name, value=value)
            [(kept,)] = await tx.fetch("get_meta", name=name)
        return str(kept)

    async def counts(self) -> dict[str, int]:
        """`schedules`, `schedules_due` and the unfinished runs by state."""
        [(schedules, due)] = await self._db.scan("count_schedules")
        counts = {"schedules": int(schedules), "schedules_due": int(due)}
        for state, count in await self._db.scan("count_runs"):
            counts["runs_" + state] = int(count)
        return counts

    @again_after_collisions
    async def prune_idempotency(self, now: int) -> int:
        async with self._db.transaction() as tx:
            return len(await tx.fetch("prune_idempotency", before=now - IDEMPOTENCY_WINDOW, limit=PRUNE_BATCH))

    @again_after_collisions
    async def prune_old(self, now: int) -> tuple[int, int]:
        """Remove one batch of (runs, gaps) older than their schedules keep."""
        runs = await self._db.scan("find_old_runs", after=0, now=now, limit=PRUNE_BATCH)
        gaps = await self._db.scan("find_old_gaps", after=0, now=now, limit=PRUNE_BATCH)
        async with self._db.transaction() as tx:
            await tx.hold("hold_upkeep")
            await self._delete_runs(tx, runs)
            await tx.many("delete_gaps", gaps)
        return len(runs), len(gaps)

    async def crowded(self, after: int, limit: int) -> list[tuple[int, int]]:
        """(schedule id, runs kept) of schedules that may have more runs than they keep, in order of id."""
        return [(row[0], row[1]) for row in await self._db.scan("find_crowded", after=after, limit=limit)]

    @again_after_collisions
    async def prune_surplus(self, schedule_id: int, keep: int) -> int:
        """Remove one batch of a schedule's finished runs beyond its newest `keep`."""
        surplus = await self._db.scan("find_surplus_runs", schedule_id=schedule_id, keep=keep, limit=PRUNE_BATCH)
        async with self._db.transaction() as tx:
            await tx.hold("hold_upkeep")
            await self._delete_runs(tx, surplus)
        return len(surplus)

    @again_after_collisions
    async def prune_apart(self, now: int, days: int) -> int:
        """Remove one batch of finished runs that belong to no schedule, with their targets."""
        async with self._db.transaction() as tx:
            await tx.hold("hold_upkeep")
            doomed = await tx.fetch("find_old_apart", before=now - days * DAY, limit=PRUNE_BATCH)
            await self._delete_runs(tx, [(run_id,) for run_id, _ in doomed])
            await tx.many("delete_targets", [(target_id,) for _, target_id in doomed])
        return len(doomed)

    @again_after_collisions
    async def prune_schedules(self, now: int, days: int) -> int:
        """Remove schedules deleted `days` ago and tasks past their retention, with their history, a few at a time."""
        deleted_before = now - days * DAY
        gone = await self._db.scan("find_gone_schedules", now=now, deleted_before=deleted_before, limit=20)
        if not gone:
            return 0
        async with self._db.transaction() as tx:
            await tx.hold("hold_upkeep")
            await tx.hold("hold_progress", gone)
            gone = await tx.fetch_in("still_gone", gone, now=now, deleted_before=deleted_before)
            finished = []
            for (schedule_id,) in gone:
                doomed = await tx.fetch("find_runs_of", schedule_id=schedule_id, limit=PRUNE_BATCH)
                await self._delete_runs(tx, doomed)
                if len(doomed) < PRUNE_BATCH:
                    await tx.fetch("delete_gaps_of", schedule_id=schedule_id)
                    await tx.fetch("delete_targets_of", schedule_id=schedule_id)
                    finished.append((schedule_id,))
            await tx.many("delete_schedules", finished)
            await tx.many("delete_progress", finished)
            await tx.many("delete_crontab", finished)
        return len(gone)

    @again_after_collisions
    async def prune_targets(self, now: int) -> int:
        """Remove targets that an edit replaced at least a day ago and no run refers to."""
        unused = await self._db.scan("find_unused_targets", before=now - DAY, limit=PRUNE_BATCH)
        async with self._db.transaction() as tx:
            await tx.hold("hold_upkeep")
            await tx.many("delete_targets", unused)
        return len(unused)

    async def maintain(self) -> None:
        """One bounded step of the database's own housekeeping."""
        await self._db.maintain()

    async def _delete_runs(self, tx: Tx, doomed: list[Row]) -> None:
        if doomed:
            await tx.many("delete_attempts", doomed)
            await tx.many("delete_runs", doomed)
