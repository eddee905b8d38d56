"""One run: its attempts, what was sent, what came back, and the way to do it again."""

from __future__ import annotations

from starlette.responses import Response

from mainspring.core import ids, runs, tokens
from mainspring.core.errors import NotFound
from mainspring.core.model import FINAL_STATES, Run
from mainspring.doors.console.routing import Page
from mainspring.doors.console.run_errors import story_of
from mainspring.doors.console.run_list import TRIGGER_LABELS
from mainspring.doors.console.run_query import public
from mainspring.doors.console.run_request import asked_of_target
from mainspring.doors.console.run_waterfall import waterfall
from mainspring.doors.console.visit import Visit

# What the ledger calls it when a run is there for an instant.
_OUTCOMES = {"schedule": "ran", "catchup": "caught_up"}
TEXTS = ("ran", "caught up")


async def page(visit: Visit) -> Response:
    """The run."""
    tokens.require(visit.principal, "cron:read")
    run, ended = await runs.get(visit.core, visit.project, _key(visit))
    assert run.schedule_id is not None
    views = visit.core.store.views.runs
    before, after = await views.neighbours(run.schedule_id, (run.scheduled_for, run.id))
    targets = await visit.core.store.runs.targets([run.target_id])
    flight = None
    if run.state == "running" and run.attempt_started_at is not None:
        flight = run.attempt, run.attempt_started_at
    begins_at = run.created_at if run.trigger == "catchup" else run.scheduled_for
    return visit.show(
        "run.html",
        run=run,
        run_id=public("run"),
        schedule=await views.schedule(visit.project, run.schedule_id),
        schedule_id=_owner(run),
        target=targets.get(run.target_id),
        asked=asked_of_target(visit.core.vault, run, targets.get(run.target_id)),
        falls=waterfall(begins_at, ended, flight, visit.now),
        story=story_of(run.error),
        story_of=story_of,
        lateness=None if run.sent_at is None else run.sent_at - run.scheduled_for,
        duration=None if run.finished_at is None or not run.attempt else run.finished_at - run.started_at,
        trigger=TRIGGER_LABELS[run.trigger],
        outcome=_OUTCOMES.get(run.trigger),
        over=run.state in FINAL_STATES,
        before=before,
        after=after,
    )


async def replay(visit: Visit) -> Response:
    """The same once more: target and payload as this run had them."""
    made = await visit.call("run.replay", visit.path["id"])
    return visit.back(f"/runs/{made.run_id}", "This is a new run with the target and payload of {run}.", run=_id(visit))


async def again(visit: Visit) -> Response:
    """The schedule once more, as it is now."""
    run, _ = await runs.get(visit.core, visit.project, _key(visit))
    if run.kind != "cron":
        raise NotFound("a task runs once", hint="Replay its run instead.")
    made = await visit.call("cron.trigger", _owner(run))
    return visit.back(f"/runs/{made.run_id}", "This is a new run of the schedule as it is now.")


def _id(visit: Visit) -> str:
    return visit.path["id"]


def _key(visit: Visit) -> int:
    key = ids.key_of("run", _id(visit))
    if key is None:
        raise NotFound("there is no such run", hint="List the runs to see their ids.")
    return key


def _owner(run: Run) -> str:
    """The public id of the schedule."""
    assert run.schedule_id is not None
    return ids.text("task" if run.kind == "task" else "cron", run.schedule_id)


PAGES = (
    Page("GET", "/runs/{id}", page),
    Page("POST", "/runs/{id}/replay", replay),
    Page("POST", "/runs/{id}/again", again),
)
