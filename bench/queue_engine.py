"""The engine of the queues alone: the store against a bare loop that inserts the same rows, in the same run.

Everything is on disk before it is answered. A part of bench/queue.py.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import msgspec
from tests.postgres import server as postgres_server

from bench.rig import busy_seconds
from mainspring.core.messages import group_key_of
from mainspring.core.queue_model import NewMessage, NewQueue, Publish, Published, Queue, Receive, Settle
from mainspring.core.queues import DEFAULTS
from mainspring.store.shared import open_postgres
from mainspring.store.store import Store, open_sqlite

QUICK = "--quick" in sys.argv
SECONDS = 2.0 if QUICK else 5.0
ROUNDS = 3 if QUICK else 7
MILLION = 100_000 if QUICK else 1_000_000
PAYLOAD = b'"' + b"x" * 298 + b'"'
FIFO = msgspec.structs.replace(DEFAULTS, type="fifo", enable_priority=False)


def clock() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="mainspring-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def foreign(server: Callable[[], float] = lambda: 0.0) -> Iterator[None]:
    """Say how much of the machine others took meanwhile; `server`: CPU seconds of the one that is measured."""

    def ours() -> float:
        return sum(os.times()[:4]) + server()

    began, before, own = time.monotonic(), busy_seconds(), ours()
    yield
    spent = busy_seconds() - before - (ours() - own)
    print(f"  (others, PostgreSQL among them: {spent / (time.monotonic() - began):.2f} of a core)", flush=True)


async def fill(store: Store, queue: Queue, count: int, make: Callable[[int], NewMessage]) -> None:
    for start in range(0, count, 1_000):
        await store.publish(Publish(queue, tuple(make(at) for at in range(start, start + 1_000))))


def plain(_: int) -> NewMessage:
    return NewMessage(PAYLOAD, 9)


def grouped(groups: int) -> Callable[[int], NewMessage]:
    names = [(str(at), group_key_of(str(at))) for at in range(groups)]
    return lambda at: NewMessage(PAYLOAD, 9, None, None, *names[at % groups])


async def queue_of(store: Store, name: str = "q", settings: Any = DEFAULTS) -> Queue:
    made = await store.create_queue(NewQueue("default", name, settings))
    assert isinstance(made, Queue)
    return made


async def publish_rows(store: Store, queue: Queue, rows: int, per: int) -> float:
    """Rows per second, `per` callers sharing each transaction."""
    items = [Publish(queue, (NewMessage(PAYLOAD, 9),)) for _ in range(per)]
    began = time.perf_counter()
    for _ in range(rows // per):
        done = await store.publishing.publish(clock(), items)
        assert isinstance(done[0], Published)
    return rows // per * per / (time.perf_counter() - began)


class BareSqlite:
    """Insert the same rows, as many in a statement, and commit; nothing else."""

    def __init__(self, path: Path) -> None:
        self.connection = apsw.Connection(str(path))
        self.connection.execute(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "PRAGMA wal_autocheckpoint = 2000; PRAGMA cache_size = -65536;"
            "CREATE TABLE m (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, rank INTEGER NOT NULL,"
            " payload BLOB NOT NULL, headers BLOB, group_id TEXT) STRICT"
        ).fetchall()
        self.texts = {count: f"INSERT INTO m VALUES {', '.join(['(?,?,?,?,?,?)'] * count)}" for count in (64, 32, 8)}
        self.ids = itertools.count(1)

    async def rows(self, rows: int, per: int) -> float:
        began = time.perf_counter()
        for _ in range(rows // per):
            self.connection.execute("BEGIN IMMEDIATE")
            left = per
            while left:
                count = next(one for one in self.texts if one <= left)
                cells = [cell for _ in range(count) for cell in (next(self.ids), 1, 9, PAYLOAD, None, None)]
                self.connection.execute(self.texts[count], cells)
                left -= count
            self.connection.execute("COMMIT")
        return rows // per * per / (time.perf_counter() - began)


class BarePostgres:
    """The same with one folded statement after the other."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self.connection = connection
        self.ids = itertools.count(1)

    async def open(self) -> None:
        await self.connection.execute(
            "CREATE TABLE bare (id bigint PRIMARY KEY, generation bigint NOT NULL, rank bigint NOT NULL,"
            " payload bytea NOT NULL, headers bytea, group_id text)"
        )
        self.insert = await self.connection.prepare(
            "INSERT INTO bare SELECT * FROM unnest"
            "($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::text[])"
        )

    async def rows(self, rows: int, per: int) -> float:
        began = time.perf_counter()
        for _ in range(rows // per):
            ids = [next(self.ids) for _ in range(per)]
            await self.insert.fetch(ids, [1] * per, [9] * per, [PAYLOAD] * per, [None] * per, [None] * per)
        return rows // per * per / (time.perf_counter() - began)


async def compare_publish(name: str, goal: float, store: Store, bare: Any, figures: dict[str, Any]) -> None:
    queue = await queue_of(store)
    for per in (64, 1_000):
        found = []
        for _ in range(ROUNDS):
            rows = 16_000 if per == 64 else 40_000
            found.append((await publish_rows(store, queue, rows, per), await bare.rows(rows, per)))
        ratio = statistics.median(ours / bound for ours, bound in found)
        ours, bound = (statistics.median(column) for column in zip(*found, strict=True))
        print(
            f"  {name:>8} {per:>5} rows a commit: {ours:>9,.0f}/s, bare loop {bound:>9,.0f}/s,"
            f" ratio {ratio:.2f} (goal {goal})",
            flush=True,
        )
        figures[f"{name}_{per}"] = {"per_second": ours, "bare": bound, "ratio": ratio, "goal": goal}


async def cycles(store: Store, queue: Queue, seconds: float, fold: int = 16) -> float:
    """Messages per second through consume 10 and ack 10, `fold` consumers at once."""
    began, got = time.perf_counter(), 0

    async def consumer() -> None:
        nonlocal got
        while time.perf_counter() - began < seconds:
            found = await store.receive(Receive(queue, 10, 30_000, 7))
            assert isinstance(found, list)
            if not found:
                return
            await store.settle(Settle(queue, "ack", tuple((one.id, one.token) for one in found), 7))
            got += len(found)

    await asyncio.gather(*(consumer() for _ in range(fold)))
    return got / (time.perf_counter() - began)


async def engine() -> dict[str, Any]:
    """The store against bare inserts."""
    figures: dict[str, Any] = {}
    with folder() as where, foreign():
        store = await open_sqlite(where / "store.db", clock)
        await compare_publish("sqlite", 0.5, store, BareSqlite(where / "bare.db"), figures)
        figures["sqlite_cycle"] = await cycles(store, await queue_of(store), SECONDS)
        print(f"    sqlite consume 10 + ack 10, 16 at once: {figures['sqlite_cycle']:,.0f} messages/s")
        await store.close()
    with postgres_server(fsync="on", full_page_writes="on", shared_buffers="1GB") as server, foreign():
        url = server.url(await server.fresh())
        shared = await open_postgres(url, clock, time.monotonic_ns)
        bare = BarePostgres(await asyncpg.connect(url))
        await bare.open()
        await compare_publish("postgres", 0.7, shared, bare, figures)
        figures["postgres_cycle"] = await cycles(shared, await queue_of(shared), SECONDS)
        print(f"  postgres consume 10 + ack 10, 16 at once: {figures['postgres_cycle']:,.0f} messages/s")
        await bare.connection.close()
        await shared.close()
    return figures
