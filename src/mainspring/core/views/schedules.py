"""What the screens about schedules ask of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from mainspring.core.model import GapOutcome, RunState, ScheduleKind, TargetKind, Trigger

Order = Literal["newest", "due", "name"]
TargetGroup = Literal["http", "queue", "agent", "server", "script"]
ListState = Literal[
    "active", "paused", "failing", "completed", "scheduled", "running", "succeeded", "failed", "cancelled"
]

COUNTED_MAX = 10_000


class Filters(msgspec.Struct, frozen=True):
    """Which schedules. `text`: what the name or the target's address contains, whatever the case of A to Z.

    Schedules are `active`, `paused`, `failing` (enabled, and the last run failed) or `completed`; tasks have the states
    of tasks.
    """

    kind: ScheduleKind = "cron"
    text: str | None = None
    state: ListState | None = None
    target: TargetGroup | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a page ended, by the keys of its order. `at`: the instant at which the last row is due, None once those
    that are not due follow; `name`, `number`: those of the last row."""

    id: int
    at: int | None = None
    name: str = ""
    number: int = 0


class Match(msgspec.Struct, frozen=True):
    """As much of a schedule as its place in a list takes."""

    id: int
    number: int
    name: str
    next_due_at: int | None


class ListedSchedule(msgspec.Struct, frozen=True):
    """A row of the list."""

    id: int
    number: int
    kind: ScheduleKind
    name: str
    cron_expr: str | None
    run_at: int | None
    dialect: str
    timezone: str
    next_due_at: int | None
    last_run_at: int | None
    last_state: RunState | None
    state: ListState
    target_kind: TargetKind
    address: str


class Listed(msgspec.Struct, frozen=True):
    """A page, and how many match: exact up to `COUNTED_MAX`, of more one more than that."""

    rows: list[ListedSchedule]
    count: int


class PastRun(msgspec.Struct, frozen=True):
    """A run as a bar of a chart. `attempt`: how many were begun."""

    id: int
    schedule_id: int
    state: RunState
    trigger: Trigger
    scheduled_for: int
    started_at: int
    finished_at: int | None
    attempt: int
    status: int | None
    error: str | None

    @property
    def took_ms(self) -> int | None:
        """From the beginning of the first attempt to the end of the last, once it is over."""
        return None if self.finished_at is None or self.attempt == 0 else self.finished_at - self.started_at


class PastAttempt(msgspec.Struct, frozen=True):
    """An attempt that was not the only one of its run."""

    run_id: int
    attempt: int
    started_at: int
    ended_at: int
    status: int | None
    error: str | None


class DayCount(msgspec.Struct, frozen=True):
    """How many runs of a day (days since 1970, UTC) are in a state."""

    day: int
    state: RunState
    count: int


class Stretch(msgspec.Struct, frozen=True):
    """Instants at which nothing ran: `count` of them from `from_at` to `to_at`."""

    outcome: GapOutcome
    reason: str
    from_at: int
    to_at: int
    count: int


class ScheduleViews(Protocol):
    """Reads about schedules, as `store/views/schedules.py` makes them."""

    async def page(self, project: str, filters: Filters, order: Order, after: Place | None, limit: int) -> Listed:
        """Those after a place, in that order. Those that are not due follow the others, newest first."""
        ...

    async def ids(self, project: str, filters: Filters, before: int, limit: int) -> list[int]:
        """The row keys of those that match, newest first, below `before`."""
        ...

    async def past_runs(self, schedule_ids: Sequence[int], limit: int) -> list[PastRun]:
        """The last so many runs of each, oldest first. The caller has checked whose schedules they are."""
        ...

    async def past_attempts(self, run_ids: Sequence[int]) -> list[PastAttempt]:
        """The ended attempts of runs that had several, in order."""
        ...

    async def days(self, schedule_id: int, since: int, limit: int) -> list[DayCount]:
        """The scheduled runs since an instant by day and state; only the newest `limit` are counted."""
        ...

    async def stretches(self, schedule_id: int, since: int, limit: int) -> list[Stretch]:
        """The stretches that end after an instant and began at most a year before it, newest first."""
        ...
