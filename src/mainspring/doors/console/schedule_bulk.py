"""One thing done with many schedules: with those picked at once, with all that match in steps, one after the other."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from mainspring.core import ids, tokens
from mainspring.core.errors import Invalid, Refused
from mainspring.core.ids import KEY_MAX
from mainspring.doors.console.bulk import Tally, picks, work_off
from mainspring.doors.console.routing import Page
from mainspring.doors.console.schedule_filters import asked_of
from mainspring.doors.console.visit import Note, Visit

STEP = 500
TOTAL_MAX = 100_000

OPERATIONS = {
    "pause": "cron.pause",
    "resume": "cron.resume",
    "run": "cron.trigger",
    "delete": "cron.delete",
    "cancel": "task.cancel",
}
# What is being done, and what has been: for the page and for the note.
DOING = {
    "pause": "Pausing",
    "resume": "Resuming",
    "run": "Starting runs",
    "delete": "Deleting",
    "cancel": "Cancelling",
}
DONE = {
    "pause": "Paused: {count}.",
    "resume": "Resumed: {count}.",
    "run": "Runs started: {count}.",
    "delete": "Deleted: {count}.",
    "cancel": "Cancelled: {count}.",
}
TEXTS = (*DOING.values(), *DONE.values())


class Job(msgspec.Struct):
    """All that match, on their way. `before`: the row key below which it goes on, None when nothing is left; `fault`:
    why the last step was not made."""

    action: str
    query: dict[str, str]
    total: int
    tally: Tally
    before: int | None = KEY_MAX
    stopped: bool = False
    fault: str = ""

    @property
    def seen(self) -> int:
        return self.tally.done + self.tally.refused

    @property
    def over(self) -> bool:
        return self.before is None or self.stopped

    @property
    def kept(self) -> str:
        """What the next step has to know, as JSON."""
        return msgspec.json.encode(self).decode()


async def begin(visit: Visit) -> Response:
    """Those that were picked, at once; or the page on which all that match are worked off."""
    tokens.require(visit.principal, "cron:write")
    form = visit.form
    everything = form.get("all", "")
    action = _action(everything or form.get("do", ""))
    if everything:
        asked = asked_of(form)
        found = await visit.core.store.views.schedules.ids(visit.project, asked.filters, KEY_MAX, TOTAL_MAX + 1)
        return _page(visit, Job(action, asked.query, len(found), Tally()))
    tally = Tally()
    await work_off(visit, OPERATIONS[action], picks(visit), tally)
    visit.note = Note("failed" if tally.refused else "done", tally.told(visit, DONE[action]))
    return RedirectResponse(visit.url(visit.whence("/schedules")), 303)


async def step(visit: Visit) -> Response:
    """The next 500 of all that match. What was made meanwhile is newer than where it began, and left alone."""
    tokens.require(visit.principal, "cron:write")
    job = _job(visit.form.get("job", ""))
    if visit.form.get("stop"):
        job.stopped = True
    if job.over:
        return _page(visit, job)
    asked = asked_of(job.query)
    try:
        keys = await visit.core.store.views.schedules.ids(visit.project, asked.filters, job.before or 0, STEP)
    except Refused as refused:
        job.fault = visit.refused(refused)
        return _page(visit, job)
    await work_off(visit, OPERATIONS[job.action], [ids.text(asked.filters.kind, key) for key in keys], job.tally)
    job.before = keys[-1] if len(keys) == STEP else None
    job.fault = ""
    return _page(visit, job)


async def nothing_under_way(visit: Visit) -> Response:
    """The list, for who comes back to a page that only a form leads to."""
    return RedirectResponse(visit.url("/schedules"), 303)


def _page(visit: Visit, job: Job) -> Response:
    return visit.show(
        "schedule_bulk.html",
        job=job,
        doing=DOING[job.action],
        done=visit.say(DONE[job.action], count=f"{job.tally.done:,}"),
        list_path=visit.url("/schedules", **job.query),
        most=TOTAL_MAX,
    )


def _action(text: str) -> str:
    if text not in OPERATIONS:
        raise Invalid("that is nothing that can be done with many schedules", hint="Use one of the buttons.")
    return text


def _job(text: str) -> Job:
    try:
        job = msgspec.json.decode(text, type=Job)
    except msgspec.DecodeError:
        raise Invalid("the form cannot be read", hint="Begin again from the list.") from None
    _action(job.action)
    known: dict[str, Any] = asked_of(job.query).query
    job.query = known
    if job.before is not None and not 0 <= job.before <= KEY_MAX:
        raise Invalid("the form cannot be read", hint="Begin again from the list.")
    return job


PAGES = (
    Page("POST", "/schedules/bulk", begin),
    Page("GET", "/schedules/bulk", nothing_under_way),
    Page("POST", "/schedules/bulk/step", step),
    Page("GET", "/schedules/bulk/step", nothing_under_way),
)
