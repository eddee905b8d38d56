"""What use cases hand to the store, and what they get back."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.core.idempotency import Once
from mainspring.core.model import CrontabTask, Entry, Key, Run, RunState, Schedule, Target, Trigger
from mainspring.core.webhooks_model import Outgoing


class NewSchedule(msgspec.Struct, frozen=True):
    """A schedule to be created; ids and the number are given by the store (0 until then).

    `paused_at`: it begins paused. With `crontab` it is refused when a task of that project has the name;
    `unique_name`: when a schedule of that project has it. `agents`: those that each fire makes a run for.
    """

    schedule: Schedule
    target: Target
    next_due_at: int | None
    once: Once | None
    paused_at: int | None = None
    crontab: CrontabTask | None = None
    agents: tuple[str, ...] = ()
    unique_name: bool = False


class Timing(msgspec.Struct, frozen=True):
    """New values of a schedule's timer."""

    next_due_at: int | None
    paused_at: int | None
    completed_at: int | None


class Change(msgspec.Struct, frozen=True):
    """An edit of one schedule, valid only while its version is still `entry.schedule.version`.

    `schedule`: the new row; `target`: a new target, if that changed; `timing`: a new timer, if that changed;
    `cancel`: the reason for which waiting runs are cancelled, if they are; `delete`: it goes for good; `crontab`: what
    that door keeps of it, if that changed (never its name); `agents`: those that each fire makes a run for, if that may
    have changed.
    """

    entry: Entry
    schedule: Schedule
    target: Target | None = None
    timing: Timing | None = None
    cancel: Literal["paused", "deleted", "cancelled"] | None = None
    delete: bool = False
    once: Once | None = None
    crontab: CrontabTask | None = None
    agents: tuple[str, ...] | None = None


class NewKey(msgspec.Struct, frozen=True):
    """A credential to be created; id and number are given by the store."""

    key: Key
    once: Once | None


class Stale(msgspec.Struct, frozen=True):
    """Somebody changed it first: read it again and decide again."""


class ManualRun(msgspec.Struct, frozen=True):
    """A run asked for by hand. `payload` stands in for the target's; `again`: a run whose target it goes to again."""

    project: str
    schedule_id: int
    trigger: Trigger
    payload: bytes | None
    once: Once | None
    again: Run | None = None


class Claim(msgspec.Struct, frozen=True):
    """A run taken to be sent; `attempt` is the fencing token."""

    run_id: int
    schedule_id: int | None
    project: str
    kind: str
    trigger: Trigger
    scheduled_for: int
    target_id: int
    origin: str
    payload: bytes | None
    attempt: int
    started_at: int


class FollowUp(msgspec.Struct, frozen=True):
    """A run to be made because another has ended: the failure callback."""

    project: str
    target: Target
    payload: bytes


class Result(msgspec.Struct, frozen=True):
    """How an attempt ended and what becomes of its run.

    `state` `retrying` with `due_at` set means another attempt at that instant; else the run is over. Of a webhook
    delivery, `delivery` is what it was sent with, and its target wants to be left alone until `rest_until`.
    """

    claim: Claim
    state: RunState
    due_at: int | None
    sent_at: int | None
    ended_at: int
    status: int | None
    body: bytes | None
    error: str | None
    follow_up: FollowUp | None = None
    delivery: Outgoing | None = None
    rest_until: int = 0


class Fired(msgspec.Struct, frozen=True):
    """What one visit of the scheduler did."""

    schedules: int
    runs: int
    skipped: int
    missed: int
    next_due_at: int | None
