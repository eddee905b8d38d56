"""Runs over REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from mainspring.core import ids, runs, schedules
from mainspring.core.errors import NotFound
from mainspring.core.idempotency import Replay
from mainspring.core.instants import iso, parse_iso
from mainspring.core.model import Attempt, Page, Run, RunState, ScheduleKind
from mainspring.core.ports import Core
from mainspring.doors.rest.calls import Call, answered, cut, instant_or_none, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.requests import Nothing, RunsOfCronQuery, RunsQuery
from mainspring.doors.rest.results import AttemptRecord, RunPage, RunRecord, RunWithAttempts


def run_record(run: Run) -> RunRecord:
    """A run as lists show it."""
    return RunRecord(**_fields(run))


def _fields(run: Run) -> dict[str, Any]:
    public = ids.text("run", run.id)
    owner = None if run.schedule_id is None else ids.text("task" if run.kind == "task" else "cron", run.schedule_id)
    cron_id, task_id = (None, owner) if run.kind == "task" else (owner, None)
    body = _text(run.body)
    return {
        "run_id": public,
        "id": public,
        "cron_id": cron_id,
        "job_id": cron_id,
        "task_id": task_id,
        "trigger": run.trigger,
        "state": run.state,
        "scheduled_for": iso(run.scheduled_for),
        "started_at": iso(run.started_at),
        "finished_at": instant_or_none(run.finished_at),
        "attempt": run.attempt,
        "response_status": run.status,
        "response_body": body,
        "output": body,
        "error": run.error,
        "lateness_ms": None if run.sent_at is None else run.sent_at - run.scheduled_for,
    }


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "replace")


def _with_attempts(run: Run, attempts: Sequence[Attempt]) -> RunWithAttempts:
    return RunWithAttempts(**_fields(run), attempts=[_attempt_record(attempt) for attempt in attempts])


def _attempt_record(attempt: Attempt) -> AttemptRecord:
    return AttemptRecord(
        attempt=attempt.attempt,
        started_at=iso(attempt.started_at),
        sent_at=instant_or_none(attempt.sent_at),
        finished_at=iso(attempt.ended_at),
        response_status=attempt.status,
        response_body=_text(attempt.body),
        error=attempt.error,
    )


async def get(call: Call[Nothing, Nothing]) -> RunWithAttempts:
    """One run of a cron job, with its attempts."""
    schedule_id = row_key("cron", call.path[0])
    run, attempts = await runs.get(call.core, call.project, row_key("run", call.path[1]))
    if run.schedule_id != schedule_id or run.kind != "cron":
        raise NotFound("there is no such run", hint="List the runs to see their ids.")
    return _with_attempts(run, attempts)


async def get_by_id(call: Call[Nothing, Nothing]) -> RunWithAttempts:
    """One run of any cron job or task, with its attempts."""
    return _with_attempts(*await runs.get(call.core, call.project, row_key("run", call.path[0])))


async def page_of_cron(call: Call[Nothing, RunsOfCronQuery]) -> RunPage:
    """Runs of one cron job, newest instant first."""
    return await _page_of_schedule(call, "cron", call.path[0], None)


async def page(call: Call[Nothing, RunsQuery]) -> RunPage:
    """Runs of all cron jobs and tasks, newest first; of one of them, newest instant first."""
    query = call.query
    until = None if query.until is UNSET else parse_iso(query.until, "until")
    if query.cron_id is not UNSET:
        kind: ScheduleKind = "task" if query.cron_id.startswith("task_") else "cron"
        return await _page_of_schedule(call, kind, query.cron_id, until)
    state, since = _filters(query)
    where = page_of(query, Listing.RUNS, 1)
    found = await runs.page(call.core, call.project, where, state=state, since=since, until=until)
    rows, following = cut(found, query, Listing.RUNS, lambda run: (run.id,))
    return RunPage([run_record(run) for run in rows], following)


async def replay(call: Call[Nothing, Nothing]) -> RunRecord | Replay:
    """Run once more what a run was about."""
    made = await runs.replay(call.core, call.project, row_key("run", call.path[0]), call.once(run_record))
    return answered(made, run_record)


async def newest_of_task(core: Core, schedule_id: int) -> RunRecord | None:
    """The newest run of a task, once there is one."""
    found = await runs.page_of_schedule(core, schedule_id, Page(limit=1))
    return run_record(found[0]) if found else None


async def _page_of_schedule(call: Call[Nothing, Any], kind: ScheduleKind, public: str, until: int | None) -> RunPage:
    query: RunsOfCronQuery = call.query
    state, since = _filters(query)
    where = page_of(query, Listing.RUNS_OF_SCHEDULE, 2)
    if until is not None and (where.before is None or where.before > (until, 0)):
        where = Page(limit=where.limit, before=(until, 0))
    schedule_id = row_key(kind, public)
    await schedules.get(call.core, call.project, kind, schedule_id)
    found = await runs.page_of_schedule(call.core, schedule_id, where, state=state, since=since)
    rows, following = cut(found, query, Listing.RUNS_OF_SCHEDULE, lambda run: (run.scheduled_for, run.id))
    return RunPage([run_record(run) for run in rows], following)


def _filters(query: RunsOfCronQuery) -> tuple[RunState | None, int]:
    since = 0 if query.since is UNSET else parse_iso(query.since, "since")
    return None if query.state is UNSET else query.state, since
