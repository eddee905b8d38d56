"""Retries over real sockets, with a peer that answers as it is told."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from mainspring_client import (
    AsyncClient,
    BadAnswer,
    Client,
    Conflict,
    DeadlineExceeded,
    Internal,
    NoAnswer,
    QueueFull,
    ValidationFailed,
)

if TYPE_CHECKING:
    from conftest import Peer, Reply


def keys(peer: Peer) -> list[str]:
    return [each.headers["idempotency-key"] for each in peer.seen]


@pytest.mark.parametrize("again", ["QUEUE_FULL", "UNAVAILABLE", "CONFLICT", "hang up", "page"])
def test_a_write_is_repeated_under_one_key(peer: Peer, reply: type[Reply], again: str) -> None:
    troubles = {
        "QUEUE_FULL": reply.refused(429, "QUEUE_FULL", retryable=True, Retry_After="0"),
        "UNAVAILABLE": reply.refused(503, "UNAVAILABLE", retryable=True),
        "CONFLICT": reply.refused(409, "CONFLICT", retryable=True),
        "hang up": reply(hang_up=True),
        "page": reply(502, b"<html>"),
    }
    peer.script = [troubles[again], troubles[again], reply.done(message_id="msg_1")]
    with Client("k", peer.url) as client:
        assert client.queue.publish("q", {"n": 1})["message_id"] == "msg_1"
        client.queue.publish("q", {"n": 1})
    assert len(peer.seen) == 4
    assert len({each.body for each in peer.seen}) == 1
    assert keys(peer)[0] == keys(peer)[1] == keys(peer)[2] != keys(peer)[3]


async def test_the_awaited_client_repeats_too(peer: Peer, reply: type[Reply]) -> None:
    peer.script = [reply(hang_up=True), reply.refused(503, "UNAVAILABLE", retryable=True), reply.done(message_id="m")]
    async with AsyncClient("k", peer.url) as client:
        assert (await client.queue.publish("q", {}))["message_id"] == "m"
    assert len(set(keys(peer))) == 1
    assert len(peer.seen) == 3


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(422, "VALIDATION_FAILED", ValidationFailed), (409, "CONFLICT", Conflict), (500, "INTERNAL", Internal)],
)
def test_what_was_understood_and_refused_is_not_repeated(
    peer: Peer, reply: type[Reply], status: int, code: str, kind: type[Exception]
) -> None:
    peer.script = [reply.refused(status, code)]
    with Client("k", peer.url) as client, pytest.raises(kind):
        client.queue.publish("q", {})
    assert len(peer.seen) == 1


def test_a_redirect_is_not_followed_with_the_key(peer: Peer, reply: type[Reply]) -> None:
    peer.script = [reply(307, b"", {"Location": peer.url + "/elsewhere"})]
    with Client("k", peer.url) as client, pytest.raises(BadAnswer):
        client.cron.list()
    assert len(peer.seen) == 1


def test_retry_after_is_waited(peer: Peer, reply: type[Reply]) -> None:
    peer.script = [reply.refused(429, "QUEUE_FULL", retryable=True, Retry_After="1"), reply.done(message_id="m")]
    before = time.monotonic()
    with Client("k", peer.url) as client:
        client.queue.publish("q", {})
    assert time.monotonic() - before >= 1


def test_a_pause_beyond_the_deadline_is_not_begun(peer: Peer, reply: type[Reply]) -> None:
    peer.script = [reply.refused(429, "QUEUE_FULL", retryable=True, Retry_After="3600")]
    with Client("k", peer.url) as client, pytest.raises(QueueFull) as caught:
        client.queue.publish("q", {})
    assert caught.value.retry_after == 3600
    assert caught.value.request_id == "r-1"
    assert len(peer.seen) == 1


def test_attempts_are_counted(peer: Peer, reply: type[Reply]) -> None:
    peer.script = [reply.refused(503, "UNAVAILABLE", retryable=True)]
    with Client("k", peer.url, retries=2) as client, pytest.raises(Exception, match="UNAVAILABLE"):
        client.cron.list()
    assert len(peer.seen) == 3
    with Client("k", peer.url, retries=0) as client, pytest.raises(Exception, match="UNAVAILABLE"):
        client.queue.publish("q", {})
    assert len(peer.seen) == 4
    assert "idempotency-key" not in peer.seen[-1].headers


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_nobody_there_is_said_so() -> None:
    with (
        Client("k", f"http://127.0.0.1:{closed_port()}", retries=1) as client,
        pytest.raises(NoAnswer, match="refused"),
    ):
        client.cron.list()


def test_an_answer_that_drips_ends_at_the_deadline(peer: Peer, reply: type[Reply]) -> None:
    peer.script = [reply(200, json.dumps({"data": "x" * 5000}).encode(), drip=0.05)]
    with Client("k", peer.url, deadline_seconds=0.5) as client, pytest.raises(DeadlineExceeded):
        client.cron.list()


async def test_so_does_one_that_is_awaited(peer: Peer, reply: type[Reply]) -> None:
    peer.script = [reply(200, json.dumps({"data": "x" * 5000}).encode(), drip=0.05)]
    async with AsyncClient("k", peer.url, deadline_seconds=0.5) as client:
        with pytest.raises(DeadlineExceeded):
            await client.cron.list()


def test_silence_is_not_waited_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with Client("k", url, timeout_seconds=0.2, retries=1) as client, pytest.raises(NoAnswer):
            client.cron.list()


def test_a_consume_repeats_its_attempt(peer: Peer, reply: type[Reply]) -> None:
    peer.script = [reply(hang_up=True), reply.done(messages=[], queue="q")]
    with Client("k", peer.url) as client:
        client.queue.consume("q")
    bodies: list[Any] = [json.loads(each.body) for each in peer.seen]
    assert bodies[0] == bodies[1]
    assert bodies[0]["receive_attempt_id"]


def test_a_proxy_of_the_environment_is_not_asked(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Client("k", peer.url) as client:
        client.account.balance()
    assert peer.seen[0].headers["authorization"] == "Bearer k"
    assert peer.seen[0].headers["user-agent"].startswith("mainspring-client-python/")
