"""Reads about overview for the screens."""

from __future__ import annotations

from mainspring.core.agents_model import STALE
from mainspring.core.limits import COUNTED_MAX, GRACE, WALKED_MAX
from mainspring.core.views.overview import (
    Alike,
    EndpointCounts,
    Failing,
    FirePoint,
    MessageCounts,
    QueueDepth,
    QueuePoint,
    RunCounts,
    ScheduleCounts,
    Upcoming,
)
from mainspring.store.db import Db


class OverviewViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def schedules(self, project: str) -> ScheduleCounts:
        """Two reads: all of the project, and those of all projects that failed."""
        [(every, enabled)] = await self._db.scan("view_schedule_counts", project=project, rows=COUNTED_MAX)
        [(failing,)] = await self._db.scan("view_failing_count", project=project, rows=WALKED_MAX)
        return ScheduleCounts(every, enabled, failing)

    async def runs(self, project: str, now: int) -> RunCounts:
        """Unfinished ones."""
        [row] = await self._db.scan("view_run_counts", project=project, late=now - GRACE, rows=WALKED_MAX)
        return RunCounts(*row)

    async def messages(self, project: str) -> MessageCounts:
        """From the counters, but for dead letters in queues that were not made for them."""
        [(queues, available, delayed, in_flight, dead)] = await self._db.scan(
            "view_message_counts", project=project, rows=WALKED_MAX
        )
        [(among_others,)] = await self._db.scan("view_dead_among_others", project=project, rows=WALKED_MAX)
        return MessageCounts(queues, available, delayed, in_flight, dead + among_others)

    async def endpoints(self, project: str, now: int) -> EndpointCounts:
        """A project has at most 20,000."""
        [row] = await self._db.scan("view_endpoint_counts", project=project, now=now)
        return EndpointCounts(*row)

    async def agents_online(self, now: int) -> int:
        """Those whose socket has been confirmed lately."""
        [(count,)] = await self._db.scan("view_agents_online", seen=now - STALE)
        return int(count)

    async def failing(self, project: str, limit: int) -> list[Failing]:
        """Those that ran last come first."""
        found = await self._db.scan("view_failing", project=project, limit=limit)
        return [Failing(one, name, kind, bool(paused), *rest) for one, name, kind, paused, *rest in found]

    async def upcoming(self, project: str, until: int, limit: int) -> list[Upcoming]:
        """In the order in which they are due."""
        found = await self._db.scan("view_upcoming", project=project, until=until, limit=limit)
        return [Upcoming(row[0], bool(row[1]), *row[2:]) for row in found]

    async def alike(self, project: str, until: int, rows: int) -> list[Alike]:
        """The most common first."""
        return [Alike(*row) for row in await self._db.scan("view_alike", project=project, until=until, rows=rows)]

    async def once(self, project: str, since: int, until: int, rows: int) -> dict[int, int]:
        """Hours after `since` → how many."""
        return dict(await self._db.scan("view_once", project=project, since=since, until=until, rows=rows))

    async def fires(self, project: str, since: int, step_ms: int) -> list[FirePoint]:
        """Added up over nodes and minutes by the database."""
        found = await self._db.scan("view_fires", project=project, since=since, step=step_ms)
        return [
            FirePoint(at, fires, failed, took, took_max, tuple(late))
            for at, fires, failed, took, took_max, *late in found
        ]

    async def queue_series(self, queue_id: int, since: int, step_ms: int) -> list[QueuePoint]:
        """The largest number of each step."""
        found = await self._db.scan("view_queue_series", queue_id=queue_id, since=since, step=step_ms)
        return [QueuePoint(*row) for row in found]

    async def deepest(self, project: str, limit: int) -> list[QueueDepth]:
        """Queues made for dead letters are left out."""
        found = await self._db.scan("view_deepest", project=project, limit=limit)
        return [QueueDepth(name, here, later, taken, bool(paused)) for name, here, later, taken, paused in found]
