"""Where consumers wait for messages: each hears a bell, as many as there are messages for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from types import TracebackType

from mainspring.core.errors import LimitExceeded
from mainspring.core.limits import LONG_POLLS_PER_KEY

POLL_S = 1.0


class Bells:
    """Rings for the longest waiting first. A bell may be missed on another node's account: everybody looks again by
    himself within a second."""

    def __init__(self) -> None:
        # By queue, the longest waiting first.
        self._waiting: dict[int, OrderedDict[_Listener, None]] = {}
        self._by_holder: dict[int, int] = {}
        self.silent = False

    def listen(
        self, queue_id: int, wait_ms: int, holder: int = 0, hung_up: Callable[[], Awaitable[None]] | None = None
    ) -> _Listener:
        """Hear what arrives in a queue from now on, for so long, or until `hung_up` returns. Raises `LimitExceeded`
        when this `holder` (0 is nobody) waits too often already."""
        if wait_ms > 0 and holder and self._by_holder.get(holder, 0) >= LONG_POLLS_PER_KEY:
            raise LimitExceeded(
                f"this key has {LONG_POLLS_PER_KEY} consumers waiting already",
                hint="Wait with fewer, ask without wait_seconds, or use another key.",
                field="wait_seconds",
            )
        return _Listener(self, queue_id, 0 if self.silent else wait_ms, holder, hung_up)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(listeners) for listeners in self._waiting.values())

    def silence(self) -> None:
        """Nobody waits any more, from now on: the server is about to stop."""
        self.silent = True
        for listeners in list(self._waiting.values()):
            for listener in list(listeners):
                listener.rung.set()

    def ring(self, queue_id: int, count: int) -> None:
        """So many messages can be had: wake as many consumers."""
        waiting = self._waiting.get(queue_id)
        while waiting and count > 0:
            waiting.popitem(last=False)[0].ring()
            count -= 1

    def begin(self, holder: int) -> None:
        if holder:
            self._by_holder[holder] = self._by_holder.get(holder, 0) + 1

    def over(self, holder: int) -> None:
        if holder:
            left = self._by_holder.pop(holder) - 1
            if left:
                self._by_holder[holder] = left

    def add(self, listener: _Listener) -> None:
        self._waiting.setdefault(listener.queue_id, OrderedDict())[listener] = None

    def remove(self, listener: _Listener) -> None:
        waiting = self._waiting.get(listener.queue_id)
        if waiting is None:
            return
        waiting.pop(listener, None)
        if not waiting:
            del self._waiting[listener.queue_id]


class _Listener:
    def __init__(
        self,
        bells: Bells,
        queue_id: int,
        wait_ms: int,
        holder: int,
        hung_up: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self.queue_id = queue_id
        self.rung = asyncio.Event()
        self.gone = False
        self._bells = bells
        self._until = 0.0
        self._wait_s = wait_ms / 1000
        self._holder = holder
        self._hung_up = hung_up
        self._watch: asyncio.Task[None] | None = None
        self._called = False

    def __enter__(self) -> _Listener:
        if self._wait_s > 0:
            loop = asyncio.get_running_loop()
            self._until = loop.time() + self._wait_s
            self._bells.begin(self._holder)
            self._bells.add(self)
            if self._hung_up is not None:
                self._watch = loop.create_task(self._until_gone(self._hung_up))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wait_s <= 0:
            return
        self._bells.remove(self)
        self._bells.over(self._holder)
        if self._watch is not None:
            self._watch.cancel()
        if self._called:
            # It was called since it looked last: what it was called for is for the next one.
            self._bells.ring(self.queue_id, 1)

    def _is_over(self) -> bool:
        return self._wait_s <= 0 or self.gone or self._bells.silent

    def ring(self) -> None:
        """There may be a message for this one."""
        self._called = True
        self.rung.set()

    async def heard(self) -> bool:
        """Until it is worth another look; False when the wait is over, or whoever waited has gone."""
        if self._is_over():
            return False
        loop = asyncio.get_running_loop()
        if not self.rung.is_set():
            left = self._until - loop.time()
            if left <= 0:
                return False
            alarm = loop.call_later(min(left, POLL_S), self.rung.set)
            try:
                await self.rung.wait()
            finally:
                alarm.cancel()
        if self._is_over():
            return False
        self._called = False
        self.rung.clear()
        # Last in the row if it was called; its place is its own while it only looks by itself.
        self._bells.add(self)
        return True

    def move(self, queue_id: int) -> None:
        """Listen for another queue instead."""
        if self._wait_s > 0 and queue_id != self.queue_id:
            self._bells.remove(self)
            self.queue_id = queue_id
            self._bells.add(self)

    async def _until_gone(self, hung_up: Callable[[], Awaitable[None]]) -> None:
        await hung_up()
        self.gone = True
        self.rung.set()
