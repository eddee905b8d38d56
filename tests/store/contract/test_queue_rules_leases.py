"""The rules of leases: who may settle a message, what is counted, and how long somebody may hold on to it."""

from __future__ import annotations

import asyncio

import pytest

from mainspring.core import ids, messages, queues
from mainspring.core.errors import LeaseLost, NotFound
from mainspring.core.limits import HOUR, LEASE_TOTAL_MAX, SECOND, TIDE_BATCH
from mainspring.core.messages import Ask, How, Told
from mainspring.core.queue_model import Message, Receive, Settle, Settled, Settlement, Verb
from mainspring.store.store import Store
from store.making import Clock
from store.queueing import Hand, payloads

VERBS: tuple[Verb, ...] = ("ack", "nack", "release", "extend")


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


async def late_and_current(hand: Hand) -> tuple[Message, Message]:
    """The same message, held by somebody whose lease has ended and by somebody else now."""
    await hand.publish(b"1")
    [late] = await hand.consume(visibility_seconds=1)
    await hand.later(2 * SECOND)
    [current] = await hand.consume()
    assert (current.id, current.attempt, current.failures) == (late.id, 2, 1)
    return late, current


@pytest.mark.parametrize("verb", VERBS)
async def test_rule_01_fencing_a_late_holder_changes_nothing(hand: Hand, verb: Verb) -> None:
    late, current = await late_and_current(hand)
    before = await hand.stats()
    [lost] = await hand.settle(verb, late, seconds=40)
    assert isinstance(lost, LeaseLost)
    assert await hand.stats() == before
    await hand.later(29 * SECOND)
    assert await hand.consume() == [], "the current lease goes on"
    [settled] = await hand.nack(current)
    assert settled == Settled(current.id)
    [again] = await hand.consume()
    assert (again.attempt, again.failures) == (3, 2), "only the nack was counted beside the first expiry"


@pytest.mark.parametrize("verb", VERBS)
async def test_rule_01_fencing_a_lease_that_is_over_is_over_before_anybody_has_looked(hand: Hand, verb: Verb) -> None:
    await hand.publish(b"1")
    [late] = await hand.consume(visibility_seconds=1)
    hand.clock.advance(SECOND)
    [lost] = await hand.settle(verb, late, seconds=40)
    assert isinstance(lost, LeaseLost)
    await hand.turn()
    [again] = await hand.consume()
    assert again.failures == 1


@pytest.mark.parametrize("verb", VERBS)
async def test_rule_01_fencing_holds_among_callers_who_share_a_transaction(
    hand: Hand, store: Store, verb: Verb
) -> None:
    late, current = await late_and_current(hand)
    queue = await queues.named(hand.core, hand.project, "q")
    at = hand.clock() + 60 * SECOND
    wrong = Settle(queue, verb, ((late.id, late.token),), hand.holder, visible_at=at)
    right = Settle(queue, "extend", ((current.id, current.token),), hand.holder, visible_at=at + 1)
    answers = await store.messages.settle(hand.clock(), [wrong, right])
    refused, extended = [one.parts[0] for one in answers if isinstance(one, Settlement)]
    assert isinstance(refused, LeaseLost)
    assert extended == Settled(current.id, lease_until=at + 1)
    done = Settle(queue, "ack", ((current.id, current.token),), hand.holder)
    stale = Settle(queue, "nack", ((late.id, late.token),), hand.holder, requeue=False)
    answers = await store.messages.settle(hand.clock(), [stale, done])
    refused, acked = [one.parts[0] for one in answers if isinstance(one, Settlement)]
    assert isinstance(refused, LeaseLost | NotFound)
    assert acked == Settled(current.id)
    assert await hand.dead() == []
    assert (await hand.stats()).in_flight == 0


async def test_rule_01_fencing_of_several_parts_each_stands_for_itself(hand: Hand) -> None:
    await hand.publish(b"1", b"2", b"3")
    first, second, third = await hand.consume()
    await hand.ack(second)
    forged = Told(ids.text("msg", third.id), messages.receipt_of(first))
    done = await messages.settle(
        hand.core,
        hand.clock(),
        hand.project,
        "q",
        "ack",
        [
            Told(ids.text("msg", first.id), messages.receipt_of(first)),
            Told(ids.text("msg", second.id), messages.receipt_of(second)),
            forged,
            Told("msg_nonsense"),
            Told(ids.text("msg", first.id), messages.receipt_of(first)),
        ],
        hand.holder,
        How(),
        None,
    )
    assert isinstance(done, Settlement)
    acked, gone, lost, unknown, twice = done.parts
    assert acked == Settled(first.id)
    assert isinstance(gone, NotFound)
    assert isinstance(lost, LeaseLost)
    assert isinstance(unknown, NotFound)
    assert isinstance(twice, NotFound)
    assert (await hand.stats()).in_flight == 1


async def test_rule_01_fencing_without_a_receipt_only_the_holder_settles(hand: Hand, store: Store) -> None:
    stranger = Hand(store, hand.clock, holder=8)
    await hand.publish(b"1")
    [held] = await hand.consume(visibility_seconds=1)
    [lost] = await stranger.ack(held.id)
    assert isinstance(lost, LeaseLost)
    await hand.later(SECOND)
    [theirs] = await stranger.consume()
    [lost] = await hand.ack(held.id)
    assert isinstance(lost, LeaseLost)
    assert await stranger.ack(theirs.id) == [Settled(held.id)]


async def test_rule_01_fencing_a_receipt_is_good_for_its_queue_and_project_only(hand: Hand, store: Store) -> None:
    await hand.publish(b"1")
    await hand.publish(b"2", queue="other")
    foreign = Hand(store, hand.clock, project="foreign")
    await foreign.publish(b"3")
    [held] = await hand.consume()
    [elsewhere] = await hand.ack(held, queue="other")
    assert isinstance(elsewhere, NotFound)
    [elsewhere] = await foreign.ack(held)
    assert isinstance(elsewhere, NotFound)
    assert (await hand.stats()).in_flight == 1


async def test_rule_02_claims_that_meet_never_hand_out_one_message_twice(hand: Hand) -> None:
    published = await hand.publish(*[b"%d" % at for at in range(100)])
    found = await asyncio.gather(*(hand.consume(7) for _ in range(16)))
    assert max(len(one) for one in found) == 7
    assert sorted(message.id for one in found for message in one) == published
    assert {message.attempt for one in found for message in one} == {1}
    assert (await hand.stats()).in_flight == 100


async def test_rule_02_a_claim_of_many_queues_at_once_keeps_each_limit(hand: Hand, store: Store) -> None:
    for name in ("a", "b", "c"):
        await hand.publish(*[name.encode()] * 5, queue=name)
    made = [await queues.named(hand.core, hand.project, name) for name in ("a", "b", "c", "a")]
    wishes = [Receive(queue, limit, SECOND, 7) for queue, limit in zip(made, (1, 9, 3, 2), strict=True)]
    answers = await store.messages.receive(hand.clock(), wishes)
    assert [payloads(one) for one in answers if isinstance(one, list)] == [[b"a"], [b"b"] * 5, [b"c"] * 3, [b"a"] * 2]


async def test_rule_11_the_same_receive_id_gives_the_same_messages_and_receipts_within_the_lease(
    hand: Hand, store: Store
) -> None:
    await hand.publish(b"1", b"2", b"3", b"4")
    first = await hand.consume(2, receive_id="try")
    assert payloads(first) == [b"1", b"2"]
    assert await hand.consume(2, receive_id="try") == first
    assert payloads(await hand.consume(1, receive_id="another")) == [b"3"]
    stranger = Hand(store, hand.clock, holder=8)
    assert payloads(await stranger.consume(2, receive_id="try")) == [b"4"], "a receive id is its caller's own"
    await hand.ack(first[0])
    assert await hand.consume(2, receive_id="try") == first[1:]
    await hand.later(30 * SECOND)
    anew = await hand.consume(2, receive_id="try")
    assert payloads(anew) == [b"2", b"3"]
    assert [one.attempt for one in anew] == [2, 2]


async def test_rule_11_the_same_receive_id_at_the_same_time_is_one_consume(hand: Hand) -> None:
    await hand.publish(b"1", b"2", b"3", b"4")
    one, other = await asyncio.gather(*(hand.consume(2, receive_id="try") for _ in range(2)))
    assert payloads(one) == [b"1", b"2"]
    assert one == other
    assert (await hand.stats()).in_flight == 2


async def test_rule_14_an_attempt_is_counted_when_the_lease_is_given_and_a_failure_exactly_once(hand: Hand) -> None:
    await hand.publish(b"1")
    [held] = await hand.consume(visibility_seconds=1)
    assert (held.attempt, held.failures) == (1, 0)
    await hand.settle("release", held)
    [held] = await hand.consume(visibility_seconds=1)
    assert (held.attempt, held.failures) == (2, 0), "giving back is no failure"
    hand.clock.advance(5 * SECOND)
    await asyncio.gather(*(hand.turn() for _ in range(4)))
    [held] = await hand.consume()
    assert (held.attempt, held.failures) == (3, 1), "one expiry, however many looked"
    await hand.nack(held)
    [held] = await hand.consume()
    assert (held.attempt, held.failures) == (4, 2)


async def test_rule_15_a_crash_that_held_many_counts_once_for_each_and_costs_none_its_place(hand: Hand) -> None:
    await hand.make(max_retries=1)
    many = TIDE_BATCH + 20
    published = await hand.publish(*[b"%d" % at for at in range(many)])
    crashed = await hand.consume(many, visibility_seconds=1)
    assert len(crashed) == many
    await hand.later(SECOND)
    assert (await hand.stats()).available == many
    again = await hand.consume(many, visibility_seconds=1)
    assert [one.id for one in again] == published
    assert {one.failures for one in again} == {1}
    [poison, *innocent] = again
    assert len(await hand.ack(*innocent)) == many - 1
    await hand.later(SECOND)
    assert [letter.id for letter in await hand.dead()] == [poison.id]


async def test_rule_23_however_often_it_is_extended_a_lease_ends_twelve_hours_after_it_began(hand: Hand) -> None:
    await hand.publish(b"1")
    began = hand.clock()
    [held] = await hand.consume()
    for _ in range(3):
        hand.clock.advance(20 * SECOND)
        [extended] = await hand.settle("extend", held, seconds=30)
        assert extended == Settled(held.id, lease_until=hand.clock() + 30 * SECOND)
    [extended] = await hand.settle("extend", held, seconds=12 * 3600)
    assert extended == Settled(held.id, lease_until=began + LEASE_TOTAL_MAX)
    await hand.later(11 * HOUR)
    [extended] = await hand.settle("extend", held, seconds=12 * 3600)
    assert extended == Settled(held.id, lease_until=began + LEASE_TOTAL_MAX)
    hand.clock.now = began + LEASE_TOTAL_MAX
    [lost] = await hand.settle("extend", held, seconds=60)
    assert isinstance(lost, LeaseLost)


async def test_rule_30_what_is_given_back_is_there_at_once_for_others_and_counts_as_no_failure(
    hand: Hand, store: Store
) -> None:
    await hand.make(max_retries=0)
    await hand.publish(b"1", b"2")
    held = await hand.consume()
    waiting = asyncio.ensure_future(Hand(store, hand.clock, holder=8).consume(5))
    assert await waiting == []
    assert await hand.settle("release", *held) == [Settled(one.id) for one in held]
    again = await hand.consume()
    assert [(one.id, one.failures, one.attempt) for one in again] == [(one.id, 0, 2) for one in held]


def test_the_ask_has_the_defaults_of_the_contract() -> None:
    assert Ask() == Ask(max_messages=10, visibility_seconds=None, wait_seconds=0, receive_id=None)
