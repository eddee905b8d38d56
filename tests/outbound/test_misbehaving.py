"""Targets that do what no target should: each ends as an outcome, in time, and reaches no address it must not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from mainspring.core.ports import Outcome, Request
from mainspring.outbound.guard import Guard
from mainspring.outbound.names import Names
from mainspring.outbound.sender import HttpSender
from outbound.conftest import OpenPeer, now_ms
from outbound.peers import Visit

OVER = "response over 1 MiB"


def post(url: str, deadline_ms: int = 30_000) -> Request:
    return Request(method="POST", url=url, headers=(("X-Secret", "s3cret"),), body=b"{}", deadline_ms=deadline_ms)


async def after_request(peer: OpenPeer, sender: HttpSender, *says: bytes, deadline_ms: int = 30_000) -> Outcome:
    """Send to a peer that reads the request, says its lines and closes."""

    async def script(visit: Visit) -> None:
        await visit.request()
        for line in says:
            await visit.say(line)

    return await sender.send(post((await peer(script)).url(), deadline_ms))


class Endless:
    """A peer's part that never stops talking until it is cut off; it would say 64 MiB."""

    def __init__(self, more: Callable[[int], bytes]) -> None:
        self._more = more
        self._said = 0
        self._stopped = asyncio.Event()

    async def talk(self, visit: Visit) -> None:
        try:
            while self._said < 64 * 1024 * 1024:
                chunk = self._more(self._said)
                self._said += len(chunk)
                await visit.say(chunk)
        finally:
            self._stopped.set()

    async def was_cut(self) -> bool:
        async with asyncio.timeout(30):
            await self._stopped.wait()
        return self._said < 32 * 1024 * 1024


async def endless(peer: OpenPeer, sender: HttpSender, head: bytes, more: Callable[[int], bytes]) -> Outcome:
    """Send to a peer whose answer has no end."""
    talker = Endless(more)

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(head)
        await talker.talk(visit)

    outcome = await sender.send(post((await peer(script)).url()))
    assert await talker.was_cut()
    return outcome


async def test_nobody_listens(sender: HttpSender) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = await sender.send(post(f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert (outcome.kind, outcome.error, outcome.sent_at) == ("connection", "connection refused", None)


async def test_connects_never(sender: HttpSender) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:  # fill the backlog; the kernel then drops further SYNs
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        outcome = await sender.send(post(f"http://127.0.0.1:{port}/", 300))
        for each in waiting:
            each.close()
    assert (outcome.kind, outcome.error, outcome.sent_at) == ("timeout", "no connection within 0.3 s", None)


async def test_never_answers(peer: OpenPeer, sender: HttpSender) -> None:
    outcome = await sender.send(post((await peer(Visit.gone)).url(), 200))
    assert (outcome.kind, outcome.error) == ("timeout", "no complete response within 0.2 s")
    assert outcome.sent_at is not None
    assert outcome.ended_at >= outcome.sent_at


async def test_never_reads_a_large_request(peer: OpenPeer, sender: HttpSender) -> None:
    done = asyncio.Event()

    async def script(visit: Visit) -> None:
        await done.wait()

    target = await peer(script, window=4096)
    request = Request(method="POST", url=target.url(), headers=(), body=bytes(1024 * 1024), deadline_ms=300)
    outcome = await sender.send(request)
    done.set()
    assert outcome.kind == "timeout"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"])
async def test_drips_byte_by_byte_past_the_deadline(peer: OpenPeer, sender: HttpSender, head: bytes) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(head)
        for letter in b"HTTP/1.1 200 OK\r\n" + b"x" * 99_999:
            await visit.say(bytes([letter]))
            await asyncio.sleep(0.02)

    outcome = await sender.send(post((await peer(script)).url(), 300))
    assert (outcome.kind, outcome.status) == ("timeout", 200 if head else None)
    assert outcome.body.startswith(b"HTTP") is bool(head)


@pytest.mark.parametrize(
    ("head", "chunk"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
    ],
    ids=["unbounded", "10 GB", "chunked", "chunks of one byte"],
)
async def test_a_body_without_end_is_cut_at_1_mib(
    peer: OpenPeer, sender: HttpSender, head: bytes, chunk: bytes
) -> None:
    outcome = await endless(peer, sender, head, lambda said: chunk)
    assert (outcome.kind, outcome.status, outcome.error, outcome.truncated) == ("connection", 200, OVER, True)
    assert outcome.body == b"x" * 4096


async def test_a_chunk_extension_without_end_is_cut_at_1_mib(peer: OpenPeer, sender: HttpSender) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    outcome = await endless(peer, sender, head, lambda said: b"x" * 65536)
    assert (outcome.kind, outcome.error) == ("connection", OVER)


async def test_interim_responses_without_end_are_cut_at_1_mib(peer: OpenPeer, sender: HttpSender) -> None:
    outcome = await endless(peer, sender, b"", lambda said: b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)
    assert (outcome.kind, outcome.status, outcome.error) == ("connection", None, OVER)


async def test_talking_on_without_being_asked_is_cut_at_1_mib(peer: OpenPeer, sender: HttpSender) -> None:
    idle = asyncio.Event()
    talker = Endless(lambda said: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 1_000)

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply()
        await idle.wait()
        await talker.talk(visit)

    outcome = await sender.send(post((await peer(script)).url()))
    idle.set()
    assert outcome.kind == "reply"
    assert await talker.was_cut()


@pytest.mark.parametrize(
    "more",
    [
        lambda said: b"X-%d: y\r\n" % said,
        lambda said: b"X-Long: " if said == 0 else b"x" * 4096,
        lambda said: b"x" * 4096,
    ],
    ids=["many", "one long value", "one long name"],
)
async def test_headers_without_end_are_cut(peer: OpenPeer, sender: HttpSender, more: Callable[[int], bytes]) -> None:
    outcome = await endless(peer, sender, b"HTTP/1.1 200 OK\r\n", more)
    assert (outcome.kind, outcome.status, outcome.error) == ("connection", None, "malformed response")


async def test_a_status_line_without_end_is_cut(peer: OpenPeer, sender: HttpSender) -> None:
    outcome = await endless(peer, sender, b"HTTP/1.1 200 ", lambda said: b"x" * 4096)
    assert (outcome.kind, outcome.error) == ("connection", "malformed response")


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/9.9.9 200 OK\r\n\r\n",
        b"<html>hello</html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
    ],
)
async def test_a_malformed_response_is_a_failure(peer: OpenPeer, sender: HttpSender, response: bytes) -> None:
    outcome = await after_request(peer, sender, response)
    assert (outcome.kind, outcome.status, outcome.error) == ("connection", None, "malformed response")


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"half"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"half"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b""),
    ],
)
async def test_a_response_cut_short_is_a_failure_that_shows_what_came(
    peer: OpenPeer, sender: HttpSender, response: bytes, body: bytes
) -> None:
    outcome = await after_request(peer, sender, response)
    assert (outcome.kind, outcome.status, outcome.body) == ("connection", 200, body)
    assert outcome.error == "response cut short"


async def test_chunked_garbage_is_a_failure(peer: OpenPeer, sender: HttpSender) -> None:
    outcome = await after_request(peer, sender, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n")
    assert outcome.kind == "connection"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", b""])
async def test_closing_within_the_headers_is_a_failure(peer: OpenPeer, sender: HttpSender, head: bytes) -> None:
    outcome = await after_request(peer, sender, head)
    assert (outcome.kind, outcome.status) == ("connection", None)
    assert outcome.error == "connection closed before a complete response"


async def test_a_body_longer_than_its_length_does_not_reach_the_next_reply(peer: OpenPeer, sender: HttpSender) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Smuggled\r\n\r\n")
        await visit.gone()

    target = await peer(script)
    for _ in range(3):
        outcome = await sender.send(post(target.url()))
        assert (outcome.kind, outcome.status, outcome.body) == ("reply", 200, b"ok")


async def test_switching_protocols_ends_the_attempt_and_the_connection(peer: OpenPeer, sender: HttpSender) -> None:
    left = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        await visit.gone()
        left.set()

    outcome = await sender.send(post((await peer(script)).url(), 30_000))
    assert outcome.status in (101, None)
    async with asyncio.timeout(30):
        await left.wait()


async def test_a_reply_before_the_request_was_read_counts(peer: OpenPeer, sender: HttpSender) -> None:
    async def script(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.reply(b"enough", "413 Too Large", "Connection: close")
        await visit.gone()

    target = await peer(script, window=4096)
    request = Request(method="POST", url=target.url(), headers=(), body=bytes(1024 * 1024), deadline_ms=30_000)
    outcome = await sender.send(request)
    assert (outcome.kind, outcome.status, outcome.body) == ("reply", 413, b"enough")


async def test_a_name_that_answers_public_first_and_private_later_is_never_dialled_inside(peer: OpenPeer) -> None:
    answers = [["127.0.0.1"], ["127.0.0.2"]]

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply(b"", "200 OK", "Connection: close")

    outside = await peer(script)
    inside = await peer(Visit.gone, host="127.0.0.2", port=outside.port)
    guard = Guard(["127.0.0.1"], names=Names(lambda host: answers.pop(0), cache_s=0))
    sender = HttpSender(guard, now_ms)
    await sender.start()
    first = await sender.send(post(outside.url(host="rebinding.example")))
    second = await sender.send(post(outside.url(host="rebinding.example")))
    await sender.close()
    assert (first.kind, second.kind) == ("reply", "forbidden")
    assert (outside.visits, inside.visits) == (1, 0)


@pytest.mark.parametrize("host", ["both.example", "both6.example", "inside.example"])
async def test_a_name_with_one_private_address_is_refused_whole(peer: OpenPeer, sender: HttpSender, host: str) -> None:
    target = await peer(Visit.gone)
    outcome = await sender.send(post(target.url(host=host)))
    assert outcome.kind == "forbidden"
    assert outcome.error is not None
    assert f"MAINSPRING_ALLOW_TARGETS={host}" in outcome.error
    assert outcome.sent_at is None
    assert target.visits == 0


@pytest.mark.parametrize("host", ["127.0.0.2", "127.2", "0x7f000002", "2130706434", "[::ffff:127.0.0.2]"])
async def test_an_address_literal_does_not_pass_by_the_guard(peer: OpenPeer, sender: HttpSender, host: str) -> None:
    inside = await peer(Visit.gone, host="127.0.0.2")
    outcome = await sender.send(post(inside.url(host=host)))
    assert (outcome.kind, outcome.sent_at) == ("forbidden", None)
    assert outcome.error is not None
    assert outcome.error.startswith("TARGET_FORBIDDEN: ")
    assert inside.visits == 0


async def test_an_allowed_name_reaches_its_private_address_and_the_literal_still_does_not(peer: OpenPeer) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply()

    inside = await peer(script, host="127.0.0.2")
    sender = HttpSender(Guard(["intranet.example"], names=Names(lambda host: ["127.0.0.2"])), now_ms)
    await sender.start()
    by_name = await sender.send(post(inside.url(host="intranet.example")))
    by_address = await sender.send(post(inside.url()))
    other_name = await sender.send(post(inside.url(host="other.example")))
    await sender.close()
    assert (by_name.kind, by_address.kind, other_name.kind) == ("reply", "forbidden", "forbidden")
    assert inside.visits == 1


async def test_a_url_that_is_not_dialled_is_forbidden_and_not_retried(sender: HttpSender) -> None:
    for url in ("ftp://example.com/", "http://user:s3cret@127.0.0.1/", "http://127.0.0.1\\@peer.example/", ""):
        outcome = await sender.send(post(url))
        assert outcome.kind == "forbidden"
        assert outcome.error is not None
        assert "s3cret" not in outcome.error


async def test_an_unknown_name_is_a_failure(guard: Guard) -> None:
    sender = HttpSender(Guard(names=Names(lambda host: [])), now_ms)
    await sender.start()
    outcome = await sender.send(post("http://nowhere.example/"))
    await sender.close()
    assert (outcome.kind, outcome.error, outcome.sent_at) == ("connection", "name not found", None)


async def test_all_addresses_of_a_name_are_tried(peer: OpenPeer) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply()

    target = await peer(script)
    sender = HttpSender(Guard(["127.0.0.0/8"], names=Names(lambda host: ["127.0.0.3", "127.0.0.1"])), now_ms)
    await sender.start()
    outcome = await sender.send(post(target.url(host="two.example")))
    await sender.close()
    assert outcome.kind == "reply"


async def test_no_error_repeats_what_was_sent_or_asked(peer: OpenPeer, sender: HttpSender) -> None:
    target = await peer(Visit.gone)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        urls = [
            target.url("/hook?token=s3cret"),
            f"http://127.0.0.1:{taken.getsockname()[1]}/?token=s3cret",
            target.url("/?token=s3cret", host="inside.example"),
        ]
        for url in urls:
            outcome = await sender.send(post(url, 200))
            assert outcome.kind != "reply"
            assert outcome.error is not None
            assert "s3cret" not in outcome.error
