"""Reads about agents for the screens."""

from __future__ import annotations

from mainspring.core import ids
from mainspring.core.agents_model import RUNNING, STALE
from mainspring.core.views.agents import NamingSchedule, SeenAgent
from mainspring.store.db import Db, Row

# Among so many of its last tasks the one that said an agent's version is looked for.
_LOOKED_BACK = 50


class AgentViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def page(self, now: int, search: str, online: bool | None, after: str, limit: int) -> list[SeenAgent]:
        """In the order of their UUIDs, from behind `after` on; those that have `search` in theirs."""
        found = await self._db.scan(
            "view_agents",
            search=search,
            online=None if online is None else int(online),
            after=after,
            limit=limit,
            stale=now - STALE,
            running=RUNNING,
            back=_LOOKED_BACK,
        )
        return [_agent(row) for row in found]

    async def one(self, now: int, uuid: str) -> SeenAgent | None:
        found = await self._db.scan("view_agent", uuid=uuid, stale=now - STALE, running=RUNNING, back=_LOOKED_BACK)
        return _agent(found[0]) if found else None

    async def counts(self, now: int) -> tuple[int, int]:
        """How many are known, how many are online."""
        [(known, online)] = await self._db.scan("count_agents", stale=now - STALE)
        return int(known), int(online)

    async def schedules(self, project: str, uuid: str, limit: int) -> list[NamingSchedule]:
        found = await self._db.scan("view_schedules_of_agent", project=project, uuid=uuid, limit=limit)
        return [NamingSchedule(key, name, expr or "", bool(paused)) for key, name, expr, paused in found]


def _agent(row: Row) -> SeenAgent:
    uuid, known_at, node, seen_at, reported_at, summary, version, kind, run_id, ended_at, success = row
    return SeenAgent(
        uuid=uuid,
        known_at=known_at,
        node=node,
        seen_at=seen_at,
        reported_at=reported_at,
        summary=summary,
        version=version,
        task_kind=kind,
        task_asked_at=None if run_id is None else ids.made_at(run_id),
        task_ended_at=ended_at,
        task_success=None if success is None else bool(success),
    )
