"""One schedule: what it is, how it has been going, what is coming, and what can be done with it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
from starlette.responses import Response

from mainspring.core import cron, ids
from mainspring.core.errors import Invalid, NotFound, Refused
from mainspring.core.instants import iso, parse_iso
from mainspring.core.model import Trigger
from mainspring.core.views.schedules import PastAttempt, PastRun
from mainspring.doors.console.routing import Page
from mainspring.doors.console.schedule_bars import chart_of, in_words
from mainspring.doors.console.schedule_calendar import REASONS, calendar_of
from mainspring.doors.console.schedule_fields import DEFAULTS, PLAIN, payload_of
from mainspring.doors.console.schedule_preview import Meaning, meaning_of
from mainspring.doors.console.schedule_snippets import snippets_of
from mainspring.doors.console.visit import Visit

CHARTED = 200
LISTED = 15
COMING = 10
LEDGER = 15
TRIGGERS: dict[Trigger, str] = {"schedule": "Schedule", "manual": "Hand", "catchup": "Catch-up", "replay": "Replay"}
TEXTS = tuple(TRIGGERS.values())


class RunLine(msgspec.Struct, frozen=True):
    """One of the last runs, with the attempts before its last."""

    id: str
    run: PastRun
    scheduled_for: str
    attempts: list[PastAttempt]

    @property
    def trigger(self) -> str:
        return TRIGGERS[self.run.trigger]


async def show(visit: Visit) -> Response:
    """The page."""
    if visit.path["id"].startswith("task_"):
        return await _task(visit)
    return await _cron(visit, await visit.call("cron.get", visit.path["id"]))


async def _cron(visit: Visit, record: Any, typed: str = "", fault: str = "") -> Response:
    key = _key("cron", record.id)
    past = await visit.core.store.views.schedules.past_runs([key], CHARTED)
    ledger = await visit.call("cron.occurrences.list", record.id, query={"limit": str(LEDGER)})
    plain = record.task_type in PLAIN
    return visit.show(
        "schedule.html",
        422 if fault else 200,
        record=record,
        kind="cron",
        state=state_of(record),
        plain=plain,
        words=in_words(visit, record.cron_expr, record.dialect, record.timezone),
        coming=await _coming(visit, record),
        chart=chart_of(visit, past),
        charted=len(past),
        lines=await _lines(visit, past),
        calendar=await calendar_of(visit, key),
        ledger=ledger.items,
        run_states={ids.text("run", run.id): run.state for run in past},
        reasons=REASONS,
        snippets=snippets_of(record) if plain else (),
        typed=typed,
        fault=fault,
    )


async def _task(visit: Visit) -> Response:
    record = await visit.call("task.get", visit.path["id"])
    past = await visit.core.store.views.schedules.past_runs([_key("task", record.id)], CHARTED)
    return visit.show("schedule_task.html", record=record, lines=await _lines(visit, past))


async def _lines(visit: Visit, past: list[PastRun]) -> list[RunLine]:
    newest = past[-LISTED:][::-1]
    attempts: defaultdict[int, list[PastAttempt]] = defaultdict(list)
    for attempt in await visit.core.store.views.schedules.past_attempts([run.id for run in newest if run.attempt > 1]):
        attempts[attempt.run_id].append(attempt)
    return [RunLine(ids.text("run", run.id), run, iso(run.scheduled_for), attempts[run.id]) for run in newest]


def state_of(record: Any) -> str:
    """The state of a cron job, as the list has it."""
    if record.completed_at is not None:
        return "completed"
    if record.paused_at is not None:
        return "paused"
    return "failing" if record.last_state == "failed" else "active"


async def _coming(visit: Visit, record: Any) -> Meaning:
    """The next instants: from the one that is next, or from now if it is not to fire."""
    if record.cron_expr is None or record.completed_at is not None:
        return Meaning()
    typed = DEFAULTS | {"cron_expr": record.cron_expr, "dialect": record.dialect, "timezone": record.timezone}
    after = None if record.next_run_at is None else iso(_just_before(record))
    return await meaning_of(visit, typed, COMING, after)


def _just_before(record: Any) -> int:
    """An instant after which the next one is the one that is stored; intervals count from it."""
    at = parse_iso(record.next_run_at, "next_run_at")
    try:
        interval = cron.parse(record.cron_expr, record.dialect).interval_ms
    except cron.CronError:
        interval = None
    return max(0, at - (interval or 1))


async def pause(visit: Visit) -> Response:
    """Fire no more until resumed."""
    record = await visit.call("cron.pause", visit.path["id"])
    return visit.back(visit.whence(f"/schedules/{record.id}"), "Paused {name}.", name=record.name)


async def resume(visit: Visit) -> Response:
    """Fire again."""
    record = await visit.call("cron.resume", visit.path["id"])
    return visit.back(visit.whence(f"/schedules/{record.id}"), "Resumed {name}.", name=record.name)


async def run(visit: Visit) -> Response:
    """Start a run now, with a payload of its own if one was typed."""
    public, typed = visit.path["id"], visit.form.get("payload", "")
    try:
        payload = payload_of(typed)
        started = await visit.call("cron.trigger", public, body={} if payload is None else {"payload": payload})
    except Refused as refused:
        if not typed or not (isinstance(refused, Invalid) or refused.field == "payload"):
            raise
        return await _cron(visit, await visit.call("cron.get", public), typed, visit.refused(refused))
    return visit.back(visit.whence(f"/schedules/{public}"), "Started the run {id}.", id=started.id)


async def delete(visit: Visit) -> Response:
    """Stop for good."""
    record = await visit.call("cron.get", visit.path["id"])
    await visit.call("cron.delete", record.id)
    return visit.back("/schedules", "Deleted {name}.", name=record.name)


async def cancel(visit: Visit) -> Response:
    """Cancel a one-shot task."""
    record = await visit.call("task.cancel", visit.path["id"])
    return visit.back(visit.whence(f"/schedules/{record.id}"), "Cancelled {name}.", name=record.name)


def _key(kind: str, public: str) -> int:
    key = ids.key_of(kind, public)
    if key is None:
        raise NotFound("there is no such schedule", hint="List them to see their ids.")
    return key


PAGES = (
    Page("GET", "/schedules/{id}", show),
    Page("POST", "/schedules/{id}/pause", pause),
    Page("POST", "/schedules/{id}/resume", resume),
    Page("POST", "/schedules/{id}/run", run),
    Page("POST", "/schedules/{id}/delete", delete),
    Page("POST", "/schedules/{id}/cancel", cancel),
)
