"""What time does to messages: leases that end, delays that are over."""

from __future__ import annotations

from mainspring.core.events import LeasesExpired, QueueDeadLettered
from mainspring.core.limits import SECOND
from mainspring.core.messages import tell
from mainspring.core.ports import Core

_NEVER = 1 << 62


class Tide:
    """step: one turn of what is due. `expect` says that something is due earlier than the loop knows."""

    def __init__(self, core: Core, *, poll_ms: int = SECOND) -> None:
        self._core = core
        self._poll_ms = poll_ms
        self._next_at = _NEVER

    def expect(self, at: int) -> bool:
        """Something happens at this instant; whether that is before all that is known."""
        if at >= self._next_at:
            return False
        self._next_at = at
        return True

    async def step(self, now: int) -> int:
        """Turn one batch; ms until the next thing happens, as far as it is known."""
        self._next_at = _NEVER
        turned = await self._core.store.tides.turn(now)
        tell(self._core, turned.ready)
        if turned.expired:
            self._core.emit(LeasesExpired(messages=turned.expired))
        for project, queue, messages in turned.dead:
            self._core.emit(QueueDeadLettered(project=project, queue=queue, messages=messages))
        if turned.more:
            return 0
        if turned.next_at is not None:
            self.expect(turned.next_at)
        return min(self._poll_ms, max(1, self._next_at - now))
