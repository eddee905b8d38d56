"""One-shot tasks over REST."""

from __future__ import annotations

from typing import Any

from mainspring.core import ids, schedules
from mainspring.core.drafts import Draft
from mainspring.core.errors import Invalid
from mainspring.core.idempotency import Replay
from mainspring.core.instants import iso, parse_iso
from mainspring.core.model import Entry, Progress
from mainspring.core.ports import Vault
from mainspring.doors.rest.calls import Call, answered, cut, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.requests import Nothing, PageQuery, TaskFields
from mainspring.doors.rest.results import TaskPage, TaskRecord, TaskState, TaskWithRun
from mainspring.doors.rest.runs import newest_of_task
from mainspring.doors.rest.targets import draft_fields, target_fields


def _state(progress: Progress) -> TaskState:
    if progress.active or progress.held:
        return "running"
    match progress.last_state:
        case "succeeded" | "failed" | "cancelled" as final:
            return final
        case _:
            return "scheduled" if progress.completed_at is None else "cancelled"


def _fields(vault: Vault, entry: Entry) -> dict[str, Any]:
    schedule = entry.schedule
    assert schedule.run_at is not None
    public = ids.text("task", schedule.id)
    return {
        "task_id": public,
        "id": public,
        "name": schedule.name,
        "run_at": iso(schedule.run_at),
        "state": _state(entry.progress),
        "retention_days": schedule.retention_days,
        "created_at": iso(schedule.created_at),
        "updated_at": iso(schedule.updated_at),
        **target_fields(vault, entry.target),
    }


async def schedule(call: Call[TaskFields, Nothing]) -> TaskRecord | Replay:
    """Make a task."""

    def render(entry: Entry) -> TaskRecord:
        return TaskRecord(**_fields(call.core.vault, entry))

    run_at = call.body.run_at
    if not isinstance(run_at, str):
        raise Invalid("run_at is missing", hint="Give the instant, like 2026-11-20T09:00:00Z.", field="run_at")
    draft = Draft(run_at=parse_iso(run_at, "run_at"), **draft_fields(call.body))
    made = await schedules.create(call.core, call.now, call.project, "task", draft, call.once(render))
    return answered(made, render)


async def get(call: Call[Nothing, Nothing]) -> TaskWithRun:
    """One task, with its newest run."""
    entry = await schedules.get(call.core, call.project, "task", row_key("task", call.path[0]))
    run = await newest_of_task(call.core, entry.schedule.id)
    return TaskWithRun(**_fields(call.core.vault, entry), run=run)


async def page(call: Call[Nothing, PageQuery]) -> TaskPage:
    """Tasks, newest first."""
    found = await schedules.page(call.core, call.project, "task", page_of(call.query, Listing.TASKS, 1))
    rows, following = cut(found, call.query, Listing.TASKS, lambda entry: (entry.schedule.id,))
    return TaskPage([TaskRecord(**_fields(call.core.vault, entry)) for entry in rows], following)


async def cancel(call: Call[Nothing, Nothing]) -> TaskRecord | Replay:
    """It never fires, or is not tried again."""

    def render(entry: Entry) -> TaskRecord:
        return TaskRecord(**_fields(call.core.vault, entry))

    key = row_key("task", call.path[0])
    return answered(await schedules.cancel_task(call.core, call.now, call.project, key, call.once(render)), render)
