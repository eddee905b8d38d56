"""Scripts: which there are; one to read, change, try out, delete."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from mainspring.core import scripts
from mainspring.core.errors import Conflict, Invalid, NotFound, Refused, TooLarge
from mainspring.core.limits import (
    SCRIPT_HEAP_DEFAULT,
    SCRIPT_RUN_DEFAULT,
    SCRIPT_STACK_DEFAULT,
)
from mainspring.core.script_trials import Trial, try_out
from mainspring.core.scripts_model import Script
from mainspring.core.views.scripts import AskedPage
from mainspring.doors.console.routing import Page
from mainspring.doors.console.settings_rights import only_admins
from mainspring.doors.console.visit import Visit

PAGE = 50
RESULTS_SHOWN = 10
MIB = 1024 * 1024
EXAMPLE = """\
export default {
  // Runs when somebody calls the script: here, by js-worker_run, or from a schedule as onCron.
  async onCall(params, env, ctx) {
    console.log("called with", params);
    return { hello: params?.name ?? "world", script: ctx.workerName };
  },
};
"""
TEXTS = ("success", "failure", "running", "call", "cron", "route", "inline call")
# What the core's refusals call the fields of the form.
_FIELDS = {
    "js_worker name": "name",
    "route_name": "route",
    "runtime_clean_time": "clean",
    "max_run_time": "run",
    "max_stack_size": "stack",
    "max_heap_size": "heap",
    "env ": "env",
    "JavaScript": "source",
    "the script": "source",
}


async def page(visit: Visit) -> Response:
    """All of them, page by page."""
    only_admins(visit)
    search, after = visit.query.get("q", "").strip().replace("\0", ""), visit.query.get("cursor", "").replace("\0", "")
    found = await visit.core.store.views.scripts.page(visit.now, search, after, PAGE + 1)
    return visit.show(
        "scripts.html",
        rows=[(one, path_of(one.name)) for one in found[:PAGE]],
        q=search,
        filters={"q": search, "cursor": after},
        next_cursor=found[PAGE - 1].name if len(found) > PAGE else None,
        defaults=(SCRIPT_RUN_DEFAULT, SCRIPT_STACK_DEFAULT, SCRIPT_HEAP_DEFAULT),
        example=EXAMPLE,
    )


async def blank(visit: Visit) -> Response:
    """A new one to write."""
    only_admins(visit)
    return _editor(visit, None, {"source": EXAMPLE})


async def add(visit: Visit) -> Response:
    """Keep a new one."""
    only_admins(visit)
    try:
        made = await scripts.create(visit.core, visit.now, _draft(visit.form, visit.form.get("name", "").strip()))
    except (Invalid, TooLarge, Conflict) as fault:
        return _editor(visit, None, visit.form, fault)
    except Refused as fault:
        return _not_compiled(visit, None, fault)
    return visit.back(path_of(made.name), "The script {name} is saved", name=made.name)


async def detail(visit: Visit) -> Response:
    """One of them."""
    only_admins(visit)
    script = await scripts.find(visit.core, visit.path["name"])
    return await _show(visit, script, typed_of(visit, script))


async def act(visit: Visit) -> Response:
    """Save it, try it out, or delete it."""
    only_admins(visit)
    name = visit.path["name"]
    match visit.form.get("do"):
        case "save":
            return await _save(visit, name)
        case "call":
            return await _call(visit, name)
        case "delete":
            await scripts.delete(visit.core, name)
            return visit.back("/scripts", "The script {name} is deleted; its results stay", name=name)
        case _:
            raise NotFound("there is no such action")


async def _save(visit: Visit, name: str) -> Response:
    try:
        await scripts.update(visit.core, visit.now, _draft(visit.form, name))
    except (Invalid, TooLarge, Conflict) as fault:
        return await _show(visit, await scripts.find(visit.core, name), visit.form, fault)
    except NotFound:
        raise
    except Refused as fault:
        return _not_compiled(visit, await scripts.find(visit.core, name), fault)
    return visit.back(path_of(name), "The script {name} is saved", name=name)


async def _call(visit: Visit, name: str) -> Response:
    script = await scripts.find(visit.core, name)
    params = visit.form.get("params", "").strip() or "null"
    try:
        trial = await try_out(visit.core, visit.clock, name, params.encode("utf-8", "replace"))
    except (Invalid, TooLarge) as fault:
        return await _show(visit, script, typed_of(visit, script) | {"params": params}, fault)
    return await _show(visit, script, typed_of(visit, script) | {"params": params}, trial=trial)


async def _show(
    visit: Visit, script: Script, typed: dict[str, str], fault: Refused | None = None, trial: Trial | None = None
) -> Response:
    asked = AskedPage(name=script.name, limit=RESULTS_SHOWN)
    results = await visit.core.store.views.scripts.results(visit.now, asked)
    return _editor(visit, script, typed, fault, trial=trial, results=results)


def _editor(
    visit: Visit,
    script: Script | None,
    typed: dict[str, str],
    fault: Refused | None = None,
    **more: Any,
) -> Response:
    return visit.show(
        "script.html",
        200 if fault is None else 422,
        script=script,
        path=None if script is None else path_of(script.name),
        typed=typed,
        fault=fault,
        field=None if fault is None else _field_of(fault),
        defaults=(SCRIPT_RUN_DEFAULT // 1000, SCRIPT_STACK_DEFAULT / MIB, SCRIPT_HEAP_DEFAULT // MIB),
        route=f"{visit.base.removesuffix('/console')}/worker-route/",
        **{"trial": None, "results": (), **more},
    )


def _not_compiled(visit: Visit, script: Script | None, fault: Refused) -> Response:
    """A script that is no JavaScript, with what was typed; any other refusal is not for this page."""
    if not fault.message.startswith("JavaScript"):
        raise fault
    return _editor(visit, script, visit.form, fault)


def _field_of(fault: Refused) -> str:
    if fault.field is not None:
        return _FIELDS.get(fault.field, fault.field)
    if isinstance(fault, Conflict):
        return "name"
    return next((field for start, field in _FIELDS.items() if fault.message.startswith(start)), "source")


def typed_of(visit: Visit, script: Script) -> dict[str, str]:
    """A script as its form shows it: seconds and MiB where it is stored in ms and bytes."""
    env = scripts.env_of(visit.core, script.env)
    return {
        "source": script.source.decode("utf-8", "replace"),
        "description": script.description or "",
        "route": script.route or "",
        "env": "" if env is None else env.decode("utf-8", "replace"),
        "run": "" if script.run_ms is None else f"{script.run_ms / 1000:g}",
        "stack": "" if script.stack is None else f"{script.stack / MIB:g}",
        "heap": "" if script.heap is None else f"{script.heap / MIB:g}",
        "clean": "" if script.clean_ms is None else str(script.clean_ms),
    }


def _draft(form: dict[str, str], name: str) -> scripts.Draft:
    return scripts.Draft(
        name=name,
        source=form.get("source", "").encode("utf-8", "replace"),
        description=form.get("description", "").strip().replace("\0", "") or None,
        route=form.get("route", "").strip() or None,
        env=_env(form.get("env", "").strip()),
        clean_ms=_number(form, "clean", 1),
        run_ms=_number(form, "run", 1000),
        stack=_number(form, "stack", MIB),
        heap=_number(form, "heap", MIB),
    )


def _env(text: str) -> bytes | None:
    if not text:
        return None
    try:
        said = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"the environment is no JSON: {error}", field="env") from None
    if "\0" in text or not isinstance(said, dict):
        raise Invalid("the environment is a JSON object", hint='Write it like {"KEY": "value"}.', field="env")
    return text.encode("utf-8", "replace")


def _number(form: dict[str, str], name: str, unit: int) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        value = round(float(text) * unit)
    except (ValueError, OverflowError):
        raise Invalid(f"that is no number: {text[:40]!r}", field=name) from None
    return value


def path_of(name: str) -> str:
    """Where a script is, within the console."""
    return f"/scripts/{quote(name, safe='')}"


PAGES = (
    Page("GET", "/scripts", page),
    Page("GET", "/scripts/-/new", blank),
    Page("POST", "/scripts/-/new", add),
)
# After the pages of results: names may have any letter, a slash too.
PAGES_BY_NAME = (
    Page("GET", "/scripts/{name:path}", detail),
    Page("POST", "/scripts/{name:path}", act),
)
