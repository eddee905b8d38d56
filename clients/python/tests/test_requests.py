"""What is sent, what is made of an answer, and where address and key come from: no server needed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mainspring_client import NULL, BadAnswer, NotFound, RateLimited, Refused, Result, address, operations
from mainspring_client.answers import read, retry_after
from mainspring_client.operation import build
from mainspring_client.retrying import Patience, is_worth_a_retry, pause_before
from mainspring_client.trial import Trial

WRITES = [each for each in operations.BY_ID.values() if each.idempotent]


def body_of(given: dict[str, object], operation: str = "cron.create") -> object:
    return json.loads(build(operations.BY_ID[operation], given, None).body or b"null")


def test_what_is_none_is_left_out_and_null_is_null() -> None:
    assert body_of({"self": 1, "name": "a", "task": None, "max_runs": NULL}) == {"name": "a", "max_runs": None}
    assert body_of({"queue": "q", "payload": None}, "queue.publish") == {"queue": "q", "payload": None}
    assert build(operations.CRON_PAUSE, {"cron_id": "c"}, None).body is None


def test_json_goes_out_short_and_unescaped() -> None:
    request = build(operations.QUEUE_PUBLISH, {"queue": "q", "payload": {"é": [1.5, "✓"]}}, None)
    assert request.body == '{"queue":"q","payload":{"é":[1.5,"✓"]}}'.encode()


@pytest.mark.parametrize("payload", [float("nan"), "\ud800", datetime(2030, 1, 1, tzinfo=UTC)])
def test_what_is_no_json_is_refused_before_it_is_sent(payload: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        build(operations.QUEUE_PUBLISH, {"queue": "q", "payload": payload}, None)


def test_instants_may_be_datetimes_with_a_zone() -> None:
    at = datetime(2030, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))
    assert body_of({"run_at": at}) == {"run_at": "2030-01-02T03:04:00+02:00"}
    target = build(operations.RUN_LIST, {"since": at.astimezone(UTC), "limit": 3}, None).target
    assert target == "/v1/scheduling/run/list?since=2030-01-02T01%3A04%3A00%2B00%3A00&limit=3"
    with pytest.raises(ValueError, match="no time zone"):
        body_of({"run_at": at.replace(tzinfo=None)})


@pytest.mark.parametrize(
    ("name", "segment"), [("a b/ü?", "a%20b%2F%C3%BC%3F"), ("..", "%2E%2E"), (".", "%2E"), ("a.b", "a.b")]
)
def test_a_name_is_one_segment_of_the_path(name: str, segment: str) -> None:
    assert build(operations.QUEUE_GET, {"queue": name}, None).target == "/v1/queue/get/" + segment


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ValueError, match="cron_id is empty"):
        build(operations.CRON_GET, {"cron_id": ""}, None)


@pytest.mark.parametrize("operation", WRITES, ids=lambda each: each.id)
def test_every_write_carries_a_key(operation: operations.Operation[object]) -> None:
    given = dict.fromkeys(("cron_id", "task_id", "run_id", "queue", "key_id", "subscription_id"), "x")
    given |= {"webhook_id": "x", "delivery_id": "x"}
    assert build(operation, given, "made").headers["Idempotency-Key"] == "made"
    assert build(operation, {**given, "idempotency_key": "mine"}, "made").headers["Idempotency-Key"] == "mine"
    assert build(operation, {**given, "idempotency_key": ...}, "made").headers["Idempotency-Key"] == "made"


def test_a_consume_is_known_by_its_attempt_instead() -> None:
    request = build(operations.QUEUE_CONSUME, {"queue": "q", "wait_seconds": 5}, "made")
    assert "Idempotency-Key" not in request.headers
    assert json.loads(request.body or b"")["receive_attempt_id"] == "made"
    assert request.wait_seconds == 5
    assert "Idempotency-Key" not in build(operations.CRON_LIST, {}, "made").headers


def test_a_result_is_a_dict_with_metadata_beside_its_items() -> None:
    answer = b'{"ok":true,"data":{"id":"x","items":[1]},"error":null,"metadata":{"request_id":"r"}}'
    result = read(200, {}, answer, 0)
    assert result == {"id": "x", "items": [1]}
    assert result._metadata == result["_metadata"] == result.get("_metadata") == {"request_id": "r"}
    assert json.loads(json.dumps(result)) == {"id": "x", "items": [1]}
    assert result.get("items", []) == [1]
    assert result.get("missing", 7) == 7
    with pytest.raises(KeyError):
        result["missing"]
    assert isinstance(result, Result)


def test_a_refusal_says_everything() -> None:
    answer = (
        b'{"ok":false,"data":null,"metadata":{"request_id":"r"},"error":'
        b'{"code":"NOT_FOUND","message":"no queue q","hint":"Make it.","field":"queue","retryable":false}}'
    )
    with pytest.raises(NotFound, match="NOT_FOUND: no queue q") as caught:
        read(404, {}, answer, 0)
    error = caught.value
    assert (error.message, error.hint, error.field) == ("no queue q", "Make it.", "queue")
    assert (error.request_id, error.status, error.retryable) == ("r", 404, False)


def test_a_code_from_a_later_server_is_still_a_refusal() -> None:
    answer = b'{"ok":false,"data":null,"metadata":{},"error":{"code":"NEW","message":"m","hint":"","retryable":true}}'
    with pytest.raises(Refused) as caught:
        read(429, {}, answer, 0)
    assert caught.value.code == "NEW"
    assert is_worth_a_retry(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data":1}', b'{"ok":true,"data":{}'])
def test_another_server_is_told_from_this_one(body: bytes) -> None:
    for status in (200, 301, 404):
        with pytest.raises(BadAnswer):
            read(status, {}, body, 0)
    with pytest.raises(RateLimited):
        read(429, {}, body, 0)
    with pytest.raises(Refused) as caught:
        read(502, {}, body, 0)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("3", 3.0), ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("-1", None)],
)
def test_retry_after_is_seconds_or_a_date(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}, 40.0) == seconds


def test_pauses_are_full_jitter_and_never_shorter_than_asked() -> None:
    refused = RateLimited("no", retryable=True, status=429, retry_after=7)
    plain = RateLimited("no", retryable=True, status=429)
    assert [pause_before(attempt, plain, 0.999) for attempt in (1, 2, 3, 9)] == pytest.approx(
        [0.25, 0.5, 1.0, 8.0], rel=0.01
    )
    assert pause_before(9, plain, 0.0) == 0.0
    assert pause_before(1, refused, 0.0) == 7.0
    assert pause_before(1, refused, 0.999) > 7.0


def test_no_pause_goes_past_the_deadline() -> None:
    refused = RateLimited("no", retryable=True, status=429, retry_after=7)
    request = build(operations.CRON_LIST, {}, None)
    assert Trial(Patience(1, 20, 10), request, 100.0).pause(refused, 102.9, 0.0) == 7.0
    assert Trial(Patience(1, 20, 10), request, 100.0).pause(refused, 103.0, 0.0) is None


def test_what_a_long_poll_waits_is_not_silence() -> None:
    request = build(operations.QUEUE_CONSUME, {"queue": "q", "wait_seconds": 20}, "k")
    trial = Trial(Patience(0, 5, 10), request, 0.0)
    assert trial.silence(0.0) == 25
    assert trial.silence(29.0) == 1


def test_address_and_key_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert address.find(None, None, {}) == address.Address("http://127.0.0.1:8080", None)
    address.keep(address.Address("http://home", "home"))
    assert address.find(None, None, {}) == address.Address("http://home", "home")
    folder = tmp_path / "mainspring-data"
    folder.mkdir()
    (folder / "credentials.json").write_text('{"url": "http://folder", "api_key": "folder"}')
    assert address.find(None, None, {}) == address.Address("http://folder", "folder")
    infrai = {"INFRAI_BASE_URL": "https://infrai/v1/", "INFRAI_API_KEY": "infrai"}
    assert address.find(None, None, infrai) == address.Address("https://infrai", "infrai")
    own = {**infrai, "MAINSPRING_URL": "http://env/sub/", "MAINSPRING_API_KEY": "env"}
    assert address.find(None, None, own) == address.Address("http://env/sub", "env")
    assert address.find("http://mine", "mine", own) == address.Address("http://mine", "mine")
    moved = {"MAINSPRING_DATA": str(tmp_path / "elsewhere")}
    assert address.find(None, None, moved) == address.Address("http://home", "home")
    with pytest.raises(ValueError, match="not an http"):
        address.find("127.0.0.1:8080", None, {})


def test_kept_credentials_are_for_their_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    before = os.umask(0)
    try:
        path = address.keep(address.Address("http://home", "first"))
        address.keep(address.Address("http://home", "second"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text()) == {"url": "http://home", "api_key": "second"}
    assert [each.name for each in path.parent.iterdir()] == ["credentials"]


def test_a_key_is_not_shown() -> None:
    assert "hidden" not in repr(address.Address("http://home", "hidden"))
