"""Keeps samples: once a minute what this node has counted, and what the queues hold."""

from __future__ import annotations

from mainspring.core.limits import MINUTE, PRUNE_BATCH
from mainspring.core.ports import Core
from mainspring.core.samples import Tally, minute_of

BREATH = 50


class Sampler:
    """step: keep the minute that is over. `queues`: look at the queues, too, and remove what is too old; one node of
    those that do is enough, whichever is first."""

    def __init__(self, core: Core, tally: Tally, *, queues: bool) -> None:
        self._core = core
        self._tally = tally
        self._queues = queues
        self._looked_at = 0
        self._counting_since: int | None = None

    async def step(self, now: int) -> int:
        """ms until the next minute is over, or until there is more to remove."""
        await self.keep(now)
        pruned = 0
        if self._queues:
            samples = self._core.store.samples
            at = minute_of(now)
            if at > self._looked_at:
                await samples.add_queues(at, now)
                self._looked_at = at
            pruned = await samples.prune(now)
        return BREATH if pruned >= PRUNE_BATCH else minute_of(now) + MINUTE - now

    async def keep(self, now: int) -> None:
        """Write what was counted since the last time, for the minute in which that was."""
        at = minute_of(now if self._counting_since is None else self._counting_since)
        counted = self._tally.take()
        if counted:
            try:
                await self._core.store.samples.add(at, counted)
            except BaseException:
                self._tally.give_back(counted)
                raise
        self._counting_since = now
