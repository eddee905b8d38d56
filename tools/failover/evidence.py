"""Reads what the database holds at the end, without trusting an index that a fail-over may have left behind."""

from __future__ import annotations

from typing import Any

import asyncpg

from mainspring.core import ids
from tools.failover.load import YEARLY
from tools.failover.verdict import SECOND, GapRow, Kept, RunRow, ScheduleRow

_NO_INDEX = "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off"
_SCHEDULES = "SELECT id, name, cron_expr, created_at, deleted_at IS NOT NULL FROM schedules"
_RUNS = "SELECT id, schedule_id, trigger, scheduled_for, state, attempt, error FROM runs"
_GAPS = "SELECT schedule_id, outcome, from_at, to_at, count FROM gaps"
_UNFINISHED = "SELECT count(*) FROM runs WHERE state IN ('queued', 'running', 'retrying')"


async def unfinished(session: asyncpg.Connection[Any]) -> int:
    """How many runs have not ended yet."""
    return int(await session.fetchval(_UNFINISHED))


async def kept(session: asyncpg.Connection[Any]) -> Kept:
    """Everything that the verdict needs, in one snapshot."""
    async with session.transaction(isolation="repeatable_read", readonly=True):
        await session.execute(_NO_INDEX)
        return Kept(
            schedules=[
                ScheduleRow(ids.text("cron", key), name, 0 if expr == YEARLY else _next_second(created_at), deleted)
                for key, name, expr, created_at, deleted in await session.fetch(_SCHEDULES)
            ],
            runs=[
                RunRow(ids.text("run", key), ids.text("cron", schedule), trigger, at, state, attempt, error)
                for key, schedule, trigger, at, state, attempt, error in await session.fetch(_RUNS)
            ],
            gaps=[
                GapRow(ids.text("cron", schedule), outcome, from_at, to_at, count)
                for schedule, outcome, from_at, to_at, count in await session.fetch(_GAPS)
            ],
        )


def _next_second(instant: int) -> int:
    return instant // SECOND * SECOND + SECOND
