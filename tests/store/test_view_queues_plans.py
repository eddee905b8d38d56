"""What the screens about queues ask goes by an index, and looks at no more than a page needs, on both databases."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib.resources import files

import asyncpg
import pytest
import pytest_asyncio

from mainspring.core import ids
from mainspring.core.views.queues import QueueOrder, QueueWish
from mainspring.store.postgres import PostgresDb
from mainspring.store.sessions import SCAN
from mainspring.store.sqlfile import load
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store, open_sqlite
from postgres import Postgres
from store.making import START, Clock, driver
from store.sharing import node
from store.test_plans import effort
from store.test_plans_on_postgres import explained
from store.test_queue_plans import FAR, MANY, ROWS
from store.test_queue_plans_on_postgres import GROW

# Every message that waits has its payload; there are pushes and subscriptions, too.
MORE = f"""
INSERT INTO messages (id, generation, rank, payload) SELECT id, generation, 9, x'31' FROM blocked;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO subscriptions SELECT i, 'p', i, 'http://t.example/', NULL, NULL, 'body', 'message', NULL, i, NULL, 1, 8, 0,
  0, 1, 1, NULL, NULL FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO pushes SELECT i, 1, i % 3, i, 1, 1, 1, 1, 'nacked', 500, NULL, NULL FROM n;
"""
MORE_ON_POSTGRES = f"""
INSERT INTO subscriptions SELECT i, 'p', i, 'http://t.example/', NULL, NULL, 'body', 'message', NULL, i, NULL, 1, 8, 0,
  0, 1, 1, NULL, NULL FROM generate_series(1, {MANY}) AS i;
INSERT INTO pushes SELECT i, 1, i % 3, i, 1, 1, 1, 1, 'nacked', 500, NULL, NULL FROM generate_series(1, {MANY}) AS i;
ANALYZE;
"""
WANTED = {"project": "small", "search": "", "holding": 0, "dead": 0, "paused": 0, "dead_most": 1_000, "now": START}
START_OF_LIST = {"place": -1, "id": -1, "payload_most": 512, "limit": 51}
NEWEST = {"before_at": ids.KEY_MAX, "before_id": ids.KEY_MAX, "limit": 51, "payload_most": 512}
# query → its arguments, and a bound for its work in units of 100 steps
ASKED: dict[str, tuple[dict[str, object], int]] = {
    "view_queues_by_newest": ({**WANTED, "id": ids.KEY_MAX, "limit": 51}, 800),
    "view_queues_by_name": ({**WANTED, "name": "", "limit": 51}, 10),
    "view_queues_by_depth": ({**WANTED, "depth": ids.KEY_MAX, "id": ids.KEY_MAX, "limit": 51}, 10),
    "view_queue": ({"now": START, "id": MANY + 1, "dead_most": 10_000}, 5),
    "view_available": ({**START_OF_LIST, "generation": 100}, 20),
    "view_behind": ({**START_OF_LIST, "generation": 100}, 20),
    "view_delayed": ({**START_OF_LIST, "generation": 200, "within": 100}, 30),
    "view_in_flight": ({**START_OF_LIST, "generation": 200, "within": 100}, 30),
    "view_delayed_end": ({"place": -1, "id": -1, "within": 100}, 10),
    "view_in_flight_end": ({"place": -1, "id": -1, "within": 100}, 10),
    "view_message": ({"id": 7, "generation": 100, "payload_most": 512}, 3),
    "view_delayed_message": ({"id": 7, "within": 100}, 20),
    "view_dead_of": ({**NEWEST, "queue_id": 1}, 60),
    "view_dead_in": ({**NEWEST, "generation": 1}, 60),
    "view_dead_letter": ({"id": 7, "queue_id": 1, "payload_most": 512}, 3),
    "view_dead_of_all": ({**NEWEST, "project": "small"}, 60),
    "view_pushing": ({"now": START, "queue_id": 7}, 1),
    "view_dependents": ({"queue_id": 8, "limit": 20}, 3),
}
# It reads the first of a table in the order of its key, and its bound says how many.
FROM_ITS_BEGIN = {"view_delayed_message"}
LARGE = "ready|leased|postponed|blocked|messages|dead|pushes|queue_counts|subscriptions"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def large(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    store = await open_sqlite(tmp_path_factory.mktemp("large") / "store.db", Clock())
    driver(store).execute(ROWS + MORE)
    yield store
    await store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grown(postgres: Postgres) -> AsyncIterator[PostgresDb]:
    url = postgres.url(await postgres.fresh())
    async with node(url, Clock()) as store:
        connection = await asyncpg.connect(url)
        await connection.execute(GROW + MORE_ON_POSTGRES)
        await connection.close()
        assert isinstance(store.db, PostgresDb)
        yield store.db


def test_every_view_of_queues_is_looked_at_here() -> None:
    text = files("mainspring.store").joinpath("sql", "view_queues.sql").read_text("utf-8")
    assert set(re.findall(r"-- name: (\w+)", text)) == set(ASKED)


@pytest.mark.parametrize("name", ASKED)
def test_a_view_of_queues_reads_no_table_from_end_to_end(large: Store, name: str) -> None:
    scalars, bound = ASKED[name]
    assert isinstance(large.db, SqliteDb)
    query = large.db.queries[name]
    values = [scalars[param] for param in query.params]
    # The plan calls tables by the letters that the query gives them.
    letters = {
        letter for table, letter in re.findall(r"(?:FROM|JOIN) (\w+) AS (\w+)", query.text) if table in LARGE.split("|")
    }
    plan = [str(row[3]) for row in driver(large).execute(f"EXPLAIN QUERY PLAN {query.text}", values)]
    scans = [line for line in plan if re.match(rf"SCAN ({'|'.join(letters)})\b", line) and "USING" not in line]
    assert scans == [] or name in FROM_ITS_BEGIN, plan
    assert effort(large, query.text, values) <= bound


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ASKED)
async def test_on_postgresql_too(grown: PostgresDb, name: str) -> None:
    arguments = ["NULL"] * max(map(int, re.findall(r"\$(\d+)", load("postgres")[name].text)), default=0)
    told = "\n".join(await explained(grown, SCAN | {"plan_cache_mode": "force_generic_plan"}, name, arguments))
    assert not re.search(rf"Seq Scan on ({LARGE})\b", told), told


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("order", ["newest", "name", "depth"])
async def test_a_page_of_many_queues_asks_for_the_numbers_of_its_own_rows_only(large: Store, order: QueueOrder) -> None:
    """Every queue that is looked at for the order costs a little, each of the page's a lot more."""
    name = f"view_queues_by_{order}"
    wanted = {**WANTED, "project": "p", "now": FAR, "depth": ids.KEY_MAX, "id": ids.KEY_MAX, "name": ""}
    assert isinstance(large.db, SqliteDb)
    query = large.db.queries[name]

    def work(limit: int) -> int:
        return effort(large, query.text, [{**wanted, "limit": limit}[param] for param in query.params])

    assert work(51) - work(1) <= 51 * 20
    assert len(await large.views.queues.page(START, "p", QueueWish(order, limit=51))) == 51
