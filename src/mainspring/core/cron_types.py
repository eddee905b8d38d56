"""What a crontab does: a task on agents, or something on the server; and what a token needs for it. Pure."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, assert_never

import msgspec

from mainspring.core import permissions, task_types
from mainspring.core.errors import Invalid
from mainspring.core.permissions import EVERYWHERE, Permission, Scope, unknown_variant, variant_of
from mainspring.core.urls import OWN_SCHEME

Lane = Literal["agents", "script", "server"]
AGENTS: Lane = "agents"
SCRIPT: Lane = "script"
SERVER: Lane = "server"
CLEAN_UP = "clean_up_database"

WRITE = Permission("crontab", "write")
DELETE = Permission("crontab", "delete")
RUN_SCRIPT = Permission("js_worker", "run_defined_js_worker")


class AgentJob(msgspec.Struct, frozen=True):
    """A task for each of these agents, as often as it is named."""

    uuids: tuple[str, ...]
    kind: str
    task: Any

    @property
    def shown(self) -> Any:
        return {"agent": [list(self.uuids), {"task": self.task}]}


class CleanUp(msgspec.Struct, frozen=True):
    """Trims what grows, as the limits among the keys and values say."""

    @property
    def shown(self) -> Any:
        return {"server": CLEAN_UP}


class ScriptJob(msgspec.Struct, frozen=True):
    """Runs a stored script with these parameters."""

    script: str
    params: Any

    @property
    def shown(self) -> Any:
        return {"server": {"js_worker": [self.script, self.params]}}


Job = AgentJob | CleanUp | ScriptJob


def read(value: Any) -> Job:
    """What a `cron_type` says. Raises `Invalid`."""
    kind, content = variant_of(value)
    match kind:
        case "agent":
            return _agent_job(content)
        case "server":
            return _server_job(content)
        case _:
            raise unknown_variant(kind, ("agent", "server"))


def _agent_job(content: Any) -> AgentJob:
    if not isinstance(content, list) or len(content) != 2:
        raise Invalid("invalid type: agent expects a list of UUIDs and a task")
    uuids, task = content
    if not isinstance(uuids, list) or not all(isinstance(one, str) for one in uuids):
        raise Invalid("invalid type: agent expects a list of UUIDs")
    name, asked = variant_of(task)
    if name != "task":
        raise unknown_variant(name, ("task",))
    kind, kept = task_types.read(asked)
    return AgentJob(tuple(map(permissions.uuid_of, uuids)), kind, kept)


def _server_job(content: Any) -> CleanUp | ScriptJob:
    name, value = variant_of(content)
    match name:
        case "clean_up_database":
            if value is not None:
                raise Invalid("invalid type: clean_up_database takes nothing")
            return CleanUp()
        case "js_worker":
            if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
                raise Invalid("invalid type: js_worker expects a name and parameters")
            return ScriptJob(value[0], value[1])
        case _:
            raise unknown_variant(name, (CLEAN_UP, "js_worker"))


def address_of(job: Job) -> str:
    """What REST and the console show as the target."""
    match job:
        case AgentJob():
            return f"{OWN_SCHEME}agent/{job.kind}"
        case CleanUp():
            return f"{OWN_SCHEME}server/{CLEAN_UP}"
        case ScriptJob():
            return f"{OWN_SCHEME}server/js_worker"
        case _ as never:
            assert_never(never)


def lane_of(job: Job) -> Lane:
    """Who serves it."""
    match job:
        case AgentJob():
            return AGENTS
        case CleanUp():
            return SERVER
        case ScriptJob():
            return SCRIPT
        case _ as never:
            assert_never(never)


def agent_lane(uuid: str) -> str:
    """The lane of the runs for one agent."""
    return f"agent:{uuid}"


def scopes_of(job: Job | None) -> tuple[Scope, ...]:
    """Where a crontab belongs: to its agents, else to the whole; None stands for what other doors made."""
    if isinstance(job, AgentJob) and job.uuids:
        return tuple(permissions.agent(one) for one in dict.fromkeys(job.uuids))
    return (EVERYWHERE,)


class Needed(NamedTuple):
    """All of these permissions in all of these scopes, and what is said when they are missing."""

    scopes: tuple[Scope, ...]
    permissions: tuple[Permission, ...]
    missing: str


def needed_for(job: Job) -> tuple[Needed, ...]:
    """What a token needs to make this a crontab, in the order in which it is asked for."""
    match job:
        case AgentJob() if job.uuids:
            rights = (WRITE, Permission("task", "create", job.kind))
            return (Needed(scopes_of(job), rights, "Insufficient Crontab/Task permissions for all target scopes"),)
        case AgentJob():
            return (Needed((EVERYWHERE,), (WRITE,), "Missing Crontab Write permission for empty agent list"),)
        case CleanUp():
            return (_write_everywhere(),)
        case ScriptJob():
            run = f"Missing js_worker run permission for '{job.script}'"
            return (_write_everywhere(), Needed((Scope("js_worker", job.script),), (RUN_SCRIPT,), run))
        case _ as never:
            assert_never(never)


def _write_everywhere() -> Needed:
    return Needed((EVERYWHERE,), (WRITE,), "Missing crontab write permission in global scope")
