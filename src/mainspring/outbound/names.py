"""Host names to addresses: one flight per host, a few threads, a short memory, a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable

import msgspec

THREADS = 16
CACHE_S = 10.0
DEADLINE_S = 5.0
CACHED_HOSTS_MAX = 4096

Lookup = Callable[[str], list[str]]


class NameUnresolved(OSError):
    """A host name gave no address; `reason` is what a user is told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Answer(msgspec.Struct, frozen=True):
    addresses: tuple[str, ...]
    reason: str | None = None


def system_lookup(host: str) -> list[str]:
    """The addresses of a host as the system's resolver knows them, in its order. Blocks; raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Names:
    """Resolves host names for one event loop.

    A lookup runs on its own daemon thread, at most 16 at a time: getaddrinfo(3) blocks for as long as it likes, and
    a thread that does must hold up neither the loop nor the exit. A thread per lookup costs 60 us, and there is at
    most one lookup per host in 10 s.
    """

    def __init__(
        self, lookup: Lookup = system_lookup, *, cache_s: float = CACHE_S, deadline_s: float = DEADLINE_S
    ) -> None:
        self._lookup = lookup
        self._cache_s = cache_s
        self._deadline_s = deadline_s
        self._cache: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._flights: dict[str, asyncio.Future[_Answer]] = {}
        self._queue: deque[str] = deque()
        self._busy = 0

    async def addresses(self, host: str) -> tuple[str, ...]:
        """All addresses of a host, at most 10 s old. Raises `NameUnresolved`, after 5 s at the latest.

        A flight outlives the callers that gave up on it, so a slow name occupies one thread, not one per caller.
        """
        loop = asyncio.get_running_loop()
        cached = self._cache.get(host)
        if cached is not None and loop.time() < cached[0]:
            return cached[1]
        flight = self._flights.get(host)
        if flight is None:
            flight = self._flights[host] = loop.create_future()
            self._queue.append(host)
            self._launch(loop)
        await asyncio.wait((flight,), timeout=self._deadline_s)
        if not flight.done():
            raise NameUnresolved("name resolution timed out")
        answer = flight.result()
        if answer.reason is not None:
            raise NameUnresolved(answer.reason)
        return answer.addresses

    def _launch(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._queue and self._busy < THREADS:
            self._busy += 1
            host = self._queue.popleft()
            threading.Thread(target=self._fly, args=(loop, host), name="mainspring-names", daemon=True).start()

    def _fly(self, loop: asyncio.AbstractEventLoop, host: str) -> None:
        try:
            addresses = tuple(self._lookup(host))
            answer = _Answer(addresses, None if addresses else "name not found")
        except socket.gaierror as error:
            final = error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
            answer = _Answer((), "name not found" if final else "name resolution failed")
        except (OSError, UnicodeError):
            answer = _Answer((), "name resolution failed")
        with contextlib.suppress(RuntimeError):  # the loop ended while the resolver was still thinking
            loop.call_soon_threadsafe(self._land, loop, host, answer)

    def _land(self, loop: asyncio.AbstractEventLoop, host: str, answer: _Answer) -> None:
        self._busy -= 1
        if answer.reason is None:
            self._cache.pop(host, None)
            if len(self._cache) >= CACHED_HOSTS_MAX:
                del self._cache[next(iter(self._cache))]
            self._cache[host] = (loop.time() + self._cache_s, answer.addresses)
        self._flights.pop(host).set_result(answer)
        self._launch(loop)
