"""The target of all jobs: notes every request, with its instant, before it answers."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import NamedTuple, cast

import httptools

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Call(NamedTuple):
    """One request; instants in ms."""

    at: float
    path: str
    run_id: str
    attempt: int
    scheduled_for: int
    key: str


class Receiver:
    """Serves on a port of loopback until closed."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._headers: dict[str, str] = {}
        self._path = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_message_complete(self) -> None:
        told, self._headers = self._headers, {}
        due = datetime.fromisoformat(told["x-mainspring-scheduled-for"])
        self._receiver.calls.append(
            Call(
                at=time.time() * 1000,
                path=self._path,
                run_id=told["x-mainspring-run-id"],
                attempt=int(told["x-mainspring-attempt"]),
                scheduled_for=round(due.timestamp() * 1000),
                key=told["idempotency-key"],
            )
        )
        self._transport.write(OK)
