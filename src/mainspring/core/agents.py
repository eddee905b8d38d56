"""What agents are asked to do: made as runs in the lane of the agent, found again, trimmed."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.core import cron_types
from mainspring.core.agents_model import AskedTasks, NewTask, Task
from mainspring.core.cron_types import AgentJob
from mainspring.core.errors import Invalid, TooLarge
from mainspring.core.limits import CRON_TYPE_BYTES_MAX
from mainspring.core.permissions import variant_of
from mainspring.core.ports import Core

TOKEN_CHARS = 10
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def task_token(dice: bytes) -> str:
    """What an agent shows to say what came of a task: 10 letters and digits, from 16 random bytes or more."""
    number, letters = int.from_bytes(dice), []
    for _ in range(TOKEN_CHARS):
        number, at = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[at])
    return "".join(letters)


def task_of(payload: bytes) -> str | None:
    """The task, as JSON text, in what a target holds; None when that cannot be read."""
    try:
        job = cron_types.read(msgspec.json.decode(payload))
    except (Invalid, msgspec.DecodeError, RecursionError):
        return None
    return msgspec.json.encode(job.task).decode() if isinstance(job, AgentJob) else None


def kind_of(task: str) -> str:
    """The kind of a task that is given as JSON text."""
    return variant_of(msgspec.json.decode(task))[0]


async def create(core: Core, now: int, project: str, uuid: str, kind: str, task: Any, dice: bytes) -> int | None:
    """Ask an agent to do something: the task's number; None, and nothing is kept, when the agent is not there. Raises
    `TooLarge`."""
    job = AgentJob((uuid,), kind, task)
    payload = msgspec.json.encode(job.shown)
    if len(payload) > CRON_TYPE_BYTES_MAX:
        raise TooLarge(f"the task has {len(payload)} bytes", hint=f"At most {CRON_TYPE_BYTES_MAX}.")
    if not await core.store.agents.is_there(now, uuid):
        return None
    text = msgspec.json.encode(task).decode()
    address = cron_types.address_of(job)
    item = NewTask(project, uuid, task_token(dice), kind, text, address, payload)
    number = await core.store.agents.create(now, item)
    core.wakeup.dispatcher()
    return number


async def query(core: Core, asked: AskedTasks) -> list[Task]:
    """Those that are asked for."""
    return [] if asked.impossible else await core.store.agents.page(asked)


async def delete(core: Core, asked: AskedTasks) -> int:
    """Delete them; how many there were."""
    left, deleted = asked.limit, 0
    while left > 0 and not asked.impossible:
        went = await core.store.agents.delete(msgspec.structs.replace(asked, limit=left))
        if not went:
            break
        left, deleted = left - went, deleted + went
    return deleted


async def trim(core: Core, uuid: str, limit: int) -> int:
    """Delete an agent's tasks that ended more than so many ms before its newest one; how many went."""
    newest = await core.store.agents.newest(uuid)
    if newest is None:
        return 0
    deleted = 0
    while went := await core.store.agents.trim(uuid, newest - limit):
        deleted += went
    return deleted
