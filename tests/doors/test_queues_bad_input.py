"""What callers should not send about messages: refused by name, with nothing changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from doors.live import KEY, Live
from doors.queueing import Desk, counts
from mainspring.core.limits import BODY_BYTES_MAX, PAYLOAD_BYTES_MAX

LARGEST = "x" * (PAYLOAD_BYTES_MAX - 2)
TOO_LARGE = LARGEST + "x"

PUBLISH: list[tuple[dict[str, Any], str]] = [
    ({"queue": None}, "queue"),
    ({"queue": "no spaces"}, "queue"),
    ({"queue": 5}, "queue"),
    ({"queue": "q\x00"}, "queue"),
    ({"name": "other"}, "name"),
    ({"payload": ...}, "payload"),
    ({"body": 2}, "body"),
    ({"delay_seconds": -1}, "delay_seconds"),
    ({"delay_seconds": 604_801}, "delay_seconds"),
    ({"delay_seconds": "5"}, "delay_seconds"),
    ({"priority": 10}, "priority"),
    ({"priority": -1}, "priority"),
    ({"priority": 1.5}, "priority"),
    ({"priority": True}, "priority"),
    ({"group_id": ""}, "group_id"),
    ({"group_id": "g" * 129}, "group_id"),
    ({"message_group_id": "a\x00"}, "message_group_id"),
    ({"message_group_id": "a", "group_id": "b"}, "group_id"),
    ({"dedup_id": "d" * 129}, "dedup_id"),
    ({"deduplication_id": 5}, "deduplication_id"),
    ({"headers": {"Host": "x"}}, "headers.Host"),
    ({"headers": {"A": "ü"}}, "headers.A"),
    ({"headers": {"A": 5}}, "headers"),
    ({"headers": {str(n): "x" for n in range(51)}}, "headers"),
]


def without_gaps(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not ...}


@pytest.mark.parametrize(("change", "field"), PUBLISH, ids=[f"{field}-{n}" for n, (_, field) in enumerate(PUBLISH)])
async def test_a_message_that_cannot_be_is_refused_by_name(live: Live, change: dict[str, Any], field: str) -> None:
    answer = await live.post("/v1/queue/publish", without_gaps({"queue": "q", "payload": 1} | change))
    assert answer.code == (422, "VALIDATION_FAILED")
    assert answer.error["field"] == field
    assert field.partition(".")[0] in answer.error["message"]
    assert (await live.get("/v1/queue/list")).data["items"] == []


BATCH = [(change, field) for change, field in PUBLISH if field not in ("queue", "name")]


@pytest.mark.parametrize(("change", "field"), BATCH, ids=[f"{field}-{n}" for n, (_, field) in enumerate(BATCH)])
async def test_one_bad_message_keeps_a_whole_batch_out_and_says_which(
    live: Live, change: dict[str, Any], field: str
) -> None:
    item = without_gaps({"payload": 1} | change)
    answer = await live.post("/v1/queue/publish_batch", {"queue": "q", "messages": [{"payload": 1}, item]})
    assert answer.code == (422, "VALIDATION_FAILED")
    assert answer.error["field"] == f"messages.1.{field}"
    assert answer.error["message"].startswith(f"messages.1.{field.partition('.')[0]}")
    assert (await live.get("/v1/queue/list")).data["items"] == []


async def test_a_payload_may_have_256_kib_and_not_a_byte_more(both: Live) -> None:
    desk = Desk(both)
    await desk.publish(LARGEST)
    refused = await desk.say("publish", payload=TOO_LARGE)
    assert (refused.code, refused.error["field"]) == ((413, "PAYLOAD_TOO_LARGE"), "payload")
    refused = await desk.say("publish_batch", messages=[{"payload": 1}, {"body": TOO_LARGE}])
    assert (refused.code, refused.error["field"]) == ((413, "PAYLOAD_TOO_LARGE"), "messages.1.payload")
    assert await desk.stats() == counts(available=1)


async def test_a_body_over_the_limit_is_refused_while_it_is_still_coming(live: Live) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    head = f"POST /v1/queue/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
    writer.write(b'%x\r\n{"queue":"q","payload":"%b\r\n' % (24 + 1024, b"x" * 1024))
    for _ in range(BODY_BYTES_MAX // 65_536 + 1):
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await writer.drain()
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert answer.startswith(b"HTTP/1.1 413 ")
    writer.close()
    assert (await live.get("/v1/queue/list")).data["items"] == []


@pytest.mark.parametrize("many", [1001, 10_000])
async def test_a_batch_of_too_many_is_refused_with_nothing_changed(both: Live, many: int) -> None:
    desk = Desk(both)
    await desk.publish("one")
    [message] = await desk.consume()
    for verb, body in (
        ("publish_batch", {"messages": [{"payload": n} for n in range(many)]}),
        ("ack_batch", {"message_ids": [message["id"]] * many}),
        ("ack_batch", {"messages": [{"message_id": message["id"]}] * many}),
        ("ack_batch", {"messages": [{"message_id": message["id"]}] * 600, "message_ids": [message["id"]] * 600}),
    ):
        refused = await desk.say(verb, **body)
        assert refused.code == (422, "VALIDATION_FAILED")
        assert refused.error["field"] in ("messages", "message_ids")
    assert await desk.stats() == counts(in_flight=1)
    whole = await desk.say("publish_batch", messages=[{"payload": n} for n in range(1000)])
    assert len(set(whole.data["message_ids"])) == 1000
    assert (await desk.say("publish_batch", messages=[])).data["message_ids"] == []


@pytest.mark.parametrize("body", [b"[1]", b'{"queue":"q","messages":[1]}', b'{"queue":"q","messages":{}}',
                                  b'{"queue":"q","messages":null}', b'{"queue":"q"}',
                                  b'{"queue":"q","messages":[{"payload":1},{"priority":1}]}'])  # fmt: skip
async def test_a_batch_that_is_none_is_refused(live: Live, body: bytes) -> None:
    assert (await live.post("/v1/queue/publish_batch", raw=body)).code == (422, "VALIDATION_FAILED")


CONSUME: list[tuple[dict[str, Any], str]] = [
    ({"queue": None}, "queue"),
    ({"max_messages": 0}, "max_messages"),
    ({"max_messages": 1001}, "max_messages"),
    ({"max_messages": "all"}, "max_messages"),
    ({"visibility_timeout": 0}, "visibility_timeout"),
    ({"visibility_timeout": 43_201}, "visibility_timeout"),
    ({"wait_seconds": 21}, "wait_seconds"),
    ({"wait_seconds": -1}, "wait_seconds"),
    ({"receive_attempt_id": ""}, "receive_attempt_id"),
    ({"receive_attempt_id": "r" * 129}, "receive_attempt_id"),
]


@pytest.mark.parametrize(("change", "field"), CONSUME, ids=[f"{field}-{n}" for n, (_, field) in enumerate(CONSUME)])
async def test_a_wish_that_cannot_be_is_refused_by_name(live: Live, change: dict[str, Any], field: str) -> None:
    desk = Desk(live)
    await desk.publish()
    answer = await desk.say("consume", **change)
    assert (answer.code, answer.error["field"]) == ((422, "VALIDATION_FAILED"), field)
    assert await desk.stats() == counts(available=1)


VERBS: dict[str, dict[str, Any]] = {"ack": {}, "nack": {"requeue": False}, "release": {}, "extend": {}}


@pytest.mark.parametrize("verb", VERBS)
async def test_a_receipt_settles_its_own_message_under_its_own_lease_and_nothing_else(both: Live, verb: str) -> None:
    desk, other = Desk(both), Desk(both, "other")
    await desk.publish(1)
    await desk.publish(2)
    await other.publish(3)
    mine, another = await desk.consume()
    [elsewhere] = await other.consume()
    receipt = mine["receipt"]
    forged = [
        another["receipt"],
        elsewhere["receipt"],
        receipt[:-1] + ("0" if receipt[-1] != "0" else "1"),
        receipt[:-13],
        receipt + "0",
        receipt.replace("rcp_", "msg_"),
        mine["message_id"],
        "rcp_",
        "nonsense",
        "\x00",
        "é" * 30,
    ]
    for wrong in forged:
        answer = await desk.say(verb, message_id=mine["message_id"], receipt=wrong, **VERBS[verb])
        assert answer.code == (409, "LEASE_EXPIRED"), wrong
    assert (await other.settle(verb, mine, **VERBS[verb])).code == (404, "NOT_FOUND")
    for unknown in ("msg_0000000000000", "msg_", "...", "run_0000000000000", "\x00", receipt):
        assert (await desk.say(verb, message_id=unknown, **VERBS[verb])).code == (404, "NOT_FOUND")
    assert (await desk.say(verb, receipt=receipt)).error["field"] == "message_id"
    assert (await desk.say(verb, message_id=mine["id"], receipt=5)).code == (422, "VALIDATION_FAILED")
    assert await desk.stats() == counts(in_flight=2)
    assert await other.stats() == counts(in_flight=1)
    assert (await desk.settle(verb, mine, **VERBS[verb])).status == 200


@pytest.mark.parametrize("verb", VERBS)
async def test_an_expired_receipt_settles_nothing_whoever_has_the_message_now(both: Live, verb: str) -> None:
    desk = Desk(both)
    await desk.publish(1)
    [late] = await desk.consume(visibility_timeout=1)
    both.clock.ahead += 1500
    assert (await desk.settle(verb, late, **VERBS[verb])).code == (409, "LEASE_EXPIRED")
    [held] = await desk.consume(wait_seconds=5)
    assert (await desk.settle(verb, late, **VERBS[verb])).code == (409, "LEASE_EXPIRED")
    assert await desk.stats() == counts(in_flight=1)
    assert (await desk.settle("ack", held)).status == 200
    assert (await desk.settle(verb, late, **VERBS[verb])).code == (404, "NOT_FOUND")


SETTLE: list[tuple[str, dict[str, Any], str]] = [
    ("nack", {"delay_seconds": -1}, "delay_seconds"),
    ("nack", {"delay_seconds": 604_801}, "delay_seconds"),
    ("nack", {"requeue": "yes"}, "requeue"),
    ("release", {"delay_seconds": -1}, "delay_seconds"),
    ("extend", {"visibility_timeout": 0}, "visibility_timeout"),
    ("extend", {"visibility_timeout": 43_201}, "visibility_timeout"),
    ("ack_batch", {}, "messages"),
    ("ack_batch", {"messages": [{}]}, "messages.0.message_id"),
    ("ack_batch", {"message_ids": [5]}, "message_ids[0]"),
]


@pytest.mark.parametrize(
    ("verb", "change", "field"), SETTLE, ids=[f"{v}-{f}-{n}" for n, (v, _, f) in enumerate(SETTLE)]
)
async def test_settling_in_a_way_that_cannot_be_changes_nothing(
    live: Live, verb: str, change: dict[str, Any], field: str
) -> None:
    desk = Desk(live)
    await desk.publish()
    [message] = await desk.consume()
    answer = await desk.settle(verb, message, **change) if verb != "ack_batch" else await desk.say(verb, **change)
    assert (answer.code, answer.error["field"]) == ((422, "VALIDATION_FAILED"), field)
    assert await desk.stats() == counts(in_flight=1)


@pytest.mark.parametrize("change", [{"since": "yesterday"}, {"since": 5}, {"max_messages": 0}, {"max_messages": "all"},
                                    {"message_id": 5}])  # fmt: skip
async def test_a_redrive_that_cannot_be_is_refused_by_name(live: Live, change: dict[str, Any]) -> None:
    await Desk(live).make()
    answer = await Desk(live).to("dlq/redrive", **change)
    assert (answer.code, answer.error["field"]) == ((422, "VALIDATION_FAILED"), next(iter(change)))


async def test_what_is_no_json_is_refused(live: Live) -> None:
    for body in (b'{"queue":"q","payload":NaN}', b'{"queue":"q","payload":"\\ud800"}', b'{"queue":"q","payload":'):
        assert (await live.post("/v1/queue/publish", raw=body)).code == (400, "INVALID_JSON")
    deep = json.dumps({"queue": "q"})[:-1].encode() + b',"payload":' + b"[" * 65 + b"]" * 65 + b"}"
    assert (await live.post("/v1/queue/publish", raw=deep)).code == (400, "INVALID_JSON")
