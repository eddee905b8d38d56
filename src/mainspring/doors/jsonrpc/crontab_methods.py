"""`crontab_*`: crontabs by name, checked in the order in which clients know it: form of the token, row, rights, the
expression, the name."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Raw

from mainspring.core import cron, cron_types, crontabs
from mainspring.core.cron_types import DELETE, WRITE, AgentJob, Job, ScriptJob
from mainspring.core.crontabs import Crontab, Damaged
from mainspring.core.errors import Invalid
from mainspring.core.permissions import EVERYWHERE, Permission
from mainspring.doors.jsonrpc.credentials import TokenPrincipal, check_form
from mainspring.doors.jsonrpc.errors import denied, invalid_params, wrong
from mainspring.doors.jsonrpc.method import Call, Method

READ = Permission("crontab", "read")

CronType = Annotated[
    Raw,
    msgspec.Meta(
        description="What it does.",
        extra_json_schema={
            "oneOf": [
                {"title": "on agents", "type": "object", "properties": {"agent": {"type": "array"}}},
                {"title": "on the server", "type": "object", "properties": {"server": {}}},
            ],
            "examples": [
                {"agent": [["00000000-0000-0000-0000-000000000001"], {"task": {"ping": "www.example.com"}}]},
                {"server": "clean_up_database"},
                {"server": {"js_worker": ["a script", {"any": "JSON"}]}},
            ],
        },
    ),
]


class Definition(msgspec.Struct, frozen=True):
    """A crontab as it is to be."""

    token: str
    name: str
    cron_expression: str
    cron_type: CronType


class Token(msgspec.Struct, frozen=True):
    """Who asks."""

    token: str


class Named(msgspec.Struct, frozen=True):
    """Which one is meant."""

    token: str
    name: str


class Switch(msgspec.Struct, frozen=True):
    """Which one is to be on or off."""

    token: str
    name: str
    enable: bool


class Created(msgspec.Struct, frozen=True):
    """The new one."""

    id: int


class Edited(msgspec.Struct, frozen=True):
    """The changed one."""

    id: int
    success: bool = True


class Done(msgspec.Struct, frozen=True):
    """It was done."""

    success: bool = True


class Switched(msgspec.Struct, frozen=True):
    """How it stands now."""

    success: bool
    enabled: bool


class Shown(msgspec.Struct, frozen=True):
    """One crontab. `last_run_time`: ms, null before its first run."""

    id: int
    name: str
    enable: bool
    cron_expression: str
    cron_type: CronType
    last_run_time: int | None


async def create(call: Call[Definition]) -> Created:
    """Make one; a name that is taken is refused, never overwritten."""
    given = call.params
    job = _job_of(given.cron_type)
    crontabs.check_name(given.name)
    check_form(given.token)
    _check_rights(await call.principal(given.token), call.now, job)
    _check_expression(given.cron_expression)
    return Created(await crontabs.create(call.core, call.now, given.name, given.cron_expression, job))


async def edit(call: Call[Definition]) -> Edited:
    """Give one another expression and something else to do."""
    given = call.params
    job = _job_of(given.cron_type)
    found = await _found(call, given.token, given.name)
    principal = await call.principal(given.token)
    _check_old(principal, call.now, found, WRITE, "Missing Crontab Write permission for all existing scopes")
    _check_rights(principal, call.now, job)
    _check_expression(given.cron_expression)
    return Edited(await crontabs.edit(call.core, call.now, found, given.cron_expression, job))


async def delete(call: Call[Named]) -> Done:
    """Take one away; its results stay."""
    found = await _found(call, call.params.token, call.params.name)
    principal = await call.principal(call.params.token)
    _check_old(principal, call.now, found, DELETE, "Missing Crontab Delete permission for all target scopes")
    await crontabs.delete(call.core, call.now, found)
    return Done()


async def set_enable(call: Call[Switch]) -> Switched:
    """Switch one on or off, however it stands."""
    given = call.params
    found = await _found(call, given.token, given.name)
    principal = await call.principal(given.token)
    _check_old(principal, call.now, found, WRITE, "Missing Crontab Write permission for all target scopes")
    await crontabs.switch(call.core, call.now, found, given.enable)
    return Switched(success=True, enabled=given.enable)


async def get(call: Call[Token]) -> list[Shown]:
    """Those that the token may see."""
    principal = await call.principal(call.params.token)
    uuids = _visible(principal, call.now)
    if uuids is not None and not uuids:
        return []
    found = [(one, _job_in(one)) for one in await crontabs.everything(call.core)]
    return [_shown(one, job) for one, job in found if uuids is None or _is_for(job, uuids)]


def _visible(principal: TokenPrincipal, now: int) -> set[str] | None:
    """The agents whose crontabs the token may see; None: all of all. Raises `RpcError`."""
    if principal.is_super:
        return None
    if principal.is_early(now):
        raise wrong("permission", "Token is not yet valid")
    if principal.is_late(now):
        raise wrong("permission", "Token has expired")
    readable = [limit for limit in principal.limits if READ in limit.permissions]
    if not readable:
        raise denied("Insufficient Crontab Read permission")
    scopes = [scope for limit in readable for scope in limit.scopes]
    if EVERYWHERE in scopes:
        return None
    return {scope.name for scope in scopes if scope.kind == "agent_uuid" and scope.name is not None}


def _is_for(job: Job, uuids: set[str]) -> bool:
    return isinstance(job, AgentJob) and not uuids.isdisjoint(job.uuids)


def _shown(one: Crontab, job: Job) -> Shown:
    return Shown(
        id=one.number,
        name=one.name,
        enable=one.is_on,
        cron_expression=one.entry.schedule.cron_expr or "",
        cron_type=Raw(msgspec.json.encode(job.shown)),
        last_run_time=one.entry.progress.last_run_at,
    )


async def _found(call: Call[Any], token: str, name: str) -> Crontab:
    check_form(token)
    found = await crontabs.find(call.core, name)
    if found is None:
        raise wrong("not_found", f"Crontab not found: {name}")
    return found


def _job_of(cron_type: Raw) -> Job:
    try:
        return cron_types.read(msgspec.json.decode(cron_type))
    except (Invalid, msgspec.DecodeError, RecursionError) as error:
        raise invalid_params(str(error)) from None


def _job_in(one: Crontab) -> Job:
    """What a crontab of this door does. Raises `RpcError` 101."""
    try:
        job = one.job()
    except Damaged as damaged:
        about = f"Failed to parse cron_type for crontab '{one.name}' (id {one.number}): {damaged}"
        raise wrong("serialization", about) from None
    assert job is not None, "only those of this door are listed"
    return job


def _check_expression(text: str) -> None:
    try:
        crontabs.parse(text)
    except cron.CronError as error:
        raise wrong("parse", f"Invalid cron expression: {error}") from None


def _check_rights(principal: TokenPrincipal, now: int, job: Job) -> None:
    """Raises `RpcError` unless the principal may make this a crontab."""
    for at, needed in enumerate(cron_types.needed_for(job)):
        if at and isinstance(job, ScriptJob) and not job.script.strip():
            raise wrong("input", "Invalid crontab payload: js worker name cannot be empty")
        if not principal.allows(now, needed.scopes, needed.permissions):
            raise denied(needed.missing)


def _check_old(principal: TokenPrincipal, now: int, found: Crontab, right: Permission, missing: str) -> None:
    """Raises `RpcError` unless the principal has this right wherever the crontab, as it is, belongs."""
    if principal.is_super:
        return
    job = None if found.entry.schedule.lane == "http" else _job_in(found)
    if not principal.allows(now, cron_types.scopes_of(job), (right,)):
        raise denied(missing)


_WRITES = "crontab:write for each agent named, and task:create of the kind of task; else globally"

METHODS = (
    Method(
        name="crontab_create",
        summary="Make a crontab; a name that is taken is refused.",
        params=Definition,
        result=Created,
        permission=_WRITES,
        handler=create,
    ),
    Method(
        name="crontab_edit",
        summary="Give a crontab another expression and something else to do.",
        params=Definition,
        result=Edited,
        permission=f"crontab:write wherever it was; {_WRITES}",
        handler=edit,
    ),
    Method(
        name="crontab_get",
        summary="The crontabs that the token may see.",
        params=Token,
        result=list[Shown],
        permission="crontab:read: globally for all, for an agent for those that are for it",
        handler=get,
    ),
    Method(
        name="crontab_delete",
        summary="Take a crontab away; its results stay.",
        params=Named,
        result=Done,
        permission="crontab:delete for each of its agents; else globally",
        handler=delete,
    ),
    Method(
        name="crontab_set_enable",
        summary="Switch a crontab on or off.",
        params=Switch,
        result=Switched,
        permission="crontab:write for each of its agents; else globally",
        handler=set_enable,
    ),
)
