"""Cron jobs over REST."""

from __future__ import annotations

from mainspring.core import ids, schedules
from mainspring.core.drafts import Draft
from mainspring.core.idempotency import Replay
from mainspring.core.instants import iso
from mainspring.core.model import Entry
from mainspring.core.ports import Vault
from mainspring.doors.rest.calls import Call, answered, cut, instant_of, instant_or_none, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.requests import CronFields, Nothing, PageQuery, RetentionFields, TriggerFields
from mainspring.doors.rest.results import CronDeleted, CronPage, CronRecord, Retention, RunRecord
from mainspring.doors.rest.runs import run_record
from mainspring.doors.rest.targets import draft_fields, target_fields


def cron_record(vault: Vault, entry: Entry) -> CronRecord:
    """A cron job as it is shown: every spelling, no secret."""
    schedule, progress = entry.schedule, entry.progress
    public = ids.text("cron", schedule.id)
    window = schedule.catchup_window_ms
    return CronRecord(
        id=public,
        cron_id=public,
        job_id=public,
        name=schedule.name,
        cron_expr=schedule.cron_expr,
        schedule=schedule.cron_expr,
        run_at=instant_or_none(schedule.run_at),
        timezone=schedule.timezone,
        dialect=schedule.dialect,
        overlap_policy=schedule.overlap,
        catchup=schedule.catchup,
        catchup_window_seconds=None if window is None else window // 1000,
        max_runs=schedule.max_runs,
        run_count=progress.run_count,
        enabled=progress.enabled,
        paused_at=instant_or_none(progress.paused_at),
        completed_at=instant_or_none(progress.completed_at),
        next_run_at=instant_or_none(progress.next_due_at),
        last_run_at=instant_or_none(progress.last_run_at),
        last_state=progress.last_state,
        retention_days=schedule.retention_days,
        retention_runs=schedule.retention_runs,
        created_at=iso(schedule.created_at),
        updated_at=iso(schedule.updated_at),
        **target_fields(vault, entry.target),
    )


def _draft(body: CronFields) -> Draft:
    return Draft(
        cron_expr=body.cron_expr,
        run_at=instant_of(body.run_at, "run_at"),
        timezone=body.timezone,
        dialect=body.dialect,
        overlap=body.overlap_policy,
        catchup=body.catchup,
        catchup_window_seconds=body.catchup_window_seconds,
        max_runs=body.max_runs,
        retention_runs=body.retention_runs,
        **draft_fields(body),
    )


async def create(call: Call[CronFields, Nothing]) -> CronRecord | Replay:
    """Make a cron job."""

    def render(entry: Entry) -> CronRecord:
        return cron_record(call.core.vault, entry)

    draft = _draft(call.body)
    made = await schedules.create(call.core, call.now, call.project, "cron", draft, call.once(render))
    return answered(made, render)


async def page(call: Call[Nothing, PageQuery]) -> CronPage:
    """Cron jobs, newest first."""
    found = await schedules.page(call.core, call.project, "cron", page_of(call.query, Listing.CRONS, 1))
    rows, following = cut(found, call.query, Listing.CRONS, lambda entry: (entry.schedule.id,))
    return CronPage([cron_record(call.core.vault, entry) for entry in rows], following)


async def get(call: Call[Nothing, Nothing]) -> CronRecord:
    """One cron job."""
    entry = await schedules.get(call.core, call.project, "cron", row_key("cron", call.path[0]))
    return cron_record(call.core.vault, entry)


async def update(call: Call[CronFields, Nothing]) -> CronRecord | Replay:
    """Change what the body names."""

    def render(entry: Entry) -> CronRecord:
        return cron_record(call.core.vault, entry)

    key, draft = row_key("cron", call.path[0]), _draft(call.body)
    changed = await schedules.update(call.core, call.now, call.project, "cron", key, draft, call.once(render))
    return answered(changed, render)


async def delete(call: Call[Nothing, Nothing]) -> CronDeleted | Replay:
    """Stop for good; once more is no error."""
    public = call.path[0]

    def render(_: object) -> CronDeleted:
        return CronDeleted(id=public, cron_id=public, job_id=public, deleted=True)

    key = row_key("cron", public)
    deleted = await schedules.delete(call.core, call.now, call.project, "cron", key, call.once(render))
    return answered(await call.recall() if deleted is None else deleted, render)


async def pause(call: Call[Nothing, Nothing]) -> CronRecord | Replay:
    """Fire no more until resumed."""

    def render(entry: Entry) -> CronRecord:
        return cron_record(call.core.vault, entry)

    key = row_key("cron", call.path[0])
    return answered(await schedules.pause(call.core, call.now, call.project, "cron", key, call.once(render)), render)


async def resume(call: Call[Nothing, Nothing]) -> CronRecord | Replay:
    """Fire again from now on."""

    def render(entry: Entry) -> CronRecord:
        return cron_record(call.core.vault, entry)

    key = row_key("cron", call.path[0])
    return answered(await schedules.resume(call.core, call.now, call.project, "cron", key, call.once(render)), render)


async def trigger(call: Call[TriggerFields, Nothing]) -> RunRecord | Replay:
    """Start a run now."""
    payload = call.body.payload if isinstance(call.body.payload, bytes) else None
    run = await schedules.trigger(
        call.core, call.project, "cron", row_key("cron", call.path[0]), payload, call.once(run_record)
    )
    return answered(run, run_record)


def _retention(entry: Entry) -> Retention:
    public = ids.text("cron", entry.schedule.id)
    return Retention(public, public, public, entry.schedule.retention_days, entry.schedule.retention_runs)


async def retention(call: Call[Nothing, Nothing]) -> Retention:
    """How long runs are kept."""
    return _retention(await schedules.get(call.core, call.project, "cron", row_key("cron", call.path[0])))


async def set_retention(call: Call[RetentionFields, Nothing]) -> Retention | Replay:
    """Change how long runs are kept."""
    draft = Draft(retention_days=call.body.retention_days, retention_runs=call.body.retention_runs)
    key = row_key("cron", call.path[0])
    changed = await schedules.update(call.core, call.now, call.project, "cron", key, draft, call.once(_retention))
    return answered(changed, _retention)
