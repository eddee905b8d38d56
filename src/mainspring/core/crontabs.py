"""Crontabs by name: schedules of the first project that do something on agents or on the server itself.

Their names are unique among that project's schedules. One that another door made goes by its own name too, or by
`name#<number>` where an older one has it.
"""

from __future__ import annotations

import re

import msgspec

from mainspring.core import cron, cron_types, schedules
from mainspring.core.changes import Change, NewSchedule, Timing
from mainspring.core.cron_types import AgentJob, CleanUp, Job
from mainspring.core.errors import Conflict, Invalid, NotFound, TooLarge
from mainspring.core.idempotency import Replay
from mainspring.core.limits import (
    CRON_TYPE_BYTES_MAX,
    NAME_CHARS_MAX,
    RETENTION_DAYS_DEFAULT,
    RETENTION_RUNS_DEFAULT,
    RETRY_MAX,
    SECOND,
    TIMEOUT_S_DEFAULT,
)
from mainspring.core.model import Entry, Schedule, Target, TargetKind
from mainspring.core.ports import Core
from mainspring.core.tokens import BOOTSTRAP_PROJECT

DIALECT = "nodeget"
PAGE = 500
_NUMBERED = re.compile(r"(.+)#([1-9][0-9]{0,15})", re.DOTALL)
_KINDS: dict[cron_types.Lane, TargetKind] = {"agents": "agent", "script": "script", "server": "server"}


class Damaged(Exception):
    """What a crontab does cannot be read from the store; the text says why."""


class Crontab(msgspec.Struct, frozen=True):
    """A schedule and the name by which it goes."""

    entry: Entry
    name: str

    @property
    def number(self) -> int:
        return self.entry.schedule.number

    @property
    def is_on(self) -> bool:
        return self.entry.progress.paused_at is None

    def job(self) -> Job | None:
        """What it does; None for one that calls a URL or a queue. Raises `Damaged`."""
        if self.entry.schedule.lane not in _KINDS:
            return None
        try:
            return cron_types.read(msgspec.json.decode(self.entry.target.payload or b""))
        except (Invalid, msgspec.DecodeError, RecursionError) as error:
            raise Damaged(str(error)) from None


def check_name(name: str) -> None:
    """Raises `Invalid`."""
    if not name:
        raise Invalid("name cannot be empty")
    if len(name) > NAME_CHARS_MAX:
        raise Invalid(f"name too long (max {NAME_CHARS_MAX} chars)")
    if any(one < " " or "\x7f" <= one <= "\x9f" or "\ud800" <= one <= "\udfff" for one in name):
        raise Invalid("name contains invalid characters (control characters not allowed)")


def parse(expression: str) -> cron.Expression:
    """Raises `cron.CronError`."""
    return cron.parse(expression, DIALECT)


async def create(core: Core, now: int, name: str, expression: str, job: Job) -> int:
    """Make a crontab, switched on; its number. Raises `Conflict` for a taken name, and `TooLarge`."""
    parsed = parse(expression)
    target = _target(job)
    schedule = Schedule(
        id=0,
        number=0,
        project=BOOTSTRAP_PROJECT,
        kind="cron",
        name=name,
        cron_expr=expression,
        run_at=None,
        dialect=DIALECT,
        timezone="UTC",
        anchor_at=now,
        overlap="allow",
        catchup="latest",
        catchup_window_ms=None,
        max_runs=None,
        retention_days=RETENTION_DAYS_DEFAULT,
        retention_runs=RETENTION_RUNS_DEFAULT,
        target_id=0,
        lane=cron_types.lane_of(job),
        origin=target.origin,
        version=1,
        created_at=now,
        updated_at=now,
    )
    due = _next_after(parsed, now)
    made = await core.store.create_schedule(
        NewSchedule(schedule, target, due, None, agents=_agents(job), unique_name=True)
    )
    assert not isinstance(made, Replay), "there was no idempotency key"
    core.wakeup.scheduler()
    return made.schedule.number


async def find(core: Core, name: str) -> Crontab | None:
    """The one that goes by this name."""
    if "\x00" in name:
        return None  # nothing in a store has it
    found = await core.store.crontabs.by_name(BOOTSTRAP_PROJECT, name)
    if found is not None:
        return Crontab(found, name)
    numbered = _NUMBERED.fullmatch(name)
    if numbered is None:
        return None
    found = await core.store.crontabs.by_number(BOOTSTRAP_PROJECT, int(numbered[2]))
    if found is None or found.schedule.name != numbered[1]:
        return None
    first = await core.store.crontabs.by_name(BOOTSTRAP_PROJECT, numbered[1])
    is_first = first is not None and first.schedule.id == found.schedule.id
    return None if is_first else Crontab(found, name)


async def everything(core: Core) -> list[Crontab]:
    """Those that do something on agents or on the server, in the order in which they were made."""
    found: list[Crontab] = []
    after = 0
    while True:
        page = await core.store.crontabs.page(BOOTSTRAP_PROJECT, after, PAGE)
        for entry, name_taken in page:
            schedule = entry.schedule
            found.append(Crontab(entry, f"{schedule.name}#{schedule.number}" if name_taken else schedule.name))
        if len(page) < PAGE:
            return found
        after = page[-1][0].schedule.number


async def edit(core: Core, now: int, crontab: Crontab, expression: str, job: Job) -> int:
    """Give it another expression and something else to do. Whether it is on, and when it ran last, stays as it is; so
    by the new expression it may be due at once. Raises `Invalid` for one that calls a URL, and `NotFound`."""
    parsed = parse(expression)
    if crontab.entry.schedule.lane not in _KINDS:
        raise Invalid("this one calls a URL or a queue; change it over REST")
    target = _target(job)

    def edited(entry: Entry) -> Change:
        schedule = msgspec.structs.replace(
            entry.schedule,
            cron_expr=expression,
            run_at=None,
            dialect=DIALECT,
            timezone="UTC",
            anchor_at=now,
            lane=cron_types.lane_of(job),
            origin=target.origin,
            updated_at=now,
        )
        due = None if entry.progress.paused_at is not None else _due(parsed, entry, now)
        timing = Timing(due, entry.progress.paused_at, None)
        return Change(entry, schedule, target, timing, agents=_agents(job))

    await schedules.change(core, BOOTSTRAP_PROJECT, "cron", crontab.entry.schedule.id, edited, settled_at=now)
    return crontab.number


async def switch(core: Core, now: int, crontab: Crontab, on: bool) -> None:
    """Switch it on or off. What was due while it was off runs once, at once, when it is on again. Raises `NotFound`."""

    def switched(entry: Entry) -> Change:
        schedule = msgspec.structs.replace(entry.schedule, updated_at=now)
        progress = entry.progress
        if on == (progress.paused_at is None):
            return Change(entry, schedule)
        if not on:
            return Change(entry, schedule, timing=Timing(None, now, progress.completed_at), cancel="paused")
        return Change(entry, schedule, timing=_on_again(entry, now))

    settled_at = None if on else now
    await schedules.change(core, BOOTSTRAP_PROJECT, "cron", crontab.entry.schedule.id, switched, settled_at=settled_at)


def _on_again(entry: Entry, now: int) -> Timing:
    if entry.schedule.lane not in _KINDS or entry.schedule.cron_expr is None:
        return schedules.resumed(entry, now)
    try:
        parsed = cron.parse(entry.schedule.cron_expr, entry.schedule.dialect)
    except cron.CronError:
        return Timing(None, None, None)
    return Timing(_due(parsed, entry, now), None, None)


async def delete(core: Core, now: int, crontab: Crontab) -> None:
    """Take it away; what it has done stays on record. Raises `NotFound`."""
    found = crontab.entry.schedule
    if await schedules.delete(core, now, BOOTSTRAP_PROJECT, "cron", found.id, None) is None:
        raise NotFound("it was deleted meanwhile")


def _due(parsed: cron.Expression, entry: Entry, now: int) -> int | None:
    """When it is due next, from when it ran last on: the newest instant that it has not had, else the next one."""
    last = entry.progress.last_run_at
    zone = cron.zone(entry.schedule.timezone)
    if last is not None:
        missed = cron.last_at_or_before(parsed, now, zone, entry.schedule.anchor_at, not_before_ms=last)
        if missed is not None:
            return missed
    return cron.next_after(parsed, max(now, last or 0), zone, entry.schedule.anchor_at)


def _next_after(parsed: cron.Expression, now: int) -> int | None:
    return cron.next_after(parsed, now, cron.zone("UTC"), now)


def _agents(job: Job) -> tuple[str, ...]:
    return job.uuids if isinstance(job, AgentJob) else ()


def _target(job: Job) -> Target:
    """What its runs are handed: the whole of what it does, as JSON."""
    payload = msgspec.json.encode(job.shown)
    if len(payload) > CRON_TYPE_BYTES_MAX:
        raise TooLarge(f"cron_type has {len(payload)} bytes", hint=f"At most {CRON_TYPE_BYTES_MAX}.")
    address = cron_types.address_of(job)
    return Target(
        id=0,
        kind=_KINDS[cron_types.lane_of(job)],
        address=address,
        origin=address,
        method="POST",
        payload=payload,
        headers=None,
        secret=None,
        signature_style="body",
        timeout_ms=TIMEOUT_S_DEFAULT * SECOND,
        # To trim twice does no harm; a task or a script that was cut off is not begun again.
        retry=RETRY_MAX if isinstance(job, CleanUp) else 0,
        retry_delays_ms=None,
        expect=None,
        on_failure=None,
    )


def taken(name: str) -> Conflict:
    """The refusal of a name that another one has."""
    return Conflict(f"Crontab name already exists: {name}", field="name")
