"""What the screens about runs ask of the store."""

from __future__ import annotations

from typing import Protocol

import msgspec

from mainspring.core.model import RunState, ScheduleKind, Trigger

# Runs looked at for one page, when few of them are what is wanted.
LOOKED_MAX = 10_000
NAMED_MAX = 200
Place = tuple[int, int]


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs of cron jobs and tasks; None, and no schedules: whatever they are.

    Made in [since, until); of one schedule: scheduled for that time.
    """

    state: RunState | None = None
    trigger: Trigger | None = None
    schedules: tuple[int, ...] = ()
    since: int = 0
    until: int | None = None


class RunRow(msgspec.Struct, frozen=True):
    """A run as the list shows it. `name`: its schedule's, None when that is gone; `deleted`: it will be soon."""

    id: int
    schedule_id: int
    kind: ScheduleKind
    name: str | None
    deleted: bool
    trigger: Trigger
    state: RunState
    scheduled_for: int
    started_at: int
    sent_at: int | None
    finished_at: int | None
    attempt: int
    status: int | None
    error: str | None

    @property
    def lateness(self) -> int | None:
        """ms from the instant it was due to its first byte."""
        return None if self.sent_at is None else self.sent_at - self.scheduled_for

    @property
    def duration(self) -> int | None:
        """ms from its first attempt to its end."""
        return None if self.finished_at is None or not self.attempt else self.finished_at - self.started_at


class RunRows(msgspec.Struct, frozen=True):
    """One page. `following`: where the next one begins, if there may be more; `short`: it is not full, for as many runs
    were looked at as may be."""

    rows: tuple[RunRow, ...]
    following: Place | None
    short: bool


class NamedSchedule(msgspec.Struct, frozen=True):
    """Enough of a schedule to pick it."""

    id: int
    kind: ScheduleKind
    name: str
    deleted: bool
    last_state: RunState | None


class RunViews(Protocol):
    """Reads about runs, as `store/views/runs.py` makes them."""

    async def page(self, project: str, wanted: RunFilter, before: Place | None, limit: int) -> RunRows:
        """Newest first; of one schedule, newest instant first."""
        ...

    async def named(self, project: str, text: str, limit: int) -> list[NamedSchedule]:
        """Schedules with the text in their name, newest first: among the newest 100,000 cron jobs, 20,000 tasks."""
        ...

    async def schedule(self, project: str, schedule_id: int) -> NamedSchedule | None:
        """One schedule, also when it was deleted."""
        ...

    async def neighbours(self, schedule_id: int, place: Place) -> tuple[int | None, int | None]:
        """The runs before and after the one that was scheduled for `place[0]` and has the key `place[1]`."""
        ...
