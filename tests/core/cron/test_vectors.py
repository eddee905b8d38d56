from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.cron.oracle import ms
from mainspring.core.cron import CronError, next_after, parse, zone

VECTORS = Path(__file__).parents[3] / "spec" / "vectors" / "cron.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
GROUPS = sorted({(case["dialect"], case["set"]) for case in CASES})


@pytest.mark.parametrize(("dialect", "group"), GROUPS)
def test_every_vector_holds(dialect: str, group: str) -> None:
    cases = [case for case in CASES if (case["dialect"], case["set"]) == (dialect, group)]
    wrong = [(case, got) for case in cases if (got := outcome(case)) != expected(case)]
    assert cases
    assert wrong == []


def test_no_vector_is_lost() -> None:
    counts = {dialect: sum(case["dialect"] == dialect for case in CASES) for dialect, _ in GROUPS}
    assert counts == {"go-crontab": 788, "standard": 2539}


def expected(case: dict[str, Any]) -> list[int | None] | None:
    """The instants of a case, None after the last one that `ends` it; None for a text to refuse."""
    if case.get("reject"):
        return None
    return [*(ms(text) for text in case["next"]), *([None] if case.get("ends") else [])]


def outcome(case: dict[str, Any]) -> list[int | None] | None:
    """What the engine makes of a case."""
    try:
        expr = parse(case["expr"], case["dialect"])
    except CronError:
        return None
    tz = zone(case["tz"])
    start = at = ms(case["from"])
    got: list[int | None] = []
    for _ in range(len(case["next"]) + bool(case.get("ends"))):
        found = next_after(expr, at, tz, start)
        got.append(found)
        at = at if found is None else found
    return got
