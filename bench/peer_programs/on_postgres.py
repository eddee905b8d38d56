"""Publish through a Python library on PostgreSQL: `on_postgres.py LIBRARY URL SECONDS`; prints how many and the p99."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
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


async def with_pgmq(url: str, seconds: float) -> None:
    """Its SQL functions, which its Python package carries, called over connections that prepare the call once."""
    import asyncpg
    import pgmq

    ready = asyncio.Queue[Any]()
    connections = [await asyncpg.connect(url) for _ in range(AT_ONCE)]
    with contextlib.suppress(asyncpg.DuplicateTableError, asyncpg.DuplicateFunctionError, asyncpg.DuplicateObjectError):
        await connections[0].execute((Path(pgmq.__file__).parent / "sql" / "pgmq.sql").read_text())
    await connections[0].execute("SELECT pgmq.create('bench')")
    payload = json.dumps({"x": PAYLOAD})
    for connection in connections:
        ready.put_nowait(await connection.prepare("SELECT pgmq.send('bench', $1::jsonb)"))

    async def send() -> None:
        statement = ready.get_nowait()
        await statement.fetchval(payload)
        ready.put_nowait(statement)

    await load(send, seconds)
    await asyncio.gather(*(connection.close() for connection in connections))


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
    program = {"pgmq": with_pgmq, "pgqueuer": with_pgqueuer, "procrastinate": with_procrastinate}[library]
    asyncio.run(program(url, float(seconds)))
