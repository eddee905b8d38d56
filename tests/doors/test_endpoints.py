"""Endpoints over REST: registered, changed, rotated, tested, recovered, deleted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from standardwebhooks import Webhook, WebhookVerificationError

from doors.hooking import SECRET, bare_hex, emit, get, only, register, settle
from doors.live import Live
from doors.receiving import Receiver, receiving
from mainspring.core.webhooks_endpoints import BY_HAND

HOUR = 3_600_000
BASE = "/v1/account/webhooks"


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


async def test_an_endpoint_gets_events_signed_with_the_secret_it_was_given_once(live: Live, receiver: Receiver) -> None:
    made = await register(live, receiver.url + "/a", events=["order.*"], description="orders")
    assert made["secret"].startswith("whsec_")
    assert (made["events"], made["enabled"], made["state"]) == (["order.*"], True, "active")
    assert made["retry_policy"] == {"max_attempts": 10, "max_retries": 9, "delays": None}
    await emit(live, "order.paid", {"n": 1})
    assert await emit(live, "invoice.paid") == []
    await settle(live)
    post = only(receiver, "/a")
    body = Webhook(made["secret"]).verify(post.body, post.headers)
    assert set(body) == {"id", "type", "event", "timestamp", "data"}
    assert (body["type"], body["event"], body["data"]) == ("order.paid", "order.paid", {"n": 1})
    for path in (f"get/{made['id']}", "list", f"deliveries/{made['id']}"):
        assert made["secret"].encode() not in (await live.get(f"{BASE}/{path}")).raw


async def test_the_secret_is_repeated_for_ten_minutes_to_who_asks_again_and_never_after(live: Live) -> None:
    key = {"Idempotency-Key": "one"}
    body = {"url": "http://127.0.0.1:9/"}
    first = (await live.post(f"{BASE}/register", body, headers=key)).data
    assert (await live.post(f"{BASE}/register", body, headers=key)).data == first
    live.clock.ahead += 11 * 60_000
    assert (await live.post(f"{BASE}/register", body, headers=key)).data == first | {"secret": None}
    assert len((await live.get(f"{BASE}/list")).data["items"]) == 1


async def test_what_a_caller_sets_is_what_it_finds(live: Live) -> None:
    fields: dict[str, Any] = {
        "description": "everything",
        "events": ["*"],
        "retry_policy": {"max_attempts": 3, "delays": [1, 2.5]},
        "timeout_seconds": 5,
        "max_concurrency": 2,
        "rate_limit": 0.5,
        "ordered": True,
        "signature_style": "timestamp.body",
    }
    made = await register(live, "http://127.0.0.1:9/", headers={"X-Own": "hidden"}, **fields)
    shown = (await live.get(f"{BASE}/get/{made['id']}")).data
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert {name: shown[name] for name in fields} == fields | {
        "retry_policy": {"max_attempts": 3, "max_retries": 2, "delays": [1, 2.5]}
    }
    assert shown["headers"] == {"X-Own": "***"}
    [listed] = (await live.get(f"{BASE}/list")).data["items"]
    assert listed == shown


async def test_an_endpoint_registered_as_disabled_gets_nothing_until_it_is_enabled(
    both: Live, receiver: Receiver
) -> None:
    made = await register(both, receiver.url + "/a", enabled=False)
    shown = (await both.get(f"{BASE}/get/{made['id']}")).data
    for record in (made, shown):
        assert (record["enabled"], record["state"], record["disabled_reason"]) == (False, "disabled", BY_HAND)
        assert record["disabled_at"] is not None
    assert await emit(both) == []
    assert (await both.post(f"{BASE}/test/{made['id']}")).code == (409, "CONFLICT")
    described = (await both.call("PATCH", f"{BASE}/update/{made['id']}", {"description": "later"})).data
    assert (described["state"], described["disabled_at"]) == ("disabled", shown["disabled_at"])
    enabled = (await both.call("PATCH", f"{BASE}/update/{made['id']}", {"enabled": True})).data
    assert (enabled["enabled"], enabled["state"], enabled["disabled_at"]) == (True, "active", None)
    assert len(await emit(both)) == 1
    await settle(both)
    only(receiver, "/a")


async def test_an_update_changes_what_it_names_and_nothing_else(live: Live, receiver: Receiver) -> None:
    made = await register(live, receiver.url + "/old", headers={"X-Own": "kept"}, secret=SECRET, events=["a"])
    changed = (
        await live.call(
            "PATCH", f"{BASE}/update/{made['id']}", {"url": receiver.url + "/new", "headers": {"X-Own": "***"}}
        )
    ).data
    assert changed["url"] == receiver.url + "/new"
    assert changed["events"] == ["a"]
    await emit(live, "a")
    await settle(live)
    post = only(receiver, "/new")
    assert post.headers["x-own"] == "kept"
    Webhook(SECRET).verify(post.body, post.headers)


async def test_both_secrets_sign_while_the_grace_of_a_rotation_lasts(live: Live, receiver: Receiver) -> None:
    made = await register(live, receiver.url + "/a", secret=SECRET)
    rotated = (await live.post(f"{BASE}/rotate/{made['id']}", {"grace_hours": 0})).data
    rotated = (await live.post(f"{BASE}/rotate/{made['id']}", {"secret": SECRET})).data
    rotated = (await live.post(f"{BASE}/rotate/{made['id']}", {"grace_hours": 1})).data
    assert rotated["secret"] not in (SECRET, made["id"], None)
    assert rotated["previous_secret_valid_until"] is not None
    await emit(live)
    await settle(live)
    during = only(receiver, "/a")
    assert len(during.headers["webhook-signature"].split(" ")) >= 2
    for secret in (SECRET, rotated["secret"]):
        Webhook(secret).verify(during.body, during.headers)
    live.clock.ahead += 25 * HOUR
    receiver.posts.clear()
    await emit(live)
    await settle(live)
    afterwards = only(receiver, "/a")
    assert len(afterwards.headers["webhook-signature"].split(" ")) == 1
    again = (await live.get(f"{BASE}/get/{made['id']}")).data
    assert again["previous_secret_valid_until"] is None


async def test_the_bare_signature_is_by_the_newest_secret(live: Live, receiver: Receiver) -> None:
    made = await register(live, receiver.url + "/a", secret="the old one")
    await live.post(f"{BASE}/rotate/{made['id']}", {"secret": "the new one"})
    await emit(live)
    await settle(live)
    post = only(receiver, "/a")
    assert bare_hex(b"the new one", post)
    Webhook(b"the old one").verify(post.body, post.headers)


async def test_a_test_event_arrives_whatever_the_endpoint_listens_for(live: Live, receiver: Receiver) -> None:
    made = await register(live, receiver.url + "/a", events=["order.paid"])
    answer = (await live.post(f"{BASE}/test/{made['id']}")).data
    await settle(live)
    body = json.loads(only(receiver, "/a").body)
    assert (body["type"], body["id"]) == ("test", answer["event_id"])


async def test_the_log_of_an_endpoint_has_the_fields_its_readers_know(live: Live, receiver: Receiver) -> None:
    receiver.answers["/a"] = [(200, {}), (500, {})]
    made = await register(live, receiver.url + "/a", retry_policy={"max_attempts": 1})
    for _ in range(2):
        await emit(live)
        await settle(live)
    log = (await live.get(f"{BASE}/deliveries/{made['id']}")).data
    assert log["items"] == log["deliveries"]
    newest, oldest = log["items"]
    assert (newest["status"], newest["destination_status"]) == ("failed", 500)
    assert (oldest["status"], oldest["destination_status"]) == ("delivered", 200)
    assert oldest["event"] == oldest["payload"]["event"] == "order.paid"
    assert oldest["attempted_at"]
    failed = (await live.get(f"{BASE}/deliveries/{made['id']}?status=failed")).data["items"]
    assert [one["id"] for one in failed] == [newest["id"]]


async def test_an_endpoint_that_is_gone_says_why_and_recovers_when_it_is_back(live: Live, receiver: Receiver) -> None:
    receiver.answers["/a"] = [(410, {})]
    made = await register(live, receiver.url + "/a")
    await register(live, receiver.url + "/watcher", events=["webhook.*"])
    [first] = await emit(live)
    await settle(live)
    shown = (await live.get(f"{BASE}/get/{made['id']}")).data
    assert (shown["state"], shown["enabled"]) == ("disabled", False)
    assert "410" in shown["disabled_reason"]
    await settle(live)
    told = json.loads(only(receiver, "/watcher").body)
    assert told["type"] == "webhook.endpoint_disabled"
    assert told["data"] == {"endpoint_id": made["id"], "url": shown["url"], "reason": shown["disabled_reason"]}
    since = {"since": "2020-01-01T00:00:00Z"}
    assert (await live.post(f"{BASE}/recover/{made['id']}", since)).code == (409, "CONFLICT")
    assert (await live.post(f"{BASE}/test/{made['id']}")).code == (409, "CONFLICT")
    assert (await live.post(f"/v1/webhook/replay/{first}")).code == (409, "CONFLICT")
    assert await emit(live, "order.sent") == []
    receiver.answers["/a"] = [(200, {})]
    enabled = (await live.call("PATCH", f"{BASE}/update/{made['id']}", {"enabled": True})).data
    assert (enabled["state"], enabled["disabled_reason"]) == ("active", None)
    recovered = (await live.post(f"{BASE}/recover/{made['id']}", since)).data
    assert recovered["replayed"] == 1
    await settle(live)
    assert (await get(live, recovered["delivery_ids"][0]))["status"] == "delivered"
    assert (await live.post(f"{BASE}/recover/{made['id']}")).code == (422, "VALIDATION_FAILED")


async def test_a_deleted_endpoint_gets_nothing_and_deleting_it_again_is_no_error(
    live: Live, receiver: Receiver
) -> None:
    made = await register(live, receiver.url + "/a")
    for _ in range(2):
        assert (await live.call("DELETE", f"{BASE}/delete/{made['id']}")).data["deleted"] is True
    assert await emit(live) == []
    for method, path in [("GET", "get"), ("GET", "deliveries"), ("PATCH", "update"), ("POST", "test")]:
        assert (await live.call(method, f"{BASE}/{path}/{made['id']}")).code == (404, "NOT_FOUND")
    assert (await live.call("DELETE", f"{BASE}/delete/wh_0000000000000")).code == (404, "NOT_FOUND")


async def test_endpoints_of_another_project_are_not_there(live: Live) -> None:
    made = await register(live, "http://127.0.0.1:9/")
    stranger = await live.key("webhook:read", "webhook:write", project="other")
    for method, path in [
        ("GET", "get"),
        ("PATCH", "update"),
        ("DELETE", "delete"),
        ("POST", "test"),
        ("POST", "rotate"),
        ("GET", "deliveries"),
    ]:
        answer = await live.call(method, f"{BASE}/{path}/{made['id']}", key=stranger)
        assert answer.code == (404, "NOT_FOUND"), path
    assert (await live.get(f"{BASE}/list", key=stranger)).data["items"] == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"events": []}, "events"),
        ({"events": ["a.*.b"]}, "events"),
        ({"events": ["**"]}, "events"),
        ({"max_concurrency": 101}, "max_concurrency"),
        ({"rate_limit": 0}, "rate_limit"),
        ({"secret": ""}, "secret"),
        ({"description": "x" * 256}, "description"),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(live: Live, fields: dict[str, Any], field: str) -> None:
    answer = await live.post(f"{BASE}/register", {"url": "http://127.0.0.1:9/", **fields})
    assert answer.code == (422, "VALIDATION_FAILED")
    assert answer.error["field"].startswith(field)


async def test_with_the_wrong_secret_a_receiver_refuses(live: Live, receiver: Receiver) -> None:
    await register(live, receiver.url + "/a")
    await emit(live)
    await settle(live)
    post = only(receiver, "/a")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(post.body, post.headers)
