"""The two schedules that `mainspring dev` begins with, so that there is something to look at."""

from __future__ import annotations

import msgspec

from mainspring.core import schedules
from mainspring.core.drafts import Draft
from mainspring.core.errors import Invalid
from mainspring.core.idempotency import Replay
from mainspring.core.model import Entry, Page
from mainspring.core.ports import Core
from mainspring.core.tokens import BOOTSTRAP_PROJECT

# Beside the ids of those that were made; it stays when they are deleted, so that they are not made again.
_META = "sample_schedules"
_SAMPLES = (("sample: every minute", "* * * * *"), ("sample: weekdays at nine", "0 9 * * 1-5"))


async def make(core: Core, now: int, url: str, timezone: str) -> None:
    """Make them in a store that has never had any schedule of its own; they call `url`. At most once for each store."""
    if await core.store.upkeep.get_meta(_META) is not None:
        return
    made: list[int] = []
    if not await schedules.page(core, BOOTSTRAP_PROJECT, "cron", Page(limit=1)):
        for name, expression in _SAMPLES:
            draft = Draft(cron_expr=expression, url=url, name=name, timezone=timezone, payload=b'{"sample": true}')
            try:
                entry = await schedules.create(core, now, BOOTSTRAP_PROJECT, "cron", draft, None)
            except Invalid:  # this server may not call itself
                break
            assert not isinstance(entry, Replay)
            made.append(entry.schedule.id)
    await core.store.upkeep.keep_meta(_META, msgspec.json.encode(made).decode())


async def left(core: Core, project: str) -> list[Entry]:
    """Those that are still there."""
    kept = await core.store.upkeep.get_meta(_META) if project == BOOTSTRAP_PROJECT else None
    found = []
    for schedule_id in msgspec.json.decode(kept, type=list[int]) if kept else ():
        entry = await core.store.schedules.get(project, "cron", schedule_id)
        if entry is not None:
            found.append(entry)
    return found
