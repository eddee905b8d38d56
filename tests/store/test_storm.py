"""Three nodes do everything at once, at random; afterwards the store adds up and nobody has deadlocked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from mainspring.core import runs, timing
from mainspring.core.changes import Change, Timing
from mainspring.core.limits import DAY, SECOND
from mainspring.core.model import Entry
from mainspring.core.seats import Seats
from mainspring.store.checkup import examine_shared
from mainspring.store.postgres import PostgresDb
from mainspring.store.store import Store
from postgres import Postgres
from store.making import START, Clock, claim, end, manual, new, once, schedule, target
from store.sharing import node, query

STEPS = 60


class Storm:
    """One node's part. Its `now` only moves on."""

    def __init__(self, store: Store, clock: Clock, dice: random.Random, entries: list[Entry]) -> None:
        self.store, self.clock, self.dice, self.entries = store, clock, dice, entries

    async def act(self) -> None:
        moves: list[Callable[[], Awaitable[object]]] = [
            self.create,
            self.trigger,
            self.fire,
            self.fire,
            self.work,
            self.work,
            self.edit,
            self.pause,
            self.rescue,
            self.prune,
        ]
        for _ in range(STEPS):
            self.clock.advance(self.dice.randrange(400))
            await self.dice.choice(moves)()

    def some(self) -> list[Entry]:
        return self.dice.sample(self.entries, self.dice.randrange(1, 6))

    async def create(self) -> None:
        policy = self.dice.choice(["allow", "skip", "queue"])
        made = schedule(cron_expr="* * * * * *", overlap=policy, retention_days=self.dice.choice([0, 30]))
        keys = [once(f"key {self.dice.randrange(30)}") for _ in range(3)]
        items = [new(made, target(retry=self.dice.choice([0, 2])), due=self.clock(), once=key) for key in keys]
        for answer in await self.store.schedules.create(self.clock(), items):
            if isinstance(answer, Entry):
                self.entries.append(answer)

    async def trigger(self) -> None:
        await self.store.runs.trigger(self.clock(), [manual(entry.schedule.id) for entry in self.some()])

    async def fire(self) -> None:
        await self.store.schedules.fire(self.clock(), timing.plan, self.dice.choice([3, 500]))

    async def work(self) -> None:
        claims = await claim(self.store, self.clock(), Seats(20), node=self.store.node)
        finished = [one for one in claims if self.dice.random() < 0.8]
        await end(self.store, self.clock(), finished, status=self.dice.choice([200, 500]))

    async def current(self) -> list[Entry]:
        found = [await self.store.schedules.get("default", "cron", entry.schedule.id) for entry in self.some()]
        return [entry for entry in found if entry is not None]

    async def edit(self) -> None:
        changes = []
        for entry in await self.current():
            moved = Timing(self.clock(), None, None)
            again = target(timeout_ms=self.dice.randrange(1, 99)) if self.dice.random() < 0.5 else None
            changes.append(Change(entry, msgspec.structs.replace(entry.schedule, name="edited"), again, moved))
        await self.store.schedules.change(self.clock(), changes)

    async def pause(self) -> None:
        changes = []
        for entry in await self.current():
            if self.dice.random() < 0.1:
                changes.append(Change(entry, entry.schedule, cancel="deleted", delete=True))
            elif entry.progress.paused_at is None:
                still = Timing(None, self.clock(), None)
                changes.append(Change(entry, entry.schedule, timing=still, cancel="paused"))
            else:
                changes.append(Change(entry, entry.schedule, timing=Timing(self.clock(), None, None)))
        await self.store.schedules.change(self.clock(), changes)

    async def rescue(self) -> None:
        await rescue(self.store, self.clock(), self.clock() + 40 * SECOND)

    async def prune(self) -> None:
        later = self.clock() + self.dice.choice([0, 31]) * DAY
        await self.store.upkeep.prune_old(later)
        await self.store.upkeep.prune_schedules(later, 30)
        await self.store.upkeep.prune_targets(later)
        await self.store.upkeep.prune_idempotency(self.clock() + self.dice.choice([0, 2]) * DAY)
        for crowded, keep in await self.store.upkeep.crowded(0, 5):
            await self.store.upkeep.prune_surplus(crowded, keep)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_nodes_do_at_once_the_store_adds_up(
    postgres: Postgres, database: str, clock: Clock, seed: int
) -> None:
    before = postgres.deadlocks()
    entries: list[Entry] = []
    async with node(database, clock) as first, node(database, clock) as second, node(database, clock) as third:
        made = await first.schedules.create(START, [new(schedule(cron_expr="* * * * * *")) for _ in range(6)])
        entries += [entry for entry in made if isinstance(entry, Entry)]
        storms = [
            Storm(store, clock, random.Random(seed * 100 + at), entries)
            for at, store in enumerate([first, second, third] * 3)
        ]
        await asyncio.gather(*(storm.act() for storm in storms))
        assert isinstance(first.db, PostgresDb)
        findings = await examine_shared(first.db)
        assert [finding for finding in findings if finding.problem] == []
        await drained(first, database, clock)
        findings = await examine_shared(first.db)
        assert [finding for finding in findings if finding.problem] == []
    assert postgres.deadlocks() == before
    counted = await query(
        database,
        "SELECT p.schedule_id FROM progress AS p WHERE p.active <> 0 OR p.held <> 0 "
        "OR EXISTS (SELECT 1 FROM runs AS r WHERE r.schedule_id = p.schedule_id "
        "AND r.state IN ('queued', 'running', 'retrying'))",
    )
    assert counted == []
    assert (await query(database, "SELECT count(*) FROM runs"))[0][0] > 100


async def rescue(store: Store, now: int, late: int) -> int:
    """Finish as interrupted what is running and whose lease is over at `late`; how many there were."""
    lost = await store.runs.expired(late, 500)
    targets = await store.runs.targets(list({run.target_id for run in lost}))
    await store.runs.finish(now, [runs.interrupted(run, targets[run.target_id], now) for run in lost])
    return len(lost)


async def drained(store: Store, url: str, clock: Clock) -> None:
    """Fire nothing more, rescue what was left lying, and send what waits until nothing does."""
    await query(url, "UPDATE progress SET next_due_at = NULL")
    idle = 0
    while idle < 3:
        clock.advance(40 * SECOND)
        lost = await rescue(store, clock(), clock())
        claims = await claim(store, clock())
        await end(store, clock(), claims)
        idle = 0 if lost or claims else idle + 1
