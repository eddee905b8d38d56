"""Which tasks are meant: the conditions of `task_query` and `task_delete`. Pure."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from mainspring.core import permissions, task_types
from mainspring.core.agents_model import RUNNING, AskedTasks
from mainspring.core.errors import Invalid
from mainspring.doors.jsonrpc.errors import invalid_params

Conditions = Annotated[
    list[Any],
    msgspec.Meta(
        description="All of these hold.",
        extra_json_schema={
            "examples": [
                [{"uuid": "00000000-0000-0000-0000-000000000001"}, {"type": "ping"}, {"limit": 20}],
                [{"timestamp_from_to": [1769337198000, 1769341269012]}, "is_success", "last"],
            ]
        },
    ),
]
_KNOWN = (
    *("task_id", "uuid", "timestamp_from_to", "timestamp_from", "timestamp_to"),
    *("is_success", "is_failure", "is_running", "type", "cron_source", "limit", "last"),
)
_STATES = {"is_failure": 0, "is_success": 1, "is_running": 2}


def read(given: list[Any], default: int) -> AskedTasks:
    """What is asked for. Raises `RpcError` for a condition that is none."""
    asked = AskedTasks(limit=default)
    for one in given:
        try:
            asked = _narrowed(asked, *permissions.variant_of(one))
        except Invalid as invalid:
            raise invalid_params(invalid.message) from None
    return asked


def _narrowed(asked: AskedTasks, kind: str, value: Any) -> AskedTasks:
    change = msgspec.structs.replace
    match kind:
        case "task_id":
            return change(_only(asked, asked.number, _whole(value)), number=value)
        case "uuid":
            uuid = permissions.uuid_of(_text(value, kind))
            return change(_only(asked, asked.uuid, uuid), uuid=uuid)
        case "type":
            if _text(value, kind) not in task_types.KINDS:
                raise permissions.unknown_variant(value, task_types.KINDS)
            return change(_only(asked, asked.kind, value), kind=value)
        case "cron_source":
            return change(_only(asked, asked.cron_source, _text(value, kind)), cron_source=value)
        case "timestamp_from_to":
            if not isinstance(value, list) or len(value) != 2:
                raise Invalid("invalid type: timestamp_from_to expects two instants")
            return _between(asked, _whole(value[0]), _whole(value[1]))
        case "timestamp_from":
            return _between(asked, _whole(value), RUNNING - 1)
        case "timestamp_to":
            return _between(asked, 0, _whole(value))
        case "limit":
            return change(asked, limit=_whole(value, least=0), newest=True)
        case "last" | "is_success" | "is_failure" | "is_running":
            if value is not None:
                raise Invalid(f"invalid type: {kind} takes nothing")
            if kind == "last":
                return change(asked, limit=1, newest=True)
            return change(_only(asked, asked.state, _STATES[kind]), state=_STATES[kind])
        case _:
            raise permissions.unknown_variant(kind, _KNOWN)


def _between(asked: AskedTasks, since: int, until: int) -> AskedTasks:
    """Those that have ended: one that runs has no instant."""
    until = min(asked.until, until, RUNNING - 1)
    return msgspec.structs.replace(asked, since=max(asked.since, since), until=until)


def _only(asked: AskedTasks, before: object, wanted: object) -> AskedTasks:
    """Two of a kind that differ leave nothing."""
    return msgspec.structs.replace(asked, impossible=asked.impossible or before not in (None, wanted))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"invalid type: {name} expects a text")
    return value


def _whole(value: Any, least: int = -RUNNING) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < RUNNING:
        raise Invalid("invalid type: expected an integer")
    return value
