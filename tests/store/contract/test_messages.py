"""Publishing, leasing and settling, on every database."""

from __future__ import annotations

import pytest

from mainspring.core.errors import LeaseLost, NotFound
from mainspring.core.limits import HOUR, SECOND
from mainspring.core.queue_model import NewMessage, Publish, Published, Settled
from mainspring.store.store import Store
from store.making import Clock
from store.queueing import Hand, payloads


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


async def test_a_message_goes_through(hand: Hand) -> None:
    [first, second] = await hand.publish(b'{"a":1}', b"2")
    found = await hand.consume()
    assert payloads(found) == [b'{"a":1}', b"2"]
    assert [one.id for one in found] == [first, second]
    assert [one.attempt for one in found] == [1, 1]
    assert await hand.consume() == []
    assert await hand.ack(*found) == [Settled(first), Settled(second)]
    stats = await hand.stats()
    assert (stats.available, stats.in_flight, stats.delayed, stats.dead) == (0, 0, 0, 0)
    [gone, _] = await hand.ack(*found)
    assert isinstance(gone, NotFound)


async def test_priority_comes_first_and_age_within_it(hand: Hand) -> None:
    await hand.publish(b"1")
    await hand.publish(b"2", b"3", priority=5)
    await hand.publish(b"4", priority=9)
    assert payloads(await hand.consume()) == [b"4", b"2", b"3", b"1"]


async def test_a_lease_that_ends_gives_the_message_back_and_fences_its_late_holder(hand: Hand) -> None:
    await hand.publish(b"1")
    [late] = await hand.consume(visibility_seconds=1)
    await hand.later(SECOND)
    [lost] = await hand.ack(late)
    assert isinstance(lost, LeaseLost)
    [held] = await hand.consume()
    assert (held.attempt, held.failures) == (2, 1)
    [lost] = await hand.ack(late)
    assert isinstance(lost, LeaseLost)
    assert await hand.ack(held) == [Settled(held.id)]


async def test_delays_are_waited_for(hand: Hand) -> None:
    await hand.publish(b"later", delay_seconds=10)
    assert await hand.consume() == []
    assert (await hand.stats()).delayed == 1
    await hand.later(9 * SECOND)
    assert await hand.consume() == []
    await hand.later(SECOND)
    assert payloads(await hand.consume()) == [b"later"]


async def test_too_many_failures_make_a_dead_letter_that_can_go_back(hand: Hand) -> None:
    await hand.make(max_retries=1)
    [message_id] = await hand.publish(b"bad")
    for at in range(2):
        [held] = await hand.consume()
        assert held.attempt == at + 1
        [settled] = await hand.nack(held)
        assert settled == Settled(message_id, dead=at == 1)
    assert await hand.consume() == []
    [letter] = await hand.dead()
    assert (letter.id, letter.source, letter.reason, letter.failures) == (message_id, "q", "max_retries", 2)
    assert (await hand.stats()).dead == 1
    assert [one.id for one in await hand.dead("q.dlq")] == [message_id]
    assert await hand.redrive() == 1
    assert (await hand.stats()).dead == 0
    [again] = await hand.consume()
    assert (again.id, again.attempt, again.failures) == (message_id, 3, 0)


async def test_fifo_hands_out_one_of_a_group_at_a_time(hand: Hand) -> None:
    await hand.make(type="fifo")
    await hand.publish(b"a1", b"a2", b"a3", group_id="a")
    await hand.publish(b"b1", group_id="b")
    found = await hand.consume()
    assert payloads(found) == [b"a1", b"b1"]
    assert await hand.consume() == []
    await hand.nack(found[0], seconds=5)
    assert await hand.consume() == []
    await hand.later(5 * SECOND)
    [again] = await hand.consume()
    assert again.payload == b"a1"
    await hand.ack(again)
    found = await hand.consume()
    assert payloads(found) == [b"a2"]
    await hand.ack(*found)
    found = await hand.consume()
    assert payloads(found) == [b"a3"]
    await hand.ack(*found)
    await hand.publish(b"a4", group_id="a")
    assert payloads(await hand.consume()) == [b"a4"]


async def test_a_purge_takes_what_was_there_and_nothing_else(hand: Hand) -> None:
    await hand.publish(b"1", b"2")
    await hand.publish(b"3", delay_seconds=60)
    [held, *_] = await hand.consume(1)
    assert await hand.purge() == 3
    await hand.publish(b"4")
    [gone] = await hand.ack(held)
    assert isinstance(gone, NotFound)
    assert payloads(await hand.consume()) == [b"4"]
    await hand.later(HOUR)
    while await hand.core.store.tides.prune(hand.clock()):
        pass
    assert (await hand.stats()).available == 1


async def test_an_empty_batch_beside_another_gets_no_ids_of_it(hand: Hand, store: Store) -> None:
    queue = await hand.make()
    two = (NewMessage(b"1", 9), NewMessage(b"2", 9))
    [none, both] = await store.publishing.publish(hand.clock(), [Publish(queue, ()), Publish(queue, two)])
    assert isinstance(none, Published)
    assert isinstance(both, Published)
    assert (len(none.ids), len(both.ids)) == (0, 2)
    assert [one.id for one in await hand.consume()] == list(both.ids)
