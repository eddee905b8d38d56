"""What is sent for a run, and what becomes of it when its attempt has ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mainspring.core import ids, runs
from mainspring.core.changes import Claim
from mainspring.core.errors import Conflict, NotFound
from mainspring.core.limits import RESPONSE_BYTES_MAX, RESPONSE_KEPT_BYTES, SECOND
from mainspring.core.model import Expect, Page, RunState
from mainspring.core.ports import Outcome
from mainspring.store.vault import SealedVault
from store.making import PROJECT, START, Bench, claim, create, end, fire, reply, runs_of, schedule, target, trigger

VAULT = SealedVault("key")
CLAIM = Claim(
    run_id=7,
    schedule_id=5,
    project=PROJECT,
    kind="cron",
    trigger="schedule",
    scheduled_for=START,
    target_id=2,
    origin="http://target.example:80",
    payload=None,
    attempt=1,
    started_at=START + 1,
)


def sealed(purpose: str, plain: bytes) -> bytes:
    return VAULT.seal(plain, purpose)


def test_a_request_carries_the_run_and_its_attempt() -> None:
    request = runs.request(VAULT, CLAIM, target(timeout_ms=1_500), START + 9_999)
    headers = dict(request.headers)
    assert (request.method, request.url, request.deadline_ms) == ("POST", "http://target.example/hook", 1_500)
    assert headers["Idempotency-Key"] == headers["X-Mainspring-Run-Id"] == ids.text("run", 7)
    assert (headers["X-Mainspring-Attempt"], headers["webhook-timestamp"]) == ("1", str((START + 9_999) // 1000))
    assert headers["X-Mainspring-Scheduled-For"] == "2025-11-20T09:00:00.000Z"
    assert "webhook-signature" not in headers


@pytest.mark.parametrize(
    ("method", "stored", "given", "body"),
    [
        ("POST", None, None, b"{}"),
        ("PUT", None, None, b"{}"),
        ("GET", None, None, b""),
        ("DELETE", None, None, b""),
        ("DELETE", b"[1]", None, b"[1]"),
        ("POST", b'{"a": 1}', None, b'{"a": 1}'),
        ("POST", b'{"a": 1}', b"[ 2 ]", b"[ 2 ]"),
        ("POST", b'{"a": 1}', b"", b""),
    ],
)
def test_the_body_is_the_accepted_one_byte_for_byte(
    method: str, stored: bytes | None, given: bytes | None, body: bytes
) -> None:
    claimed = msgspec.structs.replace(CLAIM, payload=given)
    assert runs.request(VAULT, claimed, target(method=method, payload=stored), START).body == body


def test_custom_headers_and_secret_are_opened_for_sending_only() -> None:
    to = target(headers=sealed("headers", b'{"X-Token":"canary"}'), secret=sealed("secret", b"hush"))
    headers = dict(runs.request(VAULT, CLAIM, to, START).headers)
    assert headers["X-Token"] == "canary"
    assert headers["webhook-signature"].startswith("v1,")
    later = dict(runs.request(VAULT, CLAIM, to, START + SECOND).headers)
    assert later["webhook-signature"] != headers["webhook-signature"]


def test_what_cannot_be_opened_is_refused() -> None:
    with pytest.raises(Conflict):
        runs.request(VAULT, CLAIM, target(secret=b"damaged"), START)


def test_the_whole_body_is_kept_only_where_a_pattern_judges_it() -> None:
    assert runs.request(VAULT, CLAIM, target(), START).keep_bytes == RESPONSE_KEPT_BYTES
    judged = target(expect=Expect(body_regexp="ok"))
    assert runs.request(VAULT, CLAIM, judged, START).keep_bytes == RESPONSE_BYTES_MAX
    assert runs.request(VAULT, CLAIM, target(expect=Expect((200,))), START).keep_bytes == RESPONSE_KEPT_BYTES


@pytest.mark.parametrize(
    ("expect", "outcome", "error"),
    [
        (None, reply(START, 200), None),
        (None, reply(START, 299), None),
        (None, reply(START, 199), "HTTP status 199"),
        (None, reply(START, 300), "HTTP status 300"),
        (None, reply(START, 302), "HTTP status 302"),
        (None, reply(START, 500), "HTTP status 500"),
        (None, reply(START, 200, error="cut short"), "cut short"),
        (None, Outcome("timeout", START), "timeout"),
        (None, Outcome("connection", START, error="no route"), "no route"),
        (Expect((404,)), reply(START, 404), None),
        (Expect((404,)), reply(START, 200), "HTTP status 200"),
        (Expect(None, "^sa.d$"), reply(START, 200), None),
        (Expect(None, "yes"), reply(START, 200), "the response body does not match expect.body_regexp"),
        (Expect(None, "said"), reply(START, 500), "HTTP status 500"),
        (Expect((500,), "said"), reply(START, 500), None),
        (Expect(None, "café"), reply(START, 200, body="un café".encode()), None),
        (Expect(None, "x"), reply(START, 200, body=b"\xff\x00x"), None),
    ],
)
def test_what_counts_as_success(expect: Expect | None, outcome: Outcome, error: str | None) -> None:
    result = runs.after(CLAIM, target(expect=expect), outcome, 0.5)
    assert result.error == error
    assert result.state == ("succeeded" if error is None else "retrying")


def test_a_pattern_sees_the_whole_body_and_the_store_keeps_4_kib_of_it() -> None:
    said = b"x" * RESPONSE_KEPT_BYTES + b" all is well"
    result = runs.after(CLAIM, target(expect=Expect(None, "well$")), reply(START, 200, body=said), 0.5)
    assert (result.state, result.body) == ("succeeded", b"x" * RESPONSE_KEPT_BYTES)
    assert runs.after(CLAIM, target(), reply(START, 204, body=b""), 0.5).body is None


@pytest.mark.parametrize(
    ("attempt", "retry", "outcome", "state"),
    [
        (1, 1, Outcome("timeout", START), "retrying"),
        (2, 1, Outcome("timeout", START), "failed"),
        (1, 0, Outcome("connection", START), "failed"),
        (1, 9, Outcome("forbidden", START, error="TARGET_FORBIDDEN"), "failed"),
    ],
)
def test_failures_are_tried_again_as_often_as_asked_for_but_never_a_forbidden_target(
    attempt: int, retry: int, outcome: Outcome, state: RunState
) -> None:
    claimed = msgspec.structs.replace(CLAIM, attempt=attempt)
    result = runs.after(claimed, target(retry=retry), outcome, 0.5)
    assert (result.state, result.due_at is not None) == (state, state == "retrying")


def test_the_next_attempt_waits_from_the_end_of_the_last_one() -> None:
    result = runs.after(CLAIM, target(), reply(START + 1_000, 503, retry_after_ms=60_000), 0.5)
    assert result.due_at == START + 61_000


def test_the_failure_call_tells_what_happened_signed_as_the_target_is() -> None:
    to = target(retry=0, on_failure="https://pager.example/x", secret=b"sealed", signature_style="timestamp.body")
    call = runs.after(CLAIM, to, reply(START + 5, 500), 0.5).follow_up
    assert call is not None
    made = call.target
    assert (made.address, made.origin, made.method) == ("https://pager.example/x", "https://pager.example:443", "POST")
    assert (made.secret, made.signature_style, made.retry, made.timeout_ms) == (b"sealed", "timestamp.body", 3, 30_000)
    assert (made.on_failure, made.headers, made.expect) == (None, None, None)
    assert msgspec.json.decode(call.payload) == {
        "id": ids.text("evt", 7),
        "type": "cron.run.failed",
        "event": "cron.run.failed",
        "timestamp": "2025-11-20T09:00:00.005Z",
        "data": {
            "run_id": ids.text("run", 7),
            "cron_id": ids.text("cron", 5),
            "state": "failed",
            "trigger": "schedule",
            "scheduled_for": "2025-11-20T09:00:00.000Z",
            "attempt": 1,
            "response_status": 500,
            "error": "HTTP status 500",
        },
    }


def test_nobody_is_called_before_the_last_attempt_or_without_an_address() -> None:
    assert runs.after(CLAIM, target(on_failure="https://pager.example/"), reply(START, 500), 0.5).follow_up is None
    assert runs.after(CLAIM, target(retry=0), reply(START, 500), 0.5).follow_up is None
    assert runs.after(CLAIM, target(on_failure="https://pager.example/"), reply(START), 0.5).follow_up is None


@pytest.mark.parametrize(("retry", "state", "due_at"), [(1, "retrying", START + 60_000), (0, "failed", None)])
async def test_an_attempt_that_a_crash_cut_short_counts(
    bench: Bench, retry: int, state: RunState, due_at: int | None
) -> None:
    to = target(retry=retry, on_failure="https://pager.example/")
    await create(bench.store, START, to=to)
    await fire(bench.store, START)
    await claim(bench.store, START + 2)
    [orphan] = await bench.store.runs.expired(0, 10, everything=True)
    result = runs.interrupted(orphan, to, START + 60_000)
    assert (result.state, result.due_at, result.error, result.status) == (state, due_at, "interrupted", None)
    assert (result.claim.attempt, result.claim.started_at) == (1, START + 2)
    assert (result.follow_up is not None) == (state == "failed")


async def test_a_run_shows_its_only_attempt(bench: Bench) -> None:
    entry = await create(bench.store, START)
    await fire(bench.store, START)
    await end(bench.store, START + 5, await claim(bench.store, START + 2))
    [made] = await runs_of(bench.store, entry)
    run, [only] = await runs.get(bench.core, PROJECT, made.id)
    assert run == made
    assert (only.attempt, only.started_at, only.sent_at, only.ended_at) == (1, START + 2, START + 5, START + 5)
    assert (only.status, only.body, only.error) == (200, b"said", None)


async def test_a_run_that_was_never_tried_shows_no_attempt(bench: Bench) -> None:
    run = await trigger(bench.store, START, await create(bench.store, START))
    assert await runs.get(bench.core, PROJECT, run.id) == (run, [])


async def test_calls_about_failures_are_not_shown_as_runs(bench: Bench) -> None:
    await create(bench.store, START, to=target(retry=0, on_failure="https://pager.example/"))
    await fire(bench.store, START)
    await end(bench.store, START, await claim(bench.store, START), status=500)
    [call] = await claim(bench.store, START)
    for project, run_id in ((PROJECT, call.run_id), (PROJECT, 1), ("other", call.run_id)):
        with pytest.raises(NotFound):
            await runs.get(bench.core, project, run_id)


async def test_runs_of_a_project_narrow_by_when_they_were_made(bench: Bench) -> None:
    entry = await create(bench.store, START, schedule(overlap="allow"))
    made = [(await trigger(bench.store, START + at, entry)).id for at in range(5)]

    async def listed(**narrowed: Any) -> list[int]:
        return [run.id for run in await runs.page(bench.core, PROJECT, Page(limit=10), **narrowed)]

    assert await listed() == made[::-1]
    assert await listed(since=START + 1, until=START + 3) == [made[2], made[1]]
    page = Page(limit=10, before=(made[2], 0))
    assert [run.id for run in await runs.page(bench.core, PROJECT, page, until=START + 4)] == [made[1], made[0]]
