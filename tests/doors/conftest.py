from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop

from doors.live import Clock, Live, serving
from mainspring.store.shared import open_postgres
from mainspring.store.store import Store
from postgres import Postgres


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the server runs on: it sends head and body of an answer in one write."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with serving(tmp_path) as started:
        yield started


async def _on_sqlite(_: pytest.FixtureRequest, __: Clock) -> Store | None:
    return None


async def _on_postgres(request: pytest.FixtureRequest, clock: Clock) -> Store | None:
    server: Postgres = request.getfixturevalue("postgres")
    return await open_postgres(server.url(await server.blank()), clock, time.monotonic_ns, clock=clock)


BACKENDS: dict[str, Callable[[pytest.FixtureRequest, Clock], Awaitable[Store | None]]] = {
    "sqlite": _on_sqlite,
    "postgres": _on_postgres,
}


@pytest_asyncio.fixture(params=BACKENDS)
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Live]:
    """The server on each database."""
    clock = Clock()
    async with serving(tmp_path, clock=clock, store=await BACKENDS[request.param](request, clock)) as started:
        yield started


@pytest_asyncio.fixture
async def two_nodes(postgres: Postgres, tmp_path: Path) -> AsyncIterator[tuple[Live, Live]]:
    """Two servers on one PostgreSQL."""
    url, clock = postgres.url(await postgres.blank()), Clock()
    async with (
        serving(tmp_path, clock=clock, store=await open_postgres(url, clock, time.monotonic_ns, clock=clock)) as one,
        serving(tmp_path, clock=clock, store=await open_postgres(url, clock, time.monotonic_ns, clock=clock)) as other,
    ):
        yield one, other
