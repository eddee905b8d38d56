"""Push subscriptions over REST, with a receiver on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from doors.live import Live, serving
from doors.queueing import Desk
from doors.receiving import Posting, Receiver, posting, receiving
from mainspring.core.limits import SECOND

RECORD = {
    "queue": "q",
    "state": "active",
    "format": "message",
    "signature_style": "body",
    "signed": False,
    "headers": None,
    "max_retries": None,
    "dead_letter_queue": None,
    "visibility_timeout": None,
    "timeout_seconds": 30,
    "max_concurrency": 8,
    "failures_in_a_row": 0,
    "resting_until": None,
    "ended_at": None,
    "ended_reason": None,
}
SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a secret that somebody chose")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


@pytest_asyncio.fixture
async def poster(both: Live) -> AsyncIterator[Posting]:
    async with posting(both) as started:
        yield started


@pytest.mark.parametrize("family", ["/v1/queue", "/v1/scheduling/queue"])
async def test_a_subscription_has_the_defaults_is_listed_and_ends(both: Live, family: str) -> None:
    desk = Desk(both, family=family)
    made = (await desk.to("push_subscribe", queue="another", forward_to="http://127.0.0.1:9/hook")).data
    assert RECORD.items() <= made.items()
    assert made["subscription_id"] == made["id"]
    assert made["id"].startswith("sub_")
    assert made["url"] == made["forward_to"] == "http://127.0.0.1:9/hook"
    assert (await desk.look("get"))["type"] == "standard"
    assert await desk.look("push_list") == {"items": [made], "next_cursor": None}
    again = (await desk.to("push_subscribe", url="http://127.0.0.1:9/hook", max_concurrency=2)).data
    assert (again["id"], again["max_concurrency"]) == (made["id"], 2)
    path = f"{family}/push_unsubscribe/q/{made['id']}"
    gone = {"subscription_id": made["id"], "id": made["id"], "queue": "q", "deleted": True}
    assert (await both.call("DELETE", path)).data == gone
    assert (await both.call("DELETE", path, {"subscription_id": "sub_x", "queue": "x"})).json["data"] == gone
    [ended] = (await desk.look("push_list"))["items"]
    assert (ended["state"], ended["ended_reason"]) == ("ended", "unsubscribed")
    assert ended["ended_at"] is not None


async def test_every_setting_is_kept_and_nothing_secret_is_shown(both: Live) -> None:
    desk = Desk(both)
    given = {
        "url": "http://127.0.0.1:9/",
        "signature_style": "timestamp.body",
        "format": "payload",
        "max_retries": 0,
        "dead_letter_queue": "bin",
        "visibility_timeout": 90.5,
        "timeout_seconds": 1.5,
        "max_concurrency": 100,
    }
    answer = await desk.to("push_subscribe", **given, secret=SECRETS[1], headers={"Authorization": "Bearer hush"})
    assert given.items() <= answer.data.items()
    assert (answer.data["signed"], answer.data["headers"]) == (True, {"Authorization": "***"})
    shown = answer.raw + json.dumps(await desk.look("push_list")).encode()
    assert SECRETS[1].encode() not in shown
    assert b"hush" not in shown
    nulls = dict.fromkeys([*given, "secret", "headers"]) | {"url": given["url"]}
    assert RECORD.items() <= (await desk.to("push_subscribe", **nulls)).data.items()


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "VALIDATION_FAILED", "url"),
        ({"url": "ftp://a/"}, "VALIDATION_FAILED", "url"),
        ({"forward_to": "http://10.0.0.1/"}, "TARGET_FORBIDDEN", "url"),
        ({"url": "http://127.0.0.1/", "forward_to": "http://127.0.0.2/"}, "VALIDATION_FAILED", "forward_to"),
        ({"url": "http://127.0.0.1/", "max_concurrency": 0}, "VALIDATION_FAILED", "max_concurrency"),
        ({"url": "http://127.0.0.1/", "max_concurrency": 101}, "VALIDATION_FAILED", "max_concurrency"),
        ({"url": "http://127.0.0.1/", "timeout_seconds": 0}, "VALIDATION_FAILED", "timeout_seconds"),
        ({"url": "http://127.0.0.1/", "format": "xml"}, "VALIDATION_FAILED", "format"),
        ({"url": "http://127.0.0.1/", "secret": "whsec_!"}, "VALIDATION_FAILED", "secret"),
        ({"url": "http://127.0.0.1/", "headers": {"Host": "a"}}, "VALIDATION_FAILED", "headers.Host"),
        ({"url": "http://127.0.0.1/", "dead_letter_queue": "q"}, "VALIDATION_FAILED", "dead_letter_queue"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    live: Live, body: dict[str, object], code: str, field: str
) -> None:
    desk = Desk(live)
    answer = await desk.to("push_subscribe", **body)
    assert answer.code == (422, code)
    assert answer.error["field"] in (field, "url")
    assert (await live.get("/v1/queue/push_list/q")).code == (404, "NOT_FOUND")


async def test_other_projects_see_and_end_nothing(live: Live) -> None:
    made = (await Desk(live).to("push_subscribe", url="http://127.0.0.1:9/")).data
    stranger = await live.key("queue:consume", project="other")
    for method, path in (
        ("GET", "push_list/q"),
        ("GET", "push_deliveries/q"),
        ("DELETE", f"push_unsubscribe/q/{made['id']}"),
    ):
        assert (await live.call(method, f"/v1/queue/{path}", key=stranger)).code == (404, "NOT_FOUND")
    await Desk(live, key=stranger).make()
    assert (await live.call("DELETE", f"/v1/queue/push_unsubscribe/q/{made['id']}", key=stranger)).status == 404
    assert (await live.get(f"/v1/queue/push_deliveries/q?subscription_id={made['id']}", key=stranger)).status == 404
    [still] = (await Desk(live).look("push_list"))["items"]
    assert still["state"] == "active"


async def test_an_idempotency_key_subscribes_once(live: Live) -> None:
    desk = Desk(live)
    first = await desk.to("push_subscribe", url="http://127.0.0.1:9/", idempotency_key="k")
    again = await desk.to("push_subscribe", url="http://127.0.0.1:9/", idempotency_key="k")
    assert again.data == first.data
    assert again.headers["idempotency-replayed"] == "true"
    other = await desk.to("push_subscribe", url="http://127.0.0.1:8/", idempotency_key="k")
    assert other.code == (422, "IDEMPOTENCY_MISMATCH")


async def test_lists_go_on_page_by_page(both: Live, receiver: Receiver, poster: Posting) -> None:
    desk = Desk(both)
    made = [(await desk.to("push_subscribe", url=f"{receiver.url}/{at}")).data["id"] for at in range(3)]
    for _ in range(5):
        await desk.publish()
        await poster.until_quiet()
    for what, wanted in (("push_list", 3), ("push_deliveries", 5)):
        seen, cursor = [], ""
        while cursor is not None:
            page = await desk.look(what, f"?limit=2&cursor={cursor}")
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert len(seen) == len(set(seen)) == wanted
        assert seen == sorted(seen, reverse=True)
    of_one = (await desk.look("push_deliveries", f"?subscription_id={made[0]}"))["items"]
    assert {push["subscription_id"] for push in of_one} <= {made[0]}
    assert (await both.get("/v1/queue/push_deliveries/q?subscription_id=nothing")).code == (404, "NOT_FOUND")


@pytest.mark.parametrize("secret", SECRETS)
async def test_a_push_verifies_with_the_independent_library(
    both: Live, receiver: Receiver, poster: Posting, secret: str
) -> None:
    desk = Desk(both)
    await desk.to("push_subscribe", url=receiver.url + "/hook", secret=secret)
    message_id = await desk.publish({"n": 1})
    await poster.until_quiet()
    [post] = receiver.posts
    verifier = Webhook(secret if secret.startswith("whsec_") else secret.encode())
    body = verifier.verify(post.body, post.headers)
    assert (body["message_id"], body["id"], body["queue"], body["attempt"]) == (message_id, message_id, "q", 1)
    assert body["payload"] == {"n": 1}
    assert post.headers["idempotency-key"] == post.headers["webhook-id"] == message_id
    assert post.headers["user-agent"].startswith("Mainspring/")
    assert post.headers["content-type"] == "application/json"
    [push] = (await desk.look("push_deliveries"))["items"]
    assert (push["outcome"], push["response_status"], push["response_body"]) == ("acked", 200, "said")
    assert (push["message_id"], push["attempt"], push["error"]) == (message_id, 1, None)


async def test_a_retry_is_signed_anew(live: Live, receiver: Receiver) -> None:
    async with posting(live) as poster:
        desk = Desk(live)
        await desk.to("push_subscribe", url=receiver.url + "/hook", secret=SECRETS[0])
        receiver.answers["/hook"] = [(500, {}), (200, {})]
        await desk.publish()
        await poster.until_quiet()
        await poster.until_quiet(6 * SECOND)
        first, second = receiver.posts
        assert first.message == second.message
        assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
        for post in (first, second):
            Webhook(SECRETS[0]).verify(post.body, post.headers)
        assert second.headers["x-mainspring-attempt"] == "2"


async def test_failures_until_the_dead_letters(both: Live, receiver: Receiver, poster: Posting) -> None:
    desk = Desk(both)
    await desk.to("push_subscribe", url=receiver.url + "/hook", max_retries=3)
    receiver.answers["/hook"] = [(500, {})]
    message_id = await desk.publish("bad")
    await poster.until_quiet()
    for wait in (5, 15, 45):
        assert (await desk.stats())["dlq"] == 0
        await poster.until_quiet(wait * SECOND)
    assert (await desk.stats()) == {"available": 0, "delayed": 0, "in_flight": 0, "dlq": 1}
    [letter] = (await desk.look("dlq/list"))["items"]
    assert (letter["message_id"], letter["failures"], letter["attempt"]) == (message_id, 4, 4)
    assert [push["outcome"] for push in (await desk.look("push_deliveries"))["items"]] == ["nacked"] * 4


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept_and_nothing_is_counted(
    both: Live, receiver: Receiver, poster: Posting, status: int
) -> None:
    desk = Desk(both)
    await desk.to("push_subscribe", url=receiver.url + "/hook", max_retries=0)
    receiver.answers["/hook"] = [(status, {"Retry-After": "120"}), (200, {})]
    await desk.publish()
    await poster.until_quiet()
    [resting] = (await desk.look("push_list"))["items"]
    assert resting["state"] == "resting"
    assert resting["resting_until"] is not None
    await desk.publish()
    await poster.until_quiet(100 * SECOND)
    assert len(receiver.posts) == 1
    await poster.until_quiet(21 * SECOND)
    assert len(receiver.posts) == 3
    assert await desk.stats() == {"available": 0, "delayed": 0, "in_flight": 0, "dlq": 0}


async def test_gone_ends_the_subscription(both: Live, receiver: Receiver, poster: Posting) -> None:
    desk = Desk(both)
    await desk.to("push_subscribe", url=receiver.url + "/hook")
    receiver.answers["/hook"] = [(410, {})]
    await desk.publish()
    await poster.until_quiet()
    await poster.until_quiet(60 * SECOND)
    assert len(receiver.posts) == 1
    [ended] = (await desk.look("push_list"))["items"]
    assert ended["state"] == "ended"
    assert "410" in ended["ended_reason"]
    assert (await desk.stats())["available"] == 1


async def test_a_redirect_is_a_failure_and_is_not_followed(live: Live, receiver: Receiver) -> None:
    async with posting(live) as poster:
        desk = Desk(live)
        await desk.to("push_subscribe", url=receiver.url + "/hook", max_retries=0)
        receiver.answers["/hook"] = [(307, {"Location": receiver.url + "/elsewhere"})]
        await desk.publish()
        await poster.until_quiet()
        assert [post.path for post in receiver.posts] == ["/hook"]
        assert (await desk.stats())["dlq"] == 1


async def test_a_target_that_hangs_or_is_not_there_fails_in_time(live: Live, receiver: Receiver) -> None:
    async with posting(live) as poster:
        desk = Desk(live)
        receiver.gates["/hook"] = asyncio.Event()
        await desk.to("push_subscribe", url=receiver.url + "/hook", timeout_seconds=1, max_retries=0)
        await desk.publish()
        await poster.until_quiet()
        nobody = Desk(live, "nobody")
        await nobody.to("push_subscribe", url="http://127.0.0.1:1/", max_retries=0)
        await nobody.publish()
        await poster.until_quiet()
        for one in (desk, nobody):
            assert (await one.stats())["dlq"] == 1
            [push] = (await one.look("push_deliveries"))["items"]
            assert push["response_status"] is None
            assert push["error"]


async def test_a_name_that_leads_inside_is_refused_when_it_is_dialled(tmp_path: Path) -> None:
    async with serving(tmp_path, allow=("127.0.0.0/8", "localhost")) as live, posting(live, allow=()) as poster:
        desk = Desk(live)
        await desk.to("push_subscribe", url="http://localhost:9/", max_retries=0)
        await desk.publish()
        await poster.until_quiet()
        [push] = (await desk.look("push_deliveries"))["items"]
        assert (push["outcome"], push["sent_at"]) == ("nacked", None)
        assert "loopback" in push["error"], push


async def test_a_slow_target_gets_no_message_twice_at_a_time(both: Live, receiver: Receiver, poster: Posting) -> None:
    desk = Desk(both)
    await desk.to(
        "push_subscribe", url=receiver.url + "/hook", timeout_seconds=30, visibility_timeout=1, max_concurrency=3
    )
    gate = receiver.gates["/hook"] = asyncio.Event()
    ids = {await desk.publish() for _ in range(6)}
    async with posting(both) as other:
        for one in (poster, other, poster):
            await one.begin()
        both.clock.ahead += 34 * SECOND
        await other.begin()
        gate.set()
        for _ in range(2):
            await poster.until_quiet()
            await other.until_quiet()
    assert {post.message for post in receiver.posts} == ids
    assert len(receiver.posts) == 6
    assert receiver.peak["all"] <= 3


async def test_pull_and_push_share_a_queue(both: Live, receiver: Receiver, poster: Posting) -> None:
    desk = Desk(both)
    await desk.to("push_subscribe", url=receiver.url + "/hook", max_concurrency=5)
    sent = [await desk.publish() for _ in range(40)]
    pulled = []
    gate = receiver.gates["/hook"] = asyncio.Event()
    await poster.begin()
    for _ in range(3):
        for message in await desk.consume(max_messages=5):
            assert (await desk.settle("ack", message)).status == 200
            pulled.append(message["message_id"])
    gate.set()
    await poster.until_quiet()
    pushed = [post.message for post in receiver.posts]
    assert len(pulled) == 15
    assert sorted(pulled + pushed) == sorted(sent)


async def test_a_consumer_cannot_settle_what_is_being_pushed(live: Live, receiver: Receiver) -> None:
    async with posting(live) as poster:
        desk = Desk(live)
        await desk.to("push_subscribe", url=receiver.url + "/hook")
        gate = receiver.gates["/hook"] = asyncio.Event()
        message_id = await desk.publish()
        await poster.begin()
        assert (await desk.say("ack", message_id=message_id)).code == (409, "LEASE_EXPIRED")
        assert (await desk.stats())["in_flight"] == 1
        gate.set()
        await poster.until_quiet()
        assert (await desk.say("ack", message_id=message_id)).code == (404, "NOT_FOUND")


async def test_a_fifo_group_is_pushed_in_order_whatever_fails(both: Live, receiver: Receiver, poster: Posting) -> None:
    desk = Desk(both)
    await desk.make(type="fifo")
    await desk.to("push_subscribe", url=receiver.url + "/hook", max_concurrency=10)
    receiver.answers["/hook"] = [(status, {}) for status in (500, 200, 500, 200, 500, 500)] + [(200, {})]
    sent = {group: [await desk.publish(at, group_id=group) for at in range(4)] for group in ("x", "y")}
    for _ in range(12):
        await poster.until_quiet(16 * SECOND)
    assert await desk.stats() == {"available": 0, "delayed": 0, "in_flight": 0, "dlq": 0}
    for group in sent.values():
        posted = [post.message for post in receiver.posts if post.message in group]
        assert [one for at, one in enumerate(posted) if one not in posted[at + 1 :]] == group
        assert posted == sorted(posted)
    assert receiver.peak["all"] <= 2
