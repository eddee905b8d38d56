"""Messages over REST: what goes in comes out, once, in order, under a lease."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from doors.live import Live, serving
from doors.queueing import Desk, counts, payloads
from mainspring.core.ports import QueueRules

PAYLOADS = [
    b'{"order_id":"o_123"}',
    b'{ "b" : [1,   2.50, 1e3], "a": "\\u00e9\\ud83d\\ude00" }',
    b'"a string"',
    '"ünïcödé 😀"'.encode(),
    b"12345678901234567890123",
    b"1.0",
    b"null",
    b"true",
    b"[]",
    b'""',
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
async def test_any_json_comes_back_byte_for_byte(both: Live, payload: bytes) -> None:
    desk = Desk(both)
    for name in (b"payload", b"body"):
        raw = b'{"queue":"q","%b":%b}' % (name, payload)
        assert (await both.post("/v1/queue/publish", raw=raw)).status == 200
    raw = b'{"queue":"q","messages":[{"payload":%b},{"body":%b}]}' % (payload, payload)
    assert len((await both.post("/v1/queue/publish_batch", raw=raw)).data["message_ids"]) == 2
    answer = await desk.say("consume")
    found = msgspec.json.decode(answer.raw, type=dict[str, msgspec.Raw])
    data = msgspec.json.decode(found["data"], type=dict[str, msgspec.Raw])
    messages = msgspec.json.decode(data["messages"], type=list[dict[str, msgspec.Raw]])
    assert [bytes(message["payload"]) for message in messages] == [payload] * 4


async def test_a_message_has_all_its_names_and_goes_when_it_is_acknowledged(both: Live) -> None:
    desk = Desk(both)
    answer = await desk.say("publish", payload={"n": 1}, priority=5, headers={"X-Trace": "abc"})
    public = answer.data["message_id"]
    assert answer.data["id"] == public
    assert public.startswith("msg_")
    [message] = await desk.consume()
    assert message["message_id"] == message["id"] == public
    assert (message["queue"], message["payload"], message["attempt"]) == ("q", {"n": 1}, 1)
    assert (message["priority"], message["group_id"], message["message_group_id"]) == (5, None, None)
    assert message["headers"] == {"X-Trace": "abc"}
    assert message["published_at"] < message["visible_until"]
    assert await desk.stats() == counts(in_flight=1)
    assert (await desk.settle("ack", message)).data == {"message_id": public, "id": public, "queue": "q", "acked": True}
    assert await desk.stats() == counts()
    assert (await desk.settle("ack", message)).code == (404, "NOT_FOUND")


async def test_the_same_key_may_settle_without_a_receipt_and_no_other(both: Live) -> None:
    desk, other = Desk(both), Desk(both, key=await both.key("queue:consume"))
    public = await desk.publish()
    await desk.consume()
    for verb in ("ack", "nack", "release", "extend"):
        assert (await other.say(verb, message_id=public)).code == (409, "LEASE_EXPIRED")
    assert await desk.stats() == counts(in_flight=1)
    assert (await desk.say("ack", message_id=public)).data["acked"] is True


async def test_the_higher_priority_comes_first_unless_it_is_switched_off(both: Live) -> None:
    desk = Desk(both)
    for priority in (0, 9, 5, 9):
        await desk.publish(priority, priority=priority)
    assert payloads(await desk.consume()) == [9, 9, 5, 0]
    plain = Desk(both, "plain")
    await plain.make(enable_priority=False)
    for priority in (1, 9):
        await plain.publish(priority, priority=priority)
    assert [(one["payload"], one["priority"]) for one in await plain.consume()] == [(1, 0), (9, 0)]


async def test_nack_brings_a_message_back_until_it_is_a_dead_letter(both: Live) -> None:
    desk = Desk(both)
    await desk.make(max_retries=1)
    public = await desk.publish("bad")
    [message] = await desk.consume()
    first = (await desk.settle("nack", message)).data
    assert first == {"message_id": public, "id": public, "queue": "q", "nacked": True, "requeued": True}
    [message] = await desk.consume()
    assert message["attempt"] == 2
    assert (await desk.settle("nack", message)).data["requeued"] is False
    [letter] = (await desk.look("dlq/list"))["items"]
    assert (letter["message_id"], letter["payload"], letter["source_queue"]) == (public, "bad", "q")
    assert (letter["reason"], letter["failures"], letter["attempt"]) == ("max_retries", 2, 2)
    assert await desk.stats() == counts(dlq=1)


async def test_nack_with_a_delay_and_release_with_none_counted(both: Live) -> None:
    desk = Desk(both)
    await desk.make(max_retries=0)
    await desk.publish()
    for _ in range(3):
        [message] = await desk.consume()
        assert (await desk.settle("release", message)).data["released"] is True
    [message] = await desk.consume()
    assert message["attempt"] == 4
    assert (await desk.settle("release", message, delay_seconds=60)).status == 200
    assert await desk.stats() == counts(delayed=1)
    both.clock.ahead += 60_000
    [message] = await desk.consume(wait_seconds=5)
    assert (await desk.settle("nack", message)).data["requeued"] is False


async def test_extend_moves_the_end_of_the_lease_but_not_beyond_twelve_hours(both: Live) -> None:
    desk = Desk(both)
    await desk.publish()
    [message] = await desk.consume(visibility_timeout=5)
    longer = (await desk.settle("extend", message, visibility_timeout=60)).data
    assert longer["extended"] is True
    assert longer["visible_until"] > message["visible_until"]
    both.clock.ahead += 30_000
    assert await desk.consume() == []
    most = (await desk.settle("extend", message, visibility_timeout=43_200)).data
    both.clock.ahead += 10_000
    assert (await desk.settle("extend", message, visibility_timeout=43_200)).data == most
    assert (await desk.settle("extend", message)).data["visible_until"] < most["visible_until"]


async def test_dead_letters_go_back_by_the_name_of_either_queue(both: Live) -> None:
    desk, grave = Desk(both), Desk(both, "q.dlq")
    published = [await desk.publish(number) for number in range(4)]
    for message in await desk.consume():
        await desk.settle("nack", message, requeue=False)
    assert (await desk.to("dlq/redrive", message_id=published[2])).data == {"queue": "q", "name": "q", "redriven": 1}
    assert (await grave.to("dlq/redrive", queue="orders", max_messages=1)).data["redriven"] == 1
    assert (await desk.to("dlq/redrive", since="2100-01-01T00:00:00Z")).data["redriven"] == 0
    back = await desk.consume()
    assert [message["message_id"] for message in back] == [published[0], published[2]]
    first = await desk.to("dlq/redrive", idempotency_key="k")
    again = await desk.to("dlq/redrive", idempotency_key="k")
    assert first.data == again.data == {"queue": "q", "name": "q", "redriven": 2}
    assert again.headers["idempotency-replayed"] == "true"
    assert await desk.stats() == counts(available=2, in_flight=2)
    assert (await desk.to("dlq/redrive", message_id="msg_unknown")).data["redriven"] == 0


async def test_dead_letters_are_listed_page_by_page_newest_first_under_both_names(both: Live) -> None:
    desk = Desk(both)
    published = [await desk.publish(number) for number in range(5)]
    for message in await desk.consume():
        await desk.settle("nack", message, requeue=False)
    for name in ("q", "q.dlq"):
        seen, cursor = [], ""
        while True:
            page = (await both.get(f"/v1/queue/dlq/list/{name}?limit=2{cursor}")).data
            seen += [item["id"] for item in page["items"]]
            if not page["next_cursor"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == published[::-1]


async def test_fifo_keeps_the_order_of_each_group(both: Live) -> None:
    desk = Desk(both)
    await desk.make(type="fifo")
    batch = [{"payload": "a1", "message_group_id": "a"}, {"payload": "a2", "group_id": "a"},
             {"payload": "b1", "group_id": "b"}, {"payload": "none"}]  # fmt: skip
    await desk.say("publish_batch", messages=batch)
    found = await desk.consume()
    assert [(one["payload"], one["group_id"]) for one in found] == [("a1", "a"), ("b1", "b"), ("none", None)]
    await desk.settle("nack", found[0], delay_seconds=60)
    await desk.settle("ack", found[1])
    await desk.settle("ack", found[2])
    assert await desk.consume() == []
    both.clock.ahead += 60_000
    [again] = await desk.consume(wait_seconds=5)
    assert again["payload"] == "a1"
    await desk.settle("ack", again)
    assert payloads(await desk.consume(wait_seconds=5, max_messages=1)) == ["a2"]


@pytest.mark.parametrize("spelling", ["deduplication_id", "dedup_id"])
async def test_a_deduplication_id_publishes_once_in_five_minutes(both: Live, spelling: str) -> None:
    desk = Desk(both)
    first = await desk.publish(1, **{spelling: "x"})
    assert await desk.publish(2, **{spelling: "x"}) == first
    assert await desk.publish(3, **{spelling: "y"}) != first
    both.clock.ahead += 5 * 60_000
    assert await desk.publish(4, **{spelling: "x"}) != first
    assert payloads(await desk.consume()) == [1, 3, 4]


async def test_publishing_again_under_one_key_has_one_effect(both: Live) -> None:
    desk = Desk(both)
    first = await desk.say("publish", payload=1, idempotency_key="k")
    again = await desk.say("publish", payload=1, idempotency_key="k")
    assert (again.data, again.headers["idempotency-replayed"]) == (first.data, "true")
    assert (await desk.say("publish", payload=2, idempotency_key="k")).code == (422, "IDEMPOTENCY_MISMATCH")
    batch = {"messages": [{"payload": 2}, {"payload": 3}], "idempotency_key": "k"}
    ids = [(await desk.say("publish_batch", **batch)).data["message_ids"] for _ in range(2)]
    assert ids[0] == ids[1]
    answers = await asyncio.gather(*(desk.say("publish", payload=4, idempotency_key="same") for _ in range(8)))
    assert len({answer.data["message_id"] for answer in answers}) == 1
    assert payloads(await desk.consume()) == [1, 2, 3, 4]


async def test_settling_again_under_one_key_gets_the_first_answer_but_a_refusal_is_not_kept(both: Live) -> None:
    desk = Desk(both)
    public = await desk.publish()
    assert (await desk.say("ack", message_id=public, idempotency_key="k")).code == (409, "LEASE_EXPIRED")
    await desk.consume()
    first = await desk.say("ack", message_id=public, idempotency_key="k")
    again = await desk.say("ack", message_id=public, idempotency_key="k")
    assert (again.data, again.headers["idempotency-replayed"]) == (first.data, "true")
    assert (await desk.say("ack", message_id=public)).code == (404, "NOT_FOUND")


async def test_a_batch_is_acknowledged_message_by_message(both: Live) -> None:
    desk = Desk(both)
    published = [await desk.publish(number) for number in range(4)]
    found = await desk.consume(max_messages=3)
    told = [{"message_id": one["message_id"], "receipt": one["receipt"]} for one in found[:2]]
    answer = (await desk.say("ack_batch", messages=told, message_ids=[published[2], published[3], "msg_x"])).data
    assert answer["acked"] is False
    assert [one["message_id"] for one in answer["results"]] == [*published, "msg_x"]
    assert [one["acked"] for one in answer["results"]] == [True, True, True, False, False]
    assert [one["error"] and one["error"]["code"] for one in answer["results"][3:]] == ["LEASE_EXPIRED", "NOT_FOUND"]
    assert await desk.stats() == counts(available=1)
    await desk.consume()
    body = {"message_ids": [published[3]], "idempotency_key": "k"}
    assert [(await desk.say("ack_batch", **body)).data["acked"] for _ in range(2)] == [True, True]
    assert (await desk.say("ack_batch", messages=[])).data == {"queue": "q", "acked": True, "results": []}


async def test_a_look_takes_nothing(both: Live) -> None:
    desk = Desk(both)
    await desk.publish("low")
    await desk.publish("high", priority=9)
    for _ in range(2):
        seen = await desk.look("peek", "?max_messages=1")
        assert [(one["payload"], one["receipt"], one["attempt"]) for one in seen["messages"]] == [("high", None, 0)]
    assert len((await desk.look("peek"))["messages"]) == 2
    assert await desk.stats() == counts(available=2)


async def test_a_constant_idempotency_key_does_not_starve_a_consumer(both: Live) -> None:
    desk = Desk(both)
    for number in range(3):
        await desk.publish(number)
        body = {"queue": "q", "max_messages": 1, "idempotency_key": "consume-worker"}
        answer = await both.post("/v1/queue/consume", body, headers={"Idempotency-Key": "consume-worker"})
        assert payloads(answer.data["messages"]) == [number]
        assert "idempotency-replayed" not in answer.headers


async def test_the_same_receive_attempt_gets_the_same_messages_and_receipts(both: Live) -> None:
    desk = Desk(both)
    await desk.publish(1)
    first = await desk.consume(receive_attempt_id="a")
    await desk.publish(2)
    assert await desk.consume(receive_attempt_id="a") == first
    assert payloads(await desk.consume(receive_attempt_id="b")) == [2]


@pytest.mark.parametrize("verb", ["publish", "publish_batch", "consume"])
async def test_a_queue_that_nobody_made_is_made_by_being_used(both: Live, verb: str) -> None:
    bodies: dict[str, dict[str, Any]] = {"publish": {"payload": 1}, "publish_batch": {"messages": []}, "consume": {}}
    assert (await Desk(both, "default").say(verb, **bodies[verb])).status == 200
    assert (await Desk(both, "default").look("get"))["type"] == "standard"


async def test_what_is_not_known_is_ignored_and_named(live: Live) -> None:
    answer = await Desk(live).say("publish", payload=1, colour="red", name="q")
    assert answer.warnings == ["unknown field: colour"]
    answer = await Desk(live).say("publish_batch", messages=[{"payload": 1}, {"body": 2, "colour": "red"}])
    assert answer.warnings == ["unknown field: messages.1.colour"]


async def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    async with serving(tmp_path, rules=QueueRules(depth_max=2)) as live:
        desk = Desk(live)
        await desk.publish()
        full = await desk.say("publish_batch", messages=[{"payload": 1}, {"payload": 2}])
        assert full.code == (429, "QUEUE_FULL")
        assert int(full.headers["retry-after"]) >= 1
        assert full.error["retryable"] is True
        assert await desk.stats() == counts(available=1)


async def test_where_queues_are_not_made_by_being_used_they_are_not_found(tmp_path: Path) -> None:
    bodies: dict[str, dict[str, Any]] = {"publish": {"payload": 1}, "publish_batch": {"messages": []}, "consume": {}}
    async with serving(tmp_path, rules=QueueRules(auto_create=False)) as live:
        for verb, body in bodies.items():
            assert (await Desk(live).say(verb, **body)).code == (404, "NOT_FOUND")


async def test_an_answer_holds_no_more_than_it_may_and_the_rest_waits(both: Live) -> None:
    desk = Desk(both)
    payload = "x" * (250 * 1024)
    for _ in range(4):
        await desk.say("publish_batch", messages=[{"payload": payload} for _ in range(10)])
    answer = await desk.say("consume", max_messages=1000)
    found = len(answer.data["messages"])
    assert 30 <= found < 40
    assert len(answer.raw) < 9 * 1024 * 1024
    assert await desk.stats() == counts(available=40 - found, in_flight=found)
