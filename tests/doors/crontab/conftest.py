from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from doors.crontab.rig import HttpTarget, listening
from doors.live import Clock, Live, serving
from mainspring.store.shared import open_postgres
from mainspring.store.store import Store
from postgres import Postgres

Serving = Callable[..., AbstractAsyncContextManager[Live]]


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


@pytest.fixture
def in_zone(tmp_path: Path) -> Serving:
    """The server with its times in a zone."""

    def started(zone: str, **options: Any) -> AbstractAsyncContextManager[Live]:
        return serving(tmp_path, crontab_timezone=zone, **options)

    return started


@pytest_asyncio.fixture
async def target() -> AsyncIterator[tuple[HttpTarget, str]]:
    """An HTTP target and its URL."""
    made = HttpTarget()
    async with listening(made.answer) as address:
        yield made, f"http://{address}"
