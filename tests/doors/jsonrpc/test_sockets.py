"""Sockets: subscriptions, calls beside each other, silence, and very many at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from doors.jsonrpc.rig import error, socket, talk
from doors.live import SUPER, Live
from e2e.harness import wait_for
from e2e.raw_sockets import TEXT, RawSocket, call, frame
from mainspring import http_server
from mainspring.core.limits import RPC_BYTES_PER_SOCKET, RPC_SUBSCRIPTIONS_MAX, RPC_WORK_PER_SOCKET
from mainspring.doors.jsonrpc.credentials import Credentials
from mainspring.doors.jsonrpc.dispatch import Rpc
from mainspring.doors.jsonrpc.errors import wrong
from mainspring.doors.jsonrpc.method import Call, Method, Nothing, Subscription
from mainspring.doors.jsonrpc.websocket import Socket

HELLO = {"jsonrpc": "2.0", "id": 1, "method": "nodeget-server_hello"}
HELLO_AGAIN = {"jsonrpc": "2.0", "id": 1, "result": "NodeGet Server Is Running!"}


class Number(msgspec.Struct, frozen=True):
    number: int


class Feed:
    """Methods to subscribe to, to wait in, and to fail in."""

    def __init__(self) -> None:
        self.open: list[Subscription] = []
        self.ended = 0
        self.let_go = asyncio.Event()
        self.waiting = 0
        self.cancelled = 0
        self.sent: list[asyncio.Task[bool]] = []

    async def subscribe(self, call: Call[Nothing]) -> int:
        assert call.session is not None
        stream = call.session.subscribe("feed_subscribe", self._end)
        self.open.append(stream)
        # Handed over at once: it must not overtake the answer.
        self.sent.append(asyncio.create_task(stream.send({"first": True})))
        await asyncio.sleep(0)
        return stream.id

    def _end(self) -> None:
        self.ended += 1

    async def unsubscribe(self, call: Call[Number]) -> bool:
        assert call.session is not None
        return call.session.unsubscribe(call.params.number)

    async def wait(self, call: Call[Nothing]) -> str:
        self.waiting += 1
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "done"

    async def fail(self, call: Call[Nothing]) -> None:
        raise wrong("not_found", "it")

    @property
    def methods(self) -> dict[str, Method]:
        def row(name: str, params: Any, handler: Any, **more: Any) -> Method:
            return Method(name=name, summary="", params=params, result=Any, permission=None, handler=handler, **more)

        rows = (
            row("feed_subscribe", Nothing, self.subscribe, over_socket=True),
            row("feed_unsubscribe", Number, self.unsubscribe, over_socket=True),
            row("feed_wait", Nothing, self.wait, waits=True),
            row("feed_work", Nothing, self.wait),
            row("feed_fail", Nothing, self.fail, errors_twice=True),
        )
        return {one.name: one for one in rows}


@asynccontextmanager
async def fed(live: Live) -> AsyncIterator[tuple[Feed, Callable[..., Any]]]:
    """A feed and how to connect to it, on a server of its own beside the live one."""
    import socket as sockets

    from doors.live import listening

    feed = Feed()
    rpc = Rpc(
        core=live.core,
        credentials=Credentials(live.core, live.auth),
        clock=live.clock,
        ticks=lambda: 0,
        observe=lambda *_: None,
        report=lambda problem, _: live.reports.append(problem),
        dice=os.urandom,
        methods=feed.methods,
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await Socket(rpc, send, "127.0.0.1").serve(receive)

    listener = sockets.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with listening(app, listener):
        try:
            yield feed, lambda **options: live.client.ws_connect(url, **options)
        finally:
            feed.let_go.set()


def request(method: str, number: int = 1, params: Any = ()) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_the_answer_comes_before_the_first_event(live: Live) -> None:
    async with fed(live) as (feed, connect), connect() as opened:
        answer = await talk(opened, request("feed_subscribe", 7))
        number = answer["result"]
        assert answer == {"jsonrpc": "2.0", "id": 7, "result": number}
        assert 0 <= number < 2**53
        params = {"subscription": number, "result": {"first": True}}
        assert await opened.receive_json() == {"jsonrpc": "2.0", "method": "feed_subscribe", "params": params}
        assert await feed.open[0].send([1]) is True
        assert (await opened.receive_json())["params"]["result"] == [1]


async def test_what_was_cancelled_gets_no_more(live: Live) -> None:
    async with fed(live) as (feed, connect), connect() as opened:
        number = (await talk(opened, request("feed_subscribe")))["result"]
        await opened.receive_json()
        assert (await talk(opened, request("feed_unsubscribe", 2, [number + 1])))["result"] is False
        assert (await talk(opened, request("feed_unsubscribe", 3, [number])))["result"] is True
        assert (await talk(opened, request("feed_unsubscribe", 4, [number])))["result"] is False
        assert feed.ended == 1
        assert await feed.open[0].send("late") is False
        assert (await talk(opened, request("feed_fail", 5)))["id"] == 5


async def test_a_closed_socket_ends_its_subscriptions(live: Live) -> None:
    async with fed(live) as (feed, connect):
        async with connect() as opened:
            await talk(opened, request("feed_subscribe"))
            await talk(opened, request("feed_subscribe", 2))
        await until(lambda: feed.ended == 2)
        assert await feed.open[0].send("nobody") is False
        feed.open[0].end()
        assert feed.ended == 2


async def test_subscriptions_have_a_bound(live: Live) -> None:
    async with fed(live) as (feed, connect), connect() as opened:
        for number in range(RPC_SUBSCRIPTIONS_MAX + 1):
            await opened.send_json(request("feed_subscribe", number))
        refused: list[Any] = []
        while not refused:
            answer = await opened.receive_json(timeout=10)
            refused += [answer["error"]] if "error" in answer else []
        assert (refused[0]["code"], refused[0]["data"]) == (-32006, "Exceeded max limit of 1024")
        assert len(feed.open) == RPC_SUBSCRIPTIONS_MAX


async def test_over_http_there_are_no_subscriptions(live: Live) -> None:
    feed = Feed()
    rpc = Rpc(
        core=live.core, credentials=Credentials(live.core, live.auth), clock=live.clock, ticks=lambda: 0,
        observe=lambda *_: None, report=lambda *_: None, dice=bytes, methods=feed.methods,
    )  # fmt: skip
    from mainspring.doors.jsonrpc.protocol import read

    answered = await rpc.answer(read(b'{"jsonrpc":"2.0","id":1,"method":"feed_subscribe"}'), None)
    assert msgspec.json.decode(answered.body)["error"] == {"code": -32603, "message": "Internal error"}


async def test_calls_are_carried_out_beside_each_other(live: Live) -> None:
    async with fed(live) as (feed, connect), connect() as opened:
        await opened.send_json(request("feed_wait", 1))
        await until(lambda: feed.waiting == 1)
        assert (await talk(opened, request("feed_fail", 2)))["id"] == 2
        feed.let_go.set()
        assert (await opened.receive_json(timeout=10))["id"] == 1


async def test_so_many_are_at_work_at_a_time_and_those_that_wait_are_not_among_them(live: Live) -> None:
    async with fed(live) as (feed, connect), connect() as opened:
        for number in range(RPC_WORK_PER_SOCKET + 8):
            await opened.send_json(request("feed_work", number))
        await until(lambda: feed.waiting == RPC_WORK_PER_SOCKET)
        await opened.send_json(request("feed_wait", 100))
        await until(lambda: feed.waiting == RPC_WORK_PER_SOCKET + 1)
        feed.let_go.set()
        answers = [await opened.receive_json(timeout=10) for _ in range(RPC_WORK_PER_SOCKET + 9)]
        assert {one["id"] for one in answers} == {*range(RPC_WORK_PER_SOCKET + 8), 100}


async def test_so_many_bytes_are_under_way_at_a_time(live: Live) -> None:
    large = "i" * (RPC_BYTES_PER_SOCKET // 4)
    async with fed(live) as (feed, connect), connect(max_msg_size=0) as opened:
        sending = [asyncio.create_task(opened.send_json({**request("feed_wait"), "id": large})) for _ in range(5)]
        await until(lambda: feed.waiting == 3)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await until(lambda: feed.waiting > 3)
        feed.let_go.set()
        for _ in sending:
            assert (await opened.receive_json(timeout=10))["id"] == large


async def test_who_waits_is_let_go_when_the_socket_closes_and_who_works_is_not(live: Live) -> None:
    async with fed(live) as (feed, connect):
        async with connect() as opened:
            await opened.send_json(request("feed_wait", 1))
            await opened.send_json(request("feed_work", 2))
            await until(lambda: feed.waiting == 2)
        await until(lambda: feed.cancelled == 1)
        feed.let_go.set()


async def test_some_methods_say_their_errors_twice(live: Live) -> None:
    async with fed(live) as (_, connect), connect() as opened:
        said = (await talk(opened, request("feed_fail")))["error"]
        assert (said["code"], said["message"]) == (105, "Not found in database: it")
        assert msgspec.json.decode(said["data"]) == {"error_id": 105, "error_message": "Not found in database: it"}


async def test_a_bug_is_told_of_here_and_not_there(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = RuntimeError("the password is swordfish")

    async def broken(_: str) -> None:
        raise bug

    monkeypatch.setattr(live.store.credentials, "token_by_lookup", broken)
    assert await error(live, "token_get", token=SUPER) == {"code": -32603, "message": "Internal error"}
    assert live.reports == [bug]
    live.reports.clear()


async def test_a_socket_that_falls_silent_is_closed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "RPC_IDLE", 400)
    async with socket(live, autoping=False) as quiet, socket(live, autoping=False) as pinging, socket(live) as talking:
        quiet_end = asyncio.ensure_future(quiet.receive())
        for number in range(12):
            await pinging.ping()
            assert (await pinging.receive(timeout=5)).type is aiohttp.WSMsgType.PONG
            assert (await talk(talking, {**HELLO, "id": number}))["id"] == number
            await asyncio.sleep(0.1)
        ended = await asyncio.wait_for(quiet_end, 5)
        assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)


async def test_a_connection_that_asks_for_nothing_is_closed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "KEEP_ALIVE_S", 0.3)
    async with socket(live) as opened:
        for said in (b"", b"GET / HTTP/1.1\r\nHost: h\r\nX: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
            writer.write(said)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        assert (await talk(opened, HELLO)) == HELLO_AGAIN


async def test_one_that_reads_slowly_is_waited_for_and_one_that_reads_nothing_is_not(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "RPC_IDLE", 1_500)
    long = "i" * 8 * 1024 * 1024
    asked = frame(TEXT, call("nodeget-server_hello", long))
    answered = len(frame(TEXT, msgspec.json.encode({**HELLO_AGAIN, "id": long}), masked=False))

    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    def read_slowly() -> None:
        with RawSocket(live.url, window=8 * 1024) as opened:
            opened.send(asked)
            began, read = time.monotonic(), 0
            while read < answered:
                read += len(opened.some(min(64 * 1024, answered - read)))
                time.sleep(max(0.0, began + 4 * read / len(long) - time.monotonic()))
            opened.send(frame(TEXT, call("nodeget-server_hello")))
            assert opened.answer() == HELLO_AGAIN

    def read_nothing() -> None:
        before = files()
        with RawSocket(live.url, window=8 * 1024) as opened:
            opened.send(asked)
            assert files() == before + 2
            wait_for("the server to let go of it", lambda: files() == before + 1, 10)

    await asyncio.to_thread(read_slowly)
    await asyncio.to_thread(read_nothing)


async def test_a_thousand_sockets_at_a_time(live: Live) -> None:
    async with aiohttp.ClientSession(live.url, connector=aiohttp.TCPConnector(limit=0)) as client:
        opened = await asyncio.gather(*(client.ws_connect("/any") for _ in range(1_000)))
        for one in opened:
            await one.send_json(HELLO)
        answers = await asyncio.gather(*(one.receive_json(timeout=30) for one in opened))
        assert {answer["id"] for answer in answers} == {1}
        await asyncio.gather(*(one.close() for one in opened))
