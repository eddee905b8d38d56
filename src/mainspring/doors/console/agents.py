"""Agents: which there are, how each is doing, what it was asked to do."""

from __future__ import annotations

import tomllib
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

from mainspring.core import agents, ids, permissions
from mainspring.core.agents_model import AskedTasks, Task
from mainspring.core.errors import Invalid, NotFound
from mainspring.core.task_types import KINDS
from mainspring.core.views.agents import SeenAgent
from mainspring.doors.console import agent_task
from mainspring.doors.console.agent_reports import Figure, figures_of, groups_of
from mainspring.doors.console.routing import Page
from mainspring.doors.console.settings_rights import only_admins
from mainspring.doors.console.visit import Visit, one_of

PAGE = 50
SCHEDULES_MAX = 50
TASKS = (50, 200, 1_000)
# What a query asks for → `AskedTasks.state`.
STATES = {"failed": 0, "succeeded": 1, "running": 2}
TEXTS = ("online", "offline", "succeeded", "failed", "running")


class Line(msgspec.Struct, frozen=True):
    """One agent in the list, with the main figures of its last summary."""

    agent: SeenAgent
    version: str
    figures: tuple[Figure, ...]

    @property
    def last_seen_at(self) -> int:
        one = self.agent
        return one.seen_at or max(one.known_at, one.reported_at or 0, one.task_ended_at or 0)

    @property
    def took_ms(self) -> int | None:
        """From the server's clock to the agent's, so only as right as they agree."""
        if self.agent.task_ended_at is None or self.agent.task_asked_at is None:
            return None
        return max(0, self.agent.task_ended_at - self.agent.task_asked_at)


async def page(visit: Visit) -> Response:
    """All of them, page by page."""
    only_admins(visit)
    wanted = one_of(visit.query.get("state"), ("online", "offline")) or ""
    search, after = visit.query.get("q", "").strip().lower(), visit.query.get("cursor", "")
    online = {"online": True, "offline": False}.get(wanted)
    views = visit.core.store.views.agents
    found = await views.page(visit.now, _plain(search), online, _plain(after), PAGE + 1)
    known, there = await views.counts(visit.now)
    return visit.show(
        "agents.html",
        lines=[_line(one) for one in found[:PAGE]],
        known=known,
        there=there,
        state=wanted,
        q=search,
        filters={"state": wanted, "q": search, "cursor": after},
        next_cursor=found[PAGE - 1].uuid if len(found) > PAGE else None,
        address=_address(visit),
    )


async def detail(visit: Visit) -> Response:
    """One of them."""
    return await show(visit, {"kind": "ping"})


async def show(visit: Visit, typed: dict[str, str], fault: Invalid | None = None) -> Response:
    """The page of an agent, with what was typed into its form and what is wrong with it."""
    only_admins(visit)
    uuid = _uuid(visit.path["uuid"])
    views = visit.core.store.views.agents
    seen = await views.one(visit.now, uuid)
    if seen is None:
        raise NotFound("there is no such agent", hint="It becomes known when it connects.")
    wanted = one_of(visit.query.get("state"), STATES) or ""
    kind = one_of(visit.query.get("kind"), KINDS) or ""
    limit = next((one for one in TASKS if str(one) == visit.query.get("limit")), TASKS[0])
    asked = AskedTasks(uuid=uuid, state=STATES.get(wanted), kind=kind or None, limit=limit + 1, newest=True)
    tasks = await agents.query(visit.core, asked)
    kept = visit.core.store.agents
    static = (await kept.reports("static", [uuid])).get(uuid)
    dynamic = (await kept.reports("dynamic", [uuid])).get(uuid) or (await kept.reports("dynamic_summary", [uuid])).get(
        uuid
    )
    return visit.show(
        "agent.html",
        200 if fault is None else 422,
        line=_line(seen),
        allowed=await _allowed(visit, uuid),
        machine=None if static is None else (static[0], groups_of(static[1])),
        dynamic=None if dynamic is None else (dynamic[0], groups_of(dynamic[1])),
        schedules=[
            (one, ids.text("cron", one.id)) for one in await views.schedules(visit.project, uuid, SCHEDULES_MAX)
        ],
        tasks=[(one, target_of(one), said_of(one)) for one in tasks[:limit]],
        more=next((one for one in TASKS if one > limit), None) if len(tasks) > limit else None,
        state=wanted,
        kind=kind,
        kinds=KINDS,
        limit=limit,
        forms=agent_task.FORMS,
        typed=typed,
        fault=fault,
    )


async def ask(visit: Visit) -> Response:
    """Have an agent do something."""
    only_admins(visit)
    uuid = _uuid(visit.path["uuid"])
    try:
        number = await agent_task.create(visit, uuid)
    except Invalid as fault:
        return await show(visit, visit.form, fault)
    return visit.back(f"/agents/{uuid}", "Task {number} is on its way to the agent", number=number)


async def _allowed(visit: Visit, uuid: str) -> list[str] | None:
    """The kinds that an agent said it does, when its configuration was last read; None when it never was."""
    asked = AskedTasks(uuid=uuid, kind="read_config", state=STATES["succeeded"], limit=1, newest=True)
    found = await agents.query(visit.core, asked)
    if not found:
        return None
    try:
        said = msgspec.json.decode(found[0].result or "null")
        servers = tomllib.loads(said["read_config"])["server"]
        return sorted({kind for one in servers if one.get("allow_task") for kind in _of_server(one)})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _of_server(one: dict[str, Any]) -> list[str]:
    named = one.get("allow_task_type")
    if isinstance(named, list) and named:
        return [str(kind) for kind in named]
    switches = {"icmp_ping": "ping"}
    allowed = [
        name.removeprefix("allow_") for name, value in one.items() if name.startswith("allow_") and value is True
    ]
    return [kind for name in allowed if (kind := switches.get(name, name)) in KINDS]


def target_of(task: Task) -> str:
    """What a task is about, in a line."""
    try:
        content = msgspec.json.decode(task.task)
    except msgspec.DecodeError:
        return task.task
    inner = content.get(task.kind) if isinstance(content, dict) else None
    match inner:
        case None:
            return ""
        case str():
            return inner
        case {"cmd": cmd, "args": list(args)}:
            return " ".join(map(str, (cmd, *args)))
        case {"url": url, "method": method}:
            return f"{method} {url}"
        case {"domain": domain, "record_types": list(types)}:
            return f"{domain} {' '.join(map(str, types))}"
        case _:
            return msgspec.json.encode(inner).decode()


def said_of(task: Task) -> str | None:
    """What came of a task: what it says where that is a text, else its JSON."""
    try:
        content = msgspec.json.decode(task.result or "null")
    except (msgspec.DecodeError, RecursionError):
        return task.result
    match content:
        case {task.kind: str() as text}:
            return text
        case _:
            return task.result


def _line(seen: SeenAgent) -> Line:
    version = ""
    if seen.version is not None:
        try:
            said = msgspec.json.decode(seen.version)
            said = said.get("version", said)
            version = str(said.get("cargo_version", "")) if isinstance(said, dict) else str(said)
        except (msgspec.DecodeError, AttributeError):
            version = ""
    return Line(seen, version, figures_of(seen.summary))


def _uuid(text: str) -> str:
    try:
        return permissions.uuid_of(text)
    except Invalid:
        raise NotFound("there is no such agent", hint="Its address has the UUID of an agent.") from None


def _plain(text: str) -> str:
    return text.replace("\0", "")


def _address(visit: Visit) -> str:
    """Under which address agents reach this server, as far as this page's own address says."""
    scheme = "wss" if visit.request.url.scheme == "https" else "ws"
    host = visit.request.headers.get("host") or urlsplit(str(visit.request.url)).netloc
    return f"{scheme}://{host}{visit.base.removesuffix('/console')}/"


PAGES = (
    Page("GET", "/agents", page),
    Page("GET", "/agents/{uuid}", detail),
    Page("POST", "/agents/{uuid}/tasks", ask),
)
