from __future__ import annotations

import json
import re
from html import unescape

import pytest

from doors.console.test_queues import NEXT, another
from doors.console.visitor import Visitor
from doors.queueing import Desk, counts

ROW = re.compile(r'<tr id="(msg_\w+)">(.*?)</tr>', re.DOTALL)
# Markup, a control character, and signs that turn the direction of text around or have no width.
HOSTILE = "</code><script>alert(1)</script>\u202e\u200b\x07&amp;"


def listed(page: str) -> list[str]:
    return [message_id for message_id, _ in ROW.findall(page)]


async def test_messages_are_shown_by_state_and_not_taken(visitor_of_both: Visitor) -> None:
    desk = Desk(visitor_of_both.live, "q")
    await desk.make()
    held = await desk.publish("held", priority=9)
    await desk.consume(max_messages=1)
    low = await desk.publish("low")
    high = await desk.publish({"n": 1}, priority=5, headers={"X-Trace": "abc"}, group_id="g1")
    delayed = await desk.publish("later", delay_seconds=60)
    before = await desk.stats()
    expected = {
        "": [high, low],
        "?state=delayed": [delayed],
        "?state=in_flight": [held],
        "?state=nonsense": [high, low],
    }
    for query, ids in expected.items():
        assert listed(await visitor_of_both.page(f"/console/queues/q/messages{query}")) == ids, query
    page = unescape(await visitor_of_both.page("/console/queues/q/messages"))
    for shown in ('{"n": 1}', "X-Trace: abc", "g1"):
        assert shown in page
    assert "Behind others" not in page
    assert await desk.stats() == before == counts(available=2, delayed=1, in_flight=1)


async def test_messages_behind_others_of_their_group_are_a_state_of_their_own(visitor: Visitor) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make(type="fifo")
    first, second = [await desk.publish(n, group_id="g") for n in range(2)]
    assert listed(await visitor.page("/console/queues/q/messages")) == [first]
    page = await visitor.page("/console/queues/q/messages?state=behind")
    assert listed(page) == [second]
    assert "after those before it" in page


@pytest.mark.parametrize(("state", "delay"), [("available", 0), ("delayed", 60)])
async def test_pages_of_messages_follow_each_other(visitor: Visitor, state: str, delay: int) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make()
    batch = [{"payload": n, "delay_seconds": delay} for n in range(120)]
    published = (await desk.say("publish_batch", messages=batch)).data["message_ids"]
    seen: list[str] = []
    path = f"/console/queues/q/messages?state={state}"
    while True:
        page = await visitor.page(path)
        seen += listed(page)
        following = NEXT.search(page)
        if following is None:
            break
        path = unescape(following[1])
    assert seen == published


@pytest.mark.parametrize("cursor", ["x", "1", "1.2.3", "1.x", "9" * 20 + ".1"])
async def test_a_cursor_that_no_list_of_messages_has_written_is_refused(visitor: Visitor, cursor: str) -> None:
    await Desk(visitor.live, "q").make()
    for path in ("q/messages", "q/dead", "dead"):
        assert (await visitor.get(f"/console/queues/{path}?cursor={cursor}")).status == 422


async def test_a_message_is_shown_in_full(visitor_of_both: Visitor) -> None:
    desk = Desk(visitor_of_both.live, "q")
    await desk.make()
    long = {"text": "x" * 5_000, "end": "the very end"}
    message_id = await desk.publish(long, priority=3, headers={"X-Trace": "abc"})
    listed_page = await visitor_of_both.page("/console/queues/q/messages")
    assert "the very end" not in listed_page
    path = f"/console/queues/q/messages/{message_id}"
    assert f'href="{path}"' in listed_page
    page = unescape(await visitor_of_both.page(path))
    assert "the very end" in page
    assert "X-Trace: abc" in page
    assert "available" in page
    await desk.consume()
    assert "in flight" in await visitor_of_both.page(path)


@pytest.mark.parametrize("message_id", ["msg_0000000000000", "nonsense", "cron_0000000000000"])
async def test_a_message_that_is_not_there_is_not_found(visitor: Visitor, message_id: str) -> None:
    await Desk(visitor.live, "q").make()
    other = Desk(visitor.live, "other")
    elsewhere = await other.publish("of another queue")
    for public in (message_id, elsewhere):
        answer = await visitor.get(f"/console/queues/q/messages/{public}")
        assert answer.status == 404
        assert "of another queue" not in answer.raw.decode()


async def test_text_of_others_does_nothing_on_any_page(visitor: Visitor) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make(max_retries=0, type="fifo")
    # A control character cannot be in a group or in JSON but as an escape; then it is shown as that.
    message_id = await desk.publish({"<b>": HOSTILE}, group_id=HOSTILE, headers={"X-H": "<i>&amp;"})
    paths = ["q/messages", f"q/messages/{message_id}"]
    for path in paths:
        await _is_harmless(visitor, path)
    await desk.settle("nack", (await desk.consume())[0], requeue=False)
    for path in ("q/dead", "dead", f"q/messages/{message_id}", f"q.dlq/messages/{message_id}"):
        await _is_harmless(visitor, path)


async def _is_harmless(visitor: Visitor, path: str) -> None:
    page = await visitor.page(f"/console/queues/{path}")
    assert "alert(1)" in page, path
    assert not re.search("<script>alert|<b>|<i>|\u202e|\u200b|\x07", page), path


async def test_a_message_is_published_as_it_was_typed(visitor_of_both: Visitor) -> None:
    desk = Desk(visitor_of_both.live, "a:b")
    await desk.make()
    path = "/console/queues/a%3Ab/publish"
    payload = '{"b": 1.50,\n "a": [1e2, "\\u4e2d"]}'
    answer = await visitor_of_both.submit(
        path, path, payload=payload, priority="7", message_group_id="g", headers="X-A: 1\n\nX-B:  two: 2 "
    )
    assert answer.headers["location"] == "/console/queues/a%3Ab/messages?state=available"
    told = await visitor_of_both.told("/console/queues/a%3Ab/messages")
    [message] = await desk.consume()
    assert told == f"Published {message['message_id']}."
    assert (message["priority"], message["group_id"]) == (7, "g")
    assert message["headers"] == {"X-A": "1", "X-B": "two: 2"}
    raw = (await desk.to("peek", method="GET")).raw
    assert json.loads(payload) == message["payload"]
    await visitor_of_both.submit(path, path, payload=payload)
    raw = (await desk.to("peek", method="GET")).raw
    assert payload.encode() in raw


async def test_a_delayed_message_is_shown_among_the_delayed(visitor: Visitor) -> None:
    await Desk(visitor.live, "q").make()
    path = "/console/queues/q/publish"
    answer = await visitor.submit(path, path, payload="1", delay_seconds="60", deduplication_id="d")
    assert answer.headers["location"].endswith("state=delayed")
    again = await visitor.submit(path, path, payload="2", delay_seconds="60", deduplication_id="d")
    assert again.status == 303
    assert await Desk(visitor.live, "q").stats() == counts(delayed=1)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("payload", "", "This is not JSON"),
        ("payload", '{"a": }', "This is not JSON"),
        ("payload", "NaN", "This is not JSON"),
        ("payload", '1, "queue": "other"', "This is not JSON"),
        ("payload", json.dumps("x" * 262_144), "payload"),
        ("priority", "10", "priority"),
        ("priority", "high", "This is not a number."),
        ("delay_seconds", "604801", "delay_seconds"),
        ("headers", "no colon", "Write one header to a line"),
        ("headers", "Content Type: x", "headers"),
        ("message_group_id", "g" * 600, "message_group_id"),
    ],
)
async def test_a_message_that_cannot_be_published_is_shown_again(
    visitor: Visitor, field: str, value: str, said: str
) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make()
    path = "/console/queues/q/publish"
    answer = await visitor.submit(path, path, **{"payload": '{"kept": 1}', field: value})
    page = unescape(answer.raw.decode())
    assert answer.status in (413, 422)
    fault = re.search(rf'<p class="fault" id="{field}-fault">(.*?)</p>', page)
    assert fault is not None
    assert said in fault[1]
    assert value[:50] in page
    assert await desk.stats() == counts()


async def test_publishing_needs_its_right(visitor: Visitor) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make()
    consumer = await another(visitor.live, "queue:consume")
    assert "/q/publish" not in await consumer.page("/console/queues/q")
    assert (await consumer.get("/console/queues/q/publish")).status == 403
    await consumer.submit("/console/queues/new", "/console/queues/q/publish", payload="1")
    assert await desk.stats() == counts()
    publisher = await another(visitor.live, "queue:publish")
    answer = await publisher.submit("/console/queues/q/publish", "/console/queues/q/publish", payload="1")
    assert answer.headers["location"] == "/console/queues/q/publish"
    assert await desk.stats() == counts(available=1)
