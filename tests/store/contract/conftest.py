"""Every test in this folder holds on every database. A new one is one line in BACKENDS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from mainspring.store.store import Store, open_sqlite
from store.making import Clock

Opener = Callable[[Path, Clock], Awaitable[Store]]


async def on_sqlite(folder: Path, clock: Clock) -> Store:
    return await open_sqlite(folder / "store.db", clock)


async def on_sqlite_synced_aside(folder: Path, clock: Clock) -> Store:
    return await open_sqlite(folder / "store.db", clock, sync_aside=True)


BACKENDS: dict[str, Opener] = {"sqlite": on_sqlite, "sqlite-aside": on_sqlite_synced_aside}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    opened = await BACKENDS[request.param](tmp_path, clock)
    yield opened
    await opened.close()
