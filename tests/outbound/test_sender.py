from __future__ import annotations

import asyncio
import gzip
import ssl
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import trustme

from mainspring.core.ports import Outcome, Request
from mainspring.outbound.guard import Guard
from mainspring.outbound.names import Names
from mainspring.outbound.sender import HttpSender
from outbound.conftest import OpenPeer, lookup, now_ms
from outbound.peers import Visit

SECOND = 1_000


def post(url: str, body: bytes = b'{"a":1}', *headers: tuple[str, str], deadline_ms: int = 30 * SECOND) -> Request:
    return Request(method="POST", url=url, headers=headers, body=body, deadline_ms=deadline_ms)


def head_of(request: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    pairs = [line.partition(": ") for line in lines]
    assert len({name.lower() for name, _, _ in pairs}) == len(pairs)
    return first, {name: value for name, _, value in pairs}


async def test_the_request_goes_out_as_given_and_with_nothing_but_framing_added(
    peer: OpenPeer, sender: HttpSender
) -> None:
    seen: list[bytes] = []

    async def script(visit: Visit) -> None:
        seen.append(await visit.request())
        await visit.reply()

    target = await peer(script)
    headers = (("User-Agent", "me"), ("content-type", "text/x"), ("Cookie", "a=b"), ("Authorization", "Bearer z"))
    outcome = await sender.send(post(target.url("/a/../b//c?x=%2f&y={z}"), b"\x00\xff body", *headers))
    assert outcome.status == 200
    first, sent = head_of(seen[0])
    assert first == "POST /a/../b//c?x=%2f&y={z} HTTP/1.1"
    assert sent == {
        **dict(headers),
        "Host": f"127.0.0.1:{target.port}",
        "Accept-Encoding": "identity",
        "Content-Length": "7",
    }
    assert seen[0].endswith(b"\r\n\r\n\x00\xff body")


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", b"", None), ("GET", b"{}", "2"), ("POST", b"", "0"), ("PUT", b"x", "1"), ("PATCH", b"x", "1"),
     ("DELETE", b"", "0"), ("DELETE", b"{}", "2")],
)  # fmt: skip
async def test_every_method_is_framed_by_length_and_nothing_is_invented(
    peer: OpenPeer, sender: HttpSender, method: str, body: bytes, length: str | None
) -> None:
    seen: list[bytes] = []

    async def script(visit: Visit) -> None:
        seen.append(await visit.request())
        await visit.reply()

    target = await peer(script)
    outcome = await sender.send(Request(method=method, url=target.url(), headers=(), body=body, deadline_ms=30_000))
    assert outcome.status == 200
    assert outcome.sent_at is not None
    first, sent = head_of(seen[0])
    assert first == f"{method} /hook HTTP/1.1"
    assert sent.pop("Content-Length", None) == length
    assert set(sent) == {"Host", "Accept-Encoding"}


@pytest.mark.parametrize(
    ("method", "header"),
    [("POST", ("X-A", "b\r\nX-Smuggled: 1")), ("POST", ("X-A", "b\nc")), ("POST", ("X-A\r\nX-B", "c")),
     ("POST", ("X-A", "b\0")), ("GET / HTTP/1.1\r\nX: y", ("X-A", "b")), ("GET /other", ("X-A", "b"))],
)  # fmt: skip
async def test_what_would_break_its_line_is_not_sent(
    peer: OpenPeer, sender: HttpSender, method: str, header: tuple[str, str]
) -> None:
    target = await peer(Visit.gone)
    request = Request(method=method, url=target.url(), headers=(header,), body=b"", deadline_ms=30_000)
    outcome = await sender.send(request)
    assert (outcome.kind, outcome.error, outcome.sent_at) == ("connection", "request could not be sent", None)


async def test_a_head_request_gets_no_body_and_leaves_its_connection_usable(peer: OpenPeer, sender: HttpSender) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        await visit.request()
        await visit.reply(b"ok")

    target = await peer(script)
    asked = Request(method="HEAD", url=target.url(), headers=(), body=b"", deadline_ms=30_000)
    assert (await sender.send(asked)).status == 200
    assert (await sender.send(post(target.url()))).body == b"ok"
    assert target.visits == 1


async def test_instants_come_from_the_clock_and_the_first_byte_is_stamped_before_the_reply(
    peer: OpenPeer, guard: Guard
) -> None:
    ticks = iter(range(1_000, 2_000))

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply()

    target = await peer(script)
    sender = HttpSender(guard, lambda: next(ticks))
    await sender.start()
    outcome = await sender.send(post(target.url()))
    await sender.close()
    assert (outcome.sent_at, outcome.ended_at) == (1_000, 1_001)


async def test_a_reply_keeps_its_first_4_kib(peer: OpenPeer, sender: HttpSender) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply(b"x" * 4096)
        await visit.request()
        await visit.reply(b"y" * 4097, "500 Oops")
        await visit.request()
        await visit.reply(b"z" * (1024 * 1024 - 512))

    target = await peer(script)
    full, cut, big = [await sender.send(post(target.url())) for _ in range(3)]
    assert (full.kind, full.status, full.body, full.truncated) == ("reply", 200, b"x" * 4096, False)
    assert (cut.kind, cut.status, cut.body, cut.truncated) == ("reply", 500, b"y" * 4096, True)
    assert (big.kind, big.status, big.body, big.truncated) == ("reply", 200, b"z" * 4096, True)
    assert target.visits == 1


async def test_a_reply_is_kept_whole_when_it_is_to_be_judged_whole(peer: OpenPeer, sender: HttpSender) -> None:
    body = bytes(range(256)) * 3_000

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply(body)

    whole = msgspec.structs.replace(post((await peer(script)).url()), keep_bytes=1024 * 1024)
    outcome = await sender.send(whole)
    assert (outcome.body, outcome.truncated) == (body, False)


async def test_a_compressed_reply_is_kept_as_it_came(peer: OpenPeer, sender: HttpSender) -> None:
    bomb = gzip.compress(bytes(50 * 1024 * 1024))

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply(bomb, "200 OK", "Content-Encoding: gzip")

    outcome = await sender.send(post((await peer(script)).url()))
    assert outcome.kind == "reply"
    assert outcome.body == bomb[:4096]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "301 Moved", "404 Not Found", "599 ?"])
async def test_any_complete_response_is_a_reply(peer: OpenPeer, sender: HttpSender, status: str) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await visit.gone()

    outcome = await sender.send(post((await peer(script)).url()))
    assert (outcome.kind, outcome.status, outcome.body) == ("reply", int(status[:3]), b"")
    assert outcome.error is None


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\n\r\nto the end",
        b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nto the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nto \r\n7;x=y\r\nthe end\r\n0\r\nTrailer: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nto the end",
    ],
)
async def test_every_framing_of_a_body_is_read_to_its_end(peer: OpenPeer, sender: HttpSender, response: bytes) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.say(response)

    outcome = await sender.send(post((await peer(script)).url()))
    assert (outcome.kind, outcome.status, outcome.body) == ("reply", 200, b"to the end")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_reply_and_is_not_followed(peer: OpenPeer, sender: HttpSender, status: int) -> None:
    inside = await peer(Visit.gone)

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply(b"", f"{status} Elsewhere", f"Location: {inside.url()}")

    outcome = await sender.send(post((await peer(script)).url()))
    assert (outcome.kind, outcome.status) == ("reply", status)
    assert inside.visits == 0


@pytest.mark.parametrize(
    ("value", "delay"),
    [("7", 7_000), ("0", 0), ("-5", None), ("99999999999999999999", 3_600_000), ("later", None),
     ("Thu, 01 Jan 2099 00:00:00 GMT", 3_600_000), ("Thu, 01 Jan 2015 00:00:00 GMT", 0)],
)  # fmt: skip
async def test_retry_after_is_read_in_every_form(
    peer: OpenPeer, sender: HttpSender, value: str, delay: int | None
) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply(b"", "429 Too Many Requests", f"Retry-After: {value}")

    outcome = await sender.send(post((await peer(script)).url()))
    assert (outcome.kind, outcome.status, outcome.retry_after_ms) == ("reply", 429, delay)


async def test_cookies_do_not_travel_from_reply_to_request(peer: OpenPeer, sender: HttpSender) -> None:
    seen: list[bytes] = []

    async def script(visit: Visit) -> None:
        for _ in range(2):
            seen.append(await visit.request())
            await visit.reply(b"", "200 OK", "Set-Cookie: session=1; Path=/")

    target = await peer(script)
    for _ in range(2):
        await sender.send(post(target.url()))
    assert len(seen) == 2
    assert not any(b"cookie" in request.lower() for request in seen)


async def test_proxies_and_credentials_of_the_environment_are_not_used(
    peer: OpenPeer, guard: Guard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = await peer(Visit.gone)
    seen: list[bytes] = []

    async def script(visit: Visit) -> None:
        seen.append(await visit.request())
        await visit.reply()

    target = await peer(script)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.url(""))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    sender = HttpSender(guard, now_ms)
    await sender.start()
    outcome = await sender.send(post(target.url()))
    await sender.close()
    assert outcome.status == 200
    assert proxy.visits == 0
    assert b"authorization" not in seen[0].lower()


async def test_a_kept_connection_serves_the_next_request_to_the_same_place_only(
    peer: OpenPeer, sender: HttpSender
) -> None:
    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.reply()

    one, other = await peer(script), await peer(script)
    for _ in range(3):
        assert (await sender.send(post(one.url()))).status == 200
        assert (await sender.send(post(other.url()))).status == 200
    assert (one.visits, other.visits) == (1, 1)
    assert (await sender.send(post(one.url(host="peer.example")))).status == 200
    assert one.visits == 2


@pytest.mark.parametrize("method", ["POST", "PATCH", "GET", "PUT", "DELETE"])
@pytest.mark.parametrize("ending", ["close", "abort"])
async def test_a_kept_connection_that_the_peer_had_closed_is_no_failed_attempt(
    peer: OpenPeer, sender: HttpSender, method: str, ending: str
) -> None:
    requests: list[int] = []

    async def script(visit: Visit) -> None:
        await visit.request()
        requests.append(visit.number)
        await visit.reply()
        await visit.request()  # arrives, but this server has just decided that the connection was idle for too long
        if ending == "close":
            visit.writer.close()
            await visit.writer.wait_closed()

    target = await peer(script)
    request = Request(method=method, url=target.url(), headers=(), body=b"x", deadline_ms=30_000)
    outcomes = [await sender.send(request) for _ in range(4)]
    assert [outcome.kind for outcome in outcomes] == ["reply"] * 4
    assert requests == [1, 2, 3, 4]


async def test_several_closed_connections_in_the_pool_cost_one_repetition_not_several(
    peer: OpenPeer, sender: HttpSender
) -> None:
    together = asyncio.Barrier(5)

    async def script(visit: Visit) -> None:
        await visit.request()
        if visit.number <= 5:
            await together.wait()
        await visit.reply()
        await visit.request()

    target = await peer(script)
    first = await asyncio.gather(*(sender.send(post(target.url())) for _ in range(5)))
    assert {outcome.kind for outcome in first} == {"reply"}
    assert target.visits == 5
    assert (await sender.send(post(target.url()))).kind == "reply"
    assert target.visits == 6


async def test_a_peer_that_never_answers_is_asked_once_per_attempt(peer: OpenPeer, sender: HttpSender) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()

    target = await peer(script)
    outcome = await sender.send(post(target.url()))
    assert (outcome.kind, outcome.error) == ("connection", "connection closed before a complete response")
    assert outcome.sent_at is not None
    assert target.visits == 1


async def test_a_reply_that_breaks_off_on_a_kept_connection_is_a_failure_and_not_repeated(
    peer: OpenPeer, sender: HttpSender
) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply()
        await visit.request()
        await visit.say(b"HTTP/1.1 2")

    target = await peer(script)
    assert (await sender.send(post(target.url()))).kind == "reply"
    assert (await sender.send(post(target.url()))).kind == "connection"
    assert target.visits == 1


async def test_what_arrives_on_an_idle_connection_is_no_reply_to_the_next_request(
    peer: OpenPeer, sender: HttpSender
) -> None:
    idle, unasked = asyncio.Event(), asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply(b"asked")
        await idle.wait()
        await visit.reply(b"unasked", "408 Request Timeout")
        unasked.set()
        await visit.gone()

    async def bystander(visit: Visit) -> None:
        await visit.request()
        await visit.reply()

    target, other = await peer(script), await peer(bystander)
    assert (await sender.send(post(target.url()))).body == b"asked"
    idle.set()
    await unasked.wait()
    await sender.send(post(other.url()))  # bytes sent before a whole exchange on the same loop have arrived after it
    assert (await sender.send(post(target.url()))).body == b"asked"
    assert target.visits == 2


def tls_server(ca: trustme.CA, cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


async def over_tls(peer: OpenPeer, tmp_path: Path, cert: trustme.LeafCert, ca: trustme.CA, host: str) -> Outcome:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reply(b"secure")

    target = await peer(script, tls=tls_server(ca, cert))
    ca_file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    sender = HttpSender(Guard(["127.0.0.1"], names=Names(lookup)), now_ms, ca_file=ca_file)
    await sender.start()
    try:
        return await sender.send(post(target.url(host=host)))
    finally:
        await sender.close()


async def test_tls_is_verified_against_the_name_that_was_asked_for(peer: OpenPeer, tmp_path: Path) -> None:
    ca = trustme.CA()
    good = await over_tls(peer, tmp_path, ca.issue_cert("peer.example"), ca, "peer.example")
    assert (good.kind, good.status, good.body) == ("reply", 200, b"secure")
    by_address = await over_tls(peer, tmp_path, ca.issue_cert("127.0.0.1"), ca, "127.0.0.1")
    assert by_address.kind == "reply"
    wrong = await over_tls(peer, tmp_path, ca.issue_cert("other.example"), ca, "peer.example")
    assert (wrong.kind, wrong.error) == ("connection", "TLS: certificate is for another host name")
    assert wrong.sent_at is None


async def test_an_expired_or_foreign_certificate_is_a_failure(peer: OpenPeer, tmp_path: Path) -> None:
    ca = trustme.CA()
    expired = ca.issue_cert("peer.example", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    outcome = await over_tls(peer, tmp_path, expired, ca, "peer.example")
    assert (outcome.kind, outcome.error) == ("connection", "TLS: certificate expired")
    foreign = trustme.CA().issue_cert("peer.example")
    outcome = await over_tls(peer, tmp_path, foreign, ca, "peer.example")
    assert (outcome.kind, outcome.error) == ("connection", "TLS: certificate authority not trusted")


async def test_https_to_a_peer_that_speaks_no_tls_is_a_failure(peer: OpenPeer, sender: HttpSender) -> None:
    async def script(visit: Visit) -> None:
        await visit.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    target = await peer(script)
    outcome = await sender.send(post(target.url().replace("http:", "https:")))
    assert (outcome.kind, outcome.error) == ("connection", "TLS handshake failed")


async def test_cancelling_a_send_leaves_no_task_and_no_connection(peer: OpenPeer, guard: Guard) -> None:
    arrived, left = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def script(visit: Visit) -> None:
        if visit.number % 2:
            await visit.request()
            await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        arrived.release()
        await visit.gone()
        left.release()

    target = await peer(script, window=4096)
    before = asyncio.all_tasks()
    sender = HttpSender(guard, now_ms)
    await sender.start()
    # A megabyte does not fit into the buffers of this connection, so some sends are cancelled while they write.
    bodies = [b"x", bytes(1024 * 1024)]
    sends = [asyncio.create_task(sender.send(post(target.url(), bodies[n // 2 % 2]))) for n in range(8)]
    async with asyncio.timeout(30):
        for _ in sends:
            await arrived.acquire()
        for task in sends:
            task.cancel()
        await asyncio.wait(sends)
        assert all(task.cancelled() for task in sends)
        for _ in sends:
            await left.acquire()
        await sender.close()
        while strangers := asyncio.all_tasks() - before:
            await asyncio.wait(strangers)


async def test_closing_ends_what_is_under_way(peer: OpenPeer, guard: Guard) -> None:
    arrived = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        arrived.set()
        await visit.gone()

    target = await peer(script)
    sender = HttpSender(guard, now_ms)
    await sender.start()
    sending = asyncio.create_task(sender.send(post(target.url())))
    await arrived.wait()
    await sender.close()
    async with asyncio.timeout(30):
        assert (await sending).kind == "connection"
