"""Fires what is due."""

from __future__ import annotations

from mainspring.core import schedules
from mainspring.core.limits import FIRE_BATCH, SECOND
from mainspring.core.ports import Core


class Scheduler:
    """step: one visit of the store's due schedules. `poll_ms` bounds the wait: the clock may be set forward, and other
    nodes may add work."""

    def __init__(self, core: Core, *, poll_ms: int = SECOND) -> None:
        self._core = core
        self._poll_ms = poll_ms

    async def step(self, now: int) -> int:
        """Fire at most one batch; ms until the next instant is due (0 when more is due already)."""
        fired = await schedules.fire_due(self._core, now)
        if fired.schedules >= FIRE_BATCH:
            return 0
        if fired.next_due_at is None:
            return self._poll_ms
        return min(self._poll_ms, max(0, fired.next_due_at - now))
