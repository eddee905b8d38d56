"""`agent_*`: what agents report of their machines; of each kind the last report is kept."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mainspring.core.agents_model import RUNNING, Report, ReportKind
from mainspring.core.agents_ports import AgentHub
from mainspring.core.limits import RPC_ROWS_MAX
from mainspring.core.permissions import Permission, agent
from mainspring.doors.jsonrpc.errors import denied, invalid_params
from mainspring.doors.jsonrpc.method import Call, Method
from mainspring.doors.jsonrpc.task_methods import uuid

Data = Annotated[
    Raw,
    msgspec.Meta(
        description="Any object with `uuid` and `time` (ms).",
        extra_json_schema={"type": "object", "required": ["uuid", "time"]},
    ),
]
_GROUPS: dict[ReportKind, str] = {
    "static": "static_monitoring",
    "dynamic": "dynamic_monitoring",
    "dynamic_summary": "dynamic_monitoring_summary",
}
_members = msgspec.json.Decoder(dict[str, Raw])


class StaticReport(msgspec.Struct, frozen=True):
    """What seldom changes; `static_monitoring_data` is another name of `data`."""

    token: str
    data: Data | UnsetType = UNSET
    static_monitoring_data: Data | UnsetType = UNSET


class DynamicReport(msgspec.Struct, frozen=True):
    """What always changes; `dynamic_monitoring_data` is another name of `data`."""

    token: str
    data: Data | UnsetType = UNSET
    dynamic_monitoring_data: Data | UnsetType = UNSET


class SummaryReport(msgspec.Struct, frozen=True):
    """The main figures; `dynamic_monitoring_summary_data` is another name of `data`."""

    token: str
    data: Data | UnsetType = UNSET
    dynamic_monitoring_summary_data: Data | UnsetType = UNSET


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a report."""

    status: Literal["buffered", "skipped"]
    reason: str | None = None


class StaticQuery(msgspec.Struct, frozen=True):
    """Whose reports, and which parts of them."""

    token: str
    uuids: list[str]
    fields: list[Literal["cpu", "system", "gpu"]]


class DynamicQuery(msgspec.Struct, frozen=True):
    """Whose reports, and which parts of them."""

    token: str
    uuids: list[str]
    fields: list[Literal["cpu", "ram", "load", "system", "disk", "network", "gpu"]]


class SummaryQuery(msgspec.Struct, frozen=True):
    """Whose reports, and which figures of them; all when none is named."""

    token: str
    uuids: list[str]
    fields: list[str] = []


class Shown(msgspec.Struct, frozen=True):
    """The last report of one agent: these, and the members that were asked for."""

    uuid: str
    timestamp: int


async def report_static(call: Call[StaticReport]) -> Kept:
    """Keep it, unless it says what the last one said."""
    return await _report(call, "static", call.params.data, call.params.static_monitoring_data)


async def report_dynamic(call: Call[DynamicReport]) -> Kept:
    """Keep it."""
    return await _report(call, "dynamic", call.params.data, call.params.dynamic_monitoring_data)


async def report_summary(call: Call[SummaryReport]) -> Kept:
    """Keep it."""
    return await _report(call, "dynamic_summary", call.params.data, call.params.dynamic_monitoring_summary_data)


async def _report(call: Call[Any], kind: ReportKind, *spellings: Raw | UnsetType) -> Kept:
    given = next((one for one in spellings if not isinstance(one, UnsetType)), None)
    if given is None:
        raise invalid_params("missing field `data`")
    try:
        said = msgspec.json.decode(given)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_params(f"invalid parameter `data`: {error}") from None
    if not isinstance(said, dict) or not isinstance(said.get("uuid"), str):
        raise invalid_params("invalid parameter `data`: an object with `uuid` and `time` is expected")
    name, time = uuid(said["uuid"]), said.get("time")
    if not isinstance(time, int) or isinstance(time, bool) or not 0 <= time < RUNNING:
        raise invalid_params("invalid parameter `data`: `time` is an instant in ms")
    if not await call.allows(call.params.token, (agent(name),), (Permission(_GROUPS[kind], "write"),)):
        raise denied(f"Missing {_GROUPS[kind]} write permission for this Agent")
    if not _hub(call).report(Report(name, kind, time, bytes(given).decode())):
        return Kept("skipped", "duplicate_hash")
    return Kept("buffered")


async def last_static(call: Call[StaticQuery]) -> list[Shown]:
    """The last static report of each of these agents that has made one."""
    return await _last(call, "static", call.params.fields, ("cpu", "system", "gpu"))


async def last_dynamic(call: Call[DynamicQuery]) -> list[Shown]:
    """The last dynamic report of each of these agents that has made one."""
    known = ("cpu", "ram", "load", "system", "disk", "network", "gpu")
    return await _last(call, "dynamic", call.params.fields, known)


async def last_summary(call: Call[SummaryQuery]) -> list[Shown]:
    """The last summary of each of these agents that has made one."""
    return await _last(call, "dynamic_summary", call.params.fields, ())


async def _last(call: Call[Any], kind: ReportKind, fields: list[Any], known: tuple[str, ...]) -> list[Any]:
    """`known`: what there are rights to read of this kind of report; without any, there is one for the whole."""
    if len(call.params.uuids) > RPC_ROWS_MAX:
        raise invalid_params(f"at most {RPC_ROWS_MAX} uuids")
    names = list(dict.fromkeys(map(uuid, call.params.uuids)))
    principal = await call.principal(call.params.token)
    scopes = [agent(name) for name in names]

    def may(*rights: Permission) -> bool:
        return principal.allows(call.now, scopes, rights)

    group = _GROUPS[kind]
    if not known:
        allowed = may(Permission(group, "read"))
    elif fields:
        allowed = may(*(Permission(group, "read", field) for field in fields))
    else:
        allowed = any(may(Permission(group, "read", field)) for field in known)
    if not allowed:
        raise denied(f"Missing {group} read permission for these Agents")
    await _hub(call).flush()
    found = await call.core.store.agents.reports(kind, names)
    return [_shown(name, *found[name], fields, whole=not known) for name in names if name in found]


def _shown(name: str, time: int, data: str, fields: list[str], *, whole: bool) -> dict[str, Any]:
    members = _members.decode(data)
    wanted = (set(members) if whole and not fields else set(fields)) - {"uuid", "time", "timestamp"}
    picked = {field: members[field] for field in members if field in wanted}
    return {"uuid": name, "timestamp": time, **picked}


def _hub(call: Call[Any]) -> AgentHub:
    assert call.core.agents is not None, "whoever answers calls has one"
    return call.core.agents


METHODS = (
    Method(
        name="agent_report_static",
        summary="What seldom changes on an agent's machine.",
        params=StaticReport,
        result=Kept,
        permission="static_monitoring:write for the agent",
        handler=report_static,
        errors_twice=True,
        counted=False,
    ),
    Method(
        name="agent_report_dynamic",
        summary="What always changes on an agent's machine.",
        params=DynamicReport,
        result=Kept,
        permission="dynamic_monitoring:write for the agent",
        handler=report_dynamic,
        errors_twice=True,
        counted=False,
    ),
    Method(
        name="agent_report_dynamic_summary",
        summary="The main figures of an agent's machine.",
        params=SummaryReport,
        result=Kept,
        permission="dynamic_monitoring_summary:write for the agent",
        handler=report_summary,
        errors_twice=True,
        counted=False,
    ),
    Method(
        name="agent_static_data_multi_last_query",
        summary="The last static reports of agents.",
        params=StaticQuery,
        result=list[Shown],
        permission="static_monitoring:read of each part, for each agent",
        handler=last_static,
        errors_twice=True,
    ),
    Method(
        name="agent_dynamic_data_multi_last_query",
        summary="The last dynamic reports of agents.",
        params=DynamicQuery,
        result=list[Shown],
        permission="dynamic_monitoring:read of each part, for each agent",
        handler=last_dynamic,
        errors_twice=True,
    ),
    Method(
        name="agent_dynamic_summary_multi_last_query",
        summary="The last summaries of agents.",
        params=SummaryQuery,
        result=list[Shown],
        permission="dynamic_monitoring_summary:read for each agent",
        handler=last_summary,
        errors_twice=True,
    ),
)
