"""No page of runs, endpoints or deliveries reads a whole table, and each look uses the index that it is meant for."""

from __future__ import annotations

import re

import apsw
import pytest

from mainspring.store.migrate import migrations
from mainspring.store.sqlfile import load

INDEX = {
    "view_runs": "runs_by_project",
    "view_runs_end": "runs_by_project",
    "view_failed_runs": "runs_failed",
    "view_failed_runs_end": "runs_failed",
    "view_runs_of": "runs_by_schedule",
    "view_runs_of_end": "runs_by_schedule",
    "view_runs_of_several": "runs_by_project",
    "view_runs_of_several_end": "runs_by_project",
    "view_failed_runs_of_several": "runs_failed",
    "view_failed_runs_of_several_end": "runs_failed",
    "view_count_unfinished": "runs_unfinished",
    "view_unfinished_runs": "runs_unfinished",
    "view_run_before": "runs_by_schedule",
    "view_run_after": "runs_by_schedule",
    "view_schedules_named": "schedules_by_project",
    "view_endpoints": "endpoints_by_project",
    "view_deliveries": "deliveries_by_project",
    "view_deliveries_end": "deliveries_by_project",
    "view_deliveries_of": "deliveries_by_endpoint",
    "view_deliveries_of_end": "deliveries_by_endpoint",
    "view_failed_deliveries": "runs_failed_deliveries",
    "view_failed_deliveries_end": "runs_failed_deliveries",
    "view_count_pending": "runs_unfinished",
    "view_pending_deliveries": "runs_unfinished",
    "view_count_replayable": "deliveries_by_endpoint",
}


@pytest.mark.parametrize("name", INDEX)
def test_it_is_answered_by_its_index(name: str) -> None:
    connection = apsw.Connection(":memory:")
    for one in migrations("sqlite"):
        connection.execute(one.text)
    query = load("sqlite")[name]
    plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query.text, [1] * len(query.params))]
    assert any(re.search(rf"INDEX {INDEX[name]}\b", step) for step in plan), plan
    known = r"SCAN (?!seen|chosen|last|few|page|s\b|json_each|crons|tasks|CONSTANT|\(subquery|\d)"
    assert not [step for step in plan if re.match(known, step)], plan
