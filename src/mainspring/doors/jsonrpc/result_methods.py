"""`crontab-result_*`: what became of each fire."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from mainspring.core import crontab_results, permissions
from mainspring.core.crontab_results_model import EVER, Asked, Result
from mainspring.core.errors import Invalid
from mainspring.core.limits import RPC_ROWS_DEFAULT, RPC_ROWS_MAX
from mainspring.core.permissions import EVERYWHERE, Permission
from mainspring.doors.jsonrpc.errors import invalid_params, wrong
from mainspring.doors.jsonrpc.method import Call, Method

Conditions = Annotated[
    list[Any],
    msgspec.Meta(
        description="All of these hold.",
        extra_json_schema={
            "examples": [
                [{"cron_name": "ping_task"}, {"run_time_from_to": [1769337198000, 1769341269012]}, {"limit": 20}],
                ["is_failure", "last"],
            ]
        },
    ),
]
_KNOWN = (
    *("id", "cron_id", "cron_name", "run_time_from_to", "run_time_from", "run_time_to"),
    *("is_success", "is_failure", "limit", "last"),
)


class Query(msgspec.Struct, frozen=True):
    """Which results are meant."""

    condition: Conditions


class About(msgspec.Struct, frozen=True):
    """Who asks, and for which."""

    token: str
    query: Query


class Deleted(msgspec.Struct, frozen=True):
    """How many went."""

    success: bool
    deleted: int
    condition_count: int


async def query(call: Call[About]) -> list[Result]:
    """Newest first; 1,000 unless a limit says otherwise, at most 10,000."""
    asked, names = conditions(call.params.query.condition, RPC_ROWS_DEFAULT)
    await _check(call, names, "read")
    return await crontab_results.query(call.core, msgspec.structs.replace(asked, limit=min(asked.limit, RPC_ROWS_MAX)))


async def delete(call: Call[About]) -> Deleted:
    """All of them, or the newest so many."""
    given = call.params.query.condition
    asked, names = conditions(given, EVER)
    await _check(call, names, "delete")
    deleted = await crontab_results.delete(call.core, asked)
    return Deleted(success=True, deleted=deleted, condition_count=len(given))


async def _check(call: Call[About], names: list[str], action: str) -> None:
    """Raises `RpcError` unless the token may do this with each of these crontabs, or with all."""
    principal = await call.principal(call.params.token)
    for name in names or ["*"]:
        if not principal.allows(call.now, (EVERYWHERE,), (Permission("crontab_result", action, name),)):
            raise wrong("permission", f"No {action} permission for crontab_result with cron_name '{name}'")


def conditions(given: list[Any], default: int) -> tuple[Asked, list[str]]:
    """What is asked for, and the names in it. Raises `RpcError` for a condition that is none."""
    asked = Asked(limit=default)
    names: list[str] = []
    for one in given:
        try:
            kind, value = permissions.variant_of(one)
            asked = _narrowed(asked, kind, value)
        except Invalid as invalid:
            raise invalid_params(invalid.message) from None
        if kind == "cron_name" and value not in names:
            names.append(value)
    return asked, names


def _narrowed(asked: Asked, kind: str, value: Any) -> Asked:
    change = msgspec.structs.replace
    match kind:
        case "id":
            return change(_only(asked, asked.number, _whole(value)), number=value)
        case "cron_id":
            return change(_only(asked, asked.cron_id, _whole(value)), cron_id=value)
        case "cron_name":
            if not isinstance(value, str):
                raise Invalid("invalid type: cron_name expects a text")
            if "\x00" in value:
                return change(asked, impossible=True)
            return change(_only(asked, asked.cron_name, value), cron_name=value)
        case "run_time_from_to":
            if not isinstance(value, list) or len(value) != 2:
                raise Invalid("invalid type: run_time_from_to expects two instants")
            return _between(asked, _whole(value[0]), _whole(value[1]))
        case "run_time_from":
            return _between(asked, _whole(value), EVER)
        case "run_time_to":
            return _between(asked, -EVER, _whole(value))
        case "limit":
            return change(asked, limit=_whole(value, least=0))
        case "is_success" | "is_failure" | "last":
            if value is not None:
                raise Invalid(f"invalid type: {kind} takes nothing")
            if kind == "last":
                return change(asked, limit=1)
            return change(_only(asked, asked.success, kind == "is_success"), success=kind == "is_success")
        case _:
            raise permissions.unknown_variant(kind, _KNOWN)


def _between(asked: Asked, since: int, until: int) -> Asked:
    return msgspec.structs.replace(asked, since=max(asked.since, since), until=min(asked.until, until))


def _only(asked: Asked, before: object, wanted: object) -> Asked:
    """Two of a kind that differ leave nothing."""
    return msgspec.structs.replace(asked, impossible=asked.impossible or before not in (None, wanted))


def _whole(value: Any, least: int = -EVER) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= EVER:
        raise Invalid("invalid type: expected an integer")
    return value


METHODS = (
    Method(
        name="crontab-result_query",
        summary="What became of the fires of crontabs, newest first.",
        params=About,
        result=list[Result],
        permission="crontab_result:read of the crontab's name, globally; without a name: of *",
        handler=query,
    ),
    Method(
        name="crontab-result_delete",
        summary="Delete results; with a limit, the newest so many.",
        params=About,
        result=Deleted,
        permission="crontab_result:delete of the crontab's name, globally; without a name: of *",
        handler=delete,
    ),
)
