"""`js-worker_*`: scripts, kept by name and run in processes of their own."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Raw

from mainspring.core import scripts
from mainspring.core.permissions import EVERYWHERE, Permission, Scope
from mainspring.core.scripts_model import RunType, Script
from mainspring.core.tokens import BOOTSTRAP_PROJECT
from mainspring.doors.jsonrpc.errors import denied, wrong
from mainspring.doors.jsonrpc.method import Call, Method

NULL = Raw(b"null")
POOL = Permission("node_get", "get_rt_pool")


class Definition(msgspec.Struct, frozen=True):
    """A script. `js_script_base64`: its UTF-8 source; `env`: any JSON, what it gets as its environment; times in ms,
    sizes in bytes, null for the default."""

    token: str
    name: str
    js_script_base64: str
    description: str | None = None
    route_name: str | None = None
    runtime_clean_time: int | None = None
    env: Raw = NULL
    max_run_time: int | None = None
    max_stack_size: int | None = None
    max_heap_size: int | None = None


class Named(msgspec.Struct, frozen=True):
    """Which one is meant."""

    token: str
    name: str


class Token(msgspec.Struct, frozen=True):
    """Who asks."""

    token: str


class Order(msgspec.Struct, frozen=True):
    """What to run. `params`: any JSON; `env`: instead of the script's own; `compile_mode` is accepted, and means
    nothing here."""

    token: str
    js_script_name: str
    params: Raw
    run_type: RunType = "call"
    env: Raw = NULL
    compile_mode: str | None = None


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """The new one."""

    id: int
    name: str
    description: str | None
    route_name: str | None
    runtime_clean_time: int | None
    max_run_time: int | None
    max_stack_size: int | None
    max_heap_size: int | None
    create_at: int
    update_at: int


class Updated(msgspec.Struct, frozen=True, kw_only=True):
    """The changed one."""

    success: bool = True
    name: str
    description: str | None
    route_name: str | None
    runtime_clean_time: int | None
    max_run_time: int | None
    max_stack_size: int | None
    max_heap_size: int | None
    update_at: int


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One script with its source and its environment."""

    name: str
    description: str | None
    route_name: str | None
    js_script_base64: str
    runtime_clean_time: int | None
    max_run_time: int | None
    max_stack_size: int | None
    max_heap_size: int | None
    env: Raw
    create_at: int
    update_at: int


class Deleted(msgspec.Struct, frozen=True):
    """It went."""

    rows_affected: int
    success: bool = True


class Started(msgspec.Struct, frozen=True):
    """The record in which `js-result_query` shows what becomes of it."""

    id: int


class Worker(msgspec.Struct, frozen=True):
    """A script that is being run. Each run has a process of its own, so none of them is idle."""

    script_name: str
    active_requests: int
    last_used_ms: int
    idle_ms: int
    runtime_clean_time_ms: int | None


class PoolShown(msgspec.Struct, frozen=True):
    """The scripts that this node is running now."""

    total_workers: int
    workers: list[Worker]


async def create(call: Call[Definition]) -> Created:
    """Keep a new script; it is compiled, not run."""
    await _check(call, call.params.token, call.params.name, "create", "Create")
    made = await scripts.create(call.core, call.now, _draft(call.params))
    return Created(id=made.number, create_at=made.created_at, update_at=made.updated_at, **_common(made))


async def update(call: Call[Definition]) -> Updated:
    """Replace a script; what is left out is as if it were null."""
    await _check(call, call.params.token, call.params.name, "write", "Write")
    changed = await scripts.update(call.core, call.now, _draft(call.params))
    return Updated(update_at=changed.updated_at, **_common(changed))


async def read(call: Call[Named]) -> Shown:
    """One script whole."""
    await _check(call, call.params.token, call.params.name, "read", "Read")
    found = await scripts.find(call.core, call.params.name)
    env = scripts.env_of(call.core, found.env)
    return Shown(
        js_script_base64=base64.b64encode(found.source).decode(),
        env=NULL if env is None else Raw(env),
        create_at=found.created_at,
        update_at=found.updated_at,
        **_common(found),
    )


async def delete(call: Call[Named]) -> Deleted:
    """Take one away; its results stay."""
    await _check(call, call.params.token, call.params.name, "delete", "Delete")
    return Deleted(await scripts.delete(call.core, call.params.name))


async def run(call: Call[Order]) -> Started:
    """Have a script run, without waiting for its end."""
    given = call.params
    await _check(call, given.token, given.js_script_name, "run_defined_js_worker", "RunDefinedJsWorker")
    number = await scripts.start(
        call.core,
        call.now,
        BOOTSTRAP_PROJECT,
        given.js_script_name,
        given.run_type,
        bytes(given.params),
        _env(given.env),
    )
    return Started(number)


async def list_all(call: Call[Token]) -> list[str]:
    """The names of the scripts that this token may see."""
    principal = await call.principal(call.params.token)
    right = Permission("js_worker", "list_all_js_worker")
    names = await call.core.store.scripts.names()
    return [name for name in names if principal.allows(call.now, (Scope("js_worker", name),), (right,))]


async def pool(call: Call[Token]) -> PoolShown:
    """What this node is running now."""
    if not await call.allows(call.params.token, (EVERYWHERE,), (POOL,)):
        raise denied("Insufficient NodeGet GetRtPool permission")
    workers = []
    for name, (active, since) in scripts.sandbox_of(call.core).active().items():
        found = await call.core.store.scripts.by_name(name)
        workers.append(Worker(name, active, since, 0, None if found is None else found.clean_ms))
    return PoolShown(len(workers), workers)


async def _check(call: Call[Any], token: str, name: str, action: str, called: str) -> None:
    """Raises `RpcError` unless the token may do this with the script of that name."""
    if not await call.allows(token, (Scope("js_worker", name),), (Permission("js_worker", action),)):
        raise wrong("permission", f"Permission denied for js_worker '{name}', required permission: {called}")


def _draft(given: Definition) -> scripts.Draft:
    return scripts.Draft(
        name=given.name,
        source=_source(given.js_script_base64),
        description=given.description,
        route=given.route_name,
        env=_env(given.env),
        clean_ms=given.runtime_clean_time,
        run_ms=given.max_run_time,
        stack=given.max_stack_size,
        heap=given.max_heap_size,
    )


def _env(given: Raw) -> bytes | None:
    return None if bytes(given) == b"null" else bytes(given)


def _source(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong("input", f"js_script_base64 is not base64: {error}") from None


def _common(script: Script) -> dict[str, Any]:
    return {
        "name": script.name,
        "description": script.description,
        "route_name": script.route,
        "runtime_clean_time": script.clean_ms,
        "max_run_time": script.run_ms,
        "max_stack_size": script.stack,
        "max_heap_size": script.heap,
    }


METHODS = (
    Method(
        name="js-worker_create",
        summary="Keep a new script.",
        params=Definition,
        result=Created,
        permission="js_worker:create in the scope of the name",
        handler=create,
    ),
    Method(
        name="js-worker_update",
        summary="Replace a script.",
        params=Definition,
        result=Updated,
        permission="js_worker:write in the scope of the name",
        handler=update,
    ),
    Method(
        name="js-worker_read",
        summary="A script with its source and its environment.",
        params=Named,
        result=Shown,
        permission="js_worker:read in the scope of the name",
        handler=read,
    ),
    Method(
        name="js-worker_delete",
        summary="Take a script away; its results stay.",
        params=Named,
        result=Deleted,
        permission="js_worker:delete in the scope of the name",
        handler=delete,
    ),
    Method(
        name="js-worker_run",
        summary="Have a script run; js-result_query shows what becomes of it.",
        params=Order,
        result=Started,
        permission="js_worker:run_defined_js_worker in the scope of the name",
        handler=run,
    ),
    Method(
        name="js-worker_list_all_js_worker",
        summary="The names of the scripts that the token may list.",
        params=Token,
        result=list[str],
        permission="js_worker:list_all_js_worker in the scope of each name",
        handler=list_all,
    ),
    Method(
        name="js-worker_get_rt_pool",
        summary="The scripts that this node is running now.",
        params=Token,
        result=PoolShown,
        permission="node_get:get_rt_pool, globally",
        handler=pool,
    ),
)
