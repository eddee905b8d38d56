"""One node of a race, as a process of its own: `racing.py scheduler|dispatcher URL`.

It waits for a line, then runs; it prints what it did as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from mainspring.core import timing
from mainspring.core.limits import SECOND
from mainspring.core.seats import Seats
from mainspring.store.shared import open_postgres
from mainspring.store.store import Store
from store.making import START, claim, end
from store.sharing import query

TICKS = 20
OCCURRENCES = 1_000
END = START + TICKS * SECOND
UNFINISHED = f"SELECT {OCCURRENCES} - count(*) FROM runs WHERE state = 'succeeded'"


async def schedule(store: Store) -> dict[str, object]:
    """Fire tick by tick; on to the next one when nothing is due any more."""
    fired = visits = 0
    for tick in range(TICKS):
        now = START + tick * SECOND
        while True:
            visit = await store.schedules.fire(now, timing.plan, 7)
            fired += visit.runs
            visits += visit.schedules > 0
            if visit.schedules == 0 and visit.next_due_at is not None and visit.next_due_at > now:
                break
    return {"fired": fired, "visits": visits}


async def dispatch(store: Store, url: str) -> dict[str, object]:
    """Claim and finish until all is done."""
    claimed: list[tuple[int, int]] = []
    seats = Seats(20, per_origin=20)
    while True:
        seats.reread()
        claims = await claim(store, END, seats, node=store.node)
        claimed += [(one.run_id, one.attempt) for one in claims]
        fenced = await end(store, END, claims) if claims else []
        assert fenced == []
        for one in claims:
            seats.give_back(one.origin)
        if not claims and not (await query(url, UNFINISHED))[0][0]:
            return {"claimed": claimed}


async def main(role: str, url: str) -> dict[str, object]:
    """Join, wait for the start, take part, leave."""
    store = await open_postgres(url, lambda: START, time.monotonic_ns, clock=lambda: START)
    try:
        print(json.dumps({"node": store.node}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return await (schedule(store) if role == "scheduler" else dispatch(store, url))
    finally:
        await store.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))), flush=True)
