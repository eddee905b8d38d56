"""Runs: the list, by state, schedule, trigger and time."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from mainspring.core import ids, tokens
from mainspring.core.views.runs import NAMED_MAX, NamedSchedule, RunRows
from mainspring.doors.console import run, run_bulk
from mainspring.doors.console.routing import Page
from mainspring.doors.console.run_list import NAMES, STATES, TRIGGER_LABELS, asked_of, schedule_key
from mainspring.doors.console.run_query import place_of, public, written
from mainspring.doors.console.visit import Visit

PAGE = 50
_NONE = RunRows((), None, short=False)


async def page(visit: Visit) -> Response:
    """The list. A run's id in the search box leads to the run, a schedule's to its runs, and so does a name that only
    one has."""
    tokens.require(visit.principal, "cron:read")
    text = visit.query.get("q", "").strip()
    if ids.key_of("run", text) is not None:
        return RedirectResponse(visit.url(f"/runs/{text}"), 303)
    if schedule_key(text) is not None:
        return _of_one(visit, text)
    asked = await asked_of(visit, visit.query)
    if asked.named is not None and len(asked.named) == 1:
        return _of_one(visit, id_of_schedule(asked.named[0]))
    found = _NONE
    if not asked.nothing:
        before = place_of(visit.query.get("cursor", ""))
        found = await visit.core.store.views.runs.page(visit.project, asked.filters, before, PAGE)
    return visit.show(
        "runs.html",
        asked=asked,
        found=found,
        following=written(found.following),
        states=STATES,
        triggers=TRIGGER_LABELS,
        named_most=NAMED_MAX,
        run_id=public("run"),
        schedule_id=id_of_schedule,
        id_of=ids.text,
    )


def id_of_schedule(schedule: NamedSchedule) -> str:
    """The public id of a schedule."""
    return ids.text("task" if schedule.kind == "task" else "cron", schedule.id)


def _of_one(visit: Visit, schedule_id: str) -> Response:
    kept = {name: visit.query[name] for name in NAMES if name != "q" and visit.query.get(name)}
    return RedirectResponse(visit.url("/runs", **{**kept, "cron_id": schedule_id}), 303)


PAGES = (Page("GET", "/runs", page), *run_bulk.PAGES, *run.PAGES)
