"""The target part of cron jobs and tasks, in both directions."""

from __future__ import annotations

import re
from typing import Any, assert_never

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mainspring.core.drafts import HIDDEN, opened_headers
from mainspring.core.errors import Invalid
from mainspring.core.model import Expect, Target, TargetKind
from mainspring.core.ports import Vault
from mainspring.core.urls import QUEUE_SCHEME
from mainspring.doors.rest.requests import TASK_TYPES, CronFields, ExpectFields, TaskFields
from mainspring.doors.rest.results import ExpectRecord

_QUEUE_NAME = re.compile(r"[A-Za-z0-9._:-]{1,124}")
# A name that cannot be taken for a host, with or without a port.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,124}")


def draft_fields(body: CronFields | TaskFields) -> dict[str, Any]:
    """The fields of a `Draft` that cron jobs and tasks share. Raises `Invalid`."""
    return {
        # `null` is as if it were not there, since a target has no default.
        "url": UNSET if body.task is None else body.task,
        "kind": _kind_of(body.task, body.task_type),
        "method": body.method,
        "name": body.name,
        "retry": body.retry,
        "retry_delays": body.retry_delays,
        "timeout_seconds": body.timeout_seconds,
        "payload": body.payload,
        "headers": body.headers,
        "secret": body.secret,
        "signature_style": body.signature_style,
        "on_failure": body.on_failure_webhook,
        "expect": _expect_of(body.expect),
        "retention_days": body.retention_days,
    }


def _kind_of(task: str | None | UnsetType, task_type: str | None | UnsetType) -> TargetKind | UnsetType:
    """`queue` where that is said, or where a bare name is all there is; UNSET for everything else. Raises `Invalid`."""
    if isinstance(task_type, str) and task_type not in TASK_TYPES:
        raise Invalid(
            f"task_type is {task_type[:40]!r}", hint=f"Use one of {', '.join(TASK_TYPES)}.", field="task_type"
        )
    bare = isinstance(task, str) and _NAME.fullmatch(task) is not None
    if task_type == "queue" or (bare and not isinstance(task_type, str)):
        return "queue"
    if isinstance(task, str) and not isinstance(task_type, str) and _QUEUE_NAME.fullmatch(task):
        raise Invalid(
            f"task: {task!r} is not a URL",
            hint="Write the http(s) URL in full; if it is the name of a queue, add task_type: queue.",
            field="task",
        )
    return UNSET


def _expect_of(expect: ExpectFields | None | UnsetType) -> Expect | None | UnsetType:
    if not isinstance(expect, ExpectFields):
        return expect
    statuses = _statuses(expect.status)
    if statuses is None and expect.body_regexp is None:
        return None
    return Expect(statuses, expect.body_regexp)


def _statuses(status: str | int | tuple[int, ...] | None) -> tuple[int, ...] | None:
    match status:
        case None | str():
            return None
        case int():
            return (status,)
        case tuple():
            return status
        case _ as never:
            assert_never(never)


def target_fields(vault: Vault, target: Target) -> dict[str, Any]:
    """The fields of a `TargetRecord`."""
    timeout = target.timeout_ms / 1000
    address = target.address.removeprefix(QUEUE_SCHEME)
    delays = target.retry_delays_ms
    return {
        "task": address,
        "url": address,
        "task_url": address,
        "task_type": _type_of(target),
        "method": target.method,
        "retry": target.retry,
        "retries": target.retry,
        "retry_delays": None if delays is None else tuple(_plain(delay / 1000) for delay in delays),
        "timeout_seconds": _plain(timeout),
        "payload": _shown_payload(target),
        "headers": None if target.headers is None else dict.fromkeys(opened_headers(vault, target), HIDDEN),
        "signature_style": target.signature_style,
        "signed": target.secret is not None,
        "on_failure_webhook": target.on_failure,
        "expect": _shown_expect(target.expect),
    }


def _type_of(target: Target) -> str:
    match target.kind:
        case "http":
            return "http_url"
        case "form" | "text" | "rpc" | "queue" | "agent" | "script" | "server":
            return target.kind
        case _ as never:
            assert_never(never)


def _shown_payload(target: Target) -> Raw | None:
    """The JSON that it is; what is sent as a text need not be any, so it is shown as a string."""
    if target.payload is None or target.kind != "text":
        return None if target.payload is None else Raw(target.payload)
    return Raw(msgspec.json.encode(target.payload.decode("utf-8", "replace")))


def _plain(seconds: float) -> float:
    """Whole seconds without a fraction, as they were given."""
    return int(seconds) if seconds.is_integer() else seconds


def _shown_expect(expect: Expect | None) -> ExpectRecord | None:
    if expect is None:
        return None
    return ExpectRecord("2xx" if expect.statuses is None else expect.statuses, expect.body_regexp)
