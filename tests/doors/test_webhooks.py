"""Webhook deliveries over REST, to real receivers that check them with packages of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from standardwebhooks import Webhook, WebhookVerificationError

from doors.hooking import SECRET, bare_hex, emit, get, only, register, send, settle
from doors.live import Live, serving
from doors.receiving import Receiver, receiving
from mainspring.doors.rest.operations import OPERATIONS

HOUR = 3_600_000


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


async def test_a_receiver_verifies_with_an_independent_package(live: Live, receiver: Receiver) -> None:
    sent = await send(live, receiver.url + "/a", {"ä": [1.50, None]}, secret=SECRET, headers={"X-Own": "yes"})
    await settle(live)
    post = only(receiver, "/a")
    assert Webhook(SECRET).verify(post.body, post.headers) == {"ä": [1.50, None]}
    assert post.headers["x-own"] == "yes"
    assert post.headers["webhook-id"] == post.headers["idempotency-key"] == sent
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(post.body + b" ", post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(post.body, post.headers)


async def test_a_receiver_verifies_the_bare_hex_of_the_body(live: Live, receiver: Receiver) -> None:
    await send(live, receiver.url + "/a", secret="a plain secret")
    await settle(live)
    post = only(receiver, "/a")
    assert bare_hex(b"a plain secret", post)
    assert not bare_hex(b"another", post)
    Webhook(b"a plain secret").verify(post.body, post.headers)


async def test_a_receiver_verifies_the_bare_hex_of_timestamp_and_body(live: Live, receiver: Receiver) -> None:
    await send(live, receiver.url + "/a", secret="a plain secret", signature_style="timestamp.body")
    await settle(live)
    post = only(receiver, "/a")
    assert bare_hex(b"a plain secret", post, with_timestamp=True)
    assert not bare_hex(b"a plain secret", post)


async def test_a_retry_is_signed_anew_under_the_same_id(live: Live, receiver: Receiver) -> None:
    receiver.answers["/a"] = [(500, {}), (200, {})]
    sent = await send(live, receiver.url + "/a", secret=SECRET, retry=[600])
    await settle(live)
    assert (await get(live, sent))["state"] == "retrying"
    await live.work(600_000)
    first, second = receiver.on("/a")
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == sent
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 600
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    record = await get(live, sent)
    assert record["state"] == record["status"] == "delivered"
    assert [one["response_status"] for one in record["attempts"]] == [500, 200]


async def test_without_a_secret_nothing_is_signed(live: Live, receiver: Receiver) -> None:
    await send(live, receiver.url + "/a")
    await settle(live)
    assert {"webhook-signature", "x-infrai-signature"}.isdisjoint(only(receiver, "/a").headers)


async def test_a_record_says_what_happened(live: Live, receiver: Receiver) -> None:
    receiver.answers["/a"] = [(503, {})]
    sent = await send(live, receiver.url + "/a", event="order.paid")
    await settle(live)
    record = await get(live, sent)
    assert record["id"] == record["delivery_id"] == record["webhook_id"] == sent
    assert record["event"] == "order.paid"
    assert record["url"] == receiver.url + "/a"
    assert record["payload"] == {"n": 1}
    assert record["destination_status"] == record["response_status"] == 503
    assert record["response_body"] == "said"
    assert (record["state"], record["status"]) == ("retrying", "pending")
    assert record["next_attempt_at"] > record["attempted_at"]
    attempts = (await live.get(f"/v1/webhook/attempts/{sent}")).data
    assert attempts["items"] == record["attempts"]
    assert len(attempts["items"]) == 1
    [listed] = (await live.get("/v1/scheduling/webhook/list?event=order.paid")).data["items"]
    assert listed == {name: value for name, value in record.items() if name != "attempts"}


@pytest.mark.parametrize(
    ("retry", "attempts"),
    [(0, 1), (2, 3), ([0, 0, 0], 4), ({"max_attempts": 2}, 2), ({"max_retries": 1, "delays": [0]}, 2)],
)
async def test_retries_are_taken_in_every_form(live: Live, receiver: Receiver, retry: Any, attempts: int) -> None:
    receiver.answers["/a"] = [(500, {})]
    sent = await send(live, receiver.url + "/a", retry=retry)
    for _ in range(attempts + 1):
        await live.work(HOUR)
    assert (await get(live, sent))["state"] == "failed"
    assert len(receiver.on("/a")) == attempts


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://example.com", "event": "a..b"}, "event"),
        ({"url": "http://example.com", "event": "x" * 129}, "event"),
        ({"url": "http://example.com", "secret": "whsec_AAAA"}, "secret"),
        ({"url": "http://example.com", "retry": 51}, "retry"),
        ({"url": "http://example.com", "retry": [-1]}, "retry"),
        ({"url": "http://example.com", "retry": {"max_attempts": 2, "max_retries": 2}}, "retry.max_retries"),
        ({"url": "http://example.com", "timeout_seconds": 901}, "timeout_seconds"),
        ({"url": "http://example.com", "headers": {"webhook-id": "x"}}, "headers.webhook-id"),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(live: Live, fields: dict[str, Any], field: str) -> None:
    answer = await live.post("/v1/webhook/send", fields)
    assert answer.code == (422, "VALIDATION_FAILED")
    assert answer.error["field"].startswith(field)


async def test_a_target_inside_is_refused_with_the_line_that_allows_it(tmp_path: Path) -> None:
    async with serving(tmp_path, allow=()) as live:
        answer = await live.post("/v1/webhook/send", {"url": "http://169.254.169.254/latest"})
        assert answer.code == (422, "TARGET_FORBIDDEN")
        assert "MAINSPRING_ALLOW_TARGETS=" in answer.error["hint"]


async def test_a_replay_run_twice_over_by_the_same_caller_is_one_delivery_also_over_a_restart(
    tmp_path: Path, receiver: Receiver
) -> None:
    key = {"Idempotency-Key": "again-1"}
    async with serving(tmp_path) as live:
        sent = await send(live, receiver.url + "/a")
        await settle(live)
        first = await live.post(f"/v1/webhook/replay/{sent}", headers=key)
        second = await live.post(f"/v1/webhook/replay/{sent}", headers=key)
        assert second.headers["idempotency-replayed"] == "true"
        many = {"status": "failed"}
        await live.post("/v1/webhook/replay", many, headers=key)
    async with serving(tmp_path) as live:
        third = await live.post(f"/v1/webhook/replay/{sent}", headers=key)
        assert first.data == second.data == third.data
        assert first.data["replay_of"] == sent != first.data["id"]
        live.clock.ahead += 10_000  # the clock of the first server had been moved on
        await settle(live)
        assert len((await live.get("/v1/webhook/list")).data["items"]) == 2
        other = await live.post(f"/v1/webhook/replay/{sent}", {"new_id": True}, headers=key)
        assert other.code == (422, "IDEMPOTENCY_MISMATCH")
    assert [post.headers["webhook-id"] for post in receiver.on("/a")] == [sent, sent]


async def test_many_are_counted_first_and_then_sent_again(live: Live, receiver: Receiver) -> None:
    receiver.answers["/a"] = [(500, {}), (500, {}), (200, {})]
    failed = [await send(live, receiver.url + "/a", retry=0) for _ in range(2)]
    await settle(live)
    await settle(live)
    fine = await send(live, receiver.url + "/a", retry=0)
    await settle(live)
    assert [(await get(live, one))["status"] for one in (*failed, fine)] == ["failed", "failed", "delivered"]
    counted = (await live.post("/v1/webhook/replay", {"dry_run": True})).data
    assert (counted["count"], counted["replayed"], counted["dry_run"]) == (2, 0, True)
    for since in ("2080-01-01T00:00:00Z", "2199-01-01T00:00:00Z"):
        later = (await live.post("/v1/webhook/replay", {"dry_run": True, "since": since})).data
        assert later["count"] == 0
    assert (await live.post("/v1/webhook/replay", {"dry_run": True, "status": "delivered"})).data["count"] == 1
    one = (await live.post("/v1/webhook/replay", {"limit": 1})).data
    rest = (await live.post("/v1/webhook/replay", {"limit": 5})).data
    assert (one["replayed"], one["more"], rest["replayed"], rest["more"]) == (1, True, 1, False)
    await settle(live)
    assert [(await get(live, again))["replay_of"] for again in (*one["delivery_ids"], *rest["delivery_ids"])] == failed
    assert (await live.post("/v1/webhook/replay")).data["replayed"] == 0


async def test_a_delivery_can_be_cancelled_once_and_again(live: Live, receiver: Receiver) -> None:
    receiver.answers["/a"] = [(500, {})]
    sent = await send(live, receiver.url + "/a")
    await settle(live)
    for _ in range(2):
        assert (await live.post(f"/v1/webhook/cancel/{sent}")).data["state"] == "cancelled"
    fine = await send(live, receiver.url + "/b")
    await settle(live)
    assert (await live.post(f"/v1/webhook/cancel/{fine}")).code == (409, "CONFLICT")
    assert (await live.post(f"/v1/webhook/replay/{sent}")).data["state"] == "queued"


async def test_deliveries_come_in_pages_newest_first(live: Live) -> None:
    made = [await send(live, "http://127.0.0.1:9/") for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await live.get(f"/v1/webhook/list?limit=2&cursor={cursor}")).data
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_deliveries_of_another_project_are_not_there(live: Live) -> None:
    sent = await send(live, "http://127.0.0.1:9/")
    stranger = await live.key("webhook:read", "webhook:write", project="other")
    for method, path in [
        ("GET", f"get/{sent}"),
        ("GET", f"attempts/{sent}"),
        ("POST", f"cancel/{sent}"),
        ("POST", f"replay/{sent}"),
    ]:
        assert (await live.call(method, f"/v1/webhook/{path}", key=stranger)).code == (404, "NOT_FOUND"), path
    assert (await live.get("/v1/webhook/list", key=stranger)).data["items"] == []
    reader = await live.key("webhook:read")
    assert (await live.post("/v1/webhook/send", {"url": "http://127.0.0.1:9/"}, key=reader)).code == (403, "FORBIDDEN")


async def test_deliveries_are_in_no_list_of_runs(live: Live) -> None:
    await send(live, "http://127.0.0.1:9/")
    assert (await live.get("/v1/scheduling/run/list")).data["items"] == []


async def test_secrets_and_headers_of_a_delivery_are_nowhere_to_be_seen(tmp_path: Path, receiver: Receiver) -> None:
    async with serving(tmp_path) as live:
        fields = {"secret": "canary-secret-1", "headers": {"X-Token": "canary-header-2"}, "event": "e"}
        answers = [(await live.post("/v1/webhook/send", {"url": receiver.url + "/a", **fields})).raw]
        await settle(live)
        [sent] = (await live.get("/v1/webhook/list")).data["items"]
        paths = (f"get/{sent['id']}", "list", f"attempts/{sent['id']}")
        answers += [(await live.get(f"/v1/webhook/{path}")).raw for path in paths]
        assert b"canary" not in b"".join(answers)
        assert only(receiver, "/a").headers["x-token"] == "canary-header-2"
    assert all(b"canary" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


async def test_results_have_all_the_fields_that_are_documented_and_no_others(live: Live, receiver: Receiver) -> None:
    endpoint = await register(live, receiver.url + "/a")
    [made] = await emit(live)
    await settle(live)
    bodies: dict[str, Any] = {
        "webhook.send": {"url": receiver.url},
        "webhook.emit": {"event": "x"},
        "account.webhooks.register": {"url": receiver.url},
        "account.webhooks.recover": {"since": "2020-01-01T00:00:00Z"},
    }
    last = ("webhook.cancel", "account.webhooks.delete")
    for operation in sorted(OPERATIONS, key=lambda one: one.id in last):
        if not operation.id.startswith(("webhook.", "account.webhooks.")):
            continue
        value = endpoint["id"] if operation.id.startswith("account") else made
        if operation.id == "webhook.cancel":
            value = await send(live, receiver.url)
        path = operation.paths[0].replace("{id}", value)
        data = (await live.call(operation.method, path, bodies.get(operation.id))).data
        fields = {field.encode_name for field in msgspec.structs.fields(operation.result)}
        assert set(data) == fields, operation.id
        msgspec.json.decode(json.dumps(data), type=operation.result)
