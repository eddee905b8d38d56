"""Whose turn it is among the held runs of a schedule, which wait for one another."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.store.db import Tx


async def promote(tx: Tx, now: int, idle: Sequence[int]) -> None:
    """Make the oldest held run of each of these schedules due at `now`; nothing of them may be active."""
    promoted = await tx.many("promote_held", [(schedule_id,) for schedule_id in idle], now=now)
    await tx.many("count_promoted", promoted)
