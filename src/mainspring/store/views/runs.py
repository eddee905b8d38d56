"""Reads about runs for the screens."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.core.ids import KEY_MAX, floor_of
from mainspring.core.model import FINAL_STATES
from mainspring.core.views.runs import LOOKED_MAX, NamedSchedule, Place, RunFilter, RunRow, RunRows
from mainspring.store.db import Db, Row

# How many runs are looked at in one read, the next being made only while the page is not full: most pages need few.
_STEPS = (400, 3_000, LOOKED_MAX)
_NOWHERE_YET = 1 << 62
_OF_WHAT = ("project", "endpoint_id", "schedule_id", "since")


class RunViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def page(self, project: str, wanted: RunFilter, before: Place | None, limit: int) -> RunRows:
        """Newest first; of one schedule, newest instant first. Looks at no more than 10,000 runs."""
        asked = _where(project, wanted, before)
        by_schedule = len(wanted.schedules) == 1
        if wanted.state is not None and wanted.state not in FINAL_STATES and not wanted.schedules:
            [(count,)] = await self._db.scan("view_count_unfinished", most=LOOKED_MAX)
            if count < LOOKED_MAX:
                found = await self._db.scan("view_unfinished_runs", **asked, limit=limit + 1)
                return _page([_row(row) for row in found], limit, None, by_schedule)
        keys = ("before", "before_id") if by_schedule else ("before",)
        found, ended = await look(self._db, _source(wanted), asked, keys, limit + 1, chooses=_chooses(wanted))
        return _page([_row(row) for row in found], limit, ended, by_schedule)

    async def named(self, project: str, text: str, limit: int) -> list[NamedSchedule]:
        """Schedules with the text in their name, in any case of its letters."""
        found = await self._db.scan("view_schedules_named", project=project, pattern=containing(text), limit=limit)
        return [_schedule(row) for row in found]

    async def schedule(self, project: str, schedule_id: int) -> NamedSchedule | None:
        """One schedule, also when it was deleted."""
        found = await self._db.read("view_schedule_of_runs", id=schedule_id, project=project)
        return _schedule(found[0]) if found else None

    async def neighbours(self, schedule_id: int, place: Place) -> tuple[int | None, int | None]:
        """The runs before and after a place."""
        at, run_id = place
        before = await self._db.read("view_run_before", schedule_id=schedule_id, at=at, id=run_id)
        after = await self._db.read("view_run_after", schedule_id=schedule_id, at=at, id=run_id)
        return (before[0][0] if before else None), (after[0][0] if after else None)


def containing(text: str) -> str:
    """The pattern for LIKE that fits whatever contains the text."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


async def look(
    db: Db, source: str, asked: dict[str, Any], keys: tuple[str, ...], wanted: int, *, chooses: bool
) -> tuple[list[Row], Place | None]:
    """Up to `wanted` rows of the query `source`, and where the look ended if there may be more behind it.

    `asked`: its parameters; `keys`: those of them that say where it begins, which `<source>_end` answers in this order.
    `chooses`: whether it may pass over rows; if not, it looks at no more than are wanted.
    """
    if not chooses:
        return await db.scan(source, **asked, most=wanted, limit=wanted), None
    rows: list[Row] = []
    looked, last = 0, (0, 0)
    for step in _STEPS:
        rows += await db.scan(source, **asked, most=step - looked, limit=wanted - len(rows))
        if len(rows) >= wanted:
            return rows, None
        where = {name: value for name, value in asked.items() if name in (*_OF_WHAT, *keys)}
        ended = await db.scan(f"{source}_end", **where, most=step - looked - 1)
        if not ended:
            return rows, None
        looked, last = step, (ended[0][0], ended[0][1])
        asked = asked | dict(zip(keys, last, strict=False))
    return rows, last


def _source(wanted: RunFilter) -> str:
    """The query that finds them by the index that fits."""
    if len(wanted.schedules) == 1:
        return "view_runs_of"
    name = "view_failed_runs" if wanted.state == "failed" else "view_runs"
    return f"{name}_of_several" if wanted.schedules else name


def _chooses(wanted: RunFilter) -> bool:
    """Whether rows that the index has found may still not be wanted."""
    by_state = wanted.state is not None and (wanted.state != "failed" or len(wanted.schedules) == 1)
    return by_state or wanted.trigger is not None or len(wanted.schedules) > 1


def _where(project: str, wanted: RunFilter, before: Place | None) -> dict[str, Any]:
    asked: dict[str, Any] = {"project": project, "state": wanted.state, "trigger": wanted.trigger}
    if len(wanted.schedules) == 1:
        last = (_NOWHERE_YET if wanted.until is None else wanted.until, 0)
        at, run_id = last if before is None else min(last, before)
        return asked | {
            "schedule_id": wanted.schedules[0],
            "since": wanted.since,
            "before": at,
            "before_id": run_id,
        }
    last_id = KEY_MAX if wanted.until is None else floor_of(wanted.until)
    asked |= {"since": floor_of(wanted.since), "before": last_id if before is None else min(last_id, before[0])}
    return asked | {"schedules": msgspec.json.encode(wanted.schedules).decode()} if wanted.schedules else asked


def _page(rows: list[RunRow], limit: int, ended: Place | None, by_schedule: bool) -> RunRows:
    if len(rows) <= limit:
        return RunRows(tuple(rows), ended, ended is not None)
    last = rows[limit - 1]
    return RunRows(tuple(rows[:limit]), (last.scheduled_for, last.id) if by_schedule else (last.id, 0), short=False)


def _row(row: Row) -> RunRow:
    cells = list(row)
    cells[4] = bool(cells[4])
    return RunRow(*cells)


def _schedule(row: Row) -> NamedSchedule:
    cells = list(row)
    cells[3] = bool(cells[3])
    return NamedSchedule(*cells)
