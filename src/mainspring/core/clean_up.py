"""Trims what grows with every fire, as limits among the keys and values say.

A limit is how far what stays may lie behind the newest, not behind now: who has been idle keeps his newest.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import msgspec

from mainspring.core import agents
from mainspring.core.ports import Core

GLOBAL = "global"
RESULT_LIMIT = "database_limit_crontab_result"
TASK_LIMIT = "database_limit_task"
_WHOLE = re.compile(r"\s*([0-9]{1,18})\s*", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Trim = Callable[[Core, str, int], Awaitable[int]]
"""Delete an agent's rows that lie more than so many ms behind its newest one; how many went."""

# What is trimmed per agent: the key of its limit → how.
TRIMMED: dict[str, Trim] = {TASK_LIMIT: agents.trim}


class Counts(msgspec.Struct, frozen=True):
    """How many rows went."""

    task: int = 0
    crontab_result: int = 0

    @property
    def message(self) -> str:
        """As it is written down, in the words that clients know. Of reports only the last is kept: there is nothing to
        delete."""
        return (
            "数据库清理完成。已删除：static_monitoring=0，dynamic_monitoring=0，"
            f"task={self.task}，crontab_result={self.crontab_result}"
        )


async def clean_up(core: Core) -> Counts:
    """Trim everything that has a limit."""
    tasks = 0
    for key, trim in TRIMMED.items():
        for namespace, value in await core.store.kv.of_key(key):
            limit = _limit_of(value)
            if limit is not None and _UUID.fullmatch(namespace):
                tasks += await trim(core, namespace.lower(), limit)
    return Counts(tasks, await _trim_results(core))


async def _trim_results(core: Core) -> int:
    limits = [_limit_of(value) for namespace, value in await core.store.kv.of_key(RESULT_LIMIT) if namespace == GLOBAL]
    newest = await core.store.crontab_results.newest()
    if not limits or limits[0] is None or newest is None:
        return 0
    before, deleted = newest - limits[0], 0
    while went := await core.store.crontab_results.trim(before):
        deleted += went
    return deleted


def _limit_of(value: str) -> int | None:
    """Milliseconds, from a JSON number or a text of one; None for anything else."""
    found = msgspec.json.decode(value)
    if isinstance(found, str) and (whole := _WHOLE.fullmatch(found)):
        return int(whole[1])
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 60:
        return found
    return int(found) if isinstance(found, float) and 0 <= found < 1 << 60 else None
