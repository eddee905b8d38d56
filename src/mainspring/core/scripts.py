"""Scripts: kept by name, run by name. They belong to no project but the first one."""

from __future__ import annotations

import re

import msgspec

from mainspring.core.errors import Invalid, NotFound, Refused, TooLarge, Unavailable
from mainspring.core.limits import (
    NAME_CHARS_MAX,
    SCRIPT_BYTES_MAX,
    SCRIPT_ENV_BYTES_MAX,
    SCRIPT_HEAP_MAX,
    SCRIPT_HEAP_MIN,
    SCRIPT_RESULT_BYTES_MAX,
    SCRIPT_RUN_MAX,
    SCRIPT_STACK_MAX,
    SCRIPT_STACK_MIN,
)
from mainspring.core.ports import Core
from mainspring.core.script_results_model import AskedResults, NewScriptResult, ScriptResult
from mainspring.core.scripts_model import RunType, Sandbox, Script

ENV_PURPOSE = "script environment"
NO_ENV = b"{}"
_ROUTE = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,128}")


class Draft(msgspec.Struct, frozen=True):
    """A script as somebody wants it kept. `env`: JSON, None for none; limits that are None are the defaults."""

    name: str
    source: bytes
    description: str | None = None
    route: str | None = None
    env: bytes | None = None
    clean_ms: int | None = None
    run_ms: int | None = None
    stack: int | None = None
    heap: int | None = None


def sandbox_of(core: Core) -> Sandbox:
    """What runs scripts. Raises `Unavailable` on a process that runs none."""
    if core.sandbox is None:
        raise Unavailable("this process runs no scripts")
    return core.sandbox


async def create(core: Core, now: int, draft: Draft) -> Script:
    """Keep a new script. Raises `Invalid`, `TooLarge`, `Conflict` for a taken name or route, and `Refused` for one that
    does not compile."""
    return await core.store.scripts.create(now, await _script(core, draft, 0, 0, now, now))


async def update(core: Core, now: int, draft: Draft) -> Script:
    """Replace everything but the name. Raises as `create`, and `NotFound`."""
    before = await find(core, draft.name)
    after = await _script(core, draft, before.id, before.number, before.created_at, now)
    updated = await core.store.scripts.update(after)
    if updated is None:
        raise not_found(draft.name)
    return updated


async def find(core: Core, name: str) -> Script:
    """Raises `NotFound`."""
    found = await core.store.scripts.by_name(name)
    if found is None:
        raise not_found(name)
    return found


async def delete(core: Core, name: str) -> int:
    """How many went; what they have done stays on record. Raises `NotFound`."""
    went = await core.store.scripts.delete(name)
    if not went:
        raise not_found(name)
    return went


def env_of(core: Core, sealed: bytes | None) -> bytes | None:
    """An environment as JSON."""
    return None if sealed is None else core.vault.unseal(sealed, ENV_PURPOSE)


async def start(
    core: Core, now: int, project: str, name: str, run_type: RunType, params: bytes, env: bytes | None
) -> int:
    """Have a script run, as a run of that project, as soon as there is a seat; the number of the record of what becomes
    of it. Raises `NotFound` and `TooLarge`."""
    if len(params) > SCRIPT_RESULT_BYTES_MAX:
        raise TooLarge(f"params have {len(params)} bytes", hint=f"At most {SCRIPT_RESULT_BYTES_MAX}.")
    script = await find(core, name)
    item = NewScriptResult(script.number, script.name, run_type, now, params, _sealed(core, env))
    number = await core.store.script_results.enqueue(now, project, item)
    core.wakeup.dispatcher()
    return number


async def results(core: Core, now: int, asked: AskedResults) -> list[ScriptResult]:
    """Newest first."""
    return [] if asked.impossible else await core.store.script_results.page(now, asked)


async def delete_results(core: Core, now: int, asked: AskedResults) -> int:
    """Delete them; how many there were."""
    left, deleted = asked.limit, 0
    while left > 0 and not asked.impossible:
        went = await core.store.script_results.delete(now, msgspec.structs.replace(asked, limit=left))
        if not went:
            break
        left, deleted = left - went, deleted + went
    return deleted


def not_found(name: str) -> NotFound:
    """The refusal of a name that no script has."""
    return NotFound(f"js_worker not found: {name}")


def _sealed(core: Core, env: bytes | None) -> bytes | None:
    if env is None:
        return None
    if len(env) > SCRIPT_ENV_BYTES_MAX:
        raise TooLarge(f"env has {len(env)} bytes", hint=f"At most {SCRIPT_ENV_BYTES_MAX}.")
    return core.vault.seal(env, ENV_PURPOSE)


async def _script(core: Core, draft: Draft, key: int, number: int, created_at: int, now: int) -> Script:
    _check_name(draft.name)
    if draft.route is not None and not _ROUTE.fullmatch(draft.route):
        raise Invalid("route_name is 1 to 128 of A-Z a-z 0-9 . _ - and not dots alone")
    _check_limit("runtime_clean_time", draft.clean_ms, 0, 1 << 53)
    _check_limit("max_run_time", draft.run_ms, 1, SCRIPT_RUN_MAX)
    _check_limit("max_stack_size", draft.stack, SCRIPT_STACK_MIN, SCRIPT_STACK_MAX)
    _check_limit("max_heap_size", draft.heap, SCRIPT_HEAP_MIN, SCRIPT_HEAP_MAX)
    env = _sealed(core, draft.env)
    await _check_source(core, draft.source)
    return Script(
        id=key,
        number=number,
        name=draft.name,
        description=draft.description,
        source=draft.source,
        route=draft.route,
        env=env,
        clean_ms=draft.clean_ms,
        run_ms=draft.run_ms,
        stack=draft.stack,
        heap=draft.heap,
        created_at=created_at,
        updated_at=now,
    )


def _check_name(name: str) -> None:
    if not name.strip():
        raise Invalid("js_worker name cannot be empty")
    if len(name) > NAME_CHARS_MAX:
        raise Invalid(f"js_worker name too long (max {NAME_CHARS_MAX} chars)")
    if any(one < " " or "\x7f" <= one <= "\x9f" or "\ud800" <= one <= "\udfff" for one in name):
        raise Invalid("js_worker name contains control characters")


def _check_limit(what: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise Invalid(f"{what} is {least} to {most}")


async def _check_source(core: Core, source: bytes) -> None:
    if len(source) > SCRIPT_BYTES_MAX:
        raise TooLarge(f"the script has {len(source)} bytes", hint=f"At most {SCRIPT_BYTES_MAX}.")
    try:
        text = source.decode()
    except UnicodeDecodeError:
        raise Invalid("js_script_base64 does not hold UTF-8") from None
    if "\0" in text:
        raise Invalid("the script contains a NUL")
    wrong = await sandbox_of(core).check(source)
    if wrong is not None:
        raise Refused(f"JavaScript precompile failed: {wrong.strip()}")
