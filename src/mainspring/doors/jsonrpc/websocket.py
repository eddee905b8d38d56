"""JSON-RPC over a socket: calls are carried out beside each other, subscriptions send events until they end.

Nothing is sent on a socket before the answer to its first call, and none of its events before the answer that made the
subscription known: clients read the very next frame as that answer.

Who does not read is not read: a call is at work until its answer is sent, and what has been read or is to be sent has
bounds in number and in bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mainspring.core.limits import (
    RPC_BYTES_PER_SOCKET,
    RPC_CALLS_PER_SOCKET,
    RPC_SUBSCRIPTIONS_MAX,
    RPC_WORK_PER_SOCKET,
)
from mainspring.doors.jsonrpc.dispatch import Rpc
from mainspring.doors.jsonrpc.errors import TOO_MANY_SUBSCRIPTIONS, too_big
from mainspring.doors.jsonrpc.protocol import Batch, Single, event, read

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ID_BITS = 53


class Stream:
    """One subscription of a socket."""

    def __init__(self, socket: Socket, number: int, method: str, ended: Callable[[], None]) -> None:
        self.id = number
        self._socket = socket
        self._method = method
        self._ended = ended
        self._known = asyncio.Event()
        self._over = False

    async def send(self, item: object) -> bool:
        """Send one event, not before the answer that made the subscription known; False once it is over."""
        await self._known.wait()
        return not self._over and await self._socket.send(event(self._method, self.id, item))

    def make_known(self) -> None:
        """The answer with its id is on its way."""
        self._known.set()

    def end(self) -> None:
        """No more events; `ended` is told, once."""
        if self._over:
            return
        self._over = True
        self._known.set()
        self._socket.streams.pop(self.id, None)
        self._ended()


class _Calling:
    """A socket as one of its calls sees it: remembers what that call has opened."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self.opened: list[Stream] = []

    def subscribe(self, method: str, ended: Callable[[], None]) -> Stream:
        """Open a subscription. Raises `RpcError` when the socket has too many."""
        stream = self._socket.open(method, ended)
        self.opened.append(stream)
        return stream

    def unsubscribe(self, subscription: int) -> bool:
        """Cancel one of the socket's subscriptions; False when it has none with this id."""
        stream = self._socket.streams.get(subscription)
        if stream is not None:
            stream.end()
        return stream is not None


class Socket:
    """One connection, from its handshake to its end."""

    def __init__(self, rpc: Rpc, send: Send, ip: str) -> None:
        self._rpc = rpc
        self._ip = ip
        self._send = send
        self._room = asyncio.Semaphore(RPC_CALLS_PER_SOCKET)
        self._at_work = asyncio.Semaphore(RPC_WORK_PER_SOCKET)
        self._sending = asyncio.Lock()
        self._bytes = 0
        self._fewer = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._patient: set[asyncio.Task[None]] = set()
        self.streams: dict[int, Stream] = {}

    async def serve(self, receive: Receive) -> None:
        """Until the other side is gone. What is under way then is finished, but for what waits for something."""
        await receive()
        await self._send({"type": "websocket.accept"})
        try:
            while (message := await receive())["type"] == "websocket.receive":
                text = message.get("text")
                body = text.encode() if text is not None else message.get("bytes") or b""
                await self._room.acquire()
                await self._fits(len(body))
                self._start(body)
        finally:
            for stream in list(self.streams.values()):
                stream.end()
            for task in self._patient:
                task.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)

    def _start(self, body: bytes) -> None:
        said = read(body)
        if self._rpc.waits(said):
            task = asyncio.create_task(self._call(said, len(body)))
            self._patient.add(task)
        else:
            task = asyncio.create_task(self._work(said, len(body)))
        self._calls.add(task)
        task.add_done_callback(self._done)

    async def _fits(self, size: int) -> None:
        """Wait until a message of so many bytes has a place among those under way; the only one always has."""
        while self._bytes and self._bytes + size > RPC_BYTES_PER_SOCKET:
            self._fewer.clear()
            await self._fewer.wait()
        self._bytes += size

    def _weighs(self, more: int) -> None:
        self._bytes += more
        self._fewer.set()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._patient.discard(task)
        self._room.release()

    async def _work(self, said: Single | Batch, size: int) -> None:
        async with self._at_work:
            await self._call(said, size)

    async def _call(self, said: Single | Batch, size: int) -> None:
        calling = _Calling(self)
        try:
            answered = await self._rpc.answer(said, calling, self._ip)
            self._weighs(len(answered.body) - size)
            size = len(answered.body)
            if answered.body:
                await self.send(answered.body)
        finally:
            self._weighs(-size)
        for stream in calling.opened:
            stream.make_known()

    def open(self, method: str, ended: Callable[[], None]) -> Stream:
        """A new subscription. Raises `RpcError` when there are too many."""
        if len(self.streams) >= RPC_SUBSCRIPTIONS_MAX:
            raise too_big(TOO_MANY_SUBSCRIPTIONS, "Too many subscriptions on the connection", RPC_SUBSCRIPTIONS_MAX)
        number = self._number()
        while number in self.streams:
            number = self._number()
        stream = self.streams[number] = Stream(self, number, method, ended)
        return stream

    def _number(self) -> int:
        return int.from_bytes(self._rpc.dice(7)) >> (56 - ID_BITS)

    async def send(self, body: bytes) -> bool:
        """One message, when the ones before it are on their way; False when the other side is gone."""
        async with self._sending:
            try:
                await self._send({"type": "websocket.send", "text": body.decode()})
            except OSError:
                return False
        return True
