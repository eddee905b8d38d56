"""What the first screen asks goes by indexes, begins with what is due or has failed, and never reads a table whole."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store
from store.making import PROJECT, START, driver

# query → the steps of its plan that read something, in order
PLANS: dict[str, list[str]] = {
    "view_schedule_counts": ["s USING INDEX schedules_by_project", "p USING INTEGER PRIMARY KEY"],
    "view_failing_count": ["progress USING COVERING INDEX progress_failed", "s USING INTEGER PRIMARY KEY"],
    "view_run_counts": ["u USING INDEX runs_unfinished"],
    "view_message_counts": ["queues_by_name", "c USING PRIMARY KEY"],
    "view_dead_among_others": ["q USING INDEX queues_by_name", "d USING COVERING INDEX dead_by_queue"],
    "view_endpoint_counts": ["e USING INDEX endpoints_by_project", "c USING INTEGER PRIMARY KEY"],
    "view_failing": ["p USING INDEX progress_failed", "s USING INTEGER PRIMARY KEY", "r USING INDEX runs_by_schedule"],
    "view_upcoming": ["p USING COVERING INDEX progress_due", "s USING INTEGER PRIMARY KEY"],
    "view_alike": ["n USING INDEX schedules_by_project", "p USING INTEGER PRIMARY KEY"],
    "view_once": ["d USING COVERING INDEX progress_due", "s USING INTEGER PRIMARY KEY"],
    "view_fires": ["s USING PRIMARY KEY"],
    "view_queue_series": ["s USING PRIMARY KEY"],
    "view_deepest": ["n USING INDEX queues_by_name", "c USING PRIMARY KEY"],
    "is_sampled": ["queue_samples USING COVERING INDEX queue_samples_age"],
    "prune_samples": ["samples USING COVERING INDEX samples_age"],
    "prune_queue_samples": ["queue_samples USING COVERING INDEX queue_samples_age"],
}
VALUES: dict[str, Any] = dict.fromkeys(("since", "until", "late", "now", "before", "at", "queue_id"), START) | {
    "project": PROJECT,
    "rows": 100,
    "limit": 20,
    "step": 60_000,
}


@pytest.mark.parametrize("name", PLANS)
def test_a_question_of_the_overview_goes_by_its_indexes(store: Store, name: str) -> None:
    assert isinstance(store.db, SqliteDb)
    query = store.db.queries[name]
    values = [VALUES[param] for param in query.params]
    plan = [str(row[3]) for row in driver(store).execute(f"EXPLAIN QUERY PLAN {query.text}", values)]
    reads = [line for line in plan if line.startswith(("SEARCH ", "SCAN "))]
    at = -1
    for step in PLANS[name]:
        found = next((place for place, line in enumerate(reads) if place > at and step in line), None)
        assert found is not None, (step, plan)
        at = found
    whole = [line.split()[1] for line in reads if line.startswith("SCAN ") and "USING" not in line]
    inner = {"s", "p", "q", "r", "f", "n", "found"}  # what a part of the question has already narrowed down
    assert set(whole) <= inner, plan
    assert not [line for line in plan if "AUTOMATIC" in line], plan
