"""Reads about schedules for the screens."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from typing import assert_never

import msgspec

from mainspring.core.ids import KEY_MAX
from mainspring.core.views.schedules import (
    COUNTED_MAX,
    DayCount,
    Filters,
    Listed,
    ListedSchedule,
    Match,
    Order,
    PastAttempt,
    PastRun,
    Place,
    Stretch,
)
from mainspring.store.db import Db


class ScheduleViewStore:
    """One method, one read. `counted_max`: beyond so many matches they are neither counted nor sorted here."""

    def __init__(self, db: Db, counted_max: int = COUNTED_MAX) -> None:
        self._db = db
        self._counted_max = counted_max

    async def page(self, project: str, filters: Filters, order: Order, after: Place | None, limit: int) -> Listed:
        if filters == Filters(filters.kind):
            [(count,)] = await self._db.scan(
                "view_schedule_count", project=project, kind=filters.kind, limit=self._counted_max + 1
            )
            return Listed(await self._by_index(project, filters, order, after, limit), count)
        matches = await self._matches(project, filters, KEY_MAX, self._counted_max + 1)
        if len(matches) > self._counted_max:
            return Listed(await self._sorted(project, filters, order, after, limit), len(matches))
        matches.sort(key=partial(_rank, order))
        if after is not None:
            end = _rank(order, Match(after.id, after.number, after.name, after.at))
            matches = matches[bisect_right(matches, end, key=partial(_rank, order)) :]
        return Listed(await self._among([match.id for match in matches[:limit]]), len(matches))

    async def ids(self, project: str, filters: Filters, before: int, limit: int) -> list[int]:
        return [match.id for match in await self._matches(project, filters, before, limit)]

    async def _matches(self, project: str, filters: Filters, before: int, limit: int) -> list[Match]:
        asked = {**_arguments(project, filters), "before": before, "limit": limit}
        return [Match(*row) for row in await self._db.scan("view_schedule_matches", **asked)]

    async def _among(self, ids: list[int]) -> list[ListedSchedule]:
        found = await self._db.scan("view_schedules_among", ids=msgspec.json.encode(ids).decode())
        by_id = {row[0]: ListedSchedule(*row) for row in found}
        return [by_id[one] for one in ids if one in by_id]

    async def _by_index(
        self, project: str, filters: Filters, order: Order, after: Place | None, limit: int
    ) -> list[ListedSchedule]:
        if order == "due" and (after is None or after.at is not None):
            at, last = (-1, 0) if after is None or after.at is None else (after.at, after.id)
            asked = {"project": project, "kind": filters.kind, "after_at": at, "after_id": last, "limit": limit}
            due = await self._listed("view_schedules_due", **asked)
            return due + await self._not_due(project, filters, None, limit - len(due))
        if order == "name" and filters.kind == "cron":
            name, number = ("", -1) if after is None else (after.name, after.number)
            asked = {"project": project, "after_name": name, "after_number": number, "limit": limit}
            return await self._listed("view_schedules_by_name", **asked)
        return await self._sorted(project, filters, order, after, limit)

    async def _sorted(
        self, project: str, filters: Filters, order: Order, after: Place | None, limit: int
    ) -> list[ListedSchedule]:
        """In whichever order, passing over what does not match."""
        asked = {**_arguments(project, filters), "limit": limit}
        match order:
            case "newest":
                asked["before"] = KEY_MAX if after is None else after.id
                return await self._listed("view_schedules_newest", **asked)
            case "name":
                name, number = ("", -1) if after is None else (after.name, after.number)
                asked |= {"after_name": name, "after_number": number}
                return await self._listed("view_schedules_by_name_sorted", **asked)
            case "due":
                if after is not None and after.at is None:
                    return await self._not_due(project, filters, after, limit)
                at, last = (-1, 0) if after is None or after.at is None else (after.at, after.id)
                asked |= {"after_at": at, "after_id": last}
                due = await self._listed("view_schedules_due_sorted", **asked)
                return due + await self._not_due(project, filters, None, limit - len(due))
            case _ as never:
                assert_never(never)

    async def _listed(self, query: str, **asked: object) -> list[ListedSchedule]:
        return [ListedSchedule(*row) for row in await self._db.scan(query, **asked)]

    async def _not_due(self, project: str, filters: Filters, after: Place | None, limit: int) -> list[ListedSchedule]:
        if limit <= 0:
            return []
        before = KEY_MAX if after is None else after.id
        asked = {**_arguments(project, filters), "before": before, "limit": limit}
        return await self._listed("view_schedules_not_due", **asked)

    async def past_runs(self, schedule_ids: Sequence[int], limit: int) -> list[PastRun]:
        if not schedule_ids:
            return []
        asked = msgspec.json.encode(schedule_ids).decode()
        return [PastRun(*row) for row in await self._db.scan("view_past_runs", schedules=asked, limit=limit)]

    async def past_attempts(self, run_ids: Sequence[int]) -> list[PastAttempt]:
        if not run_ids:
            return []
        asked = msgspec.json.encode(run_ids).decode()
        return [PastAttempt(*row) for row in await self._db.scan("view_past_attempts", runs=asked)]

    async def days(self, schedule_id: int, since: int, limit: int) -> list[DayCount]:
        found = await self._db.scan("view_schedule_days", schedule_id=schedule_id, since=since, limit=limit)
        return [DayCount(*row) for row in found]

    async def stretches(self, schedule_id: int, since: int, limit: int) -> list[Stretch]:
        found = await self._db.scan("view_stretches", schedule_id=schedule_id, since=since, limit=limit)
        return [Stretch(*row) for row in found]


def _rank(order: Order, match: Match) -> tuple[bool | str | int, ...]:
    """Where a match stands in an order."""
    if order == "name":
        return match.name, match.number
    if order == "due" and match.next_due_at is not None:
        return False, match.next_due_at, match.id
    return True, -match.id


def _arguments(project: str, filters: Filters) -> dict[str, object]:
    return {
        "project": project,
        "kind": filters.kind,
        "pattern": None if filters.text is None else f"%{_escaped(filters.text)}%",
        "state": filters.state,
        "target": filters.target,
    }


def _escaped(text: str) -> str:
    """Text that a LIKE with `!` before what is meant literally takes as it is. No text in the store holds a NUL."""
    plain = text.replace("\x00", "\ufffd")
    return plain.replace("!", "!!").replace("%", "!%").replace("_", "!_")
