"""The rules of publishing: once per key, byte for byte, no more than fits, and nobody in another's way."""

from __future__ import annotations

import asyncio
import json

import pytest
from msgspec.structs import replace

from mainspring.core import messages, queues
from mainspring.core.errors import Invalid, LimitExceeded, Unavailable
from mainspring.core.events import MessagesPublished
from mainspring.core.idempotency import Answer, Once
from mainspring.core.limits import DEDUP_WINDOW, IDEMPOTENCY_WINDOW, PAYLOAD_BYTES_MAX, SECOND
from mainspring.core.messages import MessageDraft
from mainspring.core.ports import QueueRules
from mainspring.core.queue_model import Published, Settled
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store
from sim.queue_faults import refusing
from sim.queue_ledger import asker, present, wrong
from store.making import PROJECT, Clock
from store.queueing import Hand, payloads, replay

PAYLOADS = [
    b'{"b":1,"a":2,"b":3}',
    b"[1.0, 1e2, 100, 12345678901234567890123, -0.0, 0.1e-400]",
    b'"\\u0000 \\ud83d\\ude00 \\/"',
    '"\u4f60\u597d \u2028 \U0001f600"'.encode(),
    b"  { \n }\t",
    b"null",
    b'""',
    b"0",
    b"\x00\xff\x80 not even text",
    b"",
    b"x" * PAYLOAD_BYTES_MAX,
]


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


def key(name: str, body: bytes = b"body", *, operation: str = "queue.publish", project: str = PROJECT) -> Once:
    return Once(project, operation, name, body, lambda done: Answer(json.dumps(list(done.ids)).encode()))


async def send(hand: Hand, once: Once, *contents: bytes, queue: str = "q", **draft: object) -> list[int]:
    """Publish under a key; the ids, whether published now or before."""
    drafts = [MessageDraft(content, **draft) for content in contents]  # type: ignore[arg-type] # the test's own values
    done = await messages.publish(hand.core, hand.clock(), hand.project, queue, drafts, once, batch=True)
    return list(done.ids) if isinstance(done, Published) else json.loads(replay(done))


async def test_rule_12_one_key_publishes_once_and_says_the_same_again(hand: Hand) -> None:
    first = await send(hand, key("k"), b"1", b"2")
    assert await send(hand, key("k"), b"1", b"2") == first
    assert await hand.publish(b"3", once=key("k", operation="another")) != first
    with pytest.raises(Invalid) as refused:
        await send(hand, key("k", b"other body"), b"4")
    assert refused.value.code == "IDEMPOTENCY_MISMATCH"
    assert payloads(await hand.consume()) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("more", [{}, {"delay_seconds": 5}, {"group_id": "g"}], ids=["plain", "delayed", "grouped"])
async def test_what_is_published_together_is_counted_once(hand: Hand, more: dict[str, object]) -> None:
    await hand.make(type="fifo" if "group_id" in more else "standard")
    calls = [send(hand, key(str(at % 8)), b"1", b"2", **more) for at in range(10)]  # type: ignore[arg-type] # as above
    plain = [hand.publish(b"3", **more) for _ in range(5)]
    await asyncio.gather(*calls, *plain)
    said = hand.bench.said(MessagesPublished)
    assert sum(one.messages for one in said if isinstance(one, MessagesPublished)) == 8 * 2 + 5


async def test_rule_12_copies_that_come_at_once_are_one(hand: Hand, store: Store) -> None:
    answers = await asyncio.gather(*(send(hand, key("k"), b"1") for _ in range(20)))
    assert len({tuple(one) for one in answers}) == 1
    assert await present(asker(store)) == 1


async def test_rule_12_the_answer_outlives_the_message_and_ends_with_its_day(hand: Hand) -> None:
    first = await send(hand, key("acked"), b"1")
    await hand.ack(*(await hand.consume()))
    assert await send(hand, key("acked"), b"1") == first
    second = await send(hand, key("dead"), b"2")
    await hand.nack(*(await hand.consume()), requeue=False)
    assert await send(hand, key("dead"), b"2") == second
    third = await send(hand, key("purged"), b"3")
    await hand.purge()
    assert await send(hand, key("purged"), b"3") == third
    fourth = await send(hand, key("deleted"), b"4")
    await queues.delete(hand.core, hand.project, "q", None)
    assert await send(hand, key("deleted"), b"4") == fourth
    assert await hand.consume() == []
    await hand.later(IDEMPOTENCY_WINDOW - 1)
    assert await send(hand, key("acked"), b"1") == first
    await hand.later(1)
    assert await send(hand, key("acked"), b"1") != first


async def test_rule_12_a_refused_batch_leaves_nothing_and_its_key_unused(hand: Hand, store: Store) -> None:
    with pytest.raises(Invalid) as refused:
        await hand.publish(b"1", priority=10, once=key("k"))
    assert refused.value.field == "messages.0.priority"
    async with refusing(store, "messages"):
        with pytest.raises(Exception, match="refused by the test"):
            await send(hand, key("k"), b"1", b"2")
    assert await present(asker(store)) == 0
    assert len(await send(hand, key("k"), b"1", b"2")) == 2
    assert await wrong(asker(store)) == []


async def test_rule_12_a_deduplication_id_stands_for_five_minutes(hand: Hand) -> None:
    [first] = await hand.publish(b"1", dedup_id="d")
    assert await hand.publish(b"2", b"3", dedup_id="d") == [first, first]
    assert await hand.publish(b"4", queue="other", dedup_id="d") != [first]
    await hand.later(DEDUP_WINDOW - 1)
    assert await hand.publish(b"5", dedup_id="d") == [first]
    await hand.later(1)
    [second] = await hand.publish(b"6", dedup_id="d")
    assert second != first
    assert await hand.publish(b"7", b"8", dedup_id="new") == [at := (await hand.publish(b"9", dedup_id="new"))[0], at]
    assert payloads(await hand.consume()) == [b"1", b"6", b"7"]


async def test_rule_12_copies_of_a_deduplication_id_that_come_at_once_are_one(hand: Hand) -> None:
    answers = await asyncio.gather(*(hand.publish(b"%d" % at, dedup_id="d") for at in range(20)))
    assert len({one for [one] in answers}) == 1
    assert len(await hand.consume()) == 1


async def test_rule_13_whoever_does_not_know_what_became_of_a_publish_asks_again_with_its_key(
    hand: Hand, store: Store
) -> None:
    given_up = asyncio.ensure_future(send(hand, key("k"), b"1"))
    while not given_up.done():
        await asyncio.sleep(0)
        if store.publish._task is not None:
            given_up.cancel()
    assert given_up.cancelled()
    [message_id] = await send(hand, key("k"), b"1")
    found = await hand.consume()
    assert [one.id for one in found] == [message_id]


async def test_rule_31_a_payload_comes_back_byte_for_byte(hand: Hand) -> None:
    for content in PAYLOADS:
        await hand.publish(content)
    found = []
    while more := await hand.consume():
        found += payloads(more)
        await hand.nack(*more, requeue=False)
    assert found == PAYLOADS
    assert [letter.payload for letter in await hand.dead()][::-1] == PAYLOADS
    await hand.redrive()
    assert payloads(await hand.consume(100)) == PAYLOADS


async def test_rule_31_headers_and_groups_come_back_as_they_were(hand: Hand) -> None:
    group = "g \u00e9 \U0001f600"
    await hand.publish(b"1", headers={"X-Trace": "a, b", "x-two": "2"}, group_id=group)
    [found] = await hand.consume()
    assert json.loads(found.headers or b"") == {"X-Trace": "a, b", "x-two": "2"}
    assert found.group_id == group


async def test_rule_33_a_giant_backlog_in_one_queue_is_not_in_the_way_of_another(hand: Hand, store: Store) -> None:
    for _ in range(3):
        await hand.publish(*[b"x"] * 1_000, queue="giant")
        await hand.publish(*[b"y"] * 1_000, queue="giant", delay_seconds=5)
    await hand.publish(b"mine", queue="small", delay_seconds=5)
    giant, small = await asyncio.gather(hand.consume(1_000, "giant"), hand.consume(1, "small", wait_seconds=0))
    assert (len(giant), small) == (1_000, [])
    await hand.later(5 * SECOND)
    giant, small = await asyncio.gather(hand.consume(1_000, "giant"), hand.consume(1, "small"))
    assert (len(giant), payloads(small)) == (1_000, [b"mine"])


async def test_rule_34_a_full_queue_refuses_all_of_a_batch_and_can_still_be_emptied(hand: Hand, store: Store) -> None:
    hand.core = replace(hand.core, queue_rules=QueueRules(depth_max=3))
    await hand.publish(b"1")
    await hand.publish(b"2", delay_seconds=5)
    with pytest.raises(LimitExceeded) as refused:
        await hand.publish(b"3", b"4")
    assert (refused.value.code, refused.value.retry_after_s) == ("QUEUE_FULL", 1)
    await hand.publish(b"3")
    results = await asyncio.gather(*(hand.publish(b"more") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in results] == [LimitExceeded] * 3
    await hand.publish(b"elsewhere", queue="other")
    [held, *_] = await hand.consume()
    with pytest.raises(LimitExceeded):
        await hand.publish(b"4")
    assert await hand.ack(held) == [Settled(held.id)]
    results = await asyncio.gather(*(hand.publish(b"more") for _ in range(3)), return_exceptions=True)
    assert sorted(isinstance(one, LimitExceeded) for one in results) == [False, True, True]
    assert await wrong(asker(store)) == []


async def test_rule_34_a_full_disk_refuses_publishes_and_lets_consumers_go_on(hand: Hand, store: Store) -> None:
    """A disk of the test's own size where there is a file; elsewhere the server's own refusal stands for it."""
    kept = await hand.publish(*[b"x" * 1_000] * 50)
    if isinstance(store.db, SqliteDb):
        connection = store.db.connection
        [(pages,)] = connection.execute("PRAGMA page_count")
        connection.execute(f"PRAGMA max_page_count = {pages}")
        refusals = 0
        for _ in range(20):
            try:
                kept += await hand.publish(b"x" * 200_000)
            except Unavailable:
                refusals += 1
        assert refusals == 20
    else:
        async with refusing(store, "messages"):
            with pytest.raises(Exception, match="refused by the test"):
                await hand.publish(b"x" * 200_000)
    assert await present(asker(store)) == len(kept)
    assert await wrong(asker(store)) == []
    while found := await hand.consume(5):
        assert all(isinstance(one, Settled) for one in await hand.ack(*found))
        kept = kept[len(found) :]
    assert kept == []
    if isinstance(store.db, SqliteDb):
        store.db.connection.execute("PRAGMA max_page_count = 1073741823")
    assert await hand.publish(b"again")
