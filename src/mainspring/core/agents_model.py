"""Agents and what they are asked to do, as data."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.core.changes import Claim

RUNNING = 1 << 62
"""When a task ends that has not ended: after all others."""
STALE = 15_000
"""A socket whose node has not confirmed it for so many ms is none."""
UNCLAIMED = 10_000
"""What has not been handed over after so many ms has found nobody there."""

ReportKind = Literal["static", "dynamic", "dynamic_summary"]


class Task(msgspec.Struct, frozen=True):
    """Something an agent was asked to do. `task`, `result`: JSON texts; `ended_at`: ms by the agent's clock, and
    `success` None until then; `cron_source`: the name of the crontab that it is of."""

    number: int
    uuid: str
    token: str
    cron_source: str | None
    kind: str
    task: str
    ended_at: int | None
    success: bool | None
    error: str | None
    result: str | None


class NewTask(msgspec.Struct, frozen=True):
    """Something an agent is to be asked to do. `payload`: the whole of it, as the targets of crontabs have it."""

    project: str
    uuid: str
    token: str
    kind: str
    task: str
    address: str
    payload: bytes


class Ended(msgspec.Struct, frozen=True):
    """What an agent says came of a task."""

    number: int
    ended_at: int
    success: bool
    error: str | None
    result: str | None


class Report(msgspec.Struct, frozen=True):
    """What an agent says of its machine; `data`: JSON text, `time`: ms by the agent's clock."""

    uuid: str
    kind: ReportKind
    time: int
    data: str


class Delivery(msgspec.Struct, frozen=True):
    """A run claimed to be handed to an agent. `number` and `token` are None when it has no task and is to get none;
    `task`: JSON text, empty when what is stored cannot be read; `done`: its result is there already. Of a crontab,
    `cron_id` and `cron_name` are its number and name."""

    claim: Claim
    uuid: str
    number: int | None
    token: str | None
    task: str
    done: bool
    cron_id: int | None
    cron_name: str | None


class AskedTasks(msgspec.Struct, frozen=True):
    """Which tasks are meant: those that fit all of these, at most `limit`, oldest first unless `newest`. Instants are
    inclusive; `state` 0 failed, 1 succeeded, 2 running; `hidden`: at most three kinds that are left out."""

    number: int | None = None
    uuid: str | None = None
    since: int = 0
    until: int = RUNNING
    state: int | None = None
    kind: str | None = None
    cron_source: str | None = None
    limit: int = 1_000
    newest: bool = False
    impossible: bool = False
    hidden: tuple[str, ...] = ()
