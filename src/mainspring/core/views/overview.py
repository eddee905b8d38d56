"""What the first screen asks of the store: how many of what, what fails, what comes, and what the samples say."""

from __future__ import annotations

from typing import Protocol

import msgspec

from mainspring.core.model import TargetKind


class ScheduleCounts(msgspec.Struct, frozen=True):
    """Cron schedules of a project: how many there are, fire by themselves, and have failed when they last ran."""

    all: int
    enabled: int
    failing: int


class RunCounts(msgspec.Struct, frozen=True):
    """Unfinished runs of a project's schedules. `late`: due for longer than the grace, and not begun."""

    waiting: int
    late: int
    running: int


class MessageCounts(msgspec.Struct, frozen=True):
    """Messages of a project. Those in queues made for dead letters count as `dead` and as nothing else."""

    queues: int
    available: int
    delayed: int
    in_flight: int
    dead: int


class EndpointCounts(msgspec.Struct, frozen=True):
    """Endpoints of a project. `resting`: nothing is sent to them for a while, because they failed."""

    all: int
    disabled: int
    resting: int


class Failing(msgspec.Struct, frozen=True):
    """A schedule whose last run failed; `run_id` is the newest of its runs that did, if it is still kept."""

    schedule_id: int
    name: str
    kind: TargetKind
    paused: bool
    next_due_at: int | None
    run_id: int | None
    failed_at: int | None
    status: int | None
    error: str | None


class Upcoming(msgspec.Struct, frozen=True):
    """A schedule that is due, once (`cron_expr` is None) or again and again."""

    schedule_id: int
    task: bool
    name: str
    cron_expr: str | None
    dialect: str
    timezone: str
    anchor_at: int
    next_due_at: int


class Alike(msgspec.Struct, frozen=True):
    """So many schedules that fire at the same instants. `anchor_at`: of one of them."""

    cron_expr: str
    dialect: str
    timezone: str
    anchor_at: int
    count: int


class FirePoint(msgspec.Struct, frozen=True):
    """What happened in one step of time from `at` on: the sums of its samples. `late`: as in `core/samples.py`."""

    at: int
    fires: int
    failed: int
    took_ms: int
    took_max_ms: int
    late: tuple[int, ...]


class QueuePoint(msgspec.Struct, frozen=True):
    """The most that a queue held in one step of time from `at` on; `oldest_ms`: the age of its oldest message."""

    at: int
    available: int
    delayed: int
    in_flight: int
    dead: int
    oldest_ms: int


class QueueDepth(msgspec.Struct, frozen=True):
    """How much a queue holds."""

    name: str
    available: int
    delayed: int
    in_flight: int
    paused: bool


class OverviewViews(Protocol):
    """Reads about overview, as `store/views/overview.py` makes them."""

    async def schedules(self, project: str) -> ScheduleCounts:
        """Exact up to `COUNTED_MAX` schedules; `failing` up to `WALKED_MAX` that fail in all projects."""
        ...

    async def runs(self, project: str, now: int) -> RunCounts:
        """Of the first `WALKED_MAX` unfinished runs in order of their schedules."""
        ...

    async def messages(self, project: str) -> MessageCounts:
        """Of the first `WALKED_MAX` queues; of dead letters in queues with messages of their own at most as many."""
        ...

    async def endpoints(self, project: str, now: int) -> EndpointCounts: ...

    async def agents_online(self, now: int) -> int: ...

    async def failing(self, project: str, limit: int) -> list[Failing]:
        """Those that ran last come first."""
        ...

    async def upcoming(self, project: str, until: int, limit: int) -> list[Upcoming]:
        """What is due before `until`, in that order."""
        ...

    async def alike(self, project: str, until: int, rows: int) -> list[Alike]:
        """Of the newest `rows` cron schedules those that are due before `until`, by expression, the most common
        first."""
        ...

    async def once(self, project: str, since: int, until: int, rows: int) -> dict[int, int]:
        """Hours after `since` → schedules that are due once in them, among the first `rows` that are due at all."""
        ...

    async def fires(self, project: str, since: int, step_ms: int) -> list[FirePoint]:
        """From `since` (a whole step) on; steps in which nothing was noted are left out."""
        ...

    async def queue_series(self, queue_id: int, since: int, step_ms: int) -> list[QueuePoint]:
        """Likewise of one queue, whose project the caller has checked. A step that is left out: it held nothing."""
        ...

    async def deepest(self, project: str, limit: int) -> list[QueueDepth]:
        """The queues with the most messages that can be had, those that hold none left out."""
        ...
