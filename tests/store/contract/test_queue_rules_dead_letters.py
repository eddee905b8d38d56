"""The rules of dead letters: how a message becomes one, where it goes, how it is listed, and how it goes back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mainspring.core import dead_letters, ids, queues
from mainspring.core.errors import Conflict, Invalid, LeaseLost, NotFound, Refused
from mainspring.core.idempotency import Answer, Once
from mainspring.core.limits import DAY, SECOND
from mainspring.core.model import Page
from mainspring.core.ports import QueueRules
from mainspring.core.queue_model import Edited
from mainspring.core.queues import QueueDraft
from mainspring.store.store import Store
from sim.queue_faults import refusing
from sim.queue_ledger import asker, wrong
from store.making import Clock
from store.queueing import Hand, payloads


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


async def kill(hand: Hand, *messages: bytes, queue: str = "q", **draft: object) -> list[int]:
    """Publish and reject at once, one after the other; a millisecond lies between them."""
    dead = []
    for payload in messages:
        [message_id] = await hand.publish(payload, queue=queue, **draft)
        [held] = await hand.consume(1, queue=queue)
        assert held.id == message_id
        [settled] = await hand.nack(held, queue=queue, requeue=False)
        assert not isinstance(settled, Exception)
        assert settled.dead
        dead.append(message_id)
        hand.clock.advance(1)
    return dead


async def edit(hand: Hand, queue: str, **draft: object) -> None:
    done = await queues.update(hand.core, hand.clock(), hand.project, queue, QueueDraft(**draft), None)  # type: ignore[arg-type] # the test's own values
    assert isinstance(done, Edited)


async def test_rule_16_a_dead_letter_leaves_its_queue_and_enters_the_other_in_one_transaction(
    hand: Hand, store: Store
) -> None:
    await hand.make(max_retries=0)
    await hand.publish(b"expires")
    await hand.publish(b"rejected")
    expires, rejected = await hand.consume(visibility_seconds=1)
    async with refusing(store, "dead"):
        with pytest.raises(Exception, match="refused by the test"):
            await hand.nack(rejected, requeue=False)
        assert (await hand.stats()).in_flight == 2
        hand.clock.advance(SECOND)
        with pytest.raises(Exception, match="refused by the test"):
            await hand.turn()
        assert await hand.dead() == []
        assert await wrong(asker(store)) == []
    await hand.turn()
    assert {letter.id for letter in await hand.dead()} == {expires.id, rejected.id}
    stats = await hand.stats()
    assert (stats.available, stats.in_flight, stats.dead) == (0, 0, 2)
    assert await wrong(asker(store)) == []


async def test_rule_16_a_full_dead_letter_queue_still_takes_dead_letters(hand: Hand) -> None:
    hand.core = replace(hand.core, queue_rules=QueueRules(depth_max=1))
    await hand.publish(b"full", queue="q.dlq")
    with pytest.raises(Refused, match="holds as many messages as it may"):
        await hand.publish(b"more", queue="q.dlq")
    await kill(hand, b"1", b"2")
    assert len(await hand.dead()) == 2


async def test_rule_17_the_ways_of_dead_letters_have_no_circle(hand: Hand) -> None:
    with pytest.raises(Invalid, match="its own dead-letter queue"):
        await hand.make("a", dead_letters="a")
    await hand.make("a", dead_letters="b")
    await hand.make("c", dead_letters="a")
    with pytest.raises(Invalid, match="come back to this queue"):
        await edit(hand, "b", dead_letters="a")
    with pytest.raises(Invalid, match="come back to this queue"):
        await edit(hand, "b", dead_letters="c")
    await edit(hand, "b", dead_letters="d")


async def test_rule_17_the_way_to_a_queue_of_its_own_counts_when_circles_are_looked_for(hand: Hand) -> None:
    await kill(hand, b"1")
    with pytest.raises(Invalid, match="come back to this queue"):
        await edit(hand, "q.dlq", dead_letters="q")
    await hand.make("r")
    with pytest.raises(Invalid, match="come back to this queue"):
        await hand.make("r.dlq", dead_letters="r")
    await edit(hand, "q.dlq", dead_letters="r")
    with pytest.raises(Invalid, match="come back to this queue"):
        await edit(hand, "r", dead_letters="q")


async def test_rule_17_a_queue_named_for_dead_letters_is_made_and_cannot_be_taken_away(hand: Hand) -> None:
    await hand.make("a", dead_letters="b")
    assert (await queues.named(hand.core, hand.project, "b")).last_resort
    with pytest.raises(Conflict) as refused:
        await queues.delete(hand.core, hand.project, "b", None)
    assert refused.value.code == "QUEUE_IN_USE"
    await edit(hand, "a", dead_letters=None)
    assert await queues.delete(hand.core, hand.project, "b", None)


async def test_rule_17_dead_letters_stay_among_queues_of_one_type(hand: Hand) -> None:
    await hand.make("line", type="fifo")
    with pytest.raises(Invalid, match="line is fifo, and the queue is standard"):
        await hand.make("plain", dead_letters="line")
    await hand.make("plain")
    with pytest.raises(Invalid, match="plain is standard, and the queue is fifo"):
        await edit(hand, "line", dead_letters="plain")
    await kill(hand, b"1", queue="line")
    assert (await queues.named(hand.core, hand.project, "line.dlq")).type == "fifo"


async def test_rule_17_dead_letters_of_a_last_resort_stay_in_it(hand: Hand) -> None:
    [message_id] = await kill(hand, b"1")
    for attempt in range(2, 12):
        [held] = await hand.consume(queue="q.dlq")
        assert (held.id, held.attempt, held.failures) == (message_id, attempt, attempt - 2)
        [settled] = await hand.nack(held, queue="q.dlq", requeue=attempt % 2 == 0)
        assert not isinstance(settled, Exception)
        assert not settled.dead
    assert [letter.id for letter in await hand.dead()] == [message_id]
    with pytest.raises(NotFound):
        await queues.named(hand.core, hand.project, "q.dlq.dlq")


async def test_rule_18_a_dead_letter_is_kept_from_the_day_it_died_with_what_is_known_of_it(
    hand: Hand, store: Store
) -> None:
    await hand.make("graves", retention_days=3)
    await hand.make(retention_days=2, max_retries=1, dead_letters="graves")
    [message_id] = await hand.publish(b"x", headers={"a": "b"})
    for _ in range(2):
        hand.clock.advance(DAY - 1)
        [held] = await hand.consume()
        await hand.nack(held)
    died = hand.clock()
    [letter] = await hand.dead()
    assert (letter.id, letter.source, letter.reason, letter.dead_at) == (message_id, "q", "max_retries", died)
    assert (letter.payload, letter.headers, letter.attempt, letter.failures) == (b"x", b'{"a":"b"}', 2, 2)
    assert ids.made_at(letter.id) == died - 2 * DAY + 2
    hand.clock.now = died + 3 * DAY
    assert await store.tides.expire(hand.clock(), 0) == (0, 0)
    assert len(await hand.dead()) == 1
    hand.clock.advance(1)
    assert await store.tides.expire(hand.clock(), 0) == (1, 0)
    assert await hand.dead() == []


async def test_rule_19_dead_letters_are_listed_by_when_they_died_also_while_others_go_back(hand: Hand) -> None:
    dead = await kill(hand, *[b"%d" % at for at in range(9)])
    _, first = await dead_letters.page(hand.core, hand.project, "q", Page(limit=4))
    assert [one.id for one in first] == dead[:4:-1]
    before = first[-1].dead_at, first[-1].id
    assert await hand.redrive(message_id=ids.text("msg", dead[6])) == 1
    assert await hand.redrive(message_id=ids.text("msg", dead[0])) == 1
    await kill(hand, b"new", queue="q2")
    _, second = await dead_letters.page(hand.core, hand.project, "q", Page(limit=9, before=before))
    assert [one.id for one in second] == dead[4:0:-1]
    assert [one.id for one in await hand.dead("q.dlq")] == [dead[8], dead[7], *dead[5:0:-1]]


async def test_rule_19_since_includes_its_instant(hand: Hand) -> None:
    dead = await kill(hand, b"1", b"2", b"3")
    second = (await hand.dead())[1]
    assert second.id == dead[1]
    assert await hand.redrive(since=second.dead_at) == 2
    assert [one.id for one in await hand.dead()] == [dead[0]]


async def test_rule_20_a_redrive_keeps_ids_begins_the_failures_anew_and_takes_the_oldest_first(
    hand: Hand, store: Store
) -> None:
    dead = await kill(hand, b"1", b"2", b"3", dedup_id=None)
    assert await hand.redrive(limit=2) == 2
    assert await hand.redrive(limit=0) == 0
    found = await hand.consume()
    assert [(one.id, one.failures, one.attempt) for one in found] == [(dead[0], 0, 2), (dead[1], 0, 2)]
    assert await hand.redrive("q.dlq") == 1
    assert await hand.redrive() == 0
    assert await wrong(asker(store)) == []


async def test_rule_20_a_redriven_message_goes_to_the_end_of_its_group(hand: Hand) -> None:
    await hand.make(type="fifo")
    await kill(hand, b"a1", b"a2", group_id="a")
    await hand.publish(b"a3", b"a4", group_id="a")
    assert await hand.redrive() == 2
    seen = []
    while found := await hand.consume():
        seen += payloads(found)
        await hand.ack(*found)
    assert seen == [b"a3", b"a4", b"a1", b"a2"]


async def test_rule_20_a_redrive_leaves_alone_what_somebody_has_leased(hand: Hand) -> None:
    first, second = await kill(hand, b"1", b"2")
    [held] = await hand.consume(1, queue="q.dlq")
    assert held.id == first
    assert await hand.redrive() == 1
    assert (await hand.stats()).dead == 1
    await hand.ack(held, queue="q.dlq")
    assert (await hand.stats()).dead == 0
    assert payloads(await hand.consume()) == [b"2"]
    [gone] = await hand.ack(first)
    assert isinstance(gone, NotFound)
    [lost] = await hand.nack(second, receipts=False, queue="q")
    assert not isinstance(lost, LeaseLost)


async def test_rule_20_a_big_redrive_goes_in_steps_and_says_how_many_went(hand: Hand, store: Store) -> None:
    many = 2_050
    for at in range(0, many, 1_000):
        await hand.publish(*[b"%d" % n for n in range(at, min(many, at + 1_000))])
    while found := await hand.consume(1_000):
        await hand.nack(*found, requeue=False)
        hand.clock.advance(1)
    assert (await hand.stats()).dead == many
    key = Once(hand.project, "queue.redrive", "key", b"", lambda done: Answer(b"%d" % done.count))
    assert await hand.redrive(limit=many - 10, once=key) == many - 10
    _, again = await dead_letters.redrive(
        hand.core, hand.clock(), hand.project, "q", dead_letters.Pick(limit=many - 10), key
    )
    assert getattr(again, "answer", None) == b"%d" % (many - 10), "asked again it does nothing and says the same"
    stats = await hand.stats()
    assert (stats.available, stats.dead) == (many - 10, 10)
    assert payloads(await hand.consume(3)) == [b"0", b"1", b"2"]
    assert await wrong(asker(store)) == []


async def test_rule_20_a_redriven_message_is_not_taken_for_outlived(hand: Hand, store: Store) -> None:
    await hand.make("graves", retention_days=30)
    await hand.make(retention_days=1, dead_letters="graves")
    await kill(hand, b"acked", b"waits")
    hand.clock.advance(5 * DAY)
    assert await hand.redrive() == 2
    await store.tides.expire(hand.clock(), 0)
    [acked] = await hand.consume(1)
    assert acked.payload == b"acked"
    await hand.ack(acked)
    hand.clock.advance(DAY)
    assert await store.tides.expire(hand.clock(), 0) == (0, 0)
    hand.clock.advance(1)
    assert await store.tides.expire(hand.clock(), 0) == (1, 0), "it is kept anew from the day it went back"
    assert await hand.dead() == []
    hand.clock.advance(30 * DAY)
    while await store.tides.prune(hand.clock()):
        pass
    assert await asker(store)("SELECT count(*) FROM dead") == [(0,)]
