"""Schedules: create, edit, pause, resume, delete, run now, fire. The same for every door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET

from mainspring.core import cron, events, timing
from mainspring.core.changes import Change, Fired, ManualRun, NewSchedule, Stale, Timing
from mainspring.core.drafts import Draft, build_schedule, build_target, check_payload, parse_expression
from mainspring.core.errors import Conflict, Invalid, NotFound
from mainspring.core.idempotency import Once, Replay
from mainspring.core.limits import FIRE_BATCH, GRACE
from mainspring.core.model import CrontabTask, Entry, Page, Run, Schedule, ScheduleKind
from mainspring.core.ports import Core

_ATTEMPTS = 10
_TIMER_FIELDS = ("cron_expr", "run_at", "dialect", "timezone")


async def create(
    core: Core, now: int, project: str, kind: ScheduleKind, draft: Draft, once: Once | None
) -> Entry | Replay:
    """Create a schedule (or a one-shot task). Raises `Invalid` (code NEVER_FIRES included), `TooLarge`, and `Conflict`
    when its name at the crontab door is taken."""
    target = build_target(core.vault, core.targets, draft, None)
    schedule = msgspec.structs.replace(
        build_schedule(draft, None, target, project, kind), anchor_at=now, created_at=now, updated_at=now
    )
    crontab = None if draft.crontab is UNSET else draft.crontab
    next_due_at: int | None = _first_due(schedule, now, crontab)
    paused_at = now if draft.enabled is False else None
    if paused_at is not None:
        next_due_at = None
    made = await core.store.create_schedule(NewSchedule(schedule, target, next_due_at, once, paused_at, crontab))
    core.wakeup.scheduler()
    return made


async def get(core: Core, project: str, kind: ScheduleKind, schedule_id: int) -> Entry:
    """One schedule. Raises `NotFound`."""
    entry = await core.store.schedules.get(project, kind, schedule_id)
    if entry is None:
        raise missing(kind)
    return entry


async def page(core: Core, project: str, kind: ScheduleKind, page: Page) -> list[Entry]:
    """Newest first."""
    return await core.store.schedules.page(project, kind, page)


async def crontab_tasks(core: Core, project: str, numbers: Sequence[int], names: Sequence[str]) -> list[Entry]:
    """Schedules made at the crontab door: those with these numbers, and all that have or had these names there."""
    return await core.store.schedules.crontab(project, numbers, names)


async def update(
    core: Core,
    now: int,
    project: str,
    kind: ScheduleKind,
    schedule_id: int,
    draft: Draft | Callable[[Entry], Draft],
    once: Once | None,
) -> Entry | Replay:
    """Change what the draft names; runs already made keep the target they were fired with.

    A function is asked for the draft with the schedule as it is when the change is made.
    """

    def edit(entry: Entry) -> Change:
        given = draft if isinstance(draft, Draft) else draft(entry)
        target = build_target(core.vault, core.targets, given, entry.target)
        schedule = build_schedule(given, entry.schedule, target, project, kind)
        schedule = msgspec.structs.replace(schedule, updated_at=now)
        new_target = target if target != entry.target else None
        retimed = any(getattr(schedule, name) != getattr(entry.schedule, name) for name in _TIMER_FIELDS)
        crontab = _crontab_after(given, entry, retimed)
        if crontab is not None and entry.crontab is not None:
            retimed = retimed or crontab.starts_at != entry.crontab.starts_at
        if retimed:
            schedule = msgspec.structs.replace(schedule, anchor_at=now)
        timer = _retime(entry, schedule, crontab or entry.crontab, now, retimed)
        timer, paused = _switched(given, entry, schedule, crontab or entry.crontab, now, timer)
        cancel: Literal["paused"] | None = "paused" if paused else None
        return Change(entry, schedule, new_target, timer, cancel=cancel, once=once, crontab=crontab)

    return await change(core, project, kind, schedule_id, edit, settled_at=now)


async def pause(
    core: Core, now: int, project: str, kind: ScheduleKind, schedule_id: int, once: Once | None
) -> Entry | Replay:
    """Nothing new fires; queued scheduled runs and waiting retries are cancelled; the attempt in flight ends."""

    def edit(entry: Entry) -> Change:
        paused_at = entry.progress.paused_at or now
        still = Timing(None, paused_at, entry.progress.completed_at)
        return Change(entry, _touched(entry, now), timing=still, cancel="paused", once=once)

    return await change(core, project, kind, schedule_id, edit, settled_at=now)


async def resume(
    core: Core, now: int, project: str, kind: ScheduleKind, schedule_id: int, once: Once | None
) -> Entry | Replay:
    """Fire again from now on; instants while paused are not caught up."""

    def edit(entry: Entry) -> Change:
        if entry.progress.paused_at is None:
            return Change(entry, _touched(entry, now), once=once)
        completed_at = entry.progress.completed_at
        timer = _resumed(entry.schedule, entry.crontab, completed_at, now)
        return Change(entry, _touched(entry, now), timing=timer, once=once)

    return await change(core, project, kind, schedule_id, edit)


async def delete(
    core: Core, now: int, project: str, kind: ScheduleKind, schedule_id: int, once: Once | None
) -> Entry | Replay | None:
    """Stop all future runs for good; None when this project had deleted it already."""

    def edit(entry: Entry) -> Change:
        return Change(entry, _touched(entry, now), cancel="deleted", delete=True, once=once)

    try:
        return await change(core, project, kind, schedule_id, edit)
    except NotFound:
        if await core.store.schedules.was_deleted(project, kind, schedule_id):
            return None
        raise


async def cancel_task(core: Core, now: int, project: str, schedule_id: int, once: Once | None) -> Entry | Replay:
    """A one-shot that has not fired never will; one whose run waits for a retry stops. Raises `NotFound`.

    A task that is over stays as it is.
    """

    def edit(entry: Entry) -> Change:
        over = entry.progress.completed_at is not None and entry.progress.active == 0 and entry.progress.held == 0
        if over:
            return Change(entry, entry.schedule, once=once)
        timer = Timing(None, entry.progress.paused_at, entry.progress.completed_at or now)
        return Change(entry, _touched(entry, now), timing=timer, cancel="cancelled", once=once)

    return await change(core, project, "task", schedule_id, edit)


async def trigger(
    core: Core,
    project: str,
    kind: ScheduleKind,
    schedule_id: int,
    payload: bytes | None,
    once: Once | None,
) -> Run | Replay:
    """Start a run now, also while paused. Raises `NotFound`, `Conflict` (overlap), `TooLarge`."""
    if payload is not None:
        check_payload(payload)
    entry = await get(core, project, kind, schedule_id)
    if payload is not None and entry.target.kind not in ("http", "queue"):
        raise Invalid(
            f"payload cannot be given: the target is of the type {entry.target.kind}",
            hint="Trigger it without one.",
            field="payload",
        )
    run = await core.store.trigger_run(ManualRun(project, schedule_id, "manual", payload, once))
    core.wakeup.dispatcher()
    return run


async def fire_due(core: Core, now: int) -> Fired:
    """One visit of the scheduler: at most 500 due schedules, planned and written in one transaction."""
    broken: list[events.ScheduleBroken] = []

    def plan(due: timing.Due, at: int) -> timing.Plan:
        try:
            return timing.plan(due, at)
        except Exception as error:  # noqa: BLE001  # one schedule that cannot be planned must not stop the others
            broken.append(events.ScheduleBroken(schedule_id=due.schedule_id, error=f"{type(error).__name__}: {error}"))
            return timing.set_aside(due, at)

    fired = await core.store.schedules.fire(now, plan, FIRE_BATCH)
    for event in broken:
        core.emit(event)
    if fired.schedules:
        core.emit(events.Fired(schedules=fired.schedules, runs=fired.runs, skipped=fired.skipped, missed=fired.missed))
    if fired.runs:
        core.wakeup.dispatcher()
    return fired


def missing(kind: ScheduleKind) -> NotFound:
    """The one answer for what is not there, was deleted, or belongs to another project."""
    noun = "cron job" if kind == "cron" else "task"
    return NotFound(f"there is no such {noun}", hint="List them to see their ids.")


async def change(
    core: Core,
    project: str,
    kind: ScheduleKind,
    schedule_id: int,
    edit: Callable[[Entry], Change],
    *,
    settled_at: int | None = None,
) -> Entry | Replay:
    """Edit the schedule as it is. What was due until `settled_at` fires first, or the edit would cut it out of the
    ledger."""
    for _ in range(_ATTEMPTS):
        entry = await get(core, project, kind, schedule_id)
        while settled_at is not None and _overdue(entry, settled_at):
            await fire_due(core, settled_at)
            entry = await get(core, project, kind, schedule_id)
        changed = await core.store.change_schedule(edit(entry))
        if not isinstance(changed, Stale):
            core.wakeup.scheduler()
            return changed
    raise Conflict("the schedule is being changed by others all the time", hint="Try again.")


def resumed(entry: Entry, now: int) -> Timing:
    """The timer of one that fires again from now on."""
    return _resumed(entry.schedule, entry.crontab, entry.progress.completed_at, now)


def _overdue(entry: Entry, at: int) -> bool:
    return entry.progress.next_due_at is not None and entry.progress.next_due_at <= at


def _touched(entry: Entry, now: int) -> Schedule:
    return msgspec.structs.replace(entry.schedule, updated_at=now)


def _crontab_after(draft: Draft, entry: Entry, retimed: bool) -> CrontabTask | None:
    """What the crontab door keeps after an edit, if that changes. A new timing that was given elsewhere begins at
    once."""
    kept = entry.crontab
    if kept is None:
        return None
    if draft.crontab is not UNSET:
        return draft.crontab if draft.crontab != kept else None
    return msgspec.structs.replace(kept, starts_at=None) if retimed and kept.starts_at is not None else None


def _switched(
    draft: Draft, entry: Entry, schedule: Schedule, crontab: CrontabTask | None, now: int, timer: Timing | None
) -> tuple[Timing | None, bool]:
    """The timer after an edit that may also pause or resume, and whether it paused."""
    progress = entry.progress
    completed_at = progress.completed_at if timer is None else timer.completed_at
    if draft.enabled is False:
        return Timing(None, progress.paused_at or now, completed_at), True
    if draft.enabled is True and progress.paused_at is not None:
        return _resumed(schedule, crontab, completed_at, now), False
    return timer, False


def _resumed(schedule: Schedule, crontab: CrontabTask | None, completed_at: int | None, now: int) -> Timing:
    due = _next_due(schedule, now, crontab) if completed_at is None else None
    return Timing(due, None, now if due is None and completed_at is None else completed_at)


def _retime(entry: Entry, schedule: Schedule, crontab: CrontabTask | None, now: int, retimed: bool) -> Timing | None:
    """The timer after an edit: a new instant when the timing changed or a raised cap revives a completed schedule."""
    progress = entry.progress
    capped = schedule.max_runs is not None and progress.run_count >= schedule.max_runs
    revived = (
        not capped
        and progress.completed_at is not None
        and schedule.cron_expr is not None
        and schedule.max_runs != entry.schedule.max_runs
    )
    if capped:
        return Timing(None, progress.paused_at, progress.completed_at or now)
    if not retimed and not revived:
        # A new cap was weighed against the runs counted so far, so it holds only if none was made meanwhile.
        same = schedule.max_runs == entry.schedule.max_runs
        return None if same else Timing(progress.next_due_at, progress.paused_at, progress.completed_at)
    due = _first_due(schedule, _entered_until(entry, now), crontab)
    return Timing(None if progress.paused_at is not None else due, progress.paused_at, None)


def _entered_until(entry: Entry, now: int) -> int:
    """`now`, or the last instant that fired while the edit was on its way: it must not be due again by the new timing.

    One that lies further ahead fired before the clock was set back; the edit makes the schedule follow the clock again.
    """
    schedule, next_due_at = entry.schedule, entry.progress.next_due_at
    if schedule.cron_expr is None or next_due_at is None:
        return now
    try:
        expression = parse_expression(schedule.cron_expr, schedule.dialect)
    except Invalid:
        return now  # a row that cannot have fired; the edit is its cure
    fired = cron.last_at_or_before(
        expression, next_due_at - 1, cron.zone(schedule.timezone), schedule.anchor_at, not_before_ms=now
    )
    return fired if fired is not None and fired <= now + GRACE else now


def _next_due(schedule: Schedule, now: int, crontab: CrontabTask | None) -> int | None:
    if crontab is not None and crontab.starts_at is not None:
        now = max(now, crontab.starts_at - 1)
    return timing.first_due(
        cron_expr=schedule.cron_expr,
        run_at=schedule.run_at,
        dialect=schedule.dialect,
        timezone=schedule.timezone,
        anchor_at=schedule.anchor_at,
        after=now,
    )


def _first_due(schedule: Schedule, now: int, crontab: CrontabTask | None) -> int:
    if schedule.cron_expr is not None:
        parse_expression(schedule.cron_expr, schedule.dialect)
    due = _next_due(schedule, now, crontab)
    if due is None:
        assert schedule.cron_expr is not None
        expression = parse_expression(schedule.cron_expr, schedule.dialect)
        reason = cron.never_reason(expression, now, cron.zone(schedule.timezone))
        raise Invalid(
            f"cron_expr never fires: {reason}",
            hint="Change the expression, or use run_at for a single instant.",
            field="cron_expr",
            code="NEVER_FIRES",
        )
    return due
