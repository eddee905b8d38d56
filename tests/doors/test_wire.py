from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest

from doors.live import KEY, Live
from mainspring.core import errors, ids
from mainspring.core.limits import BODY_BYTES_MAX, JSON_DEPTH_MAX
from mainspring.core.tokens import new_secret

PATH = "/v1/cron/create"
GOOD = {"cron_expr": "* * * * *", "task": "https://example.com/"}


def nested(levels: int) -> bytes:
    return b'{"payload":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


NOT_JSON = {
    "nothing sensible": b"hello",
    "single quotes": b"{'a': 1}",
    "trailing comma": b'{"a": 1,}',
    "truncated": b'{"a": 1',
    "two documents": b"{}{}",
    "trailing NUL": b"{}\x00",
    "NaN": b'{"payload": NaN}',
    "Infinity": b'{"payload": [Infinity]}',
    "NaN after a type that is wrong anyway": b"[NaN]",
    "leading zero": b'{"a": 01}',
    "comment": b'{"a": /* one */ 1}',
    "lone surrogate": b'{"payload": "\\ud800"}',
    "lone low surrogate": b'{"payload": "\\udc00"}',
    "lone surrogate in a name": b'{"\\ud800": 1}',
    "not UTF-8": b'{"payload": "\xff"}',
    "surrogate as UTF-8": b'{"payload": "\xed\xa0\x80"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "control character": b'{"payload": "\x01"}',
    "a level too deep": nested(JSON_DEPTH_MAX + 1),
    "far too deep": nested(100_000),
    "only white space": b"  ",
}


@pytest.mark.parametrize("name", NOT_JSON)
async def test_what_is_not_json_is_told_so(live: Live, name: str) -> None:
    for path in (PATH, "/v1/cron/trigger/cron_0000000000000", "/v1/account/topup"):
        assert (await live.post(path, raw=NOT_JSON[name])).code == (400, "INVALID_JSON")


async def test_json_at_its_limits_is_read(live: Live) -> None:
    job = await live.cron(overlap_policy="allow")
    path = f"/v1/cron/trigger/{job['id']}"
    wide = b'{"payload":[' + b",".join([b"[[]]"] * 1000) + b"]}"
    brackets_in_text = b'{"payload":"' + b"[{" * 200 + b'\\"[[["}'
    for body in (
        nested(JSON_DEPTH_MAX),
        wide,
        brackets_in_text,
        b'{"payload":"\\ud83d\\ude00"}',
        b'{"payload":"\x7f"}',
    ):
        assert (await live.post(path, raw=body)).status == 200


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"5", b"true", b'[{"a":1}]'])
async def test_json_that_is_no_object_is_refused(live: Live, body: bytes) -> None:
    assert (await live.post(PATH, raw=body)).code == (422, "VALIDATION_FAILED")


async def test_of_a_name_that_is_given_twice_the_last_wins(live: Live) -> None:
    raw = b'{"cron_expr":"bad","task":"https://example.com/","name":"a","name":"b","cron_expr":"* * * * *"}'
    record = (await live.post(PATH, raw=raw)).data
    assert (record["name"], record["cron_expr"]) == ("b", "* * * * *")


async def test_no_body_is_an_empty_object(live: Live) -> None:
    assert (await live.post("/v1/account/topup")).data["state"] == "not_required"
    for content_type in ("application/x-www-form-urlencoded", "application/octet-stream"):
        answer = await live.post("/v1/account/topup", raw=b"", headers={"Content-Type": content_type})
        assert answer.status == 200
    assert (await live.post(PATH)).error["field"] == "task"


ACCEPTED_TYPES = [None, "application/json", "Application/JSON; charset=utf-8", "application/json;charset=UTF-8",
                  "application/vnd.api+json", "application/cloudevents+json; charset=utf-8"]  # fmt: skip
REFUSED_TYPES = ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data",
                 "json", "text/json+json", "application/jsonl", ""]  # fmt: skip


@pytest.mark.parametrize("content_type", ACCEPTED_TYPES)
async def test_json_by_any_of_its_types_is_read(live: Live, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert (await live.post(PATH, raw=json.dumps(GOOD).encode(), headers=headers)).status == 200


@pytest.mark.parametrize("content_type", REFUSED_TYPES)
async def test_another_type_is_not_read(live: Live, content_type: str) -> None:
    answer = await live.post(PATH, raw=json.dumps(GOOD).encode(), headers={"Content-Type": content_type})
    assert answer.code == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_compressed_body_is_not_read(live: Live) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Encoding: gzip\r\n"
    answer = await live.send_raw(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
    assert b" 415 " in answer.splitlines()[0]


BAD_KEYS = {
    "none": None,
    "unknown": new_secret(b"x" * 24),
    "short": "x",
    "with a letter changed": KEY[:-1] + "X",
    "in small letters": KEY.upper(),
    "not ASCII": "schlüssel",
}


async def test_no_key_and_every_wrong_key_get_one_identical_answer(live: Live) -> None:
    revoked, expired = await live.key("cron:read"), await live.key("cron:read")
    for secret, change in ((revoked, "revoke"), (expired, "expire")):
        listed = (await live.get("/v1/account/keys/list")).data["items"]
        found = next(item for item in listed if item["shown"].endswith(secret[-4:]))
        key_id = ids.key_of("key", found["id"]) or 0
        if change == "revoke":
            await live.store.credentials.revoke("default", key_id, live.clock())
        else:
            await live.store.credentials.expire("default", key_id, live.clock() - 1)
    answers = [await live.get("/v1/cron/list", key=key) for key in [*BAD_KEYS.values(), revoked, expired]]
    answers += [
        await live.get("/v1/cron/list", key=None, headers={"Authorization": value})
        for value in (KEY, f"Basic {KEY}", "Bearer", "Bearer ", f"Token {KEY}", f"Bearer{KEY}")
    ]
    assert {answer.code for answer in answers} == {(401, "UNAUTHORIZED")}
    assert len({json.dumps(answer.error) for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert len({tuple(sorted(answer.headers)) for answer in answers}) == 1


@pytest.mark.parametrize("value", [f"bearer {KEY}", f"BEARER {KEY}", f"Bearer   {KEY}  "])
async def test_the_scheme_is_read_in_any_case(live: Live, value: str) -> None:
    assert (await live.get("/v1/cron/list", key=None, headers={"Authorization": value})).status == 200


async def test_the_caller_is_known_before_the_body_is_read(live: Live) -> None:
    assert (await live.post(PATH, raw=b"not json", key=None)).code == (401, "UNAUTHORIZED")
    reader = await live.key("cron:read")
    assert (await live.post(PATH, raw=b"not json", key=reader)).code == (403, "FORBIDDEN")


NOWHERE = ["/v1", "/v1/", "/v1/nothing", "/v1/cron", "/v1/cron/", "/v1/cron/get", "/v1/cron/get/", "/v1//cron/list",
           "/v1/cron/get/a/b", "/v1/cron/runs/get/a", "/v1/cron/list/x", "/v1/cron%2Flist", "/v1/CRON/list",
           "/v1/scheduling", "/v1/cron/get/%2e%2e/list", "/v1/activate"]  # fmt: skip


@pytest.mark.parametrize("path", NOWHERE)
async def test_an_unknown_path_is_an_enveloped_404_with_or_without_a_key(live: Live, path: str) -> None:
    for method in ("GET", "POST"):
        for key in (KEY, None):
            assert (await live.call(method, path, key=key)).code == (404, "NOT_FOUND")


async def test_a_trailing_slash_is_tolerated(live: Live) -> None:
    job = await live.cron()
    for path in ("/v1/cron/list/", f"/v1/cron/get/{job['id']}/", "/v1/scheduling/cron/"):
        assert (await live.get(path)).status == 200


async def test_parameters_are_percent_decoded(live: Live) -> None:
    job = await live.cron()
    encoded = "".join(f"%{ord(letter):02x}" for letter in job["id"])
    assert (await live.get(f"/v1/cron/get/{encoded}")).data["id"] == job["id"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", PATH, "POST, OPTIONS"),
        ("PUT", "/v1/scheduling/cron", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/v1/cron/get/x", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/cron/runs/list", None),
        ("DELETE", "/v1/cron/runs/get/a/b", "GET, HEAD, OPTIONS"),
        ("POST", "/v1/account/keys/revoke/x", "DELETE, OPTIONS"),
        ("PROPFIND", "/v1/cron/list", "GET, HEAD, OPTIONS"),
        ("HEAD", PATH, "POST, OPTIONS"),
    ],
)
async def test_another_method_is_405_with_those_that_are_allowed(
    live: Live, method: str, path: str, allow: str | None
) -> None:
    answer = await live.call(method, path, key=None)
    if allow is None:
        assert answer.status == 404
    else:
        assert (answer.status, answer.headers["allow"]) == (405, allow)
        if method != "HEAD":
            assert answer.error["code"] == "METHOD_NOT_ALLOWED"


async def test_head_is_get_without_the_body(live: Live) -> None:
    got, head = await live.get("/v1/account/balance"), await live.call("HEAD", "/v1/account/balance")
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert (await live.call("HEAD", "/v1/cron/get/x")).status == 404
    assert (await live.call("HEAD", "/v1/cron/list", key=None)).status == 401


async def test_options_tells_what_a_path_can_do(live: Live) -> None:
    answer = await live.call("OPTIONS", "/v1/scheduling/cron", key=None)
    assert (answer.status, answer.raw, answer.headers["allow"]) == (204, b"", "GET, HEAD, POST, OPTIONS")
    assert "access-control-allow-origin" not in answer.headers
    assert (await live.call("OPTIONS", "/v1/nothing", key=None)).status == 404


async def test_request_ids_are_uuids_of_version_7_in_time_order(live: Live) -> None:
    before = live.clock()
    texts = [(await live.get("/v1/account/balance")).json["metadata"]["request_id"] for _ in range(50)]
    found = [uuid.UUID(text) for text in texts]
    assert [str(one) for one in found] == texts
    assert {(one.version, one.variant) for one in found} == {(7, uuid.RFC_4122)}
    assert all(before <= one.int >> 80 <= live.clock() for one in found)
    assert len(set(texts)) == 50


async def test_metadata_says_what_every_answer_says(live: Live) -> None:
    metadata = (await live.get("/v1/account/balance")).json["metadata"]
    assert (metadata["cost_usd"], metadata["vendor"], metadata["cache_hit"]) == (0, "mainspring", False)
    assert isinstance(metadata["latency_ms"], int)
    assert metadata["latency_ms"] >= 0


def request(length: int | None, body: bytes = b"") -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n{framing}\r\n\r\n".encode() + body


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(live: Live) -> None:
    answer = await live.send_raw(request(BODY_BYTES_MAX + 1))
    assert answer.splitlines()[0].endswith(b"413 Payload Too Large") or b" 413 " in answer.splitlines()[0]
    assert b"PAYLOAD_TOO_LARGE" in answer
    waits = request(BODY_BYTES_MAX + 1).replace(b"Host: x", b"Host: x\r\nExpect: 100-continue")
    assert b" 413 " in (await live.send_raw(waits)).splitlines()[0]


async def test_a_streamed_body_is_cut_off_at_8_mib(live: Live) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = await live.send_raw(request(None), *[chunk] * 12, b"0\r\n\r\n")
    assert b" 413 " in answer.splitlines()[0]
    assert (await live.get("/v1/account/balance")).status == 200


async def test_a_body_of_exactly_8_mib_is_read(live: Live) -> None:
    body = json.dumps(GOOD).encode()
    assert (await live.post(PATH, raw=body + b" " * (BODY_BYTES_MAX - len(body)))).status == 200
    assert (await live.post(PATH, raw=body + b" " * (BODY_BYTES_MAX - len(body) + 1))).code == (
        413,
        "PAYLOAD_TOO_LARGE",
    )


async def test_a_caller_who_hangs_up_within_the_body_has_done_nothing(live: Live) -> None:
    whole = json.dumps(GOOD).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", live.port)
    writer.write(request(len(whole) + 5, whole))
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await live.get("/v1/cron/list")).data["items"] == []


async def test_bytes_beyond_the_content_length_are_the_next_request(live: Live) -> None:
    body = json.dumps(GOOD).encode()
    second = request(2, b"{}").replace(b"Host: x", b"Host: x\r\nConnection: close")
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    writer.write(request(len(body), body) + second)
    answers = await reader.read()
    writer.close()
    assert [part.split(b" ")[1] for part in answers.split(b"HTTP/1.1")[1:] if part.startswith(b" ")] == [b"200", b"422"]
    assert len((await live.get("/v1/cron/list")).data["items"]) == 1


async def test_a_get_with_a_body_is_answered_like_one_without(live: Live) -> None:
    answer = await live.call("GET", "/v1/account/balance", raw=b"not json", headers={"Content-Type": "text/plain"})
    assert answer.status == 200


class Broken:
    """A store that fails in a way of its own."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


async def test_each_refusal_has_its_status(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    await live.get("/v1/cron/list")
    for error, status, code, retryable, retry_after in [
        (errors.Unavailable("the store is away", hint="Wait."), 503, "UNAVAILABLE", True, "1"),
        (errors.LimitExceeded("slow down", hint="Wait.", retry_after_s=0), 429, "RATE_LIMITED", True, "1"),
        (errors.LimitExceeded("full", hint="Wait.", retry_after_s=7, code="QUEUE_FULL"), 429, "QUEUE_FULL", True, "7"),
        (errors.LeaseLost("late", hint="Stop."), 409, "LEASE_EXPIRED", False, None),
        (errors.Conflict("in use", hint="Stop.", code="QUEUE_IN_USE"), 409, "QUEUE_IN_USE", False, None),
        (errors.Conflict("new words", hint="Stop.", code="SOMETHING_NEW"), 409, "SOMETHING_NEW", False, None),
    ]:
        monkeypatch.setattr(live.store, "schedules", Broken(error))
        answer = await live.get("/v1/cron/list")
        assert answer.code == (status, code)
        assert answer.error["retryable"] is retryable
        assert answer.headers.get("retry-after") == retry_after


async def test_a_bug_is_reported_and_tells_the_caller_nothing(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    await live.get("/v1/cron/list")
    bug = RuntimeError("the password is swordfish")
    with monkeypatch.context() as patch:
        patch.setattr(live.store, "schedules", Broken(bug))
        answer = await live.get("/v1/cron/list")
    assert answer.code == (500, "INTERNAL")
    assert b"swordfish" not in answer.raw
    assert live.reports == [bug]
    live.reports.clear()
    assert (await live.get("/v1/cron/list")).status == 200


async def test_every_answer_is_observed_under_its_operation(live: Live) -> None:
    await live.get("/v1/account/balance")
    await live.get("/v1/cron/get/x")
    await live.get("/v1/nothing")
    seen = [(operation, status) for operation, status, _ in live.observed]
    assert seen == [("account.balance", 200), ("cron.get", 404), ("unknown", 404)]
    assert all(0 < microseconds < 60_000_000 for _, _, microseconds in live.observed)


CURSORS = ["x", "%00", "AAAA", "BwAAAAAAAAAA", "!!!!", "AQAAAAAAAAAB=", "Av__________", "ÄÖ", "A" * 65]


@pytest.mark.parametrize("cursor", CURSORS)
async def test_a_cursor_of_one_s_own_making_is_refused(live: Live, cursor: str) -> None:
    job = await live.cron()
    for path in ("/v1/cron/list", f"/v1/cron/runs/list/{job['id']}", "/v1/scheduling/run/list",
                 f"/v1/cron/occurrences/list/{job['id']}", "/v1/account/keys/list",
                 "/v1/scheduling/task/list"):  # fmt: skip
        answer = await live.get(f"{path}?cursor={cursor}")
        assert (answer.code, answer.error["field"]) == ((422, "VALIDATION_FAILED"), "cursor")


async def test_a_cursor_belongs_to_its_listing(live: Live) -> None:
    for _ in range(2):
        await live.cron()
    cursor = (await live.get("/v1/cron/list?limit=1")).data["next_cursor"]
    assert (await live.get(f"/v1/cron/list?cursor={cursor}")).status == 200
    assert (await live.get(f"/v1/scheduling/task/list?cursor={cursor}")).error["field"] == "cursor"


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "", "1.5", "1e9", "9999999999999999999999", "٣"])
async def test_a_limit_out_of_bounds_is_refused(live: Live, limit: str) -> None:
    answer = await live.get(f"/v1/cron/list?limit={limit}")
    assert answer.code == (422, "VALIDATION_FAILED")
    assert answer.error["field"] == "limit"


async def test_limits_within_bounds_are_taken(live: Live) -> None:
    for limit in (1, 50, 500):
        assert (await live.get(f"/v1/cron/list?limit={limit}")).status == 200
    assert (await live.get("/v1/cron/list?cursor=&unknown=1")).status == 200
