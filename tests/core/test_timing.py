from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest

from mainspring.core.limits import DAY, GRACE, HOUR, MINUTE, SECOND
from mainspring.core.timing import Due, Plan, PlannedRun, first_due, plan

START = 1_763_629_200_000  # 2025-11-20T09:00:00Z

EVERY_MINUTE = Due(
    schedule_id=1,
    project="default",
    kind="cron",
    lane="http",
    origin="http://a:80",
    target_id=2,
    cron_expr="* * * * *",
    run_at=None,
    dialect="standard",
    timezone="UTC",
    anchor_at=START,
    overlap="allow",
    catchup="latest",
    catchup_window_ms=DAY,
    max_runs=None,
    next_due_at=START,
    run_count=0,
    active=0,
    held=0,
    gap_id=None,
    gap_key=None,
)
FIVE_S: dict[str, Any] = {"cron_expr": "*/5 * * * * *"}
SECONDS: dict[str, Any] = {"cron_expr": "* * * * * *"}
ONCE: dict[str, Any] = {"cron_expr": None, "run_at": START}
BUSY: dict[str, Any] = {"active": 1}


class Case(NamedTuple):
    """A visit `late` after the start. Instants are told in minutes since then, or in seconds where they are closer."""

    name: str
    due: dict[str, Any]
    late: int
    entries: list[str]
    following: int | None
    completed: bool = False


def told(planned: Plan, unit: int) -> list[str]:
    """The entries of a plan, each in a few words."""
    lines = []
    for entry in planned.entries:
        if isinstance(entry, PlannedRun):
            verb = {"schedule": "run", "catchup": "catch up"}[entry.trigger]
            lines.append(f"{verb} {(entry.scheduled_for - START) // unit}" + (" held" if entry.held else ""))
        else:
            first, last = ((at - START) // unit for at in (entry.from_at, entry.to_at))
            lines.append(f"{entry.outcome} {first}-{last} ({entry.count}) {entry.reason}")
    return lines


OLD = 3 * MINUTE + 30 * SECOND  # the minutes 0 to 3 are over
MISSED_0_2 = ["missed 0-2 (3) not_running"]
MIXED = 3 * MINUTE + 5 * SECOND  # 0 to 2 are over, 3 is fresh

CASES = [
    # On time: nothing is older than the grace, and the catch-up policy has no say.
    Case("idle", {}, 0, ["run 0"], 1),
    Case("idle, skip", {"overlap": "skip"}, 0, ["run 0"], 1),
    Case("idle, queue", {"overlap": "queue"}, 0, ["run 0"], 1),
    Case("busy, allow", BUSY, 0, ["run 0"], 1),
    Case("busy, skip", BUSY | {"overlap": "skip"}, 0, ["skipped 0-0 (1) overlap"], 1),
    Case("busy, queue", BUSY | {"overlap": "queue"}, 0, ["run 0 held"], 1),
    Case("held ones count as busy", {"held": 1, "overlap": "queue"}, 0, ["run 0 held"], 1),
    Case("held ones skip", {"held": 1, "overlap": "skip"}, 0, ["skipped 0-0 (1) overlap"], 1),
    Case("two at once, allow", FIVE_S, 9 * SECOND, ["run 0", "run 5"], 10),
    Case("two at once, skip", FIVE_S | {"overlap": "skip"}, 9 * SECOND, ["run 0", "skipped 5-5 (1) overlap"], 10),
    Case("two at once, queue", FIVE_S | {"overlap": "queue"}, 9 * SECOND, ["run 0", "run 5 held"], 10),
    Case("on the last ms of the grace", {"catchup": "skip"}, 10 * SECOND, ["run 0"], 1),
    Case("one ms past the grace, skip", {"catchup": "skip"}, 10_001, ["missed 0-0 (1) not_running"], 1),
    Case("one ms past the grace, latest", {}, 10_001, ["catch up 0"], 1),
    Case("one ms past the grace, all", {"catchup": "all"}, 10_001, ["catch up 0"], 1),
    # Everything is old.
    Case("old, skip", {"catchup": "skip"}, OLD, ["missed 0-3 (4) not_running"], 4),
    Case("old, latest", {}, OLD, ["missed 0-2 (3) not_running", "catch up 3"], 4),
    Case(
        "old, latest, busy, skip",
        BUSY | {"overlap": "skip"},
        OLD,
        ["missed 0-2 (3) not_running", "skipped 3-3 (1) overlap"],
        4,
    ),
    Case(
        "old, latest, busy, queue",
        BUSY | {"overlap": "queue"},
        OLD,
        ["missed 0-2 (3) not_running", "catch up 3 held"],
        4,
    ),
    Case(
        "old, latest, on the last ms of the window",
        {"catchup_window_ms": 30 * SECOND},
        OLD,
        ["missed 0-2 (3) not_running", "catch up 3"],
        4,
    ),
    Case(
        "old, latest, one ms past the window",
        {"catchup_window_ms": 30 * SECOND - 1},
        OLD,
        ["missed 0-2 (3) not_running", "missed 3-3 (1) catchup_window"],
        4,
    ),
    Case("old, latest, no window", {"catchup_window_ms": None}, OLD, ["missed 0-2 (3) not_running", "catch up 3"], 4),
    Case(
        "old, all, allow",
        {"catchup": "all"},
        OLD,
        ["catch up 0", "catch up 1", "catch up 2", "catch up 3"],
        4,
    ),
    Case(
        "old, all, skip",
        {"catchup": "all", "overlap": "skip"},
        OLD,
        ["catch up 0", "catch up 1 held", "catch up 2 held", "catch up 3 held"],
        4,
    ),
    Case(
        "old, all, queue",
        {"catchup": "all", "overlap": "queue"},
        OLD,
        ["catch up 0", "catch up 1 held", "catch up 2 held", "catch up 3 held"],
        4,
    ),
    Case(
        "old, all, busy, skip",
        BUSY | {"catchup": "all", "overlap": "skip"},
        2 * MINUTE - 1,
        ["catch up 0 held", "catch up 1 held"],
        2,
    ),
    Case("a single old one, all", {"catchup": "all"}, 30 * SECOND, ["catch up 0"], 1),
    # Old ones and a fresh one.
    Case("mixed, skip", {"catchup": "skip"}, MIXED, ["missed 0-2 (3) not_running", "run 3"], 4),
    Case("mixed, latest", {}, MIXED, ["missed 0-2 (3) not_running", "run 3"], 4),
    Case(
        "mixed, latest, a window shorter than the grace",
        {"catchup_window_ms": 0},
        MIXED,
        ["missed 0-2 (3) not_running", "run 3"],
        4,
    ),
    Case(
        "mixed, skip, busy",
        BUSY | {"catchup": "skip", "overlap": "skip"},
        MIXED,
        ["missed 0-2 (3) not_running", "skipped 3-3 (1) overlap"],
        4,
    ),
    Case("mixed, all, allow", {"catchup": "all"}, MIXED, ["catch up 0", "catch up 1", "catch up 2", "run 3"], 4),
    Case(
        "mixed, all, skip",
        {"catchup": "all", "overlap": "skip"},
        MIXED,
        ["catch up 0", "catch up 1 held", "catch up 2 held", "skipped 3-3 (1) overlap"],
        4,
    ),
    Case(
        "mixed, all, queue",
        {"catchup": "all", "overlap": "queue"},
        MIXED,
        ["catch up 0", "catch up 1 held", "catch up 2 held", "run 3 held"],
        4,
    ),
    Case(
        "of several fresh ones behind a backlog, latest runs the newest",
        FIVE_S,
        22 * SECOND,
        ["missed 0-15 (4) not_running", "run 20"],
        25,
    ),
    Case(
        "of several fresh ones behind a backlog, skip runs all",
        FIVE_S | {"catchup": "skip"},
        22 * SECOND,
        ["missed 0-10 (3) not_running", "run 15", "run 20"],
        25,
    ),
    Case(
        "a fresh one on the last ms of the grace behind a backlog",
        FIVE_S | {"catchup": "skip"},
        20 * SECOND,
        ["missed 0-5 (2) not_running", "run 10", "run 15", "run 20"],
        25,
    ),
    Case("the newest one on the last ms of the grace", {}, 3 * MINUTE + GRACE, [*MISSED_0_2, "run 3"], 4),
    Case(
        "all, on the last ms of the grace",
        {"catchup": "all"},
        MINUTE + GRACE,
        ["catch up 0", "run 1"],
        2,
    ),
    # Neighbours of one kind share an entry.
    Case("gaps merge", FIVE_S | BUSY | {"overlap": "skip"}, 10 * SECOND, ["skipped 0-10 (3) overlap"], 15),
    Case(
        "a full queue",
        FIVE_S | {"overlap": "queue", "active": 1, "held": 999},
        10 * SECOND,
        ["run 0 held", "skipped 5-10 (2) queue_full"],
        15,
    ),
    # The cap.
    Case("the last run", {"max_runs": 3, "run_count": 2}, 0, ["run 0"], None, completed=True),
    Case("not yet the last run", {"max_runs": 3, "run_count": 1}, 0, ["run 0"], 1),
    Case("the cap ends a visit", FIVE_S | {"max_runs": 1}, 9 * SECOND, ["run 0"], None, completed=True),
    Case("a cap under a backlog", {"max_runs": 2, "catchup": "all"}, OLD, ["catch up 0", "catch up 1"], None, True),
    Case("missed ones do not count", {"max_runs": 1, "catchup": "skip"}, OLD, ["missed 0-3 (4) not_running"], 4),
    Case("skipped ones do not count", BUSY | {"max_runs": 1, "overlap": "skip"}, 0, ["skipped 0-0 (1) overlap"], 1),
    Case("latest with a cap", {"max_runs": 1}, OLD, ["missed 0-2 (3) not_running", "catch up 3"], None, True),
    # A single instant.
    Case("once, on time", ONCE, 0, ["run 0"], None, completed=True),
    Case("once, years late", ONCE | {"catchup": "skip"}, 2_000 * DAY, ["run 0"], None, completed=True),
    Case("once, busy, allow", ONCE | BUSY, 0, ["run 0"], None, completed=True),
    Case("once, busy, skip", ONCE | BUSY | {"overlap": "skip"}, 0, ["run 0 held"], None, completed=True),
    Case("once, busy, queue", ONCE | BUSY | {"overlap": "queue"}, 0, ["run 0 held"], None, completed=True),
    # The last instant there is.
    Case("the last instant", {"cron_expr": "0 0 9 20 11 * 2025"}, 0, ["run 0"], None, completed=True),
    Case(
        "the last instant, missed",
        {"cron_expr": "0 0 9 20 11 * 2025", "catchup": "skip"},
        HOUR,
        ["missed 0-0 (1) not_running"],
        None,
        completed=True,
    ),
    # New time-zone data: the stored instant is none of the expression's any more.
    Case("no instant, latest", {"cron_expr": "30 * * * *"}, OLD, ["catch up 0"], 30),
    Case("no instant, skip", {"cron_expr": "30 * * * *", "catchup": "skip"}, OLD, [], 30),
    Case("no instant, all", {"cron_expr": "30 * * * *", "catchup": "all"}, OLD, [], 30),
    Case("no instant, fresh", {"cron_expr": "30 * * * *"}, 5 * SECOND, ["run 0"], 30),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_visit_plans(case: Case) -> None:
    unit = SECOND if case.due.get("cron_expr") == FIVE_S["cron_expr"] else MINUTE
    planned = plan(msgspec.structs.replace(EVERY_MINUTE, **case.due), START + case.late)
    assert told(planned, unit) == case.entries
    following = None if planned.next_due_at is None else (planned.next_due_at - START) // unit
    assert (following, planned.completed) == (case.following, case.completed)


def test_all_catches_up_the_newest_thousand_and_says_what_it_left_out() -> None:
    due = msgspec.structs.replace(EVERY_MINUTE, **SECONDS, catchup="all")
    planned = plan(due, START + 1_020 * SECOND)
    lines = told(planned, SECOND)
    assert lines[0] == "missed 0-9 (10) catchup_limit"
    assert lines[1:1001] == [f"catch up {at}" for at in range(10, 1010)]
    assert lines[1001:] == [f"run {at}" for at in range(1010, 1021)]
    assert (planned.active, planned.run_count) == (1011, 1011)


def test_a_backlog_of_a_year_is_counted_not_walked() -> None:
    due = msgspec.structs.replace(EVERY_MINUTE, **SECONDS)
    [missed, caught] = plan(due, START + 365 * DAY + 30 * SECOND).entries
    assert told(plan(due, START + 365 * DAY + 30 * SECOND), SECOND)[0].startswith("missed 0-31536029 (31536030)")
    assert isinstance(caught, PlannedRun)
    assert caught.scheduled_for == START + 365 * DAY + 30 * SECOND
    assert not isinstance(missed, PlannedRun)


def test_a_plan_counts_active_held_and_made_runs() -> None:
    due = msgspec.structs.replace(EVERY_MINUTE, **FIVE_S, overlap="queue", active=0, held=0, run_count=7)
    planned = plan(due, START + 10 * SECOND)
    assert (planned.active, planned.held, planned.run_count) == (1, 2, 10)


def test_an_interval_counts_from_its_anchor() -> None:
    due = msgspec.structs.replace(EVERY_MINUTE, cron_expr="@every 90s", catchup="all", next_due_at=START + 90 * SECOND)
    planned = plan(due, START + 5 * MINUTE)
    assert told(planned, SECOND) == ["catch up 90", "catch up 180", "catch up 270"]
    assert planned.next_due_at == START + 360 * SECOND


def test_a_gap_is_known_by_outcome_and_reason() -> None:
    due = msgspec.structs.replace(EVERY_MINUTE, catchup="skip")
    [gap] = plan(due, START + OLD).entries
    assert not isinstance(gap, PlannedRun)
    assert gap.key == "missed:not_running"


def test_first_due_is_the_next_match_or_the_single_instant_however_long_ago() -> None:
    when: dict[str, Any] = {"dialect": "standard", "timezone": "UTC", "anchor_at": START}
    assert first_due(cron_expr="* * * * *", run_at=None, after=START, **when) == START + MINUTE
    assert first_due(cron_expr=None, run_at=START - DAY, after=START, **when) == START - DAY
    assert first_due(cron_expr="0 0 9 20 11 * 2025", run_at=None, after=START, **when) is None


def test_planning_before_the_instant_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        plan(EVERY_MINUTE, START - 1)
