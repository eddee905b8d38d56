"""Tells open pages that something has happened: server-sent events, at most one a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from mainspring.core.errors import LimitExceeded
from mainspring.core.events import Event, Stopping
from mainspring.doors.console.api import Listen

LISTENERS_MAX = 200
PACE_S = 1.0
# What happens on other nodes is not heard here; pages look again this often whatever is heard.
ANYWAY_S = 5.0


class Pulse:
    """The beats for all open pages of this node. Nothing is sent of what happened: pages ask again with their key."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._open = 0
        self._heard = asyncio.Event()
        self._over = asyncio.Event()
        self._leave: Callable[[], None] | None = None

    def check(self) -> None:
        """Raises `LimitExceeded` when as many pages as may be listen already; they then look by themselves."""
        if self._open >= LISTENERS_MAX:
            raise LimitExceeded("too many pages are listening", retry_after_s=10)

    async def beats(self) -> AsyncIterator[bytes]:
        """Until the reader is gone or the server stops."""
        self._open += 1
        if self._leave is None:
            self._leave = self._listen(self._on_event)
        try:
            yield b"retry: 3000\n\n"
            while True:
                await _at_most(ANYWAY_S, self._heard)
                if self._over.is_set():
                    return
                yield b"event: pulse\ndata: 1\n\n"
                await _at_most(PACE_S, self._over)
        finally:
            self._open -= 1
            if self._open == 0 and self._leave is not None:
                self._leave()
                self._leave = None

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Stopping):
            self._over.set()
        heard, self._heard = self._heard, asyncio.Event()
        heard.set()


async def _at_most(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
