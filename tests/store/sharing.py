"""Several nodes on one PostgreSQL, in one process or in threads of their own; and a look at what the server does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from mainspring.store.shared import open_postgres
from mainspring.store.store import Store
from store.making import Clock

PATIENCE = 30.0
T = TypeVar("T")


@asynccontextmanager
async def node(url: str, clock: Callable[[], int]) -> AsyncIterator[Store]:
    """One node, with the test's clock."""
    store = await open_postgres(url, clock, time.monotonic_ns, clock=clock)
    try:
        yield store
    finally:
        await store.close()


class Elsewhere(threading.Thread):
    """Work of another node, with a thread, a loop and a store of its own: goes on while the test's loop is held up."""

    def __init__(self, url: str, clock: Clock, work: Callable[[Store], Awaitable[Any]]) -> None:
        super().__init__()
        self._url, self._clock, self._work = url, clock, work
        self._result: Any = None
        self._error: BaseException | None = None
        self.opened = threading.Event()
        self.start()
        assert self.opened.wait(PATIENCE)

    def run(self) -> None:
        try:
            self._result = asyncio.run(self._whole())
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            self._error = error
            self.opened.set()

    async def _whole(self) -> Any:
        async with node(self._url, self._clock) as store:
            await store.upkeep.ping()
            self.opened.set()
            return await self._work(store)

    async def result(self) -> Any:
        """What came of it, once it has ended."""
        await asyncio.to_thread(self.join, PATIENCE)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error
        return self._result


async def query(url: str, text: str) -> list[Any]:
    """One statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(text))
    finally:
        await connection.close()


def ask(url: str, text: str) -> list[Any]:
    """One statement from outside, also while this thread's loop stands still."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(asyncio.run(query(url, text))))
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return found


WAITING = (
    "SELECT pid, wait_event, query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = '{}'"
)


def until_waiting(url: str, kind: str = "Lock") -> list[int]:
    """The backends that wait for a lock (or for something else), once there is one."""
    until = time.monotonic() + PATIENCE
    while not (found := ask(url, WAITING.format(kind))):
        assert time.monotonic() < until, f"nobody waits for {kind}"
    return [row["pid"] for row in found]


async def eventually(holds: Callable[[], Awaitable[T]], *, pause: float = 0.01) -> T:
    """The first true answer; asked every `pause` seconds."""
    until = time.monotonic() + PATIENCE
    while not (value := await holds()):
        assert time.monotonic() < until
        await asyncio.sleep(pause)
    return value
