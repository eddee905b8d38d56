"""The fail-over demonstration recommends what it runs, and its verdict finds every kind of broken promise."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tidy.sources import ROOT

CREATED, DELETED = {"cron_a", "cron_b"}, {"cron_b"}
T = 1_000_000


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The functions that judge; they import nothing."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("tools.failover.verdict")


def test_the_settings_in_the_handbook_are_those_that_the_demonstration_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    cluster = importlib.import_module("tools.failover.cluster")
    section = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("### A PostgreSQL that loses")[2]
    [block] = re.findall(r"^```yaml\n(.*?)^```$", section.partition("\n### ")[0], re.MULTILINE | re.DOTALL)
    told = yaml.safe_load(block)
    assert told["bootstrap"] == {"dcs": cluster.DCS, "initdb": cluster.INITDB}
    assert cluster.DCS["synchronous_mode_strict"] is True


def sound(verdict: Any) -> tuple[Any, list[Any]]:
    """Evidence of a run in which everything was kept: two jobs, three instants, a manual run."""
    kept = verdict.Kept(
        schedules=[verdict.ScheduleRow("cron_a", "a", T, False), verdict.ScheduleRow("cron_b", "b", 0, True)],
        runs=[
            verdict.RunRow("run_1", "cron_a", "schedule", T, "succeeded", 1, None),
            verdict.RunRow("run_2", "cron_a", "catchup", T + 3000, "succeeded", 2, None),
            verdict.RunRow("run_3", "cron_b", "manual", T, "succeeded", 1, None),
        ],
        gaps=[verdict.GapRow("cron_a", "missed", T + 1000, T + 2000, 2)],
    )
    sent = [
        verdict.Sent("/a", "run_1", 1, T, "run_1"),
        verdict.Sent("/a", "run_2", 1, T + 3000, "run_2"),
        verdict.Sent("/a", "run_2", 2, T + 3000, "run_2"),
        verdict.Sent("/by-hand", "run_3", 1, T, "run_3"),
    ]
    return kept, sent


def judged(verdict: Any, kept: Any, sent: list[Any]) -> dict[str, list[str]]:
    """What each function says, without those that say nothing."""
    said = {
        "lost": verdict.lost_writes(CREATED, DELETED, {"run_3"}, kept),
        "made twice": verdict.doubled_writes(CREATED, {"run_3"}, kept),
        "occurrences": verdict.doubled_occurrences(kept, sent),
        "attempts": verdict.doubled_attempts(sent),
        "forgotten": verdict.forgotten_sends(kept, sent),
        "unfinished": verdict.unfinished_runs(kept),
        "ledger": list(verdict.ledger(["cron_a"], kept, T + 2500, T + 4000)),
    }
    return {name: sentences for name, sentences in said.items() if sentences}


def test_sound_evidence_breaks_no_promise(verdict: Any) -> None:
    assert judged(verdict, *sound(verdict)) == {}


def without(verdict: Any, kept: Any, table: str, at: int) -> Any:
    rows = list(getattr(kept, table))
    del rows[at]
    return kept._replace(**{table: rows})


def changed(kept: Any, table: str, at: int, **fields: Any) -> Any:
    rows = list(getattr(kept, table))
    rows[at] = rows[at]._replace(**fields)
    return kept._replace(**{table: rows})


def added(kept: Any, table: str, at: int, **fields: Any) -> Any:
    rows = list(getattr(kept, table))
    return kept._replace(**{table: [*rows, rows[at]._replace(**fields)]})


Doctor = Callable[[Any, Any, list[Any]], tuple[Any, list[Any]]]
DOCTORED: dict[str, tuple[set[str], Doctor]] = {
    "a create is gone": ({"lost"}, lambda v, k, s: (without(v, k, "schedules", 1), s)),
    "a delete is undone": ({"lost"}, lambda v, k, s: (changed(k, "schedules", 1, deleted=False), s)),
    "a triggered run is gone": ({"lost", "forgotten"}, lambda v, k, s: (without(v, k, "runs", 2), s)),
    "a create was made again": ({"made twice"}, lambda v, k, s: (added(k, "schedules", 0, id="cron_c"), s)),
    "a trigger ran again": (
        {"made twice", "forgotten"},
        lambda v, k, s: (added(k, "runs", 2, id="run_4"), s),
    ),
    "an instant has two runs": (
        {"occurrences", "forgotten", "ledger"},
        lambda v, k, s: (added(k, "runs", 0, id="run_4"), s),
    ),
    "an instant was sent as two runs": (
        {"occurrences", "forgotten"},
        lambda v, k, s: (k, [*s, s[0]._replace(run_id="run_4", key="run_4")]),
    ),
    "an attempt was sent twice": ({"attempts"}, lambda v, k, s: (k, [*s, s[0]])),
    "a run was sent under another key": ({"attempts"}, lambda v, k, s: (k, [s[0]._replace(key="other"), *s[1:]])),
    "a claim was taken back": ({"forgotten"}, lambda v, k, s: (changed(k, "runs", 1, attempt=1), s)),
    "a run succeeded unsent": ({"forgotten"}, lambda v, k, s: (k, s[1:])),
    "a run did not end": ({"unfinished"}, lambda v, k, s: (changed(k, "runs", 0, state="running"), s)),
    "a run failed": ({"unfinished"}, lambda v, k, s: (changed(k, "runs", 0, state="failed", error="x"), s)),
    "an instant has no entry": ({"ledger"}, lambda v, k, s: (without(v, k, "gaps", 0), s)),
    "the first instant has no entry": (
        {"ledger"},
        lambda v, k, s: (changed(k, "schedules", 0, due_from=T - 1000), s),
    ),
    "a gap counts wrong": ({"ledger"}, lambda v, k, s: (changed(k, "gaps", 0, entries=3), s)),
    "an instant ran and was missed": (
        {"ledger"},
        lambda v, k, s: (changed(k, "gaps", 0, to_at=T + 3000, entries=3), s),
    ),
    "an instant before the first": ({"ledger"}, lambda v, k, s: (changed(k, "schedules", 0, due_from=T + 1000), s)),
    "an instant after the pause": ({"ledger"}, lambda v, k, s: (changed(k, "runs", 1, scheduled_for=T + 5000), s)),
    "an instant of no schedule": ({"ledger"}, lambda v, k, s: (added(k, "gaps", 0, from_at=T + 1, to_at=T + 1), s)),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_every_kind_of_broken_promise_is_found(verdict: Any, name: str) -> None:
    broken, doctor = DOCTORED[name]
    assert set(judged(verdict, *doctor(verdict, *sound(verdict)))) == broken
