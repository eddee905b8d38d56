from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mainspring.store.store import Store, open_sqlite
from postgres import Postgres
from store.making import Clock
from store.sharing import node


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "store.db", clock)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def database(postgres: Postgres) -> str:
    """The URL of an empty database on PostgreSQL."""
    return postgres.url(await postgres.blank())


@pytest_asyncio.fixture
async def store_on_postgres(database: str, clock: Clock) -> AsyncIterator[Store]:
    async with node(database, clock) as opened:
        yield opened


@pytest_asyncio.fixture
async def pair(database: str, clock: Clock) -> AsyncIterator[tuple[Store, Store]]:
    """Two nodes on one database."""
    async with node(database, clock) as first, node(database, clock) as second:
        yield first, second
