"""A schedule that is for agents makes a run for each of them, in that agent's lane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mainspring.core.cron_types import AGENTS, agent_lane
from mainspring.store.db import Row, Tx

Lanes = Mapping[int, Sequence[str]]


async def lanes_of(tx: Tx, schedules: Iterable[tuple[int, str]]) -> Lanes:
    """The lanes of the runs that one fire makes, by schedule, of (schedule, its lane)."""
    lanes: dict[int, list[str]] = {}
    for schedule_id, lane in schedules:
        lanes[schedule_id] = [] if lane == AGENTS else [lane]
    asked = [(schedule_id,) for schedule_id, found in lanes.items() if not found]
    if asked:
        for schedule_id, uuid in await tx.fetch_in("agents_of", asked):
            lanes[schedule_id].append(agent_lane(uuid))
    return lanes


async def write_agents(tx: Tx, schedules: Iterable[tuple[int, Sequence[str]]]) -> None:
    """Keep for which agents schedules are, of (schedule, UUIDs)."""
    rows: list[Row] = [(schedule_id, nth, uuid) for schedule_id, uuids in schedules for nth, uuid in enumerate(uuids)]
    if rows:
        await tx.many("insert_agents", rows)
