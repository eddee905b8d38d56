"""Whatever the clock does between two visits, every instant gets exactly one entry, in order, and the counts agree."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.core import cron
from mainspring.core.limits import CATCHUP_RUNS_MAX, DAY, GRACE, HOUR, MINUTE, SECOND
from mainspring.core.timing import Due, Plan, PlannedRun, first_due, plan

CREATED = 1_761_436_800_000  # 2025-10-26T00:00:00Z: an hour later the clocks of Berlin are set back
EXPRESSIONS = [
    ("* * * * * *", "UTC"),
    ("*/7 * * * * *", "UTC"),
    ("* * * * *", "Europe/Berlin"),
    ("*/15 1-2 * * *", "Europe/Berlin"),
    ("30 2 * * *", "Europe/Berlin"),
    ("@every 90s", "UTC"),
    ("@every 3h", "UTC"),
    ("0 30 1,2 26 10 * 2025", "Europe/Berlin"),
]

dues = st.builds(
    lambda when, **rest: Due(
        schedule_id=1,
        project="default",
        kind="cron",
        lane="http",
        origin="http://a:80",
        target_id=2,
        cron_expr=when[0],
        run_at=None,
        dialect="standard",
        timezone=when[1],
        anchor_at=CREATED,
        next_due_at=0,
        run_count=0,
        active=0,
        held=0,
        gap_id=None,
        gap_key=None,
        **rest,
    ),
    st.sampled_from(EXPRESSIONS),
    overlap=st.sampled_from(["allow", "skip", "queue"]),
    catchup=st.sampled_from(["latest", "skip", "all"]),
    catchup_window_ms=st.none() | st.sampled_from([0, MINUTE, HOUR, DAY]),
    max_runs=st.none() | st.integers(1, 30),
)
steps = st.one_of(
    st.integers(1, 30).map(lambda seconds: seconds * SECOND),
    st.integers(1, 3 * SECOND),
    st.integers(GRACE - 2 * SECOND, GRACE + 2 * SECOND),
    st.integers(1, 5 * MINUTE),
    st.integers(1, 180).map(lambda minutes: minutes * MINUTE),
    st.integers(-3 * HOUR, -1),
)
visits = st.lists(st.tuples(steps, st.integers(0, 5)), min_size=3, max_size=20)


def instants_until(due: Due, until: int) -> list[int]:
    """Every instant in (CREATED, until], one by one."""
    assert due.cron_expr is not None
    expression, zone = cron.parse(due.cron_expr, "standard"), cron.zone(due.timezone)
    found = []
    instant = cron.next_after(expression, CREATED, zone, CREATED)
    while instant is not None and instant <= until:
        found.append(instant)
        instant = cron.next_after(expression, instant, zone, CREATED)
    return found


class Story:
    """A schedule and its ledger over several visits, kept as the store would."""

    def __init__(self, due: Due) -> None:
        self.due: Due | None = due
        self.entries: list[tuple[int, int, int]] = []
        self.ran = 0
        self.until = CREATED

    def visit(self, now: int, ending: int) -> None:
        """One visit of the scheduler, before which up to `ending` runs have ended."""
        due = self.due
        if due is None:
            return
        ended = min(due.active, ending)
        active, held = due.active - ended, due.held
        if held and not active:
            active, held = 1, held - 1
        due = self.due = msgspec.structs.replace(due, active=active, held=held)
        if due.next_due_at > now:
            return
        planned = plan(due, now)
        self.check(due, planned, now)
        self.until = now
        if planned.completed:
            self.due = None
            self.until = self.entries[-1][1] if self.entries else CREATED
            return
        assert planned.next_due_at is not None
        self.due = msgspec.structs.replace(
            due,
            next_due_at=planned.next_due_at,
            run_count=planned.run_count,
            active=planned.active,
            held=planned.held,
        )

    def check(self, due: Due, planned: Plan, now: int) -> None:
        """Overlap, catch-up and counters of one plan."""
        active, held = due.active, due.held
        for entry in planned.entries:
            if not isinstance(entry, PlannedRun):
                self.entries.append((entry.from_at, entry.to_at, entry.count))
                continue
            self.entries.append((entry.scheduled_for, entry.scheduled_for, 1))
            self.ran += 1
            assert (entry.trigger == "catchup") == (entry.scheduled_for < now - GRACE)
            assert entry.held == (due.overlap != "allow" and bool(active or held))
            active, held = active + (not entry.held), held + entry.held
        assert (planned.active, planned.held, planned.run_count) == (active, held, self.ran)
        caught_up = sum(isinstance(entry, PlannedRun) and entry.trigger == "catchup" for entry in planned.entries)
        assert caught_up <= {"skip": 0, "latest": 1, "all": CATCHUP_RUNS_MAX}[due.catchup]
        if due.max_runs is not None:
            assert self.ran <= due.max_runs
            assert planned.completed or self.ran < due.max_runs


@given(dues, visits)
@settings(max_examples=400)
def test_every_instant_has_exactly_one_entry_in_order(due: Due, given_visits: list[tuple[int, int]]) -> None:
    first = first_due(
        cron_expr=due.cron_expr,
        run_at=None,
        dialect="standard",
        timezone=due.timezone,
        anchor_at=CREATED,
        after=CREATED,
    )
    assert first is not None
    story = Story(msgspec.structs.replace(due, next_due_at=first))
    now = CREATED
    for step, ending in given_visits:
        now += step
        story.visit(now, ending)
    instants = instants_until(due, story.until)
    place = 0
    for from_at, to_at, count in story.entries:
        assert count >= 1
        assert (instants[place], instants[place + count - 1]) == (from_at, to_at)
        place += count
    assert place == len(instants)
    if story.due is not None:
        later = instants_until(due, story.due.next_due_at)
        assert (len(later), later[-1]) == (place + 1, story.due.next_due_at)
