"""No question about webhooks reads a whole table, however few rows it is about."""

from __future__ import annotations

import re

import apsw
import pytest

from mainspring.store.migrate import migrations
from mainspring.store.sqlfile import Query, load

ALL = ["take_circuits", "take_due_circuits", "next_circuits", "count_doubtful", "find_circuits_of_origins"]
ALL += ["find_gated", "first_gated", "let_through", "send_back_to_gate", "end_probes", "pull_back", "drop_gated"]
ALL += ["outgoing", "get_deliveries", "page_deliveries", "page_deliveries_of", "page_failed_deliveries"]
ALL += ["find_replayable", "find_replayable_failed", "count_replayable", "find_old_deliveries", "prune_circuits"]
ALL += ["find_gone_endpoints", "get_endpoints", "page_endpoints", "count_endpoints", "find_listeners", "find_listener"]
OWN_INDEX = {
    "take_due_circuits": "circuits_due",
    "count_doubtful": "circuits_doubtful",
    "find_gated": "runs_waiting",
    "page_failed_deliveries": "runs_failed_deliveries",
    "page_deliveries_of": "deliveries_by_endpoint",
    "find_old_deliveries": "runs_old_deliveries",
    "find_listeners": "endpoints_by_project",
}


def plan_of(query: Query) -> list[str]:
    connection = apsw.Connection(":memory:")
    for one in migrations("sqlite"):
        connection.execute(one.text)
    text = query.with_rows(2) if query.table else query.text
    values = [1] * max(int(number) for number in re.findall(r"\?(\d+)", text) or ["0"])
    return [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + text, values)]


@pytest.mark.parametrize("name", ALL)
def test_it_is_answered_by_keys(name: str) -> None:
    plan = plan_of(load("sqlite")[name])
    read_whole = [step for step in plan if re.match(r"SCAN (?!v\b|\d* ?CONSTANT)", step)]
    assert not read_whole, plan
    if name in OWN_INDEX:
        assert any(OWN_INDEX[name] in step for step in plan), plan
