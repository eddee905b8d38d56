"""(a schedule that is due, now) -> what to run, what to record, when next. Pure; contract of the occurrence ledger.

Every instant from `next_due_at` to `now` gets exactly one entry: a run, or a place in a gap with its reason.

* Nothing older than the grace: every instant runs, under the overlap policy.
* Else there is a backlog, and the catch-up policy decides. `skip`: the old instants are missed, fresh ones run.
  `latest`: only the newest instant runs, if it is fresh or lies within the window. `all`: the newest 1,000 old
  instants are caught up, one after the other unless overlap is `allow`; fresh ones run.
* One-shots are late, never missed (under `all` an old one is caught up); where overlap forbids them they wait.
"""

from __future__ import annotations

from typing import Literal, assert_never
from zoneinfo import ZoneInfo

import msgspec

from mainspring.core import cron
from mainspring.core.limits import CATCHUP_RUNS_MAX, GRACE, MINUTE, OVERLAP_QUEUE_MAX
from mainspring.core.model import Catchup, GapOutcome, Overlap


class Due(msgspec.Struct, frozen=True):
    """What the plan needs to know about a schedule that is due."""

    schedule_id: int
    project: str
    kind: Literal["cron", "task"]
    lane: str
    origin: str
    target_id: int
    cron_expr: str | None
    run_at: int | None
    dialect: str
    timezone: str
    anchor_at: int
    overlap: Overlap
    catchup: Catchup
    catchup_window_ms: int | None
    max_runs: int | None
    next_due_at: int
    run_count: int
    active: int
    held: int
    gap_id: int | None
    gap_key: str | None


class PlannedRun(msgspec.Struct, frozen=True):
    """A run to insert; `held` ones wait for the run before them."""

    scheduled_for: int
    trigger: Literal["schedule", "catchup"]
    held: bool


class PlannedGap(msgspec.Struct, frozen=True):
    """A stretch in which nothing runs."""

    outcome: GapOutcome
    reason: str
    from_at: int
    to_at: int
    count: int

    @property
    def key(self) -> str:
        return f"{self.outcome}:{self.reason}"


class Plan(msgspec.Struct, frozen=True):
    """What one visit of the scheduler does to one schedule; `entries` in order of their instants."""

    due: Due
    entries: tuple[PlannedRun | PlannedGap, ...]
    next_due_at: int | None
    completed: bool
    active: int
    held: int
    run_count: int


def first_due(
    *, cron_expr: str | None, run_at: int | None, dialect: str, timezone: str, anchor_at: int, after: int
) -> int | None:
    """The first instant at which a schedule is due after `after`; a one-shot's instant whatever `after` is."""
    if run_at is not None:
        return run_at
    assert cron_expr is not None
    return cron.next_after(cron.parse(cron_expr, dialect), after, cron.zone(timezone), anchor_at)


def plan(due: Due, now: int) -> Plan:
    """Plan a visit at `now` (ms, >= `due.next_due_at`)."""
    assert due.next_due_at <= now, "planned before it is due"
    book = _Book(due)
    if due.cron_expr is None:
        caught_up = due.catchup == "all" and due.next_due_at < now - GRACE
        book.run(due.next_due_at, "catchup" if caught_up else "schedule", serial=True)
        return book.close(None)
    clock = _Clock(cron.parse(due.cron_expr, due.dialect), cron.zone(due.timezone), due.anchor_at)
    if due.next_due_at < now - GRACE:
        _backlog(book, clock, due, now)
    else:
        _fresh(book, clock, due.next_due_at, now)
    return book.close(clock.next_after(now))


def set_aside(due: Due, now: int) -> Plan:
    """The plan for one that cannot be planned: its instant is missed with the reason `error`, next in a minute."""
    book = _Book(due)
    book.gap("missed", "error", due.next_due_at, due.next_due_at, 1)
    return book.close(now + MINUTE)


class _Clock:
    """A parsed expression in its zone."""

    def __init__(self, expression: cron.Expression, tz: ZoneInfo, anchor_at: int) -> None:
        self._expression = expression
        self._tz = tz
        self._anchor_at = anchor_at

    def next_after(self, instant: int) -> int | None:
        return cron.next_after(self._expression, instant, self._tz, self._anchor_at)

    def last_in(self, from_at: int, until: int) -> int | None:
        return cron.last_at_or_before(self._expression, until, self._tz, self._anchor_at, not_before_ms=from_at - 1)

    def count_in(self, from_at: int, until: int) -> int:
        return cron.count_between(self._expression, from_at - 1, until, self._tz, self._anchor_at)

    def newest_in(self, from_at: int, until: int, most: int) -> list[int]:
        newest: list[int] = []
        while len(newest) < most and (instant := self.last_in(from_at, until)) is not None:
            newest.append(instant)
            until = instant - 1
        newest.reverse()
        return newest


class _Book:
    """Writes the entries of one plan in order and keeps the counters right."""

    def __init__(self, due: Due) -> None:
        self._due = due
        self._entries: list[PlannedRun | PlannedGap] = []
        self._active = due.active
        self._held = due.held
        self._run_count = due.run_count

    @property
    def exhausted(self) -> bool:
        return self._due.max_runs is not None and self._run_count >= self._due.max_runs

    def run(self, instant: int, trigger: Literal["schedule", "catchup"], *, serial: bool) -> None:
        """Run at `instant` unless the overlap policy forbids it; `serial` ones always wait their turn."""
        if self.exhausted:
            return
        held = False
        if self._active or self._held:
            match self._due.overlap:
                case "allow":
                    pass
                case "skip" if not serial:
                    return self.gap("skipped", "overlap", instant, instant, 1)
                case "queue" | "skip":
                    if self._held >= OVERLAP_QUEUE_MAX:
                        return self.gap("skipped", "queue_full", instant, instant, 1)
                    held = True
                case _ as never:
                    assert_never(never)
        self._entries.append(PlannedRun(scheduled_for=instant, trigger=trigger, held=held))
        self._run_count += 1
        if held:
            self._held += 1
        else:
            self._active += 1

    def gap(self, outcome: GapOutcome, reason: str, from_at: int, to_at: int, count: int) -> None:
        if self.exhausted or count == 0:
            return
        last = self._entries[-1] if self._entries else None
        if isinstance(last, PlannedGap) and last.outcome == outcome and last.reason == reason:
            self._entries[-1] = PlannedGap(outcome, reason, last.from_at, to_at, last.count + count)
        else:
            self._entries.append(PlannedGap(outcome, reason, from_at, to_at, count))

    def close(self, next_due_at: int | None) -> Plan:
        completed = self.exhausted or next_due_at is None
        return Plan(
            due=self._due,
            entries=tuple(self._entries),
            next_due_at=None if completed else next_due_at,
            completed=completed,
            active=self._active,
            held=self._held,
            run_count=self._run_count,
        )


def _fresh(book: _Book, clock: _Clock, first: int, now: int) -> None:
    instant: int | None = first
    while instant is not None and instant <= now and not book.exhausted:
        book.run(instant, "schedule", serial=False)
        instant = clock.next_after(instant)


def _backlog(book: _Book, clock: _Clock, due: Due, now: int) -> None:
    first, fresh = due.next_due_at, now - GRACE
    match due.catchup:
        case "skip":
            _miss(book, clock, first, fresh - 1, "not_running")
            _fresh_from(book, clock, fresh, now)
        case "latest":
            # Newer time-zone data may no longer know the stored instant; it was due all the same.
            newest = clock.last_in(first, now) or first
            _miss(book, clock, first, newest - 1, "not_running")
            if newest < fresh and due.catchup_window_ms is not None and now - newest > due.catchup_window_ms:
                book.gap("missed", "catchup_window", newest, newest, 1)
            else:
                book.run(newest, "schedule" if newest >= fresh else "catchup", serial=False)
        case "all":
            newest_old = clock.newest_in(first, fresh - 1, CATCHUP_RUNS_MAX)
            caught_from = newest_old[0] if newest_old else fresh
            _miss(book, clock, first, caught_from - 1, "catchup_limit")
            for instant in newest_old:
                book.run(instant, "catchup", serial=True)
            _fresh_from(book, clock, fresh, now)
        case _ as never:
            assert_never(never)


def _fresh_from(book: _Book, clock: _Clock, from_at: int, now: int) -> None:
    instant = clock.next_after(from_at - 1)
    if instant is not None:
        _fresh(book, clock, instant, now)


def _miss(book: _Book, clock: _Clock, from_at: int, until: int, reason: str) -> None:
    if until < from_at:
        return
    count = clock.count_in(from_at, until)
    if not count:
        return
    last = clock.last_in(from_at, until)
    start = clock.next_after(from_at - 1)
    assert last is not None
    assert start is not None
    book.gap("missed", reason, start, last, count)
