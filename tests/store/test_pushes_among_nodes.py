"""Pushes of several nodes on one PostgreSQL."""

from __future__ import annotations

import asyncio

from mainspring.core import pushes, subscriptions
from mainspring.core.ports import Outcome
from mainspring.core.push_model import Subscription
from mainspring.core.subscriptions import SubscriptionDraft
from mainspring.store.store import Store
from store.making import PROJECT, START, Clock, Wakes
from store.queueing import Hand
from store.sharing import eventually


async def test_two_nodes_never_hold_more_than_the_subscription_may(pair: tuple[Store, Store], clock: Clock) -> None:
    """Both claim at the same time, again and again, and settle what they got."""
    hands = [Hand(store, clock) for store in pair]
    made = await subscriptions.subscribe(
        hands[0].core, PROJECT, "q", SubscriptionDraft(url="http://a/", max_concurrency=7), None
    )
    assert isinstance(made, Subscription)
    await hands[0].publish(*[b"1"] * 300)
    posted: list[int] = []
    while len(posted) < 300:
        claims = await asyncio.gather(*(store.pushes.claim(clock(), [made.id], 5) for store in pair * 2))
        found = [push for each in claims for push in each]
        assert 0 < len(found) <= 7
        posted += [push.message.id for push in found]
        ended = [pushes.after(push, Outcome("reply", clock(), status=200), clock(), 0.5) for push in found]
        at = len(ended) // 2
        await asyncio.gather(pair[0].pushes.finish(clock(), ended[:at]), pair[1].pushes.finish(clock(), ended[at:]))
    assert len(set(posted)) == 300
    stats = await hands[1].stats()
    assert (stats.available, stats.in_flight) == (0, 0)


async def test_a_target_that_asked_one_node_for_time_is_left_alone_by_the_others(
    pair: tuple[Store, Store], clock: Clock
) -> None:
    hand = Hand(pair[0], clock)
    made = await subscriptions.subscribe(hand.core, PROJECT, "q", SubscriptionDraft(url="http://a/"), None)
    assert isinstance(made, Subscription)
    await hand.publish(b"1", b"2")
    [push] = await pair[0].pushes.claim(clock(), [made.id], 1)
    asked = Outcome("reply", clock(), status=503, retry_after_ms=60_000)
    await pair[0].pushes.finish(clock(), [pushes.after(push, asked, clock(), 0.5)])
    assert await pair[1].pushes.wanted(clock(), None) == []
    assert await pair[1].pushes.claim(clock(), [made.id], 9) == []
    clock.advance(60_000)
    assert len(await pair[1].pushes.claim(clock(), [made.id], 9)) == 1


async def test_a_subscription_made_on_one_node_wakes_the_pushers_of_all(pair: tuple[Store, Store]) -> None:
    local = [Wakes(), Wakes()]
    here, _ = [store.wakeups(wakes) for store, wakes in zip(pair, local, strict=True)]
    for store in pair:
        await store.beat(START)
    before = local[1].subscribed
    here.subscriptions()
    assert local[0].subscribed > 0

    async def heard() -> bool:
        return local[1].subscribed > before

    await eventually(heard)
