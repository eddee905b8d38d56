"""Every test in this folder holds on every database. A new one is one line in BACKENDS."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from mainspring.store.shared import open_postgres
from mainspring.store.store import Store, open_sqlite
from postgres import Postgres
from store.making import Clock

Opener = Callable[[pytest.FixtureRequest, Path, Clock], Awaitable[Store]]


async def on_sqlite(_: pytest.FixtureRequest, folder: Path, clock: Clock) -> Store:
    return await open_sqlite(folder / "store.db", clock)


async def on_sqlite_synced_aside(_: pytest.FixtureRequest, folder: Path, clock: Clock) -> Store:
    return await open_sqlite(folder / "store.db", clock, sync_aside=True)


async def on_postgres(request: pytest.FixtureRequest, _: Path, clock: Clock) -> Store:
    server: Postgres = request.getfixturevalue("postgres")
    return await open_postgres(server.url(await server.blank()), clock, time.monotonic_ns, clock=clock)


BACKENDS: dict[str, Opener] = {
    "sqlite": on_sqlite,
    "sqlite-aside": on_sqlite_synced_aside,
    "postgres": on_postgres,
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    opened = await BACKENDS[request.param](request, tmp_path, clock)
    yield opened
    await opened.close()
