"""Samples in the store: written once a minute, removed after a week."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainspring.core.ids import made_at
from mainspring.core.limits import DAY, MINUTE, PRUNE_BATCH, SAMPLE_DAYS, SAMPLED_QUEUES_MAX, WALKED_MAX
from mainspring.core.samples import Sample
from mainspring.store.db import Db, again_after_collisions


class SampleStore:
    """One method, one transaction."""

    def __init__(self, db: Db, node: Callable[[], int]) -> None:
        self._db = db
        self._node = node

    @again_after_collisions
    async def add(self, at: int, samples: Sequence[Sample]) -> None:
        """Keep what this node counted in the minute that began at `at`."""
        rows = [(one.project, one.fires, one.failed, one.took_ms, one.took_max_ms, *one.late) for one in samples]
        async with self._db.transaction("soon") as tx:
            await tx.many("add_samples", rows, at=at, node=self._node())

    @again_after_collisions
    async def add_queues(self, at: int, now: int) -> int:
        """Keep what queues hold at the minute `at`, unless another node has; how many rows were written."""
        if await self._db.read("is_sampled", at=at):
            return 0
        asked = {"before": at - MINUTE, "now": now, "limit": SAMPLED_QUEUES_MAX, "most": WALKED_MAX}
        rows = []
        for queue_id, here, postponed, leased, hidden, dead, *firsts in await self._db.scan("look_at_queues", **asked):
            oldest = min((one for one in firsts if one is not None), default=None)
            age = 0 if oldest is None else max(0, now - made_at(oldest))
            rows.append((queue_id, max(0, here - hidden), postponed + hidden, leased, dead, age))
        if rows:
            async with self._db.transaction("soon") as tx:
                await tx.many("add_queue_samples", rows, at=at)
        return len(rows)

    @again_after_collisions
    async def prune(self, now: int) -> int:
        """Remove one batch of each kind that is too old; how many of the kind that had more."""
        before = now - SAMPLE_DAYS * DAY
        async with self._db.transaction("soon") as tx:
            fires = await tx.fetch("prune_samples", before=before, limit=PRUNE_BATCH)
            queues = await tx.fetch("prune_queue_samples", before=before, limit=PRUNE_BATCH)
        return max(len(fires), len(queues))
