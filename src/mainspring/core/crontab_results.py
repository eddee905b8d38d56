"""What became of each fire of a crontab, for each agent: written once per run, kept when the crontab goes."""

from __future__ import annotations

import msgspec

from mainspring.core.changes import Claim
from mainspring.core.crontab_results_model import Asked, NewResult, Result
from mainspring.core.model import Entry
from mainspring.core.ports import Core


async def query(core: Core, asked: Asked) -> list[Result]:
    """Newest first."""
    return [] if asked.impossible else await core.store.crontab_results.page(asked)


async def delete(core: Core, asked: Asked) -> int:
    """Delete them; how many there were."""
    left, deleted = asked.limit, 0
    while left > 0 and not asked.impossible:
        went = await core.store.crontab_results.delete(msgspec.structs.replace(asked, limit=left))
        if not went:
            break
        left, deleted = left - went, deleted + went
    return deleted


async def add(core: Core, items: list[NewResult]) -> None:
    """Write results down, each run's once."""
    await core.store.crontab_results.add(items)


async def crontab_of(core: Core, claim: Claim) -> Entry | None:
    """The crontab that a run belongs to; None when it was deleted meanwhile."""
    if claim.schedule_id is None:
        return None
    return await core.store.schedules.get(claim.project, "cron", claim.schedule_id)
