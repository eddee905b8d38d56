"""The caller of functions over TCP, against peers that behave in every way but the right one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable

import pytest

from doors.crontab.rig import listening
from mainspring.core.limits import RESPONSE_BYTES_MAX
from mainspring.core.ports import Outcome, Request
from mainspring.outbound.guard import Guard
from mainspring.outbound.names import Names
from mainspring.outbound.rpc import RpcSender

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NAMES = {"peer.example": ["127.0.0.1"], "inside.example": ["10.0.0.1"], "both.example": ["127.0.0.1", "10.0.0.1"]}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def sender(allow: str = "127.0.0.0/8") -> RpcSender:
    return RpcSender(Guard([allow] if allow else [], names=Names(lambda host: NAMES[host])), now_ms)


def request(address: str, body: bytes = b"1", deadline_ms: int = 5_000, keep_bytes: int = 4_096) -> Request:
    return Request("RPC", f"tcp://{address}/A.F", (), body, deadline_ms, keep_bytes)


async def met(script: Script, body: bytes = b"1", **options: int) -> Outcome:
    """What becomes of a call to a peer with this script; the connection is closed after it."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            ended.set()

    async with listening(serve) as address:
        outcome = await sender().send(request(address, body, **options))
        await asyncio.wait_for(ended.wait(), 5)
    return outcome


def saying(*chunks: bytes, open_for: float = 0) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)
        if open_for:
            await reader.read()

    return script


REPLY = json.dumps({"id": 1, "result": {"a": '}]"\\', "b": ["{", "\\\\"]}, "error": None}).encode()


@pytest.mark.parametrize(
    "chunks",
    [
        [REPLY],
        [b" \n", REPLY, b"\n"],
        [REPLY[at : at + 1] for at in range(len(REPLY))],
        [json.dumps(json.loads(REPLY), indent=4).encode()],
        [REPLY + b'{"id": 2}'],
    ],
)
async def test_a_reply_is_whole_when_its_object_is(chunks: list[bytes]) -> None:
    """However it is cut, and though the peer keeps the connection open."""
    outcome = await met(saying(*chunks, open_for=1))
    assert (outcome.kind, outcome.error) == ("reply", None)
    assert json.loads(outcome.body) == json.loads(REPLY)["result"]
    assert outcome.sent_at is not None


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([], "connection closed before a complete response"),
        ([b'{"id": 1, "result"'], "connection closed before a complete response"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "malformed response"),
        ([b'[{"id": 1}]'], "malformed response"),
        ([b"{{}}"], "malformed response"),
        ([b"}"], "malformed response"),
        ([b"[" * 100_000], "malformed response"),
        ([b'{"a":' * 100_000 + b"1" + b"}" * 100_000], "malformed response"),
        ([b'{"id": 2, "result": 1, "error": null}'], "the response is to another call"),
        ([b'{"result": 1, "error": null}'], "the response is to another call"),
        ([b'{"a": "' + b"x" * (RESPONSE_BYTES_MAX + 1)], "response over 1 MiB"),
        ([b'{"a": "' + b"\\" * RESPONSE_BYTES_MAX], "response over 1 MiB"),
    ],
    ids=range(12),
)
async def test_what_is_no_reply_is_a_failure_in_a_few_words(said: list[bytes], error: str) -> None:
    outcome = await met(saying(*said))
    assert (outcome.kind, outcome.error, outcome.status) == ("connection", error, None)


async def test_an_error_is_a_reply_that_failed() -> None:
    outcome = await met(saying(b'{"id": 1, "result": null, "error": {"code": 5}}'))
    assert (outcome.kind, outcome.body, outcome.error) == (
        "reply",
        b'{"code": 5}',
        "the function answered with an error",
    )


async def test_a_result_is_kept_as_far_as_it_is_wanted() -> None:
    outcome = await met(saying(b'{"id": 1, "result": "%b"}' % (b"x" * 9_000)), keep_bytes=100)
    assert (len(outcome.body), outcome.truncated) == (100, True)


async def test_a_peer_that_says_nothing_is_left_at_the_deadline() -> None:
    outcome = await met(saying(open_for=1), deadline_ms=200)
    assert (outcome.kind, outcome.error) == ("timeout", "no complete response within 0.2 s")


HUGE = b'"%b"' % (b"x" * 20_000_000)


async def test_a_peer_that_reads_nothing_is_left_at_the_deadline() -> None:
    """What its reader has no room for stays with us."""
    let_go = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await let_go.wait()

    calling = asyncio.create_task(met(script, HUGE, deadline_ms=300))
    await asyncio.wait([calling], timeout=1)
    let_go.set()
    outcome = await calling
    assert (outcome.kind, outcome.error) == ("timeout", "no complete response within 0.3 s")


async def test_a_reply_before_everything_was_sent_counts() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(REPLY)
        await writer.drain()
        await reader.read()

    assert (await met(script, HUGE)).kind == "reply"


async def test_nobody_there_is_a_failure() -> None:
    async with listening(saying()) as address:
        pass
    outcome = await sender().send(request(address))
    assert (outcome.kind, outcome.error, outcome.sent_at) == ("connection", "connection refused", None)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "127.0.0.1", "[::ffff:10.0.0.1]", "0x7f000001", "inside.example", "both.example"]
)
async def test_the_guard_judges_every_address_where_it_is_dialled(host: str) -> None:
    outcome = await sender("192.0.2.0/24").send(request(f"{host}:80"))
    assert outcome.kind == "forbidden"
    assert outcome.error is not None
    assert outcome.error.startswith("TARGET_FORBIDDEN")


async def test_names_are_resolved_when_they_are_dialled() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(b'{"id": 1, "result": 7}')(reader, writer)
        writer.close()

    async with listening(serve) as address:
        port = address.rpartition(":")[2]
        outcome = await sender().send(request(f"peer.example:{port}"))
    assert (outcome.kind, outcome.body) == ("reply", b"7")
