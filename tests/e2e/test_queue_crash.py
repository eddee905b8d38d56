"""Eight producers, eight consumers that sometimes die, servers that are killed: nothing is lost or out of order."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from e2e.harness import KEY, ServerProcess, server, wait_for
from e2e.nodes import environment
from mainspring.store.sqlite import GROUPS
from postgres import Postgres
from sim.queue_ledger import present, wrong
from sim.queue_traffic import LINE, PLAIN, RETRIES, Traffic, complaints

SHORT, LONG = (3.0, 3), (60.0, 20)  # seconds of load, kills


def survive(servers: list[ServerProcess], load: tuple[float, int], seed: int) -> None:
    """Load them, kill one after the other, let the consumers finish, and compare what everybody was told."""
    print(f"seed {seed}")
    seconds, kills = load
    dice = random.Random(seed)
    servers[0].call("POST", "/v1/queue/create", {"name": PLAIN, "max_retries": RETRIES})
    servers[0].call("POST", "/v1/queue/create", {"name": LINE, "type": "fifo", "max_retries": 1_000})
    traffic = Traffic(KEY, [lambda one=one: one.url for one in servers], seed)  # type: ignore[misc] # the loop's own value
    try:
        for at in range(kills):
            time.sleep(dice.uniform(0.5, 1.5) * seconds / kills)
            killed = servers[at % len(servers)]
            killed.kill()
            killed.start()
        traffic.quiet.set()
        for thread in traffic.producers:
            thread.join()
        wait_for("the queues to be empty", lambda: empty(servers[0]), patience=60)
    finally:
        traffic.quiet.set()
        traffic.halt.set()
        for thread in (*traffic.producers, *traffic.consumers):
            thread.join()
    dead = {one["message_id"] for one in letters(servers[0])}
    told = traffic.told
    assert complaints(told, dead, set()) == []
    assert len(told.published) > 100
    assert len(told.published) == len(told.attempted), "every one of them was published in the end"
    assert told.unknown > 0, "the kills cut nobody off"
    for name in (PLAIN, LINE):
        stats = servers[0].call("GET", f"/v1/queue/stats/{name}")
        assert (stats["available"], stats["delayed"], stats["in_flight"]) == (0, 0, 0)
        assert stats["dlq"] == (len(dead) if name == PLAIN else 0)


def empty(one: ServerProcess) -> bool:
    stats = [one.call("GET", f"/v1/queue/stats/{name}") for name in (PLAIN, LINE)]
    return all(told["available"] + told["delayed"] + told["in_flight"] == 0 for told in stats)


def letters(one: ServerProcess) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = one.call("GET", f"/v1/queue/dlq/list/{PLAIN}?limit=500{cursor}")
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


FAILURES = "SELECT min(failures), max(failures) FROM dead"


def audit(ask: Callable[[str], Any]) -> None:
    """The rows, after everything is over: in order, and nothing but dead letters, each of which had its chances."""

    async def questions() -> None:
        async def asked(text: str) -> list[Any]:
            found = ask(text)
            return list(await found if asyncio.iscoroutine(found) else found)

        assert await wrong(asked) == []
        [(dead,)] = await asked("SELECT count(*) FROM dead")
        assert await present(asked) == dead
        if dead:
            assert [tuple(row) for row in await asked(FAILURES)] == [(RETRIES + 1, RETRIES + 1)]

    asyncio.run(questions())


def on_sqlite(data: Path, load: tuple[float, int]) -> None:
    with server(data, MAINSPRING_LOG_LEVEL="error") as process:
        survive([process], load, random.randrange(1 << 32))
        assert process.stop() == 0
    connection = apsw.Connection(str(data / "mainspring.db"), flags=apsw.SQLITE_OPEN_READONLY)
    connection.execute(GROUPS)
    audit(connection.execute)
    connection.close()


def on_postgres(postgres: Postgres, folder: Path, load: tuple[float, int]) -> None:
    url = postgres.url(asyncio.run(postgres.fresh()))
    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(server(folder / name, MAINSPRING_LOG_LEVEL="error", **environment(url)))
            for name in ("first", "second")
        ]
        survive(nodes, load, random.randrange(1 << 32))
        assert [one.stop() for one in nodes] == [0, 0]

    async def ask(text: str) -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(text)]
        finally:
            await connection.close()

    audit(ask)


def test_kills_under_load_lose_no_message_and_keep_the_order(tmp_path: Path) -> None:
    on_sqlite(tmp_path / "data", SHORT)


def test_of_two_nodes_one_is_killed_after_the_other_and_no_message_is_lost(postgres: Postgres, tmp_path: Path) -> None:
    on_postgres(postgres, tmp_path, SHORT)


@pytest.mark.soak
def test_a_minute_of_kills_loses_no_message_and_keeps_the_order(tmp_path: Path) -> None:
    on_sqlite(tmp_path / "data", LONG)


@pytest.mark.soak
def test_a_minute_of_kills_of_two_nodes_loses_no_message(postgres: Postgres, tmp_path: Path) -> None:
    on_postgres(postgres, tmp_path, LONG)
