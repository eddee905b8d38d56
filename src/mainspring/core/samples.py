"""Samples: what charts show of the past days, counted in memory and kept once a minute.

Lateness is kept as how many runs fell into each of some fixed ranges, so that rows of several nodes and minutes can be
added up; percentiles are then read off the sums.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

import msgspec

from mainspring.core.events import AttemptEnded, Event
from mainspring.core.limits import HOUR, MINUTE

# Upper ends (ms) of the ranges; each is twice as wide as the one before, up to a minute. What is later has no end.
LATE_MS = (*(4 << step for step in range(15)), 5 * MINUTE, HOUR)
RANGES = len(LATE_MS) + 1


class Sample(msgspec.Struct, frozen=True):
    """What a project's schedules did on one node in one minute.

    `fires`: first attempts that ended; `failed`: runs that failed for good; `took_ms`, `took_max_ms`: the length of
    those first attempts together, and of the longest; `late`: how many were late by as much as each range says.
    """

    project: str
    fires: int
    failed: int
    took_ms: int
    took_max_ms: int
    late: tuple[int, ...]


class SampleSlice(Protocol):
    """Samples, as `store/samples.py` keeps them."""

    async def add(self, at: int, samples: Sequence[Sample]) -> None: ...

    async def add_queues(self, at: int, now: int) -> int: ...

    async def prune(self, now: int) -> int: ...


def minute_of(instant: int) -> int:
    """The beginning of its minute (ms UTC)."""
    return instant - instant % MINUTE


def percentile(late: Sequence[int], share: float) -> float | None:
    """The lateness (ms) that this share (0 to 1) of the runs did not exceed, as near as the ranges tell; None without
    runs. Within a range they are taken to be spread evenly; of the last one its beginning is the answer."""
    wanted = share * sum(late)
    if not wanted:
        return None
    below = 0
    for at, count in enumerate(late):
        if count and below + count >= wanted:
            low = LATE_MS[at - 1] if at else 0
            return low + (LATE_MS[at] - low) * (wanted - below) / count if at < len(LATE_MS) else float(low)
        below += count
    raise AssertionError("a share is at most 1")


class _Counts:
    __slots__ = ("failed", "fires", "late", "took", "took_max")

    def __init__(self) -> None:
        self.fires = self.failed = self.took = self.took_max = 0
        self.late = [0] * RANGES


class Tally:
    """Counts attempts of schedules' runs as they end. Subscribes to events; `take` empties it."""

    def __init__(self) -> None:
        self._projects: dict[str, _Counts] = {}

    def on_event(self, event: Event) -> None:
        """Count it if it is the end of an attempt that a schedule's run made."""
        if type(event) is not AttemptEnded or event.schedule_id is None:
            return
        counts = self._projects.get(event.project)
        if counts is None:
            counts = self._projects[event.project] = _Counts()
        if event.attempt == 1:
            counts.fires += 1
            counts.took += event.duration_ms
            counts.took_max = max(counts.took_max, event.duration_ms)
        if event.lateness_ms is not None:
            counts.late[bisect_left(LATE_MS, event.lateness_ms)] += 1
        if event.state == "failed":
            counts.failed += 1

    def take(self) -> list[Sample]:
        """What was counted since this was last asked."""
        taken, self._projects = self._projects, {}
        return [
            Sample(project, one.fires, one.failed, one.took, one.took_max, tuple(one.late))
            for project, one in taken.items()
        ]

    def give_back(self, samples: Sequence[Sample]) -> None:
        """Count these again: they could not be kept."""
        for one in samples:
            counts = self._projects.setdefault(one.project, _Counts())
            counts.fires += one.fires
            counts.failed += one.failed
            counts.took += one.took_ms
            counts.took_max = max(counts.took_max, one.took_max_ms)
            counts.late = [had + more for had, more in zip(counts.late, one.late, strict=True)]
