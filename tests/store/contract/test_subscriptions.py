"""Push subscriptions and the log of pushes, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.core import pushes, queues, subscriptions
from mainspring.core.errors import Conflict, Invalid, LeaseLost, NotFound
from mainspring.core.idempotency import Answer, Once, Replay
from mainspring.core.limits import DAY, PRUNE_BATCH, PUSH_LOG_ROWS, SECOND
from mainspring.core.model import Page
from mainspring.core.ports import Outcome
from mainspring.core.push_model import Push, PushOutcome, PushResult, Subscription
from mainspring.core.subscriptions import SubscriptionDraft
from mainspring.store.store import Store
from store.making import ALL, PROJECT, START, Clock
from store.queueing import Hand

LIMIT = 1_000


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


async def subscribe(hand: Hand, url: str = "http://a/", queue: str = "q", **draft: Any) -> Subscription:
    made = await subscriptions.subscribe(hand.core, PROJECT, queue, SubscriptionDraft(url=url, **draft), None)
    assert isinstance(made, Subscription)
    return made


async def end(hand: Hand, made: Subscription, queue: str = "q") -> Subscription:
    ended = await subscriptions.unsubscribe(hand.core, PROJECT, queue, made.id, None)
    assert isinstance(ended, Subscription)
    return ended


async def claim(hand: Hand, *made: Subscription, limit: int = LIMIT) -> list[Push]:
    return await hand.core.store.pushes.claim(hand.clock(), [one.id for one in made], limit)


def result(hand: Hand, push: Push, status: int = 200) -> PushResult:
    outcome = Outcome("reply", hand.clock(), sent_at=hand.clock(), status=status, body=b"said")
    return pushes.after(push, outcome, hand.clock(), 0.5)


async def finish(hand: Hand, *results: PushResult) -> tuple[PushOutcome, ...]:
    return (await hand.core.store.pushes.finish(hand.clock(), results)).outcomes


async def test_a_subscription_makes_its_queue_and_is_listed(hand: Hand) -> None:
    made = await subscribe(hand, max_concurrency=3, visibility_seconds=40)
    assert (made.settings.url, made.settings.max_concurrency, made.settings.visibility_ms) == ("http://a/", 3, 40_000)
    assert (made.settings.timeout_ms, made.settings.format, made.settings.max_retries) == (30_000, "message", None)
    other = await subscribe(hand, "http://b/")
    assert await subscriptions.page(hand.core, PROJECT, "q", ALL) == [other, made]
    [second] = await subscriptions.page(hand.core, PROJECT, "q", Page(limit=1, before=(other.id, 0)))
    assert second == made
    with pytest.raises(NotFound):
        await subscriptions.page(hand.core, PROJECT, "nothing", ALL)


async def test_the_same_url_again_is_the_same_subscription_with_the_last_settings(hand: Hand) -> None:
    first = await subscribe(hand, max_concurrency=3, secret="one", max_retries=1)
    hand.clock.advance(SECOND)
    again = await subscribe(hand, timeout_seconds=5)
    assert (again.id, again.created_at, again.updated_at) == (first.id, START, START + SECOND)
    assert (again.settings.max_concurrency, again.settings.secret, again.settings.max_retries) == (8, None, None)
    assert again.settings.timeout_ms == 5_000
    assert len(await subscriptions.page(hand.core, PROJECT, "q", ALL)) == 1
    elsewhere = await subscribe(hand, queue="other")
    assert elsewhere.id != first.id


async def test_an_ended_subscription_says_why_and_gives_its_url_free(hand: Hand) -> None:
    made = await subscribe(hand)
    ended = await end(hand, made)
    assert (ended.ended_at, ended.ended_because) == (START, "unsubscribed")
    hand.clock.advance(SECOND)
    assert await end(hand, made) == ended
    again = await subscribe(hand)
    assert again.id != made.id
    assert {one.id for one in await subscriptions.page(hand.core, PROJECT, "q", ALL)} == {made.id, again.id}
    with pytest.raises(NotFound):
        await subscriptions.unsubscribe(hand.core, PROJECT, "q", 1, None)
    await hand.make("other")
    with pytest.raises(NotFound):
        await subscriptions.unsubscribe(hand.core, PROJECT, "other", again.id, None)


async def test_an_idempotency_key_subscribes_once(hand: Hand) -> None:
    once = Once(PROJECT, "queue.push_subscribe", "k", b"body", lambda made: Answer(b"%d" % made.id))
    draft = SubscriptionDraft(url="http://a/", max_concurrency=2)
    made = await subscriptions.subscribe(hand.core, PROJECT, "q", draft, once)
    assert isinstance(made, Subscription)
    await subscribe(hand, max_concurrency=5)
    replayed = await subscriptions.subscribe(hand.core, PROJECT, "q", draft, once)
    assert replayed == Replay(b"%d" % made.id)
    [now] = await subscriptions.page(hand.core, PROJECT, "q", ALL)
    assert now.settings.max_concurrency == 5


async def test_a_deleted_queue_ends_its_subscriptions(hand: Hand) -> None:
    made = await subscribe(hand)
    await hand.publish(b"1")
    await queues.delete(hand.core, PROJECT, "q", None)
    assert await hand.core.store.subscriptions.queues() == set()
    assert await hand.core.store.pushes.wanted(hand.clock(), None) == []
    await hand.publish(b"2")
    assert await claim(hand, made) == []
    assert await subscriptions.page(hand.core, PROJECT, "q", ALL) == []


async def test_a_queue_for_the_dead_letters_of_a_subscription_is_made_kept_and_never_a_circle(hand: Hand) -> None:
    made = await subscribe(hand, dead_letters="grave")
    assert made.settings.dead_letters == "grave"
    with pytest.raises(Conflict) as refused:
        await queues.delete(hand.core, PROJECT, "grave", None)
    assert refused.value.code == "QUEUE_IN_USE"
    await hand.make("p", dead_letters="q")
    with pytest.raises(Invalid) as back:
        await queues.update(hand.core, START, PROJECT, "grave", queues.QueueDraft(dead_letters="p"), None)
    assert back.value.field == "dead_letter_queue"
    for name in ("q", "p"):
        with pytest.raises(Invalid):
            await subscribe(hand, "http://b/", dead_letters=name)
    await hand.make("ordered", type="fifo")
    with pytest.raises(Invalid):
        await subscribe(hand, "http://b/", dead_letters="ordered")
    await end(hand, made)
    await queues.delete(hand.core, PROJECT, "grave", None)


async def test_what_a_subscription_may_hold_is_counted_over_all_claims(hand: Hand) -> None:
    made = await subscribe(hand, max_concurrency=3)
    await hand.publish(*[b"1"] * 10)
    first = await claim(hand, made, limit=2)
    assert len(first) == 2
    assert len(await claim(hand, made)) == 1
    assert await hand.core.store.pushes.wanted(hand.clock(), None) == []
    assert await finish(hand, result(hand, first[0])) == ("acked",)
    assert await hand.core.store.pushes.wanted(hand.clock(), {made.queue_id}) == [made.id]
    assert await hand.core.store.pushes.wanted(hand.clock(), {made.queue_id + 1}) == []
    assert len(await claim(hand, made)) == 1
    hand.clock.advance(35 * SECOND)
    assert len(await claim(hand, made)) == 3


async def test_a_lease_outlasts_the_request_and_the_visibility(hand: Hand) -> None:
    slow = await subscribe(hand, "http://slow/", timeout_seconds=60, visibility_seconds=10)
    long = await subscribe(hand, "http://long/", timeout_seconds=5, visibility_seconds=100)
    plain = await subscribe(hand, "http://plain/", timeout_seconds=1)
    await hand.publish(*[b"1"] * 3)
    for made, lease in ((slow, 65), (long, 100), (plain, 30)):
        [push] = await claim(hand, made, limit=1)
        assert push.message.lease_until == START + lease * SECOND


async def test_a_late_answer_changes_nothing_and_is_logged_as_lost(hand: Hand) -> None:
    made = await subscribe(hand)
    [message_id] = await hand.publish(b"1")
    [push] = await claim(hand, made)
    await hand.later(35 * SECOND)
    [held] = await hand.consume()
    assert await finish(hand, result(hand, push)) == ("lost",)
    assert (await hand.stats()).in_flight == 1
    await hand.ack(held)
    [logged] = await subscriptions.log(hand.core, PROJECT, "q", ALL)
    assert (logged.outcome, logged.message_id, logged.status) == ("lost", message_id, 200)


async def test_results_that_end_together_are_each_settled(hand: Hand) -> None:
    made = await subscribe(hand, max_retries=0)
    await hand.publish(*[b"1"] * 4)
    found = await claim(hand, made)
    statuses = (200, 500, 410, 302)
    done = await hand.core.store.pushes.finish(
        START, [result(hand, push, status) for push, status in zip(found, statuses, strict=True)]
    )
    assert done.outcomes == ("acked", "nacked", "released", "nacked")
    assert done.dead == ((PROJECT, "q", 2),)
    assert [one.id for one in done.ended] == [made.id]
    stats = await hand.stats()
    assert (stats.available, stats.in_flight, stats.dead) == (1, 0, 2)


async def test_the_log_is_read_by_queue_and_by_subscription(hand: Hand) -> None:
    one, two = await subscribe(hand, "http://a/"), await subscribe(hand, "http://b/")
    await hand.publish(*[b"1"] * 4)
    for made in (one, two, one, two):
        [push] = await claim(hand, made, limit=1)
        await finish(hand, result(hand, push))
    log = await subscriptions.log(hand.core, PROJECT, "q", ALL)
    assert [push.subscription_id for push in log] == [two.id, one.id, two.id, one.id]
    of_one = await subscriptions.log(hand.core, PROJECT, "q", ALL, subscription_id=one.id)
    assert of_one == [log[1], log[3]]
    assert await subscriptions.log(hand.core, PROJECT, "q", Page(limit=9, before=(log[1].id, 0))) == log[2:]
    with pytest.raises(NotFound):
        await subscriptions.log(hand.core, PROJECT, "q", ALL, subscription_id=1)


async def prune(hand: Hand) -> int:
    removed, after = 0, 0
    for _ in range(1_000):
        count, after = await hand.core.store.pushes.prune(hand.clock(), after)
        removed += count
        if count == 0 and after == 0:
            return removed
    raise AssertionError("pruning does not come to its end")


async def test_the_log_keeps_thirty_days(hand: Hand) -> None:
    made = await subscribe(hand)
    for _ in range(2):
        await hand.publish(b"1")
        [push] = await claim(hand, made)
        await finish(hand, result(hand, push))
        assert await prune(hand) == 0
        hand.clock.advance(29 * DAY)
    assert await prune(hand) == 1
    assert len(await subscriptions.log(hand.core, PROJECT, "q", ALL)) == 1


async def test_the_log_keeps_the_newest_ten_thousand_of_a_queue(hand: Hand) -> None:
    made = {name: await subscribe(hand, queue=name) for name in [f"q{number}" for number in range(12)]}
    for one in made.values():
        await hand.publish(b"1", queue=next(name for name, each in made.items() if each is one))
        [push] = await claim(hand, one)
        count = PUSH_LOG_ROWS + PRUNE_BATCH + 7 if one is made["q7"] else 1
        for at in range(0, count, 1_000):
            await finish(hand, *[result(hand, push)] * min(1_000, count - at))
    assert await prune(hand) == PRUNE_BATCH + 7
    newest = await subscriptions.log(hand.core, PROJECT, "q7", Page(limit=PUSH_LOG_ROWS + 1))
    assert len(newest) == PUSH_LOG_ROWS
    assert len(await subscriptions.log(hand.core, PROJECT, "q8", ALL)) == 1


async def test_ended_subscriptions_are_kept_for_thirty_days(hand: Hand) -> None:
    gone, kept = await subscribe(hand), await subscribe(hand, "http://b/")
    await end(hand, gone)
    hand.clock.advance(30 * DAY)
    assert await hand.core.store.subscriptions.prune(hand.clock()) == 0
    hand.clock.advance(1)
    assert await hand.core.store.subscriptions.prune(hand.clock()) == 1
    assert [one.id for one in await subscriptions.page(hand.core, PROJECT, "q", ALL)] == [kept.id]


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"url": None}, "url"),
        ({"secret": "whsec_short"}, "secret"),
        ({"headers": {"webhook-id": "x"}}, "headers.webhook-id"),
        ({"headers": {"Idempotency-Key": "x"}}, "headers.Idempotency-Key"),
        ({"headers": {"X-A": "***"}}, "headers.X-A"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1_001}, "max_retries"),
        ({"dead_letters": "q"}, "dead_letter_queue"),
        ({"dead_letters": "no name"}, "dead_letter_queue"),
        ({"visibility_seconds": 0}, "visibility_timeout"),
        ({"visibility_seconds": 43_201}, "visibility_timeout"),
        ({"timeout_seconds": 0.5}, "timeout_seconds"),
        ({"timeout_seconds": 901}, "timeout_seconds"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_concurrency": 101}, "max_concurrency"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(hand: Hand, draft: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await subscribe(hand, **{"url": "http://a/", **draft})
    assert refused.value.field == field
    assert await hand.core.store.subscriptions.queues() == set()


async def test_a_subscription_holds_as_nobody_else_can(hand: Hand) -> None:
    made = await subscribe(hand)
    [message_id] = await hand.publish(b"1")
    await claim(hand, made)
    pretender = Hand(hand.bench.store, hand.clock, holder=made.id)
    [lost] = await pretender.ack(message_id)
    assert isinstance(lost, LeaseLost)
    assert made.holder == -made.id
