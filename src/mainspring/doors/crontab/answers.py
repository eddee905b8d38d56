"""What this door answers: the envelope, a result per item, the rows of the log."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.core.model import Entry, LoggedAttempt
from mainspring.core.urls import CALL_SCHEME
from mainspring.doors.crontab.reading import DONE, Wrong
from mainspring.doors.crontab.translate import Asked, moment_in

NORMAL, RETRY, AGAIN = 1, 2, 3
BEGUN, SUCCEEDED, FAILED = 1, 2, 3

encode = msgspec.json.Encoder().encode


class TaskResult(msgspec.Struct, frozen=True):
    """What became of one item: `err` is empty when it was done; `state` is the code of the fault."""

    task_id: int
    name: str
    err: str
    state: int


class LogRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. `end_time` is empty while it is in flight; `resp` is the body that came back, else the error."""

    id: int
    task_id: int
    name: str
    module: int
    run_type: int
    status: int
    begin_time: str
    end_time: str
    url: str
    method: str
    body: str
    resp: str
    err: str


def done(entry: Entry) -> TaskResult:
    """The result of an item that was done."""
    assert entry.crontab is not None, "found among those made at this door"
    return TaskResult(entry.schedule.number, entry.crontab.name, "", DONE)


def failed(asked: Asked, wrong: Wrong) -> TaskResult:
    """The result of an item that was not done."""
    return TaskResult(asked.task_id or 0, asked.name or "", wrong.text, wrong.code)


def log_row(attempt: LoggedAttempt, entry: Entry, zone: str) -> LogRow:
    """An attempt as the log shows it, its times in `zone`."""
    assert entry.crontab is not None, "found among those made at this door"
    resp = _text(attempt.body)
    return LogRow(
        id=attempt.number,
        task_id=entry.schedule.number,
        name=entry.crontab.name,
        module=entry.crontab.module,
        run_type=RETRY if attempt.attempt > 1 else AGAIN if attempt.trigger in ("manual", "replay") else NORMAL,
        status=BEGUN if attempt.ended_at is None else SUCCEEDED if attempt.error is None else FAILED,
        begin_time=_local(attempt.began_at, zone),
        end_time="" if attempt.ended_at is None else _local(attempt.ended_at, zone),
        url=attempt.address.removeprefix(CALL_SCHEME),
        method=attempt.method.lower(),
        body=_text(attempt.payload),
        resp=resp or attempt.error or "",
        err=attempt.error or "",
    )


def enveloped(state: int, message: str, data: Any, *, as_string: bool) -> bytes:
    """The whole answer; `as_string`: the JSON of `data` as a text, as the original wrote it."""
    shown = encode(data).decode() if as_string and data is not None else data
    return encode({"state": state, "msg": message, "data": shown})


def _local(instant: int, zone: str) -> str:
    return moment_in(instant, zone).strftime("%Y-%m-%d %H:%M:%S")


def _text(body: bytes | None) -> str:
    return "" if body is None else body.decode("utf-8", "replace")
