"""Runs a loop: step, wait as long as the step said or until woken, step again. The only sleep in the program."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from mainspring.core.events import Emit, LoopFailed

BACKOFF_FIRST = 0.1
# As long as the longest poll. With 5 s, loops waited for each other's pauses after a fail-over of 20 s: the node's
# lease ran out before its loop tried again, the others met a lapsed lease, and fires came back 8 s after writes did.
BACKOFF_MAX = 1.0


class Service:
    """One loop with a life. `step(now)` does what is due and answers in how many ms it wants to be called again.

    `pace_s` is the least time between the begins of two steps, so that under load a step takes many items at once;
    the first step after a quiet time is immediate, and `hurry` ends the wait when enough has come together. A step that
    raises is reported and tried again after a growing pause.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[int], Awaitable[int]],
        clock: Callable[[], int],
        emit: Emit,
        *,
        pace_s: float = 0.0,
    ) -> None:
        self.name = name
        self._step = step
        self._clock = clock
        self._emit = emit
        self._pace = pace_s
        self._woken = asyncio.Event()
        self._hurried = asyncio.Event()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    def wake(self) -> None:
        """There may be work now."""
        self._woken.set()

    def hurry(self) -> None:
        """There is work now, and enough of it for a step of its own."""
        self._woken.set()
        self._hurried.set()

    async def stop(self) -> None:
        """No further step begins; the one under way ends first."""
        self._stopped.set()
        self.hurry()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = BACKOFF_FIRST
        while not self._stopped.is_set():
            self._woken.clear()
            self._hurried.clear()
            began = loop.time()
            try:
                wait = await self._step(self._clock()) / 1000
                pause = BACKOFF_FIRST
            except Exception as error:  # noqa: BLE001  # a loop outlives whatever its step met
                self._emit(LoopFailed(loop=self.name, error=f"{type(error).__name__}: {error}"))
                await self._back_off(pause)
                pause = min(BACKOFF_MAX, pause * 2)
                continue
            await _wait(self._woken, wait)
            await _wait(self._hurried, began + self._pace - loop.time())

    async def _back_off(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set or the time is over, whichever is first; others get a turn in any case."""
    if event.is_set() or seconds <= 0:
        await asyncio.sleep(0)
        return
    handle = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        handle.cancel()
