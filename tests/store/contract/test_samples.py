"""Samples: what is written once a minute, what becomes of it, and how it is read."""

from __future__ import annotations

import pytest

from mainspring.core.limits import DAY, HOUR, MINUTE, PRUNE_BATCH, SAMPLED_QUEUES_MAX
from mainspring.core.samples import RANGES, Sample
from mainspring.core.views.overview import FirePoint, QueuePoint
from mainspring.store.store import Store
from store.making import PROJECT, START, Clock
from store.queueing import Hand


def sample(fires: int, failed: int = 0, *, project: str = PROJECT, at: int = 0, took: int = 100) -> Sample:
    """All of them late by as much as range `at` says."""
    counts = [0] * RANGES
    counts[at] = fires
    return Sample(project, fires, failed, took * fires, took, tuple(counts))


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


async def series(store: Store, queue_id: int) -> list[QueuePoint]:
    return await store.views.overview.queue_series(queue_id, START, MINUTE)


async def test_minutes_are_added_up_to_steps_and_what_is_written_twice_counts_twice(store: Store) -> None:
    await store.samples.add(START, [sample(3, 1), sample(50, project="another")])
    await store.samples.add(START, [sample(2, at=RANGES - 1, took=300)])
    await store.samples.add(START + 4 * MINUTE, [sample(10)])
    await store.samples.add(START + 5 * MINUTE, [sample(1)])
    await store.samples.add(START - MINUTE, [sample(99)])
    found = await store.views.overview.fires(PROJECT, START, 5 * MINUTE)
    assert found == [
        FirePoint(START, 15, 1, 1900, 300, late=(13, *(0,) * (RANGES - 2), 2)),
        FirePoint(START + 5 * MINUTE, 1, 0, 100, 100, late=(1, *(0,) * (RANGES - 1))),
    ]
    assert [one.at for one in await store.views.overview.fires(PROJECT, START, MINUTE)] == [
        START,
        START + 4 * MINUTE,
        START + 5 * MINUTE,
    ]


async def test_queues_are_sampled_while_they_hold_something_and_once_more(store: Store, hand: Hand) -> None:
    queue, empty = await hand.make("q"), await hand.make("empty")
    await hand.publish(b"1", b"2", b"3")
    await hand.publish(b"later", delay_seconds=3600)
    [taken] = await hand.consume(1)
    hand.clock.advance(10_000)
    assert await store.samples.add_queues(START, START + 10_000) == 1
    await hand.ack(taken)
    for message in await hand.consume(2):
        await hand.ack(message)
    await hand.purge()
    await store.samples.add_queues(START + MINUTE, START + MINUTE)
    assert await store.samples.add_queues(START + 2 * MINUTE, START + 2 * MINUTE) == 0
    first, second = await series(store, queue.id)
    assert first == QueuePoint(START, available=2, delayed=1, in_flight=1, dead=0, oldest_ms=first.oldest_ms)
    assert 9_000 <= first.oldest_ms <= 10_000
    assert second == QueuePoint(START + MINUTE, 0, 0, 0, 0, 0)
    assert await series(store, empty.id) == []


async def test_a_queue_with_nothing_but_dead_letters_is_sampled_with_them(store: Store, hand: Hand) -> None:
    queue = await hand.make("q")
    await hand.publish(b"1", b"2")
    for message in await hand.consume():
        await hand.nack(message, requeue=False)
    assert await store.samples.add_queues(START, START) == 2
    [point] = await series(store, queue.id)
    assert (point.available, point.in_flight, point.dead) == (0, 0, 2)


async def test_what_waits_behind_the_head_of_its_group_can_be_had_or_is_delayed(store: Store, hand: Hand) -> None:
    queue = await hand.make("f", type="fifo")
    await hand.publish(b"1", b"2", b"3", queue="f", group_id="g")
    await hand.publish(b"4", queue="f", group_id="g", delay_seconds=600)
    await store.samples.add_queues(START, START)
    [point] = await series(store, queue.id)
    assert (point.available, point.delayed) == (3, 1)


async def test_a_minute_is_sampled_by_whoever_is_first(store: Store, hand: Hand) -> None:
    queue = await hand.make("q")
    await hand.publish(b"1")
    assert await store.samples.add_queues(START, START) == 1
    await hand.publish(b"2")
    assert await store.samples.add_queues(START, START + 1) == 0
    assert [one.available for one in await series(store, queue.id)] == [1]


async def test_of_very_many_queues_the_fullest_are_sampled(store: Store, hand: Hand) -> None:
    for number in range(SAMPLED_QUEUES_MAX + 5):
        await hand.publish(b"x", queue=f"q{number}")
    full = (await hand.publish(b"1", b"2", queue="full")) and await hand.make("full")
    assert await store.samples.add_queues(START, START) == SAMPLED_QUEUES_MAX
    assert [one.available for one in await series(store, full.id)] == [2]


async def test_a_step_shows_the_most_that_was_there_in_it(store: Store, hand: Hand) -> None:
    queue = await hand.make("q")
    for minute in range(3):
        await hand.publish(b"1")
        await store.samples.add_queues(START + minute * MINUTE, START + minute * MINUTE)
    found = await store.views.overview.queue_series(queue.id, START, HOUR)
    assert [(one.at, one.available) for one in found] == [(START, 3)]


async def test_samples_are_removed_after_a_week_in_bounded_steps(store: Store, hand: Hand) -> None:
    for minute in range(PRUNE_BATCH + 10):
        await store.samples.add(START + minute * MINUTE, [sample(1)])
    queue = await hand.make("q")
    await hand.publish(b"1")
    await store.samples.add_queues(START, START)
    week = START + 7 * DAY
    assert await store.samples.prune(week) == 0
    later = week + (PRUNE_BATCH + 5) * MINUTE
    assert await store.samples.prune(later) == PRUNE_BATCH
    assert await store.samples.prune(later) == 5
    assert len(await store.views.overview.fires(PROJECT, START, MINUTE)) == 5
    assert await series(store, queue.id) == []
