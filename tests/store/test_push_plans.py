"""What a pusher asks goes by an index on both databases, whatever else is leased and however long the log is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from mainspring.store.postgres import PostgresDb
from mainspring.store.sessions import SCAN, WORK
from mainspring.store.sqlfile import Query, load
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store, open_sqlite
from postgres import Postgres
from store.making import START, Clock, driver
from store.sharing import node

MANY = 20_000
QUEUES = 1_000
# A thousand subscribed queues; in the first one many messages wait, and consumers that pull hold as many.
ROWS = f"""
INSERT INTO queues (id, project, name, type, max_retries, retention_ms, visibility_ms, enable_priority, generation,
                    version, created_at, updated_at)
SELECT 1 + i, 'p', 'q' || i, 'standard', 5, 1000, 1000, 1, 1 + i, 1, 0, 0 FROM n WHERE i < {QUEUES};
INSERT INTO subscriptions (id, project, queue_id, url, signature_style, format, timeout_ms, max_concurrency, streak,
                           resting_until, created_at, updated_at)
SELECT 1 + i, 'p', 1 + i, 'http://a/', 'body', 'message', 1000, 8, 0, 0, 0, 0 FROM n WHERE i < {QUEUES};
INSERT INTO ready (generation, rank, id, attempt, failures) SELECT 1, 9, 1 + i, 0, 0 FROM n;
INSERT INTO leased (id, generation, rank, attempt, failures, token, holder, leased_at, lease_until)
SELECT {MANY} + 1 + i, 1, 9, 1, 0, i, CASE WHEN i % 1000 = 0 THEN -1 ELSE 7 END, 0, {START} + i FROM n;
INSERT INTO pushes (id, subscription_id, queue_id, message_id, attempt, started_at, ended_at, outcome)
SELECT 1 + i, 1 + i % 10, 1 + i % 10, i, 1, 0, 0, 'acked' FROM n
"""
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY - 1})"

# query → what its plan has to name on SQLite, the work it may be there in units of 100 steps, and on PostgreSQL
QUESTIONS: dict[str, tuple[list[str], int, list[str]]] = {
    "push_wanted": (
        ["SEARCH r EXISTS USING PRIMARY KEY (generation=?)", "SEARCH l USING INDEX leased_by_push (holder=?)"],
        600,
        ["ready_pkey", "leased_by_push"],
    ),
    "push_wanted_in": (
        ["SEARCH s USING INDEX subscriptions_by_", "SEARCH l USING INDEX leased_by_push (holder=?)"],
        4,
        ["ready_pkey", "leased_by_push"],
    ),
    "take_subscriptions": (["SEARCH s USING INTEGER PRIMARY KEY"], 2, ["subscriptions_pkey"]),
    "count_in_flight": (["SEARCH l USING INDEX leased_by_push (holder=?)"], 4, ["leased_by_push"]),
    "calm_subscriptions": (["SEARCH subscriptions USING INTEGER PRIMARY KEY"], 2, ["subscriptions_pkey"]),
    "trouble_subscriptions": (["SEARCH subscriptions USING INTEGER PRIMARY KEY"], 2, ["subscriptions_pkey"]),
    "find_push_limits": (["SEARCH s USING INTEGER PRIMARY KEY"], 2, ["subscriptions_pkey"]),
    "find_subscription_by_url": (["USING INDEX subscriptions_by_url"], 2, [r"subscriptions_by_\w+"]),
    "page_pushes": (["SEARCH p USING INDEX sqlite_autoindex_pushes_1"], 30, ["pushes_pkey"]),
    "find_surplus_push": (["SEARCH p USING COVERING INDEX sqlite_autoindex_pushes_1"], 2, ["pushes_pkey"]),
    "pushed_queues": (["USING COVERING INDEX sqlite_autoindex_pushes_1"], 10, ["pushes_pkey"]),
    "prune_pushes": (["SEARCH pushes USING COVERING INDEX pushes_age"], 30, ["pushes_age"]),
    "prune_surplus_pushes": (["SEARCH pushes USING COVERING INDEX sqlite_autoindex_pushes_1"], 2, ["pushes_pkey"]),
    "prune_subscriptions": (["USING COVERING INDEX subscriptions_ended"], 2, ["subscriptions_ended"]),
}
SCALARS: dict[str, object] = {
    "now": START,
    "streak_max": 5,
    "queue_id": 1,
    "url": "http://a/",
    "before": 50,
    "limit": 50,
    "after": 0,
    "keep": 1,
    "newest": 1,
}
CELLS: dict[str, object] = {"id": 1, "holder": -1, "queue_id": 1, "streak": 1, "resting_until": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    store = await open_sqlite(tmp_path_factory.mktemp("pushes") / "store.db", Clock())
    for statement in ROWS.split(";"):
        driver(store).execute(NUMBERS + statement)
    yield store
    await store.close()


def values_of(query: Query) -> list[object]:
    return [SCALARS[name] for name in query.params] + [CELLS.get(name) for name, _ in query.columns]


@pytest.mark.parametrize("name", QUESTIONS)
def test_on_sqlite_it_is_a_search_and_little_work(on_sqlite: Store, name: str) -> None:
    wanted, bound, _ = QUESTIONS[name]
    assert isinstance(on_sqlite.db, SqliteDb)
    query = on_sqlite.db.queries[name]
    text, values = query.text if query.table is None else query.with_rows(1), values_of(query)
    plan = [str(row[3]) for row in driver(on_sqlite).execute(f"EXPLAIN QUERY PLAN {text}", values)]
    for index in wanted:
        assert [line for line in plan if index in line], plan
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    connection = driver(on_sqlite)
    connection.execute("SAVEPOINT asked")
    connection.set_progress_handler(count, 100)
    try:
        list(connection.execute(text, values))
    finally:
        connection.set_progress_handler(None)
        connection.execute("ROLLBACK TO asked; RELEASE asked")
    assert steps <= bound


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_postgres(postgres: Postgres) -> AsyncIterator[PostgresDb]:
    url = postgres.url(await postgres.fresh())
    async with node(url, Clock()) as store:
        connection = await asyncpg.connect(url)
        for statement in ROWS.split(";"):
            await connection.execute(NUMBERS + statement)
        await connection.execute("ANALYZE")
        await connection.close()
        assert isinstance(store.db, PostgresDb)
        yield store.db


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUESTIONS)
async def test_on_postgres_it_goes_by_the_index_for_every_argument(on_postgres: PostgresDb, name: str) -> None:
    text = load("postgres")[name].text
    arguments = ", ".join(["NULL"] * max(map(int, re.findall(r"\$(\d+)", text)), default=0))
    read_aside = name in ("page_pushes", "find_surplus_push", "pushed_queues")
    connection = await on_postgres.connect((SCAN if read_aside else WORK) | {"plan_cache_mode": "force_generic_plan"})
    try:
        await connection.execute(f"PREPARE question AS {text}")
        told = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE question({arguments})"))
    finally:
        await connection.close()
    for index in QUESTIONS[name][2]:
        assert re.search(rf"using {index}\b|Scan on {index}\b", told), told
    assert not re.search(r"Seq Scan on (leased|ready|pushes)", told), told
