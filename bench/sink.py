"""A target that notes when each call arrives: bare protocol, so that it is never what is being measured.

GET /report answers [[key, due ms, arrival ms], …] of all calls since POST /reset.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from datetime import datetime
from typing import cast

import httptools
import uvloop

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
calls: list[tuple[str, str, float]] = []


class Sink(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.parser = httptools.HttpRequestParser(self)
        self.key = self.due = ""
        self.path = b""

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.path = url

    def on_header(self, name: bytes, value: bytes) -> None:
        folded = name.lower()
        if folded == b"idempotency-key":
            self.key = value.decode()
        elif folded == b"x-mainspring-scheduled-for":
            self.due = value.decode()

    def on_message_complete(self) -> None:
        if self.path == b"/report":
            rows = [
                [key, datetime.fromisoformat(due).timestamp() * 1000 if due else None, at] for key, due, at in calls
            ]
            body = json.dumps(rows).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        elif self.path == b"/reset":
            calls.clear()
            self.transport.write(OK)
        else:
            calls.append((self.key, self.due, time.time() * 1000))
            self.transport.write(OK)


async def main() -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Sink, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
