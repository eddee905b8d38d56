"""Does what schedules want done on the server itself: claims from the lane `server`, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.core import clean_up, crontab_results, runs
from mainspring.core.changes import Claim
from mainspring.core.cron_types import SERVER
from mainspring.core.crontab_results_model import NewResult
from mainspring.core.errors import Refused, Unavailable
from mainspring.core.limits import LEASE, SECOND
from mainspring.core.ports import Core, Outcome
from mainspring.core.seats import Seats

AT_ONCE = 8
FAILED = "数据库清理失败："


class ServerJobs:
    """step: claim what is due and do it. Each is done anew when it was cut off: to trim twice does no harm."""

    def __init__(self, core: Core, clock: Callable[[], int], *, node: int = 0) -> None:
        self._core = core
        self._clock = clock
        self._node = node

    async def step(self, now: int) -> int:
        """Do what is due; ms until there may be more."""
        waiting = await self._core.store.runs.next_waiting(SERVER, 0)
        if waiting is None or waiting > now:
            return SECOND
        claims = await self._core.store.runs.claim(
            now, lane=SERVER, node=self._node, lease_until=now + LEASE, seats=Seats(AT_ONCE, AT_ONCE)
        )
        for claim in claims:
            await self._do(claim)
        return 0 if claims else SECOND

    async def _do(self, claim: Claim) -> None:
        try:
            message, error = (await clean_up.clean_up(self._core)).message, None
        except Unavailable:
            raise  # its lease runs out, and it is done anew
        except Refused as refused:
            message, error = FAILED + refused.message, refused.message
        now = self._clock()
        await self._write_down(claim, now, message, error is None)
        [target] = (await self._core.store.runs.targets([claim.target_id])).values()
        outcome = Outcome(kind="reply", ended_at=now, sent_at=claim.started_at, body=message.encode(), error=error)
        await self._core.store.runs.finish(now, [runs.after(claim, target, outcome, 0.5)])

    async def _write_down(self, claim: Claim, now: int, message: str, success: bool) -> None:
        entry = await crontab_results.crontab_of(self._core, claim)
        if entry is not None:
            schedule = entry.schedule
            made = NewResult(claim.run_id, schedule.number, schedule.name, None, now, success, message)
            await crontab_results.add(self._core, [made])
