"""The rules of order: FIFO groups, priorities, and who is woken when there is something to be had."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from mainspring.core import queues
from mainspring.core.limits import SECOND
from mainspring.core.messages import Ask, MessageDraft, consume, new_message
from mainspring.core.queue_model import Message, Publish, Receive
from mainspring.loops.tide import Tide
from mainspring.store.store import Store
from sim.queue_ledger import asker, wrong
from store.making import Clock
from store.queueing import Hand, payloads
from store.sharing import eventually


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


async def drained(hand: Hand, **more: Any) -> list[bytes]:
    """Consume and ack until there is nothing more; the payloads in order."""
    seen: list[bytes] = []
    while found := await hand.consume(**more):
        seen += payloads(found)
        await hand.ack(*found, **more)
    return seen


async def test_rule_04_within_a_group_the_order_is_that_in_which_publishes_returned(hand: Hand) -> None:
    await hand.make(type="fifo")
    returned: list[bytes] = []

    async def publisher(name: int) -> None:
        for at in range(20):
            payload = b"%d-%d" % (name, at)
            await hand.publish(payload, group_id="g")
            returned.append(payload)

    await asyncio.gather(*(publisher(name) for name in range(8)))
    assert await drained(hand) == returned


async def test_rule_05_a_group_is_blocked_while_its_head_is_leased_in_back_off_or_delayed(hand: Hand) -> None:
    await hand.make(type="fifo")
    await hand.publish(b"1", b"2")
    [head] = await hand.consume()
    assert await hand.consume() == []
    await hand.nack(head, seconds=10)
    assert await hand.consume() == []
    await hand.later(10 * SECOND)
    [head] = await hand.consume()
    assert head.payload == b"1"
    await hand.settle("release", head, seconds=5)
    await hand.publish(b"3")
    assert await hand.consume() == []
    await hand.later(5 * SECOND)
    assert await drained(hand) == [b"1", b"2", b"3"]
    await hand.publish(b"4", delay_seconds=30)
    await hand.publish(b"5")
    await hand.later(29 * SECOND)
    assert await hand.consume() == [], "a delayed head holds the others back"
    await hand.later(SECOND)
    assert await drained(hand) == [b"4", b"5"]


async def test_rule_05_a_later_delayed_message_holds_nobody_before_it_back(hand: Hand, store: Store) -> None:
    await hand.make(type="fifo")
    await hand.publish(b"1")
    await hand.publish(b"2", delay_seconds=60)
    await hand.publish(b"3")
    found = await hand.consume()
    assert payloads(found) == [b"1"]
    await hand.ack(*found)
    assert await hand.consume() == []
    stats = await hand.stats()
    assert (stats.available, stats.delayed) == (1, 1)
    assert await wrong(asker(store)) == []
    await hand.later(60 * SECOND)
    assert await drained(hand) == [b"2", b"3"]


async def test_rule_05_a_longer_hold_of_the_head_holds_back_those_whose_own_time_has_come(hand: Hand) -> None:
    await hand.make(type="fifo")
    await hand.publish(b"1")
    await hand.publish(b"2", delay_seconds=10)
    [head] = await hand.consume()
    await hand.settle("extend", head, seconds=100)
    await hand.later(50 * SECOND)
    assert await hand.consume() == []
    assert (await hand.stats()).delayed == 0, "its own delay is over; it waits for its turn"
    await hand.nack(head, seconds=100)
    await hand.later(99 * SECOND)
    assert await hand.consume() == []
    await hand.later(SECOND)
    assert await drained(hand) == [b"1", b"2"]


async def test_rule_05_when_the_head_dies_or_is_rejected_the_next_one_comes(hand: Hand) -> None:
    await hand.make(type="fifo", max_retries=0)
    await hand.publish(b"1", b"2", b"3")
    await hand.consume(visibility_seconds=1)
    await hand.later(SECOND)
    [second] = await hand.consume()
    assert second.payload == b"2"
    await hand.nack(second, requeue=False)
    assert await drained(hand) == [b"3"]
    assert [letter.payload for letter in await hand.dead()] == [b"2", b"1"]
    assert await drained(hand, queue="q.dlq") == [b"1", b"2"], "and they keep their order"


async def test_rule_05_one_of_each_group_is_in_flight_and_no_group_is_one_group(hand: Hand) -> None:
    await hand.make(type="fifo")
    for at in range(3):
        for group in ("a", "b", None):
            await hand.publish(f"{group}{at}".encode(), group_id=group)
    assert payloads(await hand.consume(100)) == [b"a0", b"b0", b"None0"]
    assert await hand.consume(100) == []


async def test_rule_06_a_free_group_is_found_behind_a_long_blocked_one(hand: Hand) -> None:
    await hand.make(type="fifo")
    await hand.publish(*[b"long"] * 1_000, group_id="long")
    await hand.publish(b"free", group_id="free")
    assert payloads(await hand.consume(1)) == [b"long"]
    assert payloads(await hand.consume(1)) == [b"free"]


async def test_rule_07_priority_is_strict_and_what_comes_back_keeps_priority_and_place(hand: Hand) -> None:
    await hand.publish(b"low 1", b"low 2")
    await hand.publish(b"high 1", b"high 2", priority=9)
    await hand.publish(b"middle", priority=4)
    taken = await hand.consume()
    assert payloads(taken) == [b"high 1", b"high 2", b"middle", b"low 1", b"low 2"]
    await hand.publish(b"high 3", priority=9)
    await hand.nack(taken[3])
    await hand.settle("release", taken[1])
    await hand.later(30 * SECOND)
    again = await hand.consume()
    assert payloads(again) == [b"high 1", b"high 2", b"high 3", b"middle", b"low 1", b"low 2"]
    assert [one.rank for one in again] == [0, 0, 0, 5, 9, 9]


async def test_rule_07_where_priorities_are_switched_off_they_are_ignored(hand: Hand) -> None:
    await hand.make(enable_priority=False)
    await hand.publish(b"1")
    await hand.publish(b"2", priority=9)
    assert payloads(await hand.consume()) == [b"1", b"2"]


async def test_rule_08_whatever_comes_later_is_announced_for_its_instant(hand: Hand) -> None:
    now = hand.clock()
    tides = hand.bench.wakes.tides
    await hand.publish(b"1", delay_seconds=60)
    await hand.publish(b"2", delay_seconds=5)
    assert tides == [now + 60 * SECOND, now + 5 * SECOND]
    await hand.publish(b"3", b"4")
    nacked, _ = await hand.consume(visibility_seconds=20)
    await hand.nack(nacked, seconds=7)
    assert tides[2:] == [now + 20 * SECOND, now + 7 * SECOND]


async def test_rule_08_an_earlier_instant_moves_the_tide_forward(hand: Hand) -> None:
    tide = Tide(hand.core, poll_ms=3_600 * SECOND)
    await hand.publish(b"1", delay_seconds=60)
    assert await tide.step(hand.clock()) == 60 * SECOND
    assert tide.expect(hand.clock() + 5 * SECOND), "earlier than all it knew: wake it"
    assert not tide.expect(hand.clock() + 6 * SECOND)
    await hand.publish(b"2", delay_seconds=5)
    assert await tide.step(hand.clock()) == 5 * SECOND
    hand.clock.advance(5 * SECOND)
    assert await tide.step(hand.clock()) == 55 * SECOND
    assert payloads(await hand.consume(visibility_seconds=10)) == [b"2"]
    assert await tide.step(hand.clock()) == 10 * SECOND


@pytest.mark.parametrize("cause", ["publish", "a delay that is over", "a lease that is over", "nack", "redrive"])
async def test_rule_08_who_waits_is_woken_by(hand: Hand, store: Store, cause: str) -> None:
    tide = Tide(hand.core)
    await hand.make(max_retries=0)
    if cause != "publish":
        await hand.publish(b"x", delay_seconds=2 if cause == "a delay that is over" else 0)
    if cause in {"a lease that is over", "nack", "redrive"}:
        hand_over = await hand.consume(visibility_seconds=2)
        if cause == "redrive":
            await hand.nack(*hand_over, requeue=False)
        elif cause == "a lease that is over":
            await hand.make("never", max_retries=0)
            hand_over = await hand.settle("release", *hand_over, seconds=2)
    waiting = asyncio.ensure_future(hand.consume(wait_seconds=20))
    await eventually(lambda: listening(hand, store, 1))
    started = asyncio.get_running_loop().time()
    match cause:
        case "publish":
            await hand.publish(b"x")
        case "nack":
            await hand.settle("release", *hand_over)
        case "redrive":
            await hand.redrive()
        case _:
            hand.clock.advance(2 * SECOND)
            await tide.step(hand.clock())
    assert payloads(await waiting) == [b"x"]
    assert asyncio.get_running_loop().time() - started < 0.9, "woken, not found by looking once a second"


async def listening(hand: Hand, store: Store, count: int) -> bool:
    """Whether so many have looked, found nothing and wait."""
    return store.receive._task is None and sum(len(one) for one in hand.bench.bells._waiting.values()) == count


class Between:
    """A store in which something happens right after each look for messages."""

    def __init__(self, store: Store, act: Any) -> None:
        self._store, self._act = store, act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def receive(self, wish: Receive) -> Any:
        found = await self._store.receive(wish)
        if not found:
            await self._act()
        return found


async def test_rule_10_what_arrives_between_the_look_and_the_wait_is_heard(hand: Hand, store: Store) -> None:
    once: list[None] = []

    async def act() -> None:
        if not once:
            once.append(None)
            await hand.publish(b"just now")

    core = replace(hand.core, store=Between(store, act))
    started = asyncio.get_running_loop().time()
    _, found = await consume(core, hand.clock(), hand.project, "q", Ask(wait_seconds=20), 7)
    assert payloads(found) == [b"just now"]
    assert asyncio.get_running_loop().time() - started < 0.9


async def test_rule_10_who_has_hung_up_is_handed_nothing_and_the_next_one_is_called(hand: Hand, store: Store) -> None:
    async def look() -> list[Message]:
        return await hand.consume(wait_seconds=20)

    gone, next_one = asyncio.ensure_future(look()), asyncio.ensure_future(look())
    await eventually(lambda: listening(hand, store, 2))
    gone.cancel()
    await asyncio.wait([gone])
    started = asyncio.get_running_loop().time()
    await hand.publish(b"x")
    assert payloads(await next_one) == [b"x"]
    assert asyncio.get_running_loop().time() - started < 0.9
    assert (await hand.stats()).in_flight == 1

    started = asyncio.get_running_loop().time()
    called, last = asyncio.ensure_future(look()), asyncio.ensure_future(look())
    await eventually(lambda: listening(hand, store, 2))
    queue = await queues.named(hand.core, hand.project, "q")
    await store.publish(Publish(queue, (new_message(MessageDraft(b"y"), queue, hand.clock()),)))
    hand.bench.bells.ring(queue.id, 1)
    called.cancel()
    assert payloads(await last) == [b"y"]
    assert called.cancelled()
    assert asyncio.get_running_loop().time() - started < 0.9, "the call was passed on"
