"""Several nodes do everything to the same queues at once: nobody gets what another has, and afterwards all adds up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mainspring.core import queues
from mainspring.core.errors import NotFound, Refused
from mainspring.core.limits import DAY, HOUR, SECOND
from mainspring.core.model import Page
from mainspring.core.queue_model import Message, Settled
from mainspring.store.store import Store
from postgres import Postgres
from sim.queue_ledger import asker, present, wrong
from store.making import Clock
from store.queueing import Hand
from store.sharing import node

WORKERS = 8
STEPS = 60


@asynccontextmanager
async def hands(database: str, clock: Clock, nodes: int, each: int) -> AsyncIterator[list[Hand]]:
    """Callers, `each` on every one of so many nodes."""
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(node(database, clock)) for _ in range(nodes)]
        yield [Hand(store, clock, holder=7 + at) for at in range(each) for store in stores]


async def test_eight_workers_on_one_fifo_queue_keep_the_order_of_every_group(
    postgres: Postgres, database: str, clock: Clock
) -> None:
    before = postgres.deadlocks()
    groups, each = 12, 25
    in_flight: dict[str | None, int] = {}
    first_seen: defaultdict[str | None, list[bytes]] = defaultdict(list)
    attempts: Counter[int] = Counter()
    done: list[int] = []

    async def work(hand: Hand, dice: random.Random) -> None:
        while len(done) < groups * each:
            for one in await hand.consume(dice.randrange(1, 6), visibility_seconds=3_600):
                assert one.group_id not in in_flight, "two of one group at once"
                in_flight[one.group_id] = one.id
                attempts[one.id] += 1
                assert one.attempt == attempts[one.id], "attempts have no gap"
                if one.attempt == 1:
                    first_seen[one.group_id].append(one.payload)
                await asyncio.sleep(0)
                mood = dice.random()
                del in_flight[one.group_id]
                if mood < 0.8:
                    assert await hand.ack(one) == [Settled(one.id)]
                    done.append(one.id)
                elif mood < 0.9:
                    assert await hand.nack(one) == [Settled(one.id)]
                else:
                    assert await hand.settle("release", one) == [Settled(one.id)]

    async with hands(database, clock, 2, WORKERS // 2) as workers:
        await workers[0].make(type="fifo", max_retries=1_000)

        async def publish(hand: Hand, mine: range) -> None:
            for at in range(each):
                await asyncio.gather(*(hand.publish(b"%d" % at, group_id=f"g{group}") for group in mine))

        dice = random.Random(1)
        await asyncio.gather(
            publish(workers[0], range(groups // 2)),
            publish(workers[1], range(groups // 2, groups)),
            *(work(hand, random.Random(dice.random())) for hand in workers),
        )
        assert first_seen == {f"g{group}": [b"%d" % at for at in range(each)] for group in range(groups)}
        assert len(done) == len(set(done))
        ask = asker(workers[0].bench.store)
        assert await wrong(ask) == []
        assert (await present(ask), await ask("SELECT count(*) FROM message_groups")) == (0, [(0,)])
    assert postgres.deadlocks() == before


async def test_two_redrives_at_once_move_each_dead_letter_once_and_count_it_once(
    postgres: Postgres, database: str, clock: Clock
) -> None:
    before = postgres.deadlocks()
    async with hands(database, clock, 2, 1) as (here, there):
        for kind in ("standard", "fifo"):
            await here.make(kind, type=kind, max_retries=0)
            for group in range(20):
                await here.publish(*[b"%d" % at for at in range(10)], queue=kind, group_id=f"g{group}")
            while found := await here.consume(1_000, queue=kind):
                await here.nack(*found, queue=kind)
            assert (await here.stats(kind)).dead == 200
            counts = await asyncio.gather(
                *(
                    hand.redrive(name, limit=limit)
                    for hand, name, limit in [
                        (here, kind, None),
                        (there, kind, 50),
                        (there, kind + ".dlq", None),
                        (here, kind + ".dlq", 50),
                    ]
                )
            )
            while more := await here.redrive(kind):
                counts.append(more)
            assert sum(counts) == 200
            stats = await here.stats(kind)
            assert (stats.available, stats.dead) == (200, 0)
            assert await wrong(asker(here.bench.store)) == []
    assert postgres.deadlocks() == before


async def test_leases_that_end_are_counted_once_whichever_nodes_look(database: str, clock: Clock) -> None:
    async with hands(database, clock, 3, 1) as nodes:
        await nodes[0].make(max_retries=1)
        published = await nodes[0].publish(*[b"x"] * 900)
        for failures in (1, 2):
            held = [one for hand in nodes for one in await hand.consume(300, visibility_seconds=1)]
            assert sorted(one.id for one in held) == published
            clock.advance(SECOND)
            await asyncio.gather(*(hand.turn() for hand in nodes))
            rows = await asker(nodes[0].bench.store)(
                "SELECT DISTINCT failures FROM ready" if failures == 1 else "SELECT DISTINCT failures FROM dead"
            )
            assert rows == [(failures,)]
        assert (await nodes[1].stats()).dead == 900
        assert await wrong(asker(nodes[0].bench.store)) == []


async def test_rule_11_the_same_receive_id_on_two_nodes_at_once_is_one_consume(
    postgres: Postgres, database: str, clock: Clock
) -> None:
    before = postgres.deadlocks()
    async with hands(database, clock, 2, 1) as (here, there):
        there.holder = here.holder
        for at in range(30):
            await here.publish(b"1", b"2", b"3", b"4")
            wishes = [hand.consume(2, receive_id=f"try {at}") for hand in (here, there, there, here)]
            first, *others = await asyncio.gather(*wishes)
            assert len(first) == 2
            assert others == [first] * 3
            await here.purge()
    assert postgres.deadlocks() == before


async def test_a_late_ack_and_the_end_of_its_lease_meet_and_one_of_them_counts(database: str, clock: Clock) -> None:
    async with hands(database, clock, 2, 1) as (here, there):
        for _ in range(20):
            [message_id] = await here.publish(b"x")
            [held] = await here.consume(visibility_seconds=1)
            clock.advance(SECOND - 1)
            acked = asyncio.ensure_future(here.ack(held))
            clock.advance(1)
            _, [answer] = await asyncio.gather(there.turn(), acked)
            found = await there.consume()
            if isinstance(answer, Settled):
                assert found == []
            else:
                assert [(one.id, one.failures) for one in found] == [(message_id, 1)]
                await there.ack(*found)
        assert await wrong(asker(here.bench.store)) == []


class Storm:
    """One caller's part in it."""

    def __init__(self, hand: Hand, clock: Clock, dice: random.Random) -> None:
        self.hand, self.clock, self.dice = hand, clock, dice
        self.held: list[tuple[str, Message]] = []
        self.published = 0

    async def act(self) -> None:
        moves: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (6, self.publish),
            (6, self.consume),
            (6, self.settle),
            (3, self.time),
            (2, self.redrive),
            (1, self.purge),
            (1, self.sweep),
        ]
        for _ in range(STEPS):
            [move] = self.dice.choices([one for _, one in moves], [often for often, _ in moves])
            try:
                await move()
            except NotFound:
                continue

    def name(self) -> str:
        return self.dice.choice(["plain", "line", "plain", "line", "plain.dlq", "line.dlq"])

    async def publish(self) -> None:
        count = self.dice.randrange(1, 20)
        delay = self.dice.choice([0, 0, 1])
        name = self.dice.choice(["plain", "line"])
        group = f"g{self.dice.randrange(3)}"
        self.published += len(await self.hand.publish(*[b"x"] * count, queue=name, group_id=group, delay_seconds=delay))

    async def consume(self) -> None:
        name = self.name()
        found = await self.hand.consume(self.dice.randrange(1, 20), queue=name, visibility_seconds=1)
        self.held += [(name, one) for one in found]

    async def settle(self) -> None:
        self.dice.shuffle(self.held)
        name = self.name()
        mine = [one for place, one in self.held if place == name][:10]
        self.held = [(place, one) for place, one in self.held if one not in mine]
        verb = self.dice.choice(["ack", "nack", "nack", "release", "extend"])
        if mine:
            await self.hand.settle(verb, *mine, queue=name, seconds=1, requeue=self.dice.random() < 0.5)

    async def time(self) -> None:
        self.clock.advance(self.dice.randrange(700))
        await self.hand.turn()

    async def redrive(self) -> None:
        await self.hand.redrive(self.name(), limit=self.dice.choice([None, 3]))

    async def purge(self) -> None:
        if self.dice.random() < 0.3:
            await self.hand.purge(self.name())

    async def sweep(self) -> None:
        await self.hand.bench.store.tides.expire(self.clock() + self.dice.choice([0, 0, 15 * DAY]), 0)
        await self.hand.bench.store.tides.prune(self.clock() + self.dice.choice([0, HOUR]))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_nodes_do_to_queues_at_once_nothing_surfaces_and_all_adds_up(
    database: str, clock: Clock, seed: int
) -> None:
    async with hands(database, clock, 3, 3) as callers:
        await callers[0].make("plain", max_retries=1)
        await callers[0].make("line", type="fifo", max_retries=1)
        storms = [Storm(hand, clock, random.Random(seed * 100 + at)) for at, hand in enumerate(callers)]
        await asyncio.gather(*(storm.act() for storm in storms))
        store = callers[0].bench.store
        ask = asker(store)
        assert await wrong(ask) == []
        assert sum(storm.published for storm in storms) > 300
        await drained(callers[0], clock)
        assert await wrong(ask) == []
        assert await present(ask) == 0
        await cleared(store, clock)
        for table in ("messages", "ready", "leased", "postponed", "blocked", "message_groups", "leftovers"):
            assert await ask(f"SELECT count(*) FROM {table}") == [(0,)], table
        assert await ask("SELECT count(*) FROM dead WHERE generation <> 0") == [(0,)]


async def drained(hand: Hand, clock: Clock) -> None:
    """Take everything out of every queue."""
    idle = 0
    while idle < 2:
        clock.advance(2 * SECOND)
        await hand.turn()
        idle += 1
        for queue in await queues.page(hand.core, hand.project, Page(limit=100)):
            while found := await hand.consume(1_000, queue=queue.name):
                idle = 0
                assert all(isinstance(one, Settled) for one in await hand.ack(*found, queue=queue.name))


async def cleared(store: Store, clock: Clock) -> None:
    """What purges have left behind is gone."""
    ask = asker(store)
    while await ask("SELECT 1 FROM leftovers"):
        clock.advance(HOUR)
        await store.tides.turn(clock())
        await store.tides.prune(clock())


async def test_many_nodes_make_and_delete_one_queue_and_none_of_them_is_left_in_between(
    database: str, clock: Clock
) -> None:
    async with hands(database, clock, 3, 2) as callers:

        async def churn(hand: Hand, dice: random.Random) -> None:
            for _ in range(25):
                match dice.randrange(4):
                    case 0:
                        await queues.delete(hand.core, hand.project, "q", None)
                    case 1:
                        await hand.consume()
                    case _:
                        await hand.publish(b"x", b"y")

        outcomes = await asyncio.gather(
            *(churn(hand, random.Random(at)) for at, hand in enumerate(callers)), return_exceptions=True
        )
        assert [one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, NotFound)] == []
        assert not any(isinstance(one, Refused) and one.code == "UNAVAILABLE" for one in outcomes)
        assert await wrong(asker(callers[0].bench.store)) == []
