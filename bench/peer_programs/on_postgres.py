"""Publish through a Python library on PostgreSQL: `on_postgres.py LIBRARY URL SECONDS`; prints how many and the p99."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

PAYLOAD = "x" * 300
AT_ONCE = 64


async def load(one: Callable[[], Awaitable[Any]], seconds: float) -> None:
    """64 at a time, each waiting for its own confirmation."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await one()
            took.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    took.sort()
    print(len(took), took[int(len(took) * 0.99)])


async def with_pgqueuer(url: str, seconds: float) -> None:
    import asyncpg
    from pgqueuer.db import AsyncpgPoolDriver
    from pgqueuer.queries import Queries

    async with asyncpg.create_pool(url, min_size=AT_ONCE, max_size=AT_ONCE) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))
        with contextlib.suppress(asyncpg.DuplicateObjectError):
            await queries.install()
        payload = PAYLOAD.encode()
        await load(lambda: queries.enqueue("bench", payload, 0), seconds)


async def with_procrastinate(url: str, seconds: float) -> None:
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=url, min_size=AT_ONCE, max_size=AT_ONCE))

    @app.task(name="bench")
    def bench(x: str) -> None:
        """Never run here."""

    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await load(lambda: bench.defer_async(x=PAYLOAD), seconds)


if __name__ == "__main__":
    library, url, seconds = sys.argv[1:]
    program = {"pgqueuer": with_pgqueuer, "procrastinate": with_procrastinate}[library]
    asyncio.run(program(url, float(seconds)))
