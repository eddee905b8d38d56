"""The judge is judged: each invariant passes a log in which all is well, and finds what is then forged into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from faults import invariants
from faults.evidence import Attempt, Beat, Evidence, Gap, Request, Row, Run, Shape, Told
from mainspring.core import ids
from mainspring.core.limits import GRACE, LEASE

T = 1_763_629_200_000
HOST = "http://127.0.0.1:1"
KEYS = ids.KeySource()
SKIP, QUEUE, TASK, ALL, LATEST = (KEYS.next(T - 2_000) for _ in range(5))

SHAPES = {
    SKIP: Shape("skip", Beat(2), "ok", overlap="skip", catchup="skip", max_runs=9),
    QUEUE: Shape("queue", Beat(2, anchored=True), "broken", overlap="queue", catchup="all", delays=(0.2,)),
    TASK: Shape("task", None, "ok", run_at=T),
    ALL: Shape("all", Beat(2, 1), "ok", catchup="all"),
    LATEST: Shape("latest", Beat(20), "ok"),
}
ANCHOR = T - 2_000


def key(at: int) -> int:
    return KEYS.next(at)


def row(schedule: int, **changes: Any) -> Row:
    shape = SHAPES[schedule]
    kind, expr = ("task", None) if shape.beat is None else ("cron", shape.beat.expr)
    made = Row(schedule, shape.name, kind, expr, ANCHOR, HOST + shape.path(), None, T + 4_000, None, None, 2, 0, 0)
    return replace(made, **changes)


def ran(schedule: int | None, at: int, **changes: Any) -> Run:
    shape = SHAPES.get(schedule or 0, Shape("report", None, "failed"))
    made = Run(
        key(at), schedule, "cron", "schedule", at, at + 3, "succeeded", None, 1, None, at + 5, at + 9, at + 20, None,
        None, len(shape.delays), None, HOST + shape.path(),
    )  # fmt: skip
    return replace(made, **changes)


def sent(run: Run, attempt: int = 1, **changes: Any) -> Request:
    began = run.scheduled_for + 10 + 300 * (attempt - 1)
    path = run.address.removeprefix(HOST)
    status = 500 if "broken" in path else 200
    made = Request(path, run.id, attempt, ids.text("run", run.id), run.scheduled_for, began, began + 5, status)
    return replace(made, **changes)


def told(what: Any, schedule: int, at: int, shape: Shape | None = None, made: str | None = None) -> Told:
    return Told(what, f"{what} {at}", shape or SHAPES[schedule], schedule, at, at + 100, made)


RUNS = {
    "skip 0": ran(SKIP, T),
    "skip 2": ran(SKIP, T + 2_000),
    "queue 0": ran(QUEUE, T, state="failed", attempt=2, attempt_started_at=T + 305, on_failure=HOST),
    "queue 2": ran(QUEUE, T + 2_000, state="failed", attempt=2, attempt_started_at=T + 2_305, on_failure=HOST),
    "report 0": ran(None, T + 400, kind="failure", trigger="manual"),
    "report 2": ran(None, T + 2_400, kind="failure", trigger="manual"),
    "task": ran(TASK, T, kind="task"),
    "all 1": ran(ALL, T + 1_000, trigger="catchup", created_at=T + 12_000, attempt_started_at=T + 990),
    "all 3": ran(ALL, T + 3_000, created_at=T + 12_000),
    "by hand": ran(LATEST, T + 500, trigger="manual", payload=b'{"key":"trigger %d"}' % T),
}
BY_HAND = RUNS["by hand"]
GOOD = Evidence(
    schedules=(
        row(SKIP, next_due_at=T + 6_000),
        row(QUEUE),
        row(TASK, next_due_at=None, completed_at=T + 3, run_count=1),
        row(ALL, next_due_at=T + 5_000),
        row(LATEST, next_due_at=T + 40_000, run_count=0),
    ),
    runs=tuple(RUNS.values()),
    attempts=tuple(
        Attempt(
            RUNS[name].id, number, RUNS[name].scheduled_for + begun, RUNS[name].scheduled_for + ended, "HTTP status 500"
        )
        for name in ("queue 0", "queue 2")
        for number, begun, ended in ((1, 5, 20), (2, 305, 320))
    ),
    gaps=(
        Gap(key(T + 4_001), SKIP, "skipped", "overlap", T + 4_000, T + 4_000, 1),
        Gap(key(T + 20_001 + GRACE), LATEST, "missed", "not_running", T, T + 20_000, 2),
    ),
    requests=(
        *(sent(run) for run in RUNS.values()),
        sent(RUNS["queue 0"], 2),
        sent(RUNS["queue 2"], 2),
    ),
    told=(
        *(told("create", schedule, T - (900 if schedule == ALL else 2_000)) for schedule in SHAPES),
        told("trigger", LATEST, T, made=ids.text("run", BY_HAND.id)),
    ),
    settled=T + 3_500,
)
GOOD = GOOD.but(
    runs=tuple(replace(run, created_at=run.scheduled_for + 3) if run is RUNS["all 3"] else run for run in GOOD.runs)
)


def with_run(name: str, **changes: Any) -> Evidence:
    """The good log with one run forged."""
    run = next(one for one in GOOD.runs if one.id == RUNS[name].id)
    return GOOD.but(runs=tuple(replace(one, **changes) if one is run else one for one in GOOD.runs))


def with_sends(*more: Request, without: str | None = None) -> Evidence:
    gone = RUNS[without].id if without is not None else None
    return GOOD.but(requests=(*(one for one in GOOD.requests if one.run != gone), *more))


def with_row(schedule: int, **changes: Any) -> Evidence:
    return GOOD.but(schedules=tuple(replace(one, **changes) if one.id == schedule else one for one in GOOD.schedules))


def with_shape(schedule: int, **changes: Any) -> Evidence:
    return GOOD.but(
        told=tuple(
            replace(one, shape=replace(one.shape, **changes)) if one.schedule == schedule else one for one in GOOD.told
        )
    )


def and_told(what: Any, schedule: int, at: int, **changes: Any) -> Evidence:
    """The good log, and a client was told before its end that the schedule is another one."""
    return GOOD.but(told=(*GOOD.told, told(what, schedule, at, replace(SHAPES[schedule], **changes))))


def without_runs(*names: str) -> Evidence:
    gone = {RUNS[name].id for name in names}
    return GOOD.but(runs=tuple(one for one in GOOD.runs if one.id not in gone))


def and_run(run: Run) -> Evidence:
    return GOOD.but(runs=(*GOOD.runs, run))


FORGED: list[tuple[Callable[..., Any], str, Evidence]] = [
    (invariants.what_was_acknowledged_is_there, "a schedule is gone", GOOD.but(schedules=GOOD.schedules[1:])),
    (invariants.what_was_acknowledged_is_there, "a run by hand is gone", without_runs("by hand")),
    (
        invariants.what_was_acknowledged_is_there,
        "a key made two runs",
        and_run(replace(BY_HAND, id=key(T))),
    ),
    (
        invariants.what_was_acknowledged_is_there,
        "a refused key made a run",
        GOOD.but(told=(*GOOD.told[:-1], replace(GOOD.told[-1], made=None))),
    ),
    (
        invariants.what_was_acknowledged_is_there,
        "a key made two schedules",
        GOOD.but(schedules=(*GOOD.schedules, replace(row(SKIP), id=key(T)))),
    ),
    (invariants.what_was_acknowledged_is_there, "a pause is gone", and_told("pause", SKIP, T, paused=True)),
    (invariants.what_was_acknowledged_is_there, "a delete is gone", and_told("delete", SKIP, T, deleted=True)),
    (invariants.what_was_acknowledged_is_there, "an update is gone", and_told("update", SKIP, T, version=2)),
    (invariants.answers_and_logs_are_clean, "a bug", GOOD.but(strange=("500",))),
    (
        invariants.everything_has_ended_and_counters_agree,
        "a run is stuck",
        with_run("task", state="running", finished_at=None),
    ),
    (invariants.everything_has_ended_and_counters_agree, "a counter is off", with_row(SKIP, active=1)),
    (invariants.everything_has_ended_and_counters_agree, "a count is off", with_row(SKIP, run_count=3)),
    (invariants.each_attempt_is_sent_once_in_its_lease, "sent twice", with_sends(sent(RUNS["task"]))),
    (invariants.each_attempt_is_sent_once_in_its_lease, "never claimed", with_sends(sent(RUNS["task"], 2))),
    (
        invariants.each_attempt_is_sent_once_in_its_lease,
        "after its lease",
        with_sends(sent(RUNS["task"], began=T + LEASE + 10), without="task"),
    ),
    (
        invariants.each_attempt_is_sent_once_in_its_lease,
        "another key",
        with_sends(sent(RUNS["task"], key="another"), without="task"),
    ),
    (
        invariants.each_attempt_is_sent_once_in_its_lease,
        "a gap in the numbers",
        GOOD.but(attempts=GOOD.attempts[1:]),
    ),
    (
        invariants.each_attempt_is_sent_once_in_its_lease,
        "sent by nobody",
        with_sends(replace(sent(RUNS["task"]), run=key(T))),
    ),
    (
        invariants.an_attempt_is_cut_short_by_its_lease_alone,
        "taken over early",
        with_run("skip 0", state="failed", error="interrupted"),
    ),
    (
        invariants.an_attempt_is_cut_short_by_its_lease_alone,
        "sent again early",
        GOOD.but(attempts=(replace(GOOD.attempts[0], error="interrupted"), *GOOD.attempts[1:])),
    ),
    (
        invariants.nothing_is_sent_before_it_is_due,
        "sent early",
        with_sends(sent(RUNS["skip 2"], began=T + 1_500), without="skip 2"),
    ),
    (
        invariants.what_has_succeeded_is_not_sent_again,
        "sent after its success",
        with_sends(sent(RUNS["task"], began=T + 1_000)),
    ),
    (
        invariants.what_has_succeeded_is_not_sent_again,
        "finished by an earlier attempt",
        with_sends(sent(RUNS["task"], ended=T + 1_000), without="task"),
    ),
    (invariants.what_has_succeeded_is_not_sent_again, "never seen", with_sends(without="task")),
    (invariants.s1_an_instant_has_one_run, "two runs", and_run(ran(SKIP, T))),
    (
        invariants.s1_an_instant_has_one_run,
        "sent for another instant",
        with_sends(sent(RUNS["skip 0"], scheduled_for=T + 2_000), without="skip 0"),
    ),
    (
        invariants.s1_an_instant_has_one_run,
        "sent under two keys",
        with_sends(sent(RUNS["skip 0"], key="another")),
    ),
    (invariants.s2_every_due_instant_has_one_entry, "an instant is missing", without_runs("skip 2")),
    (invariants.s2_every_due_instant_has_one_entry, "a gap is missing", GOOD.but(gaps=GOOD.gaps[1:])),
    (
        invariants.s2_every_due_instant_has_one_entry,
        "ran and was skipped",
        GOOD.but(gaps=(*GOOD.gaps, replace(GOOD.gaps[0], from_at=T, to_at=T))),
    ),
    (
        invariants.s2_every_due_instant_has_one_entry,
        "a gap counts too many",
        GOOD.but(gaps=(replace(GOOD.gaps[0], count=2), GOOD.gaps[1])),
    ),
    (invariants.s2_every_due_instant_has_one_entry, "ran and was not due", and_run(ran(SKIP, T + 1_000))),
    (invariants.s2_every_due_instant_has_one_entry, "ran ahead", and_run(ran(SKIP, T + 6_000))),
    (invariants.s2_every_due_instant_has_one_entry, "stands still", GOOD.but(settled=T + 4_500)),
    (invariants.s2_every_due_instant_has_one_entry, "will never fire", with_row(SKIP, next_due_at=None)),
    (
        invariants.s2_every_due_instant_has_one_entry,
        "ran while it was paused",
        and_told("pause", SKIP, T + 500, paused=True),
    ),
    (invariants.s3_catch_up_follows_the_policy, "late and not said so", with_run("all 1", trigger="schedule")),
    (invariants.s3_catch_up_follows_the_policy, "caught up and was not late", with_run("all 3", trigger="catchup")),
    (invariants.s3_catch_up_follows_the_policy, "made too early", with_run("all 3", created_at=T + 2_999)),
    (invariants.s3_catch_up_follows_the_policy, "skip caught up", with_shape(ALL, catchup="skip")),
    (invariants.s3_catch_up_follows_the_policy, "all missed some", with_shape(LATEST, catchup="all")),
    (
        invariants.s3_catch_up_follows_the_policy,
        "latest caught up on two",
        with_shape(ALL, catchup="latest").but(
            runs=(*GOOD.runs, ran(ALL, T - 1_000, trigger="catchup", created_at=T + 12_000))
        ),
    ),
    (
        invariants.s3_catch_up_follows_the_policy,
        "out of order",
        and_run(ran(ALL, T - 1_000, trigger="catchup", created_at=T + 12_001)),
    ),
    (
        invariants.s3_catch_up_follows_the_policy,
        "missed and was not late",
        GOOD.but(gaps=(GOOD.gaps[0], replace(GOOD.gaps[1], id=key(T + 30_000), from_at=T + 20_001))),
    ),
    (
        invariants.s4_an_edit_holds_from_its_answer_on,
        "fired by the old expression",
        and_told("update", SKIP, T + 1_000, beat=Beat(2, 1)),
    ),
    (
        invariants.s4_an_edit_holds_from_its_answer_on,
        "fired to the old target",
        and_told("update", SKIP, T + 1_000, version=2),
    ),
    (
        invariants.s4_an_edit_holds_from_its_answer_on,
        "fired after the delete",
        and_told("delete", SKIP, T + 1_000, deleted=True),
    ),
    (
        invariants.s4_an_edit_holds_from_its_answer_on,
        "begun after the pause",
        GOOD.but(
            told=(*GOOD.told, told("pause", SKIP, T + 1_000, replace(SHAPES[SKIP], paused=True))),
            runs=tuple(replace(one, created_at=T) if one.id == RUNS["skip 2"].id else one for one in GOOD.runs),
        ),
    ),
    (
        invariants.s4_an_edit_holds_from_its_answer_on,
        "sent elsewhere",
        with_sends(sent(RUNS["skip 0"], path="/ok/skip/2"), without="skip 0"),
    ),
    (
        invariants.s5_instants_are_those_of_the_expression,
        "ran in between",
        and_run(ran(SKIP, T + 1_000)),
    ),
    (
        invariants.s5_instants_are_those_of_the_expression,
        "skipped in between",
        GOOD.but(gaps=(replace(GOOD.gaps[0], to_at=T + 5_000),)),
    ),
    (
        invariants.s6_overlap_follows_the_policy,
        "two at once",
        with_sends(sent(RUNS["skip 0"], ended=T + 2_500), without="skip 0"),
    ),
    (
        invariants.s6_overlap_follows_the_policy,
        "out of order",
        with_sends(sent(RUNS["queue 0"], began=T + 3_000, ended=T + 3_001), without="queue 0"),
    ),
    (
        invariants.s6_overlap_follows_the_policy,
        "skipped although it may overlap",
        GOOD.but(gaps=(replace(GOOD.gaps[0], schedule_id=ALL),)),
    ),
    (invariants.s7_a_one_shot_runs_once_and_not_early, "never", without_runs("task")),
    (invariants.s7_a_one_shot_runs_once_and_not_early, "twice", and_run(ran(TASK, T))),
    (
        invariants.s7_a_one_shot_runs_once_and_not_early,
        "too early",
        with_sends(sent(RUNS["task"], began=T - 1_000), without="task"),
    ),
    (invariants.s7_a_one_shot_runs_once_and_not_early, "cancelled", with_run("task", state="cancelled")),
    (invariants.s8_retries_are_counted_and_spaced, "one too many", with_run("queue 0", attempt=3)),
    (invariants.s8_retries_are_counted_and_spaced, "gave up early", with_run("queue 0", attempt=1)),
    (
        invariants.s8_retries_are_counted_and_spaced,
        "too soon",
        GOOD.but(attempts=(replace(GOOD.attempts[0], ended_at=T + 200), *GOOD.attempts[1:])),
    ),
    (invariants.s8_retries_are_counted_and_spaced, "not reported", without_runs("report 0")),
    (
        invariants.s8_retries_are_counted_and_spaced,
        "reported twice",
        with_sends(
            *(
                Request("/failed/queue", number, 1, "", T, T, T, 200, ids.text("run", RUNS["queue 0"].id).encode())
                for number in (1, 2)
            )
        ),
    ),
    (invariants.s9_a_cap_is_exact, "over the cap", with_shape(SKIP, max_runs=1)),
    (invariants.s9_a_cap_is_exact, "completed below the cap", with_row(SKIP, completed_at=T + 5_000)),
]


def test_a_log_in_which_all_is_well_passes() -> None:
    assert invariants.broken(GOOD) == {}


@pytest.mark.parametrize(
    ("rule", "forged"),
    [(rule, forged) for rule, _, forged in FORGED],
    ids=[f"{rule.__name__}: {what}" for rule, what, _ in FORGED],
)
def test_what_is_forged_is_found(rule: Callable[[Evidence], Any], forged: Evidence) -> None:
    assert list(rule(forged))


def test_every_invariant_is_judged() -> None:
    assert {rule for rule, _, _ in FORGED} == set(invariants.ALL)
