"""Rows to structs and back, in one place. Column order is that of the fragments in sql/*.sql."""

from __future__ import annotations

import msgspec

from mainspring.core.changes import Claim
from mainspring.core.model import (
    Attempt,
    CrontabTask,
    Entry,
    Expect,
    Gap,
    Key,
    LoggedAttempt,
    Progress,
    Run,
    Schedule,
    Target,
)
from mainspring.store.db import Row

_SCHEDULE_WIDTH = len(Schedule.__struct_fields__)
_PROGRESS_WIDTH = len(Progress.__struct_fields__)
_TARGET_WIDTH = len(Target.__struct_fields__)
_expect = msgspec.json.Decoder(Expect)
_delays = msgspec.json.Decoder(tuple[int, ...])
_scopes = msgspec.json.Decoder(tuple[str, ...])


def entry(row: Row) -> Entry:
    """A schedule with its progress, its target and what the crontab door keeps of it, from `entry_columns`."""
    middle = _SCHEDULE_WIDTH + _PROGRESS_WIDTH
    end = middle + _TARGET_WIDTH
    crontab = None if row[end] is None else CrontabTask(*row[end:])
    return Entry(
        Schedule(*row[:_SCHEDULE_WIDTH]), Progress(*row[_SCHEDULE_WIDTH:middle]), target(row[middle:end]), crontab
    )


def target(row: Row) -> Target:
    """A target, from the columns of `get_targets`."""
    delays, expect, on_failure = row[11:]
    decoded = (
        None if delays is None else _delays.decode(delays),
        None if expect is None else _expect.decode(expect),
        on_failure,
    )
    return Target(*(*row[:11], *decoded))


def of_target(item: Target, schedule_id: int | None) -> Row:
    """A row for `insert_targets`."""
    return (
        item.id,
        item.kind,
        item.address,
        item.origin,
        item.method,
        item.payload,
        item.headers,
        item.secret,
        item.signature_style,
        item.timeout_ms,
        item.retry,
        None if item.retry_delays_ms is None else msgspec.json.encode(item.retry_delays_ms).decode(),
        None if item.expect is None else msgspec.json.encode(item.expect).decode(),
        item.on_failure,
        schedule_id,
    )


def of_schedule(item: Schedule) -> Row:
    """A row for `insert_schedules`."""
    return msgspec.structs.astuple(item)


def run(row: Row) -> Run:
    """A run, from `run_columns`."""
    return Run(*row)


def attempt(row: Row) -> Attempt:
    """An ended attempt."""
    return Attempt(*row)


def logged(row: Row) -> LoggedAttempt:
    """An attempt with its run and target, from `page_attempts`."""
    return LoggedAttempt(*row)


def of_crontab(item: Entry) -> Row:
    """A row for `insert_crontab`, of an entry that has one."""
    task = item.crontab
    assert task is not None
    project = item.schedule.project
    return item.schedule.id, project, task.name, task.module, task.type, task.start_time, task.starts_at


def gap(row: Row) -> Gap:
    """A stretch of the ledger in which nothing ran."""
    return Gap(*row)


def claim(row: Row, started_at: int) -> Claim:
    """A claim, from what `claim_runs` returns."""
    return Claim(*(*row, started_at))


def key(row: Row) -> Key:
    """A credential without its secrets, from `key_columns`."""
    scopes, limits = row[8:10]
    decoded = _scopes.decode(scopes), None if limits is None else limits.encode()
    return Key(*(*row[:8], *decoded, *row[10:15], bool(row[15]), *row[16:]))
