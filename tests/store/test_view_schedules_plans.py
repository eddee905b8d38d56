"""Lists of schedules cost what they show in a large store, or one pass over it in its own order where filters do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from mainspring.core import ids
from mainspring.core.limits import MINUTE
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store, open_sqlite
from store.making import PROJECT, START, Clock, create, driver, number

MANY = 20_000
SCHEDULES = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO schedules SELECT s.id + n.i, s.number + n.i, project, kind, 'job ' || n.i * 7919 % {MANY}, cron_expr,
  run_at, dialect, timezone, anchor_at, overlap, catchup, catchup_window_ms, max_runs, retention_days, retention_runs,
  target_id, lane, origin, version, created_at, updated_at, deleted_at FROM schedules AS s, n
"""
PROGRESS = f"""
INSERT INTO progress (schedule_id, next_due_at) SELECT id, {START} + number * 37 % {MINUTE} FROM schedules
WHERE id NOT IN (SELECT schedule_id FROM progress)
"""
RUNS = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY - 1})
INSERT INTO runs (id, schedule_id, project, kind, lane, trigger, scheduled_for, created_at, target_id, origin, state,
                  started_at, finished_at, attempt)
SELECT s.id + 1000000 + n.i, s.id + n.i / 100, '{PROJECT}', 'cron', 'http', 'schedule', {START} + n.i % 100 * {MINUTE},
  {START}, s.target_id, 'http://a:80', 'succeeded', {START}, {START}, 1
FROM (SELECT min(id) AS id, target_id FROM schedules) AS s, n
"""
ALL: dict[str, Any] = {"project": PROJECT, "kind": "cron", "pattern": None, "state": None, "target": None}
PAGE: dict[str, Any] = ALL | {
    "before": ids.KEY_MAX,
    "limit": 51,
    "since": 0,
    "after_at": -1,
    "after_id": 0,
    "after_name": "",
    "after_number": -1,
}

# query → the index it begins with, and a bound for its work in units of 100 steps of SQLite's machine
QUESTIONS = {
    "view_schedules_newest": ("s USING INDEX schedules_by_project", 60),
    "view_schedules_due": ("p USING INDEX progress_due", 60),
    "view_schedules_by_name": ("s USING INDEX schedules_by_name", 60),
    "view_schedule_matches": ("s USING INDEX schedules_by_project", 40),
    "view_schedule_count": ("s USING INDEX schedules_by_project", 10),
    "view_past_runs": ("n USING INDEX runs_by_schedule", 60),
    "view_schedule_days": ("r USING INDEX runs_by_schedule", 30),
    "view_stretches": ("gaps USING INDEX gaps_by_schedule", 1),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def large(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    store = await open_sqlite(tmp_path_factory.mktemp("large") / "store.db", Clock())
    await create(store, START)
    for rows in (SCHEDULES, PROGRESS, RUNS):
        driver(store).execute(rows)
    yield store
    await store.close()


def asked(store: Store, name: str, **narrowed: object) -> tuple[list[str], int]:
    """The plan of a query, and its work in units of 100 steps."""
    assert isinstance(store.db, SqliteDb)
    first = number(store, "SELECT min(id) FROM schedules")
    query = store.db.queries[name]
    known = PAGE | {"schedule_id": first, "schedules": f"[{first},{first + 1}]"} | narrowed
    values = [known[param] for param in query.params]
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    driver(store).set_progress_handler(count, 100)
    try:
        list(driver(store).execute(query.text, values))
    finally:
        driver(store).set_progress_handler(None)
    return [str(row[3]) for row in driver(store).execute(f"EXPLAIN QUERY PLAN {query.text}", values)], steps


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_page_without_filters_costs_what_it_shows(large: Store, name: str) -> None:
    index, bound = QUESTIONS[name]
    plan, effort = asked(large, name)
    assert [line for line in plan if index in line], plan
    assert effort <= bound


@pytest.mark.parametrize(
    "name", ["view_schedules_due_sorted", "view_schedules_by_name_sorted", "view_schedule_matches"]
)
def test_a_search_takes_the_rows_in_their_own_order(large: Store, name: str) -> None:
    plan, effort = asked(large, name, pattern="%nothing like it%")
    assert plan[0].startswith("SEARCH s USING INDEX schedules_by_project")
    assert MANY // 100 <= effort <= MANY


@pytest.mark.parametrize("name", ["view_schedules_newest", "view_schedules_by_name", "view_schedule_count"])
def test_a_small_project_pays_nothing_for_a_large_one(large: Store, name: str) -> None:
    assert asked(large, name, project="small")[1] <= 1
