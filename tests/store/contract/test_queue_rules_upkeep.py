"""The rules of what happens to whole queues: purge, retention, deletion, new settings, numbers, lists."""

from __future__ import annotations

import asyncio

import pytest

from mainspring.core import ids, messages, queues
from mainspring.core.errors import LeaseLost, NotFound
from mainspring.core.limits import DAY, HOUR, SECOND
from mainspring.core.messages import How, Told
from mainspring.core.model import Page
from mainspring.core.queue_model import Edited, Message, Queue, QueueStats, Settled, Verb
from mainspring.core.queues import QueueDraft
from mainspring.loops.janitor import BREATH, Janitor
from mainspring.store.store import Store
from sim.queue_ledger import asker, present, wrong
from store.making import Clock
from store.queueing import Hand, payloads


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


async def edit(hand: Hand, queue: str = "q", **draft: object) -> Queue:
    done = await queues.update(hand.core, hand.clock(), hand.project, queue, QueueDraft(**draft), None)  # type: ignore[arg-type] # the test's own values
    assert isinstance(done, Edited)
    return done.queue


async def prune(store: Store, clock: Clock) -> None:
    """Until nothing is left of what a purge or a deletion left behind."""
    clock.advance(HOUR)
    while await store.tides.prune(clock()):
        clock.advance(1)


async def test_rule_21_a_purge_takes_what_waits_is_delayed_or_leased_and_no_dead_letters(
    hand: Hand, store: Store
) -> None:
    await hand.publish(b"dead")
    await hand.nack(*(await hand.consume()), requeue=False)
    await hand.publish(b"leased", b"ready")
    await hand.publish(b"delayed", delay_seconds=60)
    [leased] = await hand.consume(1)
    assert await hand.purge() == 3
    assert await hand.stats() == QueueStats(0, 0, 0, 1, None)
    verbs: tuple[Verb, ...] = ("ack", "nack", "release", "extend")
    for verb in verbs:
        [gone] = await hand.settle(verb, leased, seconds=60)
        assert isinstance(gone, NotFound)
    await hand.publish(b"after")
    await hand.later(HOUR)
    assert payloads(await hand.consume()) == [b"after"]
    await prune(store, hand.clock)
    await hand.turn()
    assert await wrong(asker(store)) == []
    left = {table: (await asker(store)(f"SELECT count(*) FROM {table}"))[0][0] for table in ("messages", "leftovers")}
    assert left == {"messages": 2, "leftovers": 0}
    assert len(await hand.dead()) == 1


async def test_rule_21_a_purge_of_fifo_groups_leaves_no_group_blocked(hand: Hand, store: Store) -> None:
    await hand.make(type="fifo")
    await hand.publish(b"1", b"2", b"3", group_id="g")
    await hand.consume()
    assert await hand.purge() == 3
    await hand.publish(b"4", group_id="g")
    assert payloads(await hand.consume()) == [b"4"]
    assert await wrong(asker(store)) == []
    await prune(store, hand.clock)
    await hand.turn()
    assert await asker(store)("SELECT count(*) FROM blocked") == [(0,)]


async def test_rule_21_publishes_that_meet_a_purge_are_in_it_or_after_it(hand: Hand, store: Store) -> None:
    await hand.publish(b"before")
    answers = await asyncio.gather(
        *(hand.publish(b"%d" % at) for at in range(20)), hand.purge(), *(hand.publish(b"%d" % at) for at in range(20))
    )
    purged = answers[20]
    assert isinstance(purged, int)
    found = await hand.consume(100)
    assert b"before" not in payloads(found)
    assert purged + len(found) <= 41
    assert await present(asker(store)) == len(found)
    assert await wrong(asker(store)) == []


async def test_rule_22_retention_takes_nothing_that_is_leased_and_nothing_early(hand: Hand, store: Store) -> None:
    await hand.make(retention_days=1)
    began = hand.clock()
    await hand.publish(b"leased")
    [held] = await hand.consume(visibility_seconds=43_200)
    await hand.settle("extend", held, seconds=43_200)
    await hand.publish(b"waits")
    hand.clock.now = began + 12 * HOUR - 1
    await hand.turn()
    hand.clock.now = began + 12 * HOUR
    await hand.turn()
    [held] = [one for one in await hand.consume(visibility_seconds=43_200) if one.payload == b"leased"]
    await hand.publish(b"young")
    hand.clock.now = began + DAY - 1
    await store.tides.expire(hand.clock(), 0)
    assert (await hand.stats()).in_flight == 2
    assert isinstance((await hand.settle("release", held))[0], Settled)
    await store.tides.expire(hand.clock(), 0)
    assert (await hand.stats()).available == 2, "not a millisecond early"
    hand.clock.now = began + DAY + 1
    await store.tides.expire(hand.clock(), 0)
    stats = await hand.stats()
    assert (stats.available, stats.in_flight) == (2, 0), "the other lease was over, and nobody had looked"
    assert await wrong(asker(store)) == []


async def test_rule_22_an_old_message_under_a_lease_is_left_to_its_holder(hand: Hand, store: Store) -> None:
    await hand.make(retention_days=1)
    await hand.publish(b"old")
    await hand.later(DAY - SECOND)
    [held] = await hand.consume(visibility_seconds=3_600)
    await hand.later(HOUR // 2)
    assert await store.tides.expire(hand.clock(), 0) == (0, 0)
    assert await hand.ack(held) == [Settled(held.id)]


async def test_rule_22_of_a_fifo_group_the_next_ones_follow_the_one_that_has_outlived_itself(
    hand: Hand, store: Store
) -> None:
    await hand.make(type="fifo", retention_days=1)
    await hand.publish(b"1", b"2")
    await hand.later(DAY // 2)
    await hand.publish(b"3")
    await hand.later(DAY // 2 + 1)
    janitor = Janitor(hand.core)
    while await janitor.step(hand.clock()) == BREATH:
        hand.clock.advance(1)
    assert await wrong(asker(store)) == []
    assert payloads(await hand.consume()) == [b"3"], "without waiting for the next sweep"


async def test_rule_24_a_new_queue_of_an_old_name_has_nothing_to_do_with_it(hand: Hand, store: Store) -> None:
    await hand.publish(b"old", dedup_id="d")
    [held] = await hand.consume()
    await hand.publish(b"old too")
    await hand.nack(*(await hand.consume()), requeue=False)
    first = await queues.named(hand.core, hand.project, "q")
    assert await queues.delete(hand.core, hand.project, "q", None)
    for act in (hand.stats(), hand.ack(held)):
        with pytest.raises(NotFound):
            await act
    second = await hand.make()
    assert (second.id != first.id, second.generation != first.generation) == (True, True)
    [gone] = await hand.ack(held)
    assert isinstance(gone, NotFound)
    assert await hand.stats() == QueueStats(0, 0, 0, 0, None)
    assert await hand.publish(b"new", dedup_id="d") != [held.id]
    assert await hand.redrive() == 0
    assert payloads(await hand.consume()) == [b"new"]
    await prune(store, hand.clock)
    await hand.turn()
    assert await wrong(asker(store)) == []


async def test_rule_24_deleting_again_is_no_error_and_what_never_was_is(hand: Hand) -> None:
    await hand.make()
    assert await queues.delete(hand.core, hand.project, "q", None)
    assert await queues.delete(hand.core, hand.project, "q", None) is None
    with pytest.raises(NotFound):
        await queues.delete(hand.core, hand.project, "never", None)


async def test_rule_24_who_waits_for_messages_of_a_deleted_queue_goes_on_with_the_new_one(hand: Hand) -> None:
    await hand.make()
    waiting = asyncio.ensure_future(hand.consume(wait_seconds=20))
    await asyncio.sleep(0)
    await queues.delete(hand.core, hand.project, "q", None)
    await hand.publish(b"new")
    assert payloads(await waiting) == [b"new"]


async def test_rule_25_settings_hold_from_the_next_lease_and_the_next_failure_on(hand: Hand) -> None:
    await hand.make(max_retries=5, visibility_seconds=10)
    await hand.publish(b"1", b"2")
    [first] = await hand.consume(1)
    await edit(hand, max_retries=0, visibility_seconds=20)
    [second] = await hand.consume(1)
    assert (first.lease_until, second.lease_until) == (hand.clock() + 10 * SECOND, hand.clock() + 20 * SECOND)
    assert await hand.nack(second) == [Settled(second.id, dead=True)]
    await hand.later(10 * SECOND)
    assert [letter.id for letter in await hand.dead()] == [first.id, second.id]


async def test_rule_25_a_paused_queue_takes_messages_and_hands_out_none(hand: Hand) -> None:
    await hand.publish(b"1")
    [held] = await hand.consume()
    await queues.pause(hand.core, hand.clock(), hand.project, "q", None, paused=True)
    await hand.publish(b"2")
    assert await hand.consume() == []
    assert await hand.ack(held) == [Settled(held.id)]
    await queues.pause(hand.core, hand.clock(), hand.project, "q", None, paused=False)
    assert payloads(await hand.consume()) == [b"2"]


async def test_rule_26_numbers_are_exact_at_every_moment(hand: Hand) -> None:
    began = hand.clock()
    await hand.publish(b"1", b"2", b"3", b"4")
    await hand.publish(b"5", delay_seconds=10)
    assert await hand.stats() == QueueStats(4, 1, 0, 0, began)
    acked, dead, nacked = await hand.consume(3, visibility_seconds=5)
    assert await hand.stats() == QueueStats(1, 1, 3, 0, began)
    await hand.ack(acked)
    await hand.nack(dead, requeue=False)
    await hand.nack(nacked, seconds=3)
    assert await hand.stats() == QueueStats(1, 2, 0, 1, began)
    await hand.consume(visibility_seconds=2)
    hand.clock.advance(10 * SECOND)
    stats = await hand.stats()
    assert (stats.available, stats.delayed, stats.in_flight, stats.dead) == (3, 0, 0, 1), "before anybody has looked"
    await hand.turn()
    assert await hand.stats() == QueueStats(3, 0, 0, 1, began)
    assert (await hand.stats("q.dlq")).available == 1


async def test_rule_26_the_age_is_that_of_the_oldest_one_available(hand: Hand) -> None:
    began = hand.clock()
    await hand.publish(b"1", priority=0)
    hand.clock.advance(SECOND)
    await hand.publish(b"2", priority=9)
    assert (await hand.stats()).oldest_at == began
    await hand.consume(1)
    assert (await hand.stats()).oldest_at == began
    await hand.consume(1)
    assert (await hand.stats()).oldest_at is None
    await hand.later(30 * SECOND)
    assert (await hand.stats()).oldest_at == began


async def test_rule_32_a_list_goes_on_where_it_was_whatever_happens_meanwhile(hand: Hand) -> None:
    made = [(await hand.make(f"q{at}")).id for at in range(9)]
    first = await queues.page(hand.core, hand.project, Page(limit=4))
    assert [one.id for one in first] == made[:4:-1]
    await hand.make("new")
    await queues.delete(hand.core, hand.project, "q2", None)
    second = await queues.page(hand.core, hand.project, Page(limit=50, before=(first[-1].id, 0)))
    assert [one.id for one in second] == [made[4], made[3], made[1], made[0]]
    assert await queues.page(hand.core, "another project", Page(limit=9)) == []


async def test_peeking_takes_nothing_and_shows_what_comes_next(hand: Hand) -> None:
    await hand.publish(b"low")
    await hand.publish(b"high", priority=9)
    for _ in range(2):
        _, shown = await messages.peek(hand.core, hand.project, "q", 10)
        assert payloads(shown) == [b"high", b"low"]
    [forged] = await _acked(hand, shown[0])
    assert isinstance(forged, LeaseLost)
    assert payloads(await hand.consume()) == [b"high", b"low"]


async def _acked(hand: Hand, shown: Message) -> list[object]:
    told = Told(ids.text("msg", shown.id))
    done = await messages.settle(hand.core, hand.clock(), hand.project, "q", "ack", [told], hand.holder, How(), None)
    return list(getattr(done, "parts", []))
