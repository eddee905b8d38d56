"""What the screens about agents ask of the store."""

from __future__ import annotations

from typing import Protocol

import msgspec


class SeenAgent(msgspec.Struct, frozen=True):
    """One agent as it was last seen. Instants are ms; those of its reports and results are by its own clock.

    `node` and `seen_at` are set while some node holds its socket. `summary`: JSON text of its last summary; `version`:
    likewise, the result of its last task that asked for it, if that is among its last ones. `task_…`: the last task
    that has ended; `task_asked_at` is by the server's clock.
    """

    uuid: str
    known_at: int
    node: int | None
    seen_at: int | None
    reported_at: int | None
    summary: str | None
    version: str | None
    task_kind: str | None
    task_asked_at: int | None
    task_ended_at: int | None
    task_success: bool | None


class NamingSchedule(msgspec.Struct, frozen=True):
    """A schedule that has tasks for an agent."""

    id: int
    name: str
    cron_expr: str
    paused: bool


class AgentViews(Protocol):
    """Reads about agents, as `store/views/agents.py` makes them."""

    async def page(self, now: int, search: str, online: bool | None, after: str, limit: int) -> list[SeenAgent]:
        """In the order of their UUIDs, from behind `after` on; those that have `search` in theirs."""
        ...

    async def one(self, now: int, uuid: str) -> SeenAgent | None: ...

    async def counts(self, now: int) -> tuple[int, int]:
        """How many are known, how many are online."""
        ...

    async def schedules(self, project: str, uuid: str, limit: int) -> list[NamingSchedule]: ...
