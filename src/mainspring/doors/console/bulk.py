"""One thing done with many: with each as the REST API would do it, and what came of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from mainspring.core.errors import Invalid, Refused
from mainspring.doors.console.visit import Visit

PICKED_MAX = 500
REASONS_MAX = 20
# As many at a time as share a write without holding up others for long.
_AT_ONCE = 50


class Tally(msgspec.Struct):
    """What came of it. `reasons`: why some were refused, each with how many."""

    done: int = 0
    refused: int = 0
    reasons: dict[str, int] = msgspec.field(default_factory=dict)

    def refuse(self, reason: str) -> None:
        """Count one more that was refused; beyond 20 reasons the others share the last."""
        self.refused += 1
        if reason not in self.reasons and len(self.reasons) >= REASONS_MAX:
            reason = "…"
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def told(self, visit: Visit, done: str, **values: str) -> str:
        """How many were done, in the words of `done`, how many refused and why."""
        said = visit.say(done, count=f"{self.done:,}", **values)
        if not self.refused:
            return said
        why = "; ".join(f"{reason} ({count:,})" for reason, count in self.reasons.items())
        return f"{said} " + visit.say("Refused: {count}. {why}.", count=f"{self.refused:,}", why=why)


async def work_off(visit: Visit, operation: str, public_ids: Iterable[str], tally: Tally) -> None:
    """Do it with each of them, as the REST API would; refusals are counted."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(public: str) -> None:
        async with gate:
            try:
                await visit.call(operation, public)
            except Refused as refused:
                tally.refuse(refused.message)
            else:
                tally.done += 1

    await asyncio.gather(*map(one, public_ids))


def picks(visit: Visit) -> list[str]:
    """The ids of the rows that were ticked. Raises `Invalid` when there are none."""
    picked = list(dict.fromkeys(visit.picked("pick")))[:PICKED_MAX]
    if not picked:
        raise Invalid("nothing is picked", hint="Tick the rows first.")
    return picked
