"""A peer that speaks HTTP exactly as badly as a test tells it to, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable


class Visit:
    """One connection to a peer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    async def request(self) -> bytes:
        """Read one whole request: head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return head + await self.reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, body: bytes = b"ok", status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        await self.say("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def gone(self) -> None:
        """Wait until the other side has closed."""
        while await self.reader.read(65536):
            pass


Script = Callable[[Visit], Awaitable[None]]


class Peer:
    """A server on a free loopback port that runs a script for each connection and closes what that leaves open.

    `window`: bytes that the kernel takes in for it while it does not read.
    """

    def __init__(
        self,
        script: Script,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        window: int | None = None,
    ) -> None:
        self._script = script
        self._tls = tls
        self.host = host
        self.port = port
        self.visits = 0
        self._window = window
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        listening = socket.create_server((self.host, self.port))
        if self._window is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._window)
        self._server = await asyncio.start_server(self._serve, sock=listening, ssl=self._tls, limit=4096)
        self.port = listening.getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str = "/hook", host: str | None = None) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.visits += 1
        try:
            await self._script(Visit(reader, writer, self.visits))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the other side went first, or the test is over
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
