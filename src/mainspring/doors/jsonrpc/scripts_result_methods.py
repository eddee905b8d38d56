"""`js-result_*`: what became of the runs of scripts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Raw

from mainspring.core import permissions, scripts
from mainspring.core.errors import Invalid
from mainspring.core.limits import RPC_ROWS_DEFAULT, RPC_ROWS_MAX
from mainspring.core.permissions import Permission, Scope
from mainspring.core.script_results_model import EVER, AskedResults
from mainspring.core.scripts_model import HANDLERS, RunType
from mainspring.doors.jsonrpc.errors import invalid_params, wrong
from mainspring.doors.jsonrpc.method import Call, Method

Conditions = Annotated[
    list[Any],
    msgspec.Meta(
        description="All of these hold.",
        extra_json_schema={
            "examples": [
                [{"js_worker_name": "demo_worker"}, {"limit": 10}],
                [{"js_worker_name": "demo_worker"}, {"run_type": "inline_call"}, "is_failure", "last"],
            ]
        },
    ),
]
_STATES = {"is_success": "success", "is_failure": "failure", "is_running": "running"}
_KNOWN = (
    "id",
    "js_worker_id",
    "js_worker_name",
    "run_type",
    "start_time_from_to",
    "start_time_from",
    "start_time_to",
    "finish_time_from_to",
    "finish_time_from",
    "finish_time_to",
    *_STATES,
    "limit",
    "last",
)


class Query(msgspec.Struct, frozen=True):
    """Which results are meant."""

    condition: Conditions


class About(msgspec.Struct, frozen=True):
    """Who asks, and for which."""

    token: str
    query: Query


class Shown(msgspec.Struct, frozen=True):
    """One run; while it is under way, `finish_time`, `result` and `error_message` are null. Instants in ms."""

    id: int
    js_worker_id: int
    js_worker_name: str
    run_type: RunType
    start_time: int
    finish_time: int | None
    param: Raw
    result: Raw
    error_message: str | None


class Deleted(msgspec.Struct, frozen=True):
    """How many went."""

    deleted: int
    condition_count: int
    success: bool = True


async def query(call: Call[About]) -> list[Shown]:
    """Newest first; 1,000 unless a limit says otherwise, at most 10,000."""
    asked, names = conditions(call.params.query.condition, RPC_ROWS_DEFAULT)
    await _check(call, names, "read")
    asked = msgspec.structs.replace(asked, limit=min(asked.limit, RPC_ROWS_MAX))
    return [
        Shown(
            one.number,
            one.script_number,
            one.script_name,
            one.run_type,
            one.start_time,
            one.finish_time,
            Raw(one.param),
            Raw(one.result or b"null"),
            one.error,
        )
        for one in await scripts.results(call.core, call.now, asked)
    ]


async def delete(call: Call[About]) -> Deleted:
    """All of them, or the newest so many."""
    given = call.params.query.condition
    asked, names = conditions(given, EVER)
    await _check(call, names, "delete")
    return Deleted(await scripts.delete_results(call.core, call.now, asked), len(given))


async def _check(call: Call[About], names: list[str], action: str) -> None:
    """Raises `RpcError` unless the token may do this with the results of each of these scripts, or of all."""
    principal = await call.principal(call.params.token)
    for name in names or ["*"]:
        if not principal.allows(call.now, (Scope("js_worker", name),), (Permission("js_result", action, name),)):
            raise wrong("permission", f"No {action} permission for js_result with js_worker_name '{name}'")


def conditions(given: list[Any], default: int) -> tuple[AskedResults, list[str]]:
    """What is asked for, and the names in it. Raises `RpcError` for a condition that is none."""
    asked = AskedResults(limit=default)
    names: list[str] = []
    for one in given:
        try:
            kind, value = permissions.variant_of(one)
            asked = _narrowed(asked, kind, value)
        except Invalid as invalid:
            raise invalid_params(invalid.message) from None
        if kind == "js_worker_name" and value not in names:
            names.append(value)
    return asked, names


def _narrowed(asked: AskedResults, kind: str, value: Any) -> AskedResults:
    change = msgspec.structs.replace
    match kind:
        case "id":
            return change(_only(asked, asked.number, _whole(value)), number=value)
        case "js_worker_id":
            return change(_only(asked, asked.script_number, _whole(value)), script_number=value)
        case "js_worker_name":
            return change(_only(asked, asked.script_name, _text(value)), script_name=value)
        case "run_type":
            if value not in HANDLERS:
                raise permissions.unknown_variant(_text(value), HANDLERS)
            return change(_only(asked, asked.run_type, value), run_type=value)
        case "limit":
            return change(asked, limit=_whole(value, least=0))
        case "last" if value is None:
            return change(asked, limit=1)
        case "is_success" | "is_failure" | "is_running" if value is None:
            return change(_only(asked, asked.state, _STATES[kind]), state=_STATES[kind])
        case "last" | "is_success" | "is_failure" | "is_running":
            raise Invalid(f"invalid type: {kind} takes nothing")
        case _:
            return _within(asked, kind, value)


def _within(asked: AskedResults, kind: str, value: Any) -> AskedResults:
    change = msgspec.structs.replace
    what, since, until = _span(kind, value)
    if what == "start":
        return change(asked, since=max(asked.since, since), until=min(asked.until, until))
    least = since if asked.finished_since is None else max(asked.finished_since, since)
    most = until if asked.finished_until is None else min(asked.finished_until, until)
    return change(asked, finished_since=least, finished_until=most)


def _span(kind: str, value: Any) -> tuple[str, int, int]:
    """Of which instant, from when, until when."""
    what, _, edge = kind.partition("_time_")
    if what not in ("start", "finish") or edge not in ("from_to", "from", "to"):
        raise permissions.unknown_variant(kind, _KNOWN)
    if edge == "from_to":
        if not isinstance(value, list) or len(value) != 2:
            raise Invalid(f"invalid type: {kind} expects two instants")
        return what, _whole(value[0]), _whole(value[1])
    return (what, _whole(value), EVER) if edge == "from" else (what, -EVER, _whole(value))


def _only(asked: AskedResults, before: object, wanted: object) -> AskedResults:
    """Two of a kind that differ leave nothing."""
    return msgspec.structs.replace(asked, impossible=asked.impossible or before not in (None, wanted))


def _whole(value: Any, least: int = -EVER) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= EVER:
        raise Invalid("invalid type: expected an integer")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid("invalid type: expected a text")
    return value


METHODS = (
    Method(
        name="js-result_query",
        summary="What became of the runs of scripts, newest first.",
        params=About,
        result=list[Shown],
        permission="js_result:read of the script's name in its scope; without a name: of * in the scope of *",
        handler=query,
    ),
    Method(
        name="js-result_delete",
        summary="Delete results; with a limit, the newest so many.",
        params=About,
        result=Deleted,
        permission="js_result:delete of the script's name in its scope; without a name: of * in the scope of *",
        handler=delete,
    ),
)
