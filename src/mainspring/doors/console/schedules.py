"""Schedules: what is due when, how it has been going, and what is done with one of them from the list."""

from __future__ import annotations

from collections import defaultdict

import msgspec
from starlette.responses import Response

from mainspring.core import ids, tokens
from mainspring.core.instants import iso
from mainspring.core.urls import QUEUE_SCHEME
from mainspring.core.views.schedules import ListedSchedule, PastRun
from mainspring.doors.console import schedule, schedule_bulk, schedule_form
from mainspring.doors.console.routing import Page
from mainspring.doors.console.schedule_bars import BARS, Bars, bars_of, in_words
from mainspring.doors.console.schedule_filters import (
    ORDER_LABELS,
    STATES,
    TARGET_LABELS,
    asked_of,
    how_many,
    place_of,
    place_text,
)
from mainspring.doors.console.visit import Visit

PAGE = 50


class Line(msgspec.Struct, frozen=True):
    """One schedule in the list. `newest`: its newest run, `took_ms`: how long the last one that is over took."""

    id: str
    row: ListedSchedule
    target: str
    words: str
    next_run_at: str | None
    run_at: str | None
    last_run_at: str | None
    bars: Bars
    newest: str | None
    took_ms: int | None


async def page(visit: Visit) -> Response:
    """The list."""
    tokens.require(visit.principal, "cron:read")
    asked = asked_of(visit.query)
    cursor = visit.query.get("cursor", "")
    views = visit.core.store.views.schedules
    found = await views.page(visit.project, asked.filters, asked.order, place_of(asked.order, cursor), PAGE + 1)
    rows = found.rows[:PAGE]
    past: defaultdict[int, list[PastRun]] = defaultdict(list)
    for run in await views.past_runs([row.id for row in rows], BARS):
        past[run.schedule_id].append(run)
    query = asked.query | {"cursor": cursor}
    chosen = any(asked.query[name] for name in ("q", "state", "target"))
    return visit.show(
        "schedules.html",
        lines=[_line(visit, row, past[row.id]) for row in rows],
        count=how_many(visit, found.count, asked.filters.kind),
        any=found.count > 0,
        query=query,
        filtered=chosen,
        once=asked.filters.kind == "task",
        states=STATES[asked.filters.kind],
        targets=TARGET_LABELS,
        orders=ORDER_LABELS,
        next_cursor=place_text(asked.order, rows[-1]) if len(found.rows) > PAGE else None,
    )


def _line(visit: Visit, row: ListedSchedule, runs: list[PastRun]) -> Line:
    over = [run.took_ms for run in runs if run.took_ms is not None]
    return Line(
        id=ids.text(row.kind, row.id),
        row=row,
        target=row.address.removeprefix(QUEUE_SCHEME) if row.target_kind == "queue" else row.address,
        words=in_words(visit, row.cron_expr, row.dialect, row.timezone),
        next_run_at=None if row.next_due_at is None else iso(row.next_due_at),
        run_at=None if row.run_at is None else iso(row.run_at),
        last_run_at=None if row.last_run_at is None else iso(row.last_run_at),
        bars=bars_of(visit, runs),
        newest=ids.text("run", runs[-1].id) if runs else None,
        took_ms=over[-1] if over else None,
    )


# Paths with a word of their own stand before those with an id in its place.
PAGES = (Page("GET", "/schedules", page), *schedule_bulk.PAGES, *schedule_form.PAGES, *schedule.PAGES)
