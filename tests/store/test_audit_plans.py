"""The log is asked by an index: a page costs the same however long the log is."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.core.ids import KEY_MAX
from mainspring.store.sqlfile import load
from mainspring.store.store import Store
from store.making import PROJECT, driver

ROWS = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO audit SELECT i, i, CASE i % 2 WHEN 0 THEN '{PROJECT}' ELSE 'other' END, 1, '', '', 'cron.create', 'x', '[]',
  '', x'00' FROM n
"""
PAGE: dict[str, Any] = {
    "project": PROJECT, "before": KEY_MAX, "since": 0, "operation": None, "object": None, "key_id": None, "limit": 50,
}  # fmt: skip
QUESTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "page_audit": (PAGE, "audit USING INDEX audit_by_project"),
    "audit_hash": ({"number": 9_999}, "audit USING INTEGER PRIMARY KEY"),
    "follow_audit": ({"after": 9_999, "limit": 50}, "audit USING INTEGER PRIMARY KEY"),
    "oldest_audit": ({"limit": 50}, "audit USING INTEGER PRIMARY KEY"),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_question_goes_by_its_index(store: Store, name: str) -> None:
    given, index = QUESTIONS[name]
    driver(store).execute(ROWS)
    query = load("sqlite")[name]
    values = [given[param] for param in query.params]
    plan = [str(row[3]) for row in driver(store).execute(f"EXPLAIN QUERY PLAN {query.text}", values)]
    assert [line for line in plan if index in line], plan
    assert not [line for line in plan if line.startswith("SCAN audit") or "TEMP B-TREE" in line], plan
    steps = []
    driver(store).set_progress_handler(lambda: bool(steps.append(1)), 100)
    list(driver(store).execute(query.text, values))
    driver(store).set_progress_handler(None)
    assert len(steps) <= 30
