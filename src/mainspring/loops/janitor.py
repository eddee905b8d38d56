"""Removes what has outlived its retention, a little at a time."""

from __future__ import annotations

from functools import partial

from mainspring.core.audit import PURPOSE
from mainspring.core.events import Pruned
from mainspring.core.limits import AUDIT_DAYS_DEFAULT, DAY, DELIVERY_DAYS, MINUTE, PRUNE_BATCH, RETENTION_DAYS_DEFAULT
from mainspring.core.ports import Core

SWEEP = 10 * MINUTE
BREATH = 50


class Janitor:
    """step: one bounded removal of each kind. While there is more it comes back after a breath, else in 10 minutes."""

    def __init__(self, core: Core, audit_days: int = AUDIT_DAYS_DEFAULT) -> None:
        self._core = core
        self._audit_days = audit_days
        self._mark = partial(core.vault.mark, purpose=PURPOSE)
        self._crowded_after = 0
        self._queues_after = 0
        self._pushes_after = 0

    async def step(self, now: int) -> int:
        """Remove one batch of each kind of old row; ms until the next step."""
        upkeep = self._core.store.upkeep
        runs, gaps = await upkeep.prune_old(now)
        surplus, more_crowded = await self._thin_out()
        apart = await upkeep.prune_apart(now, RETENTION_DAYS_DEFAULT)
        schedules = await upkeep.prune_schedules(now, RETENTION_DAYS_DEFAULT)
        keys = await upkeep.prune_idempotency(now)
        targets = await upkeep.prune_targets(now)
        messages, self._queues_after = await self._core.store.tides.expire(now, self._queues_after)
        leftovers = await self._core.store.tides.prune(now)
        pushes, self._pushes_after = await self._core.store.pushes.prune(now, self._pushes_after)
        pushes += await self._core.store.subscriptions.prune(now)
        deliveries = await self._core.store.webhooks.deliveries.prune(now, DELIVERY_DAYS)
        noted = await self._core.store.audit.prune(now, self._audit_days, self._mark)
        scripts = await self._core.store.script_results.prune(now - RETENTION_DAYS_DEFAULT * DAY)
        removed = runs + surplus + apart + deliveries
        if removed or gaps or schedules:
            self._core.emit(Pruned(runs=removed, gaps=gaps, schedules=schedules))
        if removed or gaps or schedules or keys or targets or messages or leftovers or pushes or noted or scripts:
            await upkeep.maintain()
        busy = max(runs, gaps, apart, deliveries, keys, targets, noted, scripts) >= PRUNE_BATCH
        busy = (
            busy
            or schedules > 0
            or more_crowded
            or max(messages, leftovers, self._queues_after, self._pushes_after) > 0
        )
        busy = busy or pushes >= PRUNE_BATCH
        return BREATH if busy else SWEEP

    async def _thin_out(self) -> tuple[int, bool]:
        """Thin out a few schedules that keep more runs than they should."""
        upkeep = self._core.store.upkeep
        crowded = await upkeep.crowded(self._crowded_after, 10)
        if not crowded:
            self._crowded_after = 0
            return 0, False
        removed = 0
        for schedule_id, keep in crowded:
            batch = await upkeep.prune_surplus(schedule_id, keep)
            removed += batch
            if batch >= PRUNE_BATCH:
                return removed, True
            self._crowded_after = schedule_id
        return removed, True
