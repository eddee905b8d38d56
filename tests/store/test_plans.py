"""What is asked all the time goes by an index, and costs the same in a large store as in a small one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from mainspring.core import ids
from mainspring.core.limits import HOUR, MINUTE
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store, open_sqlite
from store.making import PROJECT, START, Clock, create, driver, number

MANY = 20_000
SCHEDULES = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO schedules SELECT s.id + n.i, s.number + n.i, project, kind, name, cron_expr, run_at, dialect, timezone,
  anchor_at, overlap, catchup, catchup_window_ms, max_runs, retention_days, retention_runs, target_id, lane, origin,
  version, created_at, updated_at, deleted_at FROM schedules AS s, n
"""
PROGRESS = f"""
INSERT INTO progress (schedule_id, next_due_at) SELECT id, {START + HOUR} + number % 100 FROM schedules
WHERE id NOT IN (SELECT schedule_id FROM progress)
"""
# Of each hundred runs of a schedule one waits, one is running, one is held, one has failed, the others have succeeded.
RUNS = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY - 1})
INSERT INTO runs (id, schedule_id, project, kind, lane, trigger, scheduled_for, created_at, target_id, origin, state,
                  due_at, lease_until, node, started_at, finished_at)
SELECT s.id + 1000000 + n.i, s.id + n.i / 100, '{PROJECT}', 'cron', 'http', 'schedule', {START} + n.i % 100 * {MINUTE},
  {START}, s.target_id, 'http://' || n.i / 100 || ':80',
  CASE n.i % 100 WHEN 1 THEN 'queued' WHEN 2 THEN 'running' WHEN 3 THEN 'queued' WHEN 4 THEN 'failed'
                 ELSE 'succeeded' END,
  CASE n.i % 100 WHEN 1 THEN {START} + n.i END, CASE n.i % 100 WHEN 2 THEN {START} + n.i END,
  CASE n.i % 100 WHEN 2 THEN 0 END, {START}, CASE WHEN n.i % 100 > 3 THEN {START} END
FROM (SELECT min(id) AS id, target_id FROM schedules) AS s, n
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def large(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    store = await open_sqlite(tmp_path_factory.mktemp("large") / "store.db", Clock())
    await create(store, START)
    for rows in (SCHEDULES, PROGRESS, RUNS):
        driver(store).execute(rows)
    yield store
    await store.close()


NOW = START + MANY
PAGE: dict[str, Any] = {"project": PROJECT, "state": None, "since": 0, "before": ids.KEY_MAX, "limit": 50}
ORIGINS: list[tuple[Any, ...]] = [("http://1:80",), ("http://2:80",)]

# query → its arguments, the index it goes by, and a bound for its work in units of 100 steps of SQLite's machine
QUESTIONS: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]], str, int]] = {
    "take_due": ({"now": START + HOUR, "limit": 20}, [], "p USING INDEX progress_due", 30),
    "next_due": ({}, [], "progress USING COVERING INDEX progress_due", 1),
    "next_waiting": ({"lane": "http", "after": NOW}, [], "runs USING COVERING INDEX runs_waiting", 1),
    "find_waiting": (
        {"lane": "http", "since_at": START + 500, "since_id": 0, "now": NOW, "below": ids.KEY_MAX, "limit": 20},
        ORIGINS,
        "runs USING COVERING INDEX runs_waiting",
        20,
    ),
    "find_waiting_of_origin": (
        {"lane": "http", "origin": "http://7:80", "now": NOW, "below": ids.KEY_MAX, "limit": 20},
        [],
        "runs USING COVERING INDEX runs_waiting_by_origin",
        1,
    ),
    "expired_runs": ({"now": START + 500, "everything": 0, "limit": 20}, [], "r USING INDEX runs_running", 40),
    "page_runs_of_schedule": (
        {"schedule_id": 0, "state": None, "since": 0, "before_at": 1 << 60, "before_id": 0, "limit": 50},
        [],
        "r USING INDEX runs_by_schedule",
        60,
    ),
    "page_occurrence_runs": (
        {"schedule_id": 0, "before": 1 << 60, "limit": 50},
        [],
        "r USING INDEX runs_by_schedule",
        30,
    ),
    "page_runs": (PAGE, [], "r USING INDEX runs_by_project", 60),
    "page_failed_runs": (PAGE, [], "r USING INDEX runs_failed", 60),
    "page_entries": (
        {"project": PROJECT, "kind": "cron", "before": ids.KEY_MAX, "limit": 50},
        [],
        "s USING INDEX schedules_by_project",
        80,
    ),
    "get_entries": ({}, [(0,), (1,)], "s USING INTEGER PRIMARY KEY", 5),
    "count_unfinished": ({"id": 0}, [], "runs USING INDEX runs_unfinished", 3),
    "count_runs": ({}, [], "runs USING INDEX runs_unfinished", 200),
    "find_runs_of": ({"schedule_id": 0, "limit": 50}, [], "runs USING COVERING INDEX runs_by_schedule", 5),
    "find_old_apart": ({"before": NOW, "limit": 50}, [], "runs USING INDEX runs_apart", 1),
    "find_idempotency": ({"since": 0}, [("a", "b", "c")], "i USING PRIMARY KEY", 2),
    "prune_idempotency": ({"before": NOW, "limit": 50}, [], "idempotency USING COVERING INDEX idempotency_age", 2),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_frequent_question_goes_by_its_index(large: Store, name: str) -> None:
    scalars, rows, index, bound = QUESTIONS[name]
    assert isinstance(large.db, SqliteDb)
    query = large.db.queries[name]
    text = query.text if query.table is None else query.with_rows(len(rows))
    first = number(large, "SELECT min(id) FROM schedules")
    known = {"schedule_id", "id"}
    values = [first if param in known else scalars[param] for param in query.params]
    values += [first + cell if query.name == "get_entries" else cell for row in rows for cell in row]
    plan = [str(row[3]) for row in driver(large).execute(f"EXPLAIN QUERY PLAN {text}", values)]
    assert [line for line in plan if index in line], plan
    scans = [line for line in plan if line.startswith("SCAN ") and "USING" not in line]
    assert all(line.split()[1] in {"v", "skipped", "CONSTANT"} or "CONSTANT ROW" in line for line in scans), plan
    assert effort(large, text, values) <= bound


def effort(store: Store, text: str, values: list[object]) -> int:
    """The work of a statement, in units of 100 steps."""
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    driver(store).set_progress_handler(count, 100)
    try:
        list(driver(store).execute(text, values))
    finally:
        driver(store).set_progress_handler(None)
    return steps


def test_the_measure_of_effort_tells_a_scan_from_a_search(large: Store) -> None:
    assert effort(large, "SELECT count(*) FROM runs WHERE status = 7", []) >= MANY * 3 // 100
    assert effort(large, "SELECT * FROM runs WHERE id = 7", []) <= 1


def test_the_store_is_as_large_as_it_says(large: Store) -> None:
    counts = [number(large, f"SELECT count(*) FROM {table}") for table in ("schedules", "runs")]
    assert counts == [MANY + 1, MANY]
