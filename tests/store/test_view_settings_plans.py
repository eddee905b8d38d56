"""What the screens ask of agents, of scripts and of the whole server costs the same however much there is."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.core.agents_model import RUNNING
from mainspring.core.views.settings import COUNTED_MOST
from mainspring.store.sqlfile import load
from mainspring.store.store import Store
from store.making import driver

COUNT = 20_000
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {COUNT})"
ROWS = (
    f"{NUMBERS} INSERT INTO agents SELECT printf('%08d', i), i FROM n",
    f"{NUMBERS} INSERT INTO agent_sessions SELECT printf('%08d', i), 0, i, 1000 FROM n WHERE i % 2 = 0",
    f"{NUMBERS} INSERT INTO agent_reports SELECT printf('%08d', i), 'dynamic_summary', i, '{{}}' FROM n",
    f"""{NUMBERS} INSERT INTO agent_tasks
    SELECT i, i, printf('%08d', i % 100), '', NULL, 'ping', '{{}}', i, 1, NULL, '{{}}' FROM n""",
    f"{NUMBERS} INSERT INTO scripts SELECT i, i, printf('%08d', i), NULL, x'00', NULL, NULL, 1, 1, 1, 1, i, i FROM n",
    f"""{NUMBERS} INSERT INTO script_results
    SELECT i, i, 1, printf('%08d', i % 100), 'call', i, i, CASE WHEN i > 10 THEN i END, '1', NULL, '1', NULL FROM n""",
)
AGENTS: dict[str, Any] = {
    "search": "",
    "online": None,
    "after": "",
    "limit": 51,
    "stale": 0,
    "running": RUNNING,
    "back": 50,
}
RESULTS: dict[str, Any] = {
    "since": 0,
    "before_at": 1 << 53,
    "before": 1 << 53,
    "run_type": None,
    "state": None,
    "limit": 51,
    "now": 0,
    "lost": "",
}
QUESTIONS: dict[str, dict[str, Any]] = {
    "view_agents": AGENTS,
    "view_agent": AGENTS | {"uuid": "00000007"},
    "view_scripts": {"search": "", "after": "", "limit": 51, "now": 0},
    "view_script_results": RESULTS,
    "view_results_of_script": RESULTS | {"name": "00000007"},
    "view_running_results": RESULTS | {"state": "running"},
}
# In hundreds of the database's own; the pages need up to 360, a walk over the rows of one table 1,500 and more.
STEPS_MAX = 500


def steps_of(store: Store, name: str, given: dict[str, Any]) -> int:
    query, steps = load("sqlite")[name], []
    values = [given[param] for param in query.params]
    driver(store).set_progress_handler(lambda: bool(steps.append(1)), 100)
    assert list(driver(store).execute(query.text, values))
    driver(store).set_progress_handler(None)
    return len(steps)


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_page_costs_the_same_however_much_there_is(store: Store, name: str) -> None:
    for rows in ROWS:
        driver(store).execute(rows)
    assert steps_of(store, name, QUESTIONS[name]) <= STEPS_MAX


async def test_rows_are_counted_no_further_than_is_told(store: Store) -> None:
    for rows in ROWS:
        driver(store).execute(rows)
    assert steps_of(store, "view_rows", {"most": 1_000}) < steps_of(store, "view_rows", {"most": COUNTED_MOST}) / 4
    assert (await store.views.settings.rows())["tasks"] == COUNT
