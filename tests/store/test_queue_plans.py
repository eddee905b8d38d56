"""What queues ask all the time goes by an index, and costs the same with twenty thousand messages as with one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from mainspring.core import ids
from mainspring.core.messages import group_key_of
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store, open_sqlite
from store.making import START, Clock, driver, number
from store.queueing import Hand
from store.test_plans import effort

MANY = 20_000
FAR = START + 10 * MANY
GROUP = group_key_of("long")
# Of one queue (generation 100) everything there can be many of; another one (200) is small.
ROWS = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO messages (id, generation, rank, payload) SELECT i, 100, 9, x'31' FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO ready SELECT 100, i % 10, i, 0, 0, NULL FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO leased SELECT {MANY} + i, 100, 9, 1, 0, NULL, i, 7, {START}, {START} + i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO postponed SELECT {START} + i, {2 * MANY} + i, 100, 9, 0, 0, NULL FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO blocked SELECT 100, CASE WHEN i % 2 THEN {GROUP} ELSE i END, i, {3 * MANY} + i, 9, 0, 0,
  CASE WHEN i % 100 = 0 THEN {FAR} END FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO message_groups SELECT 100, i, i, 1 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO dead SELECT i, i % 3, 1, 1, {START} + i, 'rejected', 1, 1 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO dedup SELECT i % 5, CAST(i AS BLOB), i, {START} + i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO receives SELECT i % 5, 7, i, 1, '[]', {START} + i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO queues SELECT i, 'p', 'q' || i, 'standard', CASE WHEN i % 2 THEN i + 1 END, 0, 0, 5, 1, 1, 1, NULL, i,
  1, 1, 1, CASE WHEN i % 3 = 0 THEN 1 END FROM n;
INSERT INTO queues SELECT {MANY} + 1, 'small', 'q', 'standard', NULL, 0, 0, 5, 1, 1, 1, NULL, {MANY} + 1, 1, 1, 1, NULL;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def large(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    store = await open_sqlite(tmp_path_factory.mktemp("large") / "store.db", Clock())
    driver(store).execute(ROWS)
    yield store
    await store.close()


Rows = list[tuple[Any, ...]]
SOON = START + 50
# query → its arguments, its rows, the index it goes by, and a bound for its work in units of 100 steps
QUESTIONS: dict[str, tuple[dict[str, Any], Rows, str, int]] = {
    "find_queues": ({}, [("p", "q7"), ("p", "q8")], "q USING INDEX queues_by_name", 3),
    "get_queues": ({}, [(7,), (8,)], "q USING INTEGER PRIMARY KEY", 3),
    "find_queues_by_generation": ({}, [(7,), (8,)], "q USING INDEX sqlite_autoindex_queues_1", 3),
    "current_versions": ({}, [(7,), (8,)], "q USING INTEGER PRIMARY KEY", 2),
    "find_dependents": ({"id": 8}, [], "d USING INDEX queues_by_dead_letters", 2),
    "page_queues": ({"project": "small", "before": ids.KEY_MAX, "limit": 50}, [], "q USING", 3),
    "queues_after": ({"after": 7, "limit": 20}, [], "queues USING INTEGER PRIMARY KEY", 3),
    "was_queue_deleted": ({"project": "p", "name": "q9"}, [], "queues USING", 1),
    "sum_counts": ({}, [(100,), (200,)], "c USING PRIMARY KEY", 2),
    "count_overdue": ({"now": SOON, "generation": 100}, [], "leased USING INDEX leased_until", 20),
    "count_blocked_until": ({"now": FAR, "generation": 100}, [], "blocked USING COVERING INDEX blocked_until", 1),
    "oldest_available": ({"generation": 100, "now": SOON}, [], "r USING PRIMARY KEY", 6),
    "take_ready": ({}, [(100, 10)], "r USING PRIMARY KEY", 8),
    "read_messages": ({}, [(7,), (8,)], "m USING INTEGER PRIMARY KEY", 2),
    "take_leased": ({"now": START}, [(MANY + 7, 100, 7, 7)], "leased USING INTEGER PRIMARY KEY", 3),
    "extend_leased": ({"now": START}, [(MANY + 9, 100, 9, 7, FAR)], "leased USING INTEGER PRIMARY KEY", 3),
    "find_messages": ({}, [(7,), (8,)], "m USING INTEGER PRIMARY KEY", 2),
    "still_leased": ({"now": START}, [(MANY + 10, 10)], "l USING INTEGER PRIMARY KEY", 2),
    "take_expired": ({"now": FAR, "limit": 20}, [], "leased USING COVERING INDEX leased_until", 15),
    "take_surfacing": ({"now": FAR, "limit": 20}, [], "postponed USING PRIMARY KEY", 15),
    "next_turn": ({}, [], "leased USING COVERING INDEX leased_until", 1),
    "peek_ready": ({"generation": 100, "limit": 20}, [], "r USING PRIMARY KEY", 6),
    "join_groups": ({}, [(100, 7, 1, 1), (200, GROUP, 1, 1)], "", 3),
    "leave_groups": ({}, [(100, 7), (100, 8)], "message_groups USING PRIMARY KEY", 3),
    "drop_groups": ({}, [(100, 9), (100, 10)], "message_groups USING PRIMARY KEY", 3),
    "take_blocked": ({}, [(100, GROUP), (100, 8)], "l USING PRIMARY KEY", 6),
    "find_dedup": ({}, [(1, b"1"), (2, b"2")], "d USING PRIMARY KEY", 2),
    "prune_dedup": ({"before": START, "limit": 20}, [], "dedup USING COVERING INDEX dedup_age", 1),
    "find_receives": ({"now": START}, [(1, 7, "1")], "r USING PRIMARY KEY", 2),
    "prune_receives": ({"now": START}, [], "receives USING INDEX receives_until", 1),
    "page_dead_by_source": (
        {"queue_id": 1, "before_at": 1 << 60, "before_id": 0, "limit": 20},
        [],
        "d USING INDEX dead_by_source",
        20,
    ),
    "page_dead_by_queue": (
        {"generation": 1, "before_at": 1 << 60, "before_id": 0, "limit": 20},
        [],
        "d USING INDEX dead_by_queue",
        20,
    ),
    "find_redrivable_in_queue": ({"generation": 1, "since": 0, "limit": 20}, [], "d USING", 20),
    "find_redrivable": ({"id": 7, "queue_id": 1}, [], "d USING INTEGER PRIMARY KEY", 2),
    "find_old_dead": ({"generation": 1, "before": FAR, "limit": 20}, [], "d USING COVERING INDEX dead_by_queue", 10),
    "prune_redriven": ({"before": FAR, "limit": 20}, [], "dead USING COVERING INDEX dead_by_queue", 2),
    "find_old_ready": ({"generation": 100, "before": 0, "cutoff": 0, "limit": 20}, [], "r USING PRIMARY KEY", 5),
    "take_out_ready": ({}, [(100, 21), (100, 22)], "r USING PRIMARY KEY", 4),
    "take_out_blocked": ({}, [(100, 3 * MANY + 2)], "b USING COVERING INDEX blocked_by_id", 3),
    "take_leftover": ({"before": START}, [], "", 1),
    "empty_ready": ({"generation": 300, "limit": 20}, [], "ready USING PRIMARY KEY", 2),
    "empty_blocked": ({"generation": 300, "limit": 20}, [], "blocked USING PRIMARY KEY", 2),
    "empty_groups": ({"generation": 300, "limit": 20}, [], "message_groups USING PRIMARY KEY", 2),
    "empty_dead": ({"generation": 300, "limit": 20}, [], "dead USING", 2),
}
SMALL = {"v", "ranks", "chain", "CONSTANT", "(subquery-2)", "leftovers"}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_frequent_question_about_queues_goes_by_its_index(large: Store, name: str) -> None:
    scalars, rows, index, bound = QUESTIONS[name]
    assert isinstance(large.db, SqliteDb)
    query = large.db.queries[name]
    text = query.text if query.table is None else query.with_rows(len(rows))
    values = [*(scalars[param] for param in query.params), *(cell for row in rows for cell in row)]
    plan = [str(row[3]) for row in driver(large).execute(f"EXPLAIN QUERY PLAN {text}", values)]
    assert not index or [line for line in plan if index in line], plan
    scans = [line for line in plan if line.startswith("SCAN ") and "USING" not in line]
    assert all(line.split()[1] in SMALL or "CONSTANT ROW" in line for line in scans), plan
    with driver(large):
        done = effort(large, text, values)
    assert done <= bound


COUNTED = ("publish", "consume", "ack", "nack", "extend", "turn", "group", "stats")


async def efforts(store: Store) -> dict[str, int]:
    """The work of each operation on one message, in units of 100 steps, counting everything it asks."""
    clock = Clock()
    hand = Hand(store, clock, project="measured")
    counted: dict[str, int] = {}
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    async def measure(name: str, work: Any) -> Any:
        nonlocal steps
        steps = 0
        driver(store).set_progress_handler(count, 100)
        try:
            return await work
        finally:
            driver(store).set_progress_handler(None)
            counted[name] = steps

    await hand.make("line", type="fifo")
    await hand.publish(b"x", b"y", b"z")
    await measure("publish", hand.publish(b"x"))
    [one] = await measure("consume", hand.consume(1))
    await measure("extend", hand.settle("extend", one, seconds=60))
    await measure("ack", hand.ack(one))
    [one] = await hand.consume(1)
    await measure("nack", hand.nack(one, seconds=60))
    await hand.publish(b"1", b"2", queue="line")
    [head] = await hand.consume(1, queue="line")
    await measure("group", hand.ack(head, queue="line"))
    await measure("stats", hand.stats())
    await measure("turn", store.tides.turn(START - 1))
    assert set(counted) == set(COUNTED)
    return counted


async def test_an_operation_costs_the_same_in_a_store_of_twenty_thousand(tmp_path: Any) -> None:
    found = []
    for name in ("small", "large"):
        store = await open_sqlite(tmp_path / f"{name}.db", Clock())
        if name == "large":
            driver(store).execute(ROWS)
        found.append(await efforts(store))
        await store.close()
    small, large = found
    assert {name: large[name] <= small[name] * 1.5 + 2 for name in COUNTED} == dict.fromkeys(COUNTED, True), found


async def test_rule_06_no_message_is_looked_at_to_find_a_free_group(tmp_path: Any) -> None:
    """Twenty thousand messages of one group, its head leased: claiming from another group looks at none of them."""
    store = await open_sqlite(tmp_path / "store.db", Clock())
    hand = Hand(store, Clock())
    await hand.make(type="fifo")
    for _ in range(20):
        await hand.publish(*[b"x"] * 1_000, group_id="long")
    await hand.consume()
    await hand.publish(b"free", group_id="free")
    steps: list[None] = []
    driver(store).set_progress_handler(lambda: bool(steps.append(None)), 100)
    [found] = await hand.consume()
    driver(store).set_progress_handler(None)
    assert found.payload == b"free"
    assert len(steps) <= 10
    await store.close()


def test_the_large_store_is_as_large_as_it_says(large: Store) -> None:
    for table in ("messages", "queues", "receives", "postponed"):
        assert number(large, f"SELECT count(*) FROM {table}") >= MANY - 20
