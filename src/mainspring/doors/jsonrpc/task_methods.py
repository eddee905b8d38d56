"""`task_*`: asking agents to do something, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mainspring.core import agents, task_types
from mainspring.core.agents_model import RUNNING, AskedTasks, Ended, Task
from mainspring.core.agents_ports import AgentHub, AgentStream
from mainspring.core.errors import Invalid
from mainspring.core.limits import RPC_ROWS_DEFAULT, RPC_ROWS_MAX
from mainspring.core.permissions import EVERYWHERE, Permission, Scope, agent, scope_covers, uuid_of
from mainspring.core.tokens import BOOTSTRAP_PROJECT
from mainspring.doors.jsonrpc import task_conditions
from mainspring.doors.jsonrpc.credentials import TokenPrincipal
from mainspring.doors.jsonrpc.errors import RpcError, denied, invalid_params, wrong
from mainspring.doors.jsonrpc.method import Call, Method
from mainspring.doors.jsonrpc.task_conditions import Conditions

REGISTER = "task_register_task"
LISTEN = Permission("task", "listen")
WAIT_MS_MAX = 300_000
# Kinds that tokens made before there were such tasks cannot name: without the right to read them, they are left out.
LATER = ("version", "dns", "self_update")

TaskType = Annotated[
    Raw,
    msgspec.Meta(
        description="What is to be done: one member named by its kind, or the kind alone where it takes nothing.",
        extra_json_schema={
            "examples": [
                {"ping": "www.example.com"},
                {"tcp_ping": "www.example.com:443"},
                {"execute": {"cmd": "ls", "args": ["-1"]}},
                "ip",
            ]
        },
    ),
]


class NewTask(msgspec.Struct, frozen=True):
    """What an agent is to do."""

    token: str
    target_uuid: str
    task_type: TaskType


class AwaitedTask(msgspec.Struct, frozen=True):
    """What an agent is to do, and for how many ms its result is waited for; at most 300,000."""

    token: str
    target_uuid: str
    task_type: TaskType
    timeout_ms: Annotated[int, msgspec.Meta(ge=0)]


class Created(msgspec.Struct, frozen=True):
    """The task."""

    id: int


class Registration(msgspec.Struct, frozen=True):
    """Which agent listens."""

    token: str
    uuid: str


class Response(msgspec.Struct, frozen=True):
    """What came of a task. `timestamp`: ms by the agent's clock."""

    task_id: int
    agent_uuid: str
    task_token: str
    timestamp: int
    success: bool
    error_message: str | None = None
    task_event_result: Raw | UnsetType = UNSET


class Upload(msgspec.Struct, frozen=True):
    """What came of a task, from the agent that did it."""

    token: str
    task_response: Response


class Query(msgspec.Struct, frozen=True):
    """Which tasks are meant."""

    condition: Conditions


class About(msgspec.Struct, frozen=True):
    """Who asks, and for which."""

    token: str
    task_data_query: Query


class Doomed(msgspec.Struct, frozen=True):
    """Who deletes, and which."""

    token: str
    conditions: Conditions


class Shown(msgspec.Struct, frozen=True):
    """One task; `timestamp`, `success` and `task_event_result` are null while it runs."""

    task_id: int
    uuid: str
    cron_source: str | None
    timestamp: int | None
    success: bool | None
    error_message: str | None
    task_event_type: TaskType
    task_event_result: Raw | None


class Deleted(msgspec.Struct, frozen=True):
    """How many went."""

    success: bool
    deleted: int
    condition_count: int


class Unsubscribing(msgspec.Struct, frozen=True):
    """Which subscription is to end."""

    subscription: int


async def create(call: Call[NewTask]) -> Created:
    """Ask an agent that is there to do something."""
    given = call.params
    return Created(await _created(call, given.token, given.target_uuid, given.task_type, ("create",)))


async def create_blocking(call: Call[AwaitedTask]) -> Response:
    """Ask an agent to do something and wait for what comes of it."""
    given = call.params
    number = await _created(call, given.token, given.target_uuid, given.task_type, ("create", "read"))
    timeout = min(given.timeout_ms, WAIT_MS_MAX)
    task = await _hub(call).result_of(number, timeout)
    if task is None:
        raise _not_there(uuid(given.target_uuid))
    if task.ended_at is None or task.success is None:
        raise wrong("other", f"Task {number} timed out after {timeout}ms")
    result = Raw(b"null") if task.result is None else Raw(task.result.encode())
    return Response(number, task.uuid, task.token, task.ended_at, task.success, task.error, result)


async def _created(call: Call[Any], token: str, target: str, task_type: Raw, actions: tuple[str, ...]) -> int:
    """The number of the new task. Raises `RpcError`."""
    target = uuid(target)
    try:
        kind, task = task_types.read(msgspec.json.decode(task_type))
    except (Invalid, msgspec.DecodeError, RecursionError) as error:
        raise invalid_params(str(error)) from None
    for action in actions:
        if not await call.allows(token, (agent(target),), (Permission("task", action, kind),)):
            raise denied(f"Missing Task {action.capitalize()} ({kind}) permission for this Agent")
    if kind == "execute" and not task["execute"]["cmd"].strip():
        raise wrong("input", "Execute cmd cannot be empty")
    number = await agents.create(call.core, call.now, BOOTSTRAP_PROJECT, target, kind, task, call.dice(16))
    if number is None:
        raise _not_there(target)
    return number


def _not_there(target: str) -> RpcError:
    return wrong("agent", f"Error sending task event: Agent {target} is not connected")


async def register(call: Call[Registration]) -> int:
    """Send the tasks of an agent here from now on; where they went before, no more."""
    name = uuid(call.params.uuid)
    if not await call.allows(call.params.token, (agent(name),), (LISTEN,)):
        raise denied("Missing Task Listen permission for this Agent")
    assert call.session is not None, "only over a socket"
    hub = _hub(call)
    opened: list[AgentStream] = []

    def ended() -> None:
        for one in opened:
            hub.detach(name, one)

    stream = call.session.subscribe(REGISTER, ended)
    opened.append(stream)
    try:
        await hub.attach(name, stream)
    except BaseException:
        stream.end()
        raise
    return stream.id


async def unregister(call: Call[Unsubscribing]) -> bool:
    """Send no more tasks there."""
    assert call.session is not None, "only over a socket"
    return call.session.unsubscribe(call.params.subscription)


async def upload(call: Call[Upload]) -> Created:
    """Keep what came of a task; the first result stays."""
    given = call.params.task_response
    name = uuid(given.agent_uuid)
    principal = await call.principal(call.params.token)
    if not _may_write(principal, call.now, agent(name)):
        raise denied("Missing Task Write permission for this Agent")
    task = await call.core.store.agents.task(given.task_id) if 0 < given.task_id < RUNNING else None
    if task is None or task.uuid != name or task.token != given.task_token:
        raise wrong("not_found", "Task validation failed: Invalid ID, UUID, or Token")
    if task.success is not None:
        raise wrong("input", "Task result has already been uploaded")
    if not principal.allows(call.now, (agent(name),), (Permission("task", "write", task.kind),)):
        raise denied(f"Missing Task Write ({task.kind}) permission for this Agent")
    result = given.task_event_result
    text = None if result is UNSET or bytes(result).strip() == b"null" else bytes(result).decode()
    at = max(0, min(given.timestamp, RUNNING - 1))
    if not await _hub(call).ended(Ended(task.number, at, given.success, given.error_message, text)):
        raise wrong("input", "Task result has already been uploaded")
    return Created(task.number)


def _may_write(principal: TokenPrincipal, now: int, where: Scope) -> bool:
    """Whether it may write results of some kind there."""
    if principal.is_super:
        return True
    if principal.is_early(now) or principal.is_late(now):
        return False
    return any(
        any(scope_covers(scope, where) for scope in limit.scopes)
        and any(one.group == "task" and one.action == "write" for one in limit.permissions)
        for limit in principal.limits
    )


async def query(call: Call[About]) -> list[Shown]:
    """Oldest first, or with a limit the newest so many, newest first; 1,000 unless it says otherwise."""
    asked = task_conditions.read(call.params.task_data_query.condition, RPC_ROWS_DEFAULT)
    asked = await _permitted(call, call.params.token, asked, "read")
    asked = msgspec.structs.replace(asked, limit=min(asked.limit, RPC_ROWS_MAX))
    return [_shown(one) for one in await agents.query(call.core, asked)]


async def delete(call: Call[Doomed]) -> Deleted:
    """All of them, or the newest so many."""
    given = call.params.conditions
    asked = await _permitted(call, call.params.token, task_conditions.read(given, RUNNING), "delete")
    deleted = await agents.delete(call.core, asked)
    return Deleted(success=True, deleted=deleted, condition_count=len(given))


async def _permitted(call: Call[Any], token: str, asked: AskedTasks, action: str) -> AskedTasks:
    """What the token may see of what is asked for. Raises `RpcError` when it may not ask."""
    principal = await call.principal(token)
    where = (EVERYWHERE if asked.uuid is None else agent(asked.uuid),)

    def may(kind: str) -> bool:
        return principal.allows(call.now, where, (Permission("task", action, kind),))

    needed = [kind for kind in task_types.KINDS if kind not in LATER] if asked.kind is None else [asked.kind]
    if not all(map(may, needed)):
        raise denied(f"Insufficient permissions to {action} requested task types")
    hidden = () if asked.kind is not None else tuple(kind for kind in LATER if not may(kind))
    return msgspec.structs.replace(asked, hidden=hidden)


def _shown(task: Task) -> Shown:
    return Shown(
        task_id=task.number,
        uuid=task.uuid,
        cron_source=task.cron_source,
        timestamp=task.ended_at,
        success=task.success,
        error_message=task.error,
        task_event_type=Raw(task.task.encode()),
        task_event_result=None if task.result is None else Raw(task.result.encode()),
    )


def uuid(text: str) -> str:
    """A UUID in its usual form. Raises `RpcError`."""
    try:
        return uuid_of(text)
    except Invalid as invalid:
        raise invalid_params(invalid.message) from None


def _hub(call: Call[Any]) -> AgentHub:
    assert call.core.agents is not None, "whoever answers calls has one"
    return call.core.agents


METHODS = (
    Method(
        name="task_create_task",
        summary="Ask an agent that is there to do something.",
        params=NewTask,
        result=Created,
        permission="task:create of the kind of task, for the agent",
        handler=create,
        errors_twice=True,
    ),
    Method(
        name="task_create_task_blocking",
        summary="Ask an agent to do something and wait for what comes of it.",
        params=AwaitedTask,
        result=Response,
        permission="task:create and task:read of the kind of task, for the agent",
        handler=create_blocking,
        errors_twice=True,
        waits=True,
    ),
    Method(
        name=REGISTER,
        summary="Listen for the tasks of an agent; the newest registration gets them.",
        params=Registration,
        result=int,
        permission="task:listen for the agent",
        handler=register,
        over_socket=True,
        counted=False,
    ),
    Method(
        name="task_unregister_task",
        summary="Listen no more.",
        params=Unsubscribing,
        result=bool,
        permission=None,
        handler=unregister,
        over_socket=True,
    ),
    Method(
        name="task_upload_task_result",
        summary="Say what came of a task.",
        params=Upload,
        result=Created,
        permission="task:write of the kind of task, for the agent",
        handler=upload,
        counted=False,
    ),
    Method(
        name="task_query",
        summary="Tasks and what came of them.",
        params=About,
        result=list[Shown],
        permission="task:read of the kind of task, or of all kinds, for the agent named, else globally",
        handler=query,
        errors_twice=True,
    ),
    Method(
        name="task_delete",
        summary="Delete tasks; with a limit, the newest so many.",
        params=Doomed,
        result=Deleted,
        permission="task:delete of the kind of task, or of all kinds, for the agent named, else globally",
        handler=delete,
        errors_twice=True,
    ),
)
