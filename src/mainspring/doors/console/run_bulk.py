"""Failed runs once more: those picked at once, or all that match in steps that follow each other."""

from __future__ import annotations

import msgspec
from starlette.responses import RedirectResponse, Response

from mainspring.core import ids, tokens
from mainspring.core.errors import Invalid, Refused
from mainspring.core.instants import iso
from mainspring.doors.console.bulk import Tally, picks, work_off
from mainspring.doors.console.routing import Page
from mainspring.doors.console.run_list import NAMES, asked_of
from mainspring.doors.console.run_query import place_of, written
from mainspring.doors.console.visit import Note, Visit

STEP = 100
TOTAL_MAX = 1_000
DONE = "Replayed: {count}."
TEXTS = (DONE,)


class Job(msgspec.Struct):
    """All that match, on their way. `cursor`: where it goes on, None when nothing is left; `fault`: why the last step
    was not made."""

    query: dict[str, str]
    total: int
    tally: Tally
    cursor: str | None = ""
    begun: bool = False
    fault: str = ""

    @property
    def seen(self) -> int:
        return self.tally.done + self.tally.refused

    @property
    def over(self) -> bool:
        return self.cursor is None or self.seen >= self.total

    @property
    def kept(self) -> str:
        """What the next step has to know, as JSON."""
        return msgspec.json.encode(self).decode()


async def some(visit: Visit) -> Response:
    """Replay those that were picked."""
    tally = Tally()
    await work_off(visit, "run.replay", picks(visit), tally)
    visit.note = Note("failed" if tally.refused else "done", tally.told(visit, DONE))
    return RedirectResponse(visit.url(visit.whence("/runs")), 303)


async def count(visit: Visit) -> Response:
    """How many all that match are, and the button that begins with the newest. What fails later is left alone."""
    for scope in ("cron:write", "cron:read"):
        tokens.require(visit.principal, scope)
    asked = await asked_of(visit, {"until": iso(visit.now), **visit.form, "state": "failed"})
    if asked.faults or asked.nothing:
        raise Invalid("these filters fit no run", hint="Change them, then try again.")
    filters = asked.filters
    found = await visit.core.store.views.runs.page(visit.project, filters, None, TOTAL_MAX)
    # "2h" would be another instant at each step.
    fixed = {name: iso(at) for name, at in (("since", filters.since), ("until", filters.until)) if at}
    return _page(visit, Job({**asked.query, **fixed}, len(found.rows), Tally()), more=found.following is not None)


async def step(visit: Visit) -> Response:
    """The next 100 of all that match."""
    for scope in ("cron:write", "cron:read"):
        tokens.require(visit.principal, scope)
    job = _job(visit.form.get("job", ""))
    job.begun = True
    if job.over:
        return _page(visit, job)
    asked = await asked_of(visit, {**job.query, "state": "failed"})
    most = min(STEP, job.total - job.seen)
    try:
        found = await visit.core.store.views.runs.page(visit.project, asked.filters, place_of(job.cursor or ""), most)
    except Refused as refused:
        job.fault = visit.refused(refused)
        return _page(visit, job)
    await work_off(visit, "run.replay", [ids.text("run", row.id) for row in found.rows], job.tally)
    job.cursor, job.fault = written(found.following), ""
    return _page(visit, job)


async def nothing_under_way(visit: Visit) -> Response:
    """The list, for who comes back to a page that only a form leads to."""
    return RedirectResponse(visit.url("/runs", state="failed"), 303)


def _page(visit: Visit, job: Job, *, more: bool = False) -> Response:
    return visit.show(
        "run_bulk.html",
        job=job,
        more=more,
        most=TOTAL_MAX,
        told=job.tally.told(visit, DONE),
        list_path=visit.url("/runs", **{**job.query, "state": "failed"}),
    )


def _job(text: str) -> Job:
    try:
        job = msgspec.json.decode(text, type=Job)
    except msgspec.DecodeError:
        raise Invalid("the form cannot be read", hint="Begin again from the list.") from None
    job.total = max(0, min(job.total, TOTAL_MAX))
    job.query = {name: job.query[name] for name in NAMES if name in job.query}
    return job


PAGES = (
    Page("POST", "/runs/replay", some),
    Page("POST", "/runs/replay/all", count),
    Page("GET", "/runs/replay/all", nothing_under_way),
    Page("POST", "/runs/replay/step", step),
    Page("GET", "/runs/replay/step", nothing_under_way),
    Page("GET", "/runs/replay", nothing_under_way),
)
