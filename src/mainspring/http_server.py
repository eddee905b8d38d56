"""uvicorn as this service runs it: its signals left alone, and connections that end when the other side is silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from mainspring.core.limits import RPC_BODY_BYTES_MAX, RPC_IDLE, SECOND
from mainspring.settings import Settings

KEEP_ALIVE_S = 75
HEAD_BYTES_MAX = 64 * 1024
# In chunks of six bytes each the largest body that is taken is so large on the wire.
REQUEST_BYTES_MAX = 2 * RPC_BODY_BYTES_MAX
# How often, while a socket may be silent, it is seen whether the other side has taken something.
LOOKS = 3


class HttpServer(uvicorn.Server):
    """uvicorn without its own signal handling: this process has one place for that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Http(HttpToolsProtocol):
    """A connection over which no whole request head has come is over after as long as one between two requests. A head
    has an end, and so has a request with all its chunks and trailers: the parser itself knows no bound."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._bytes = 0
        self._request: Any = None
        self._look = self.loop.call_later(KEEP_ALIVE_S, self._look_again)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        request: Any = self.scope
        if request is not self._request:
            self._request, self._bytes = request, 0
            return
        self._bytes += len(data)
        most = HEAD_BYTES_MAX if request is None or "method" not in request else REQUEST_BYTES_MAX
        if self._bytes > most and not self.transport.is_closing():
            self.send_400_response(f"The request, or its head, is larger than {most} bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        self._look.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._look.cancel()
        super().handle_websocket_upgrade()

    def _look_again(self) -> None:
        first: object = self.cycle
        if first is None:
            self.transport.abort()


class WebSocket(WebSocketsSansIOProtocol):
    """A socket on which no frame of any kind has come for 90 s is over. The server sends no pings of its own.

    Who does not read is not read: while there is more to send than the other side takes, its pings wait too, for their
    pongs would pile up. It is there as long as it takes something.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._parts = bytearray()
        self._unsent = 0
        self._heard_at = self.loop.time()
        self._look = self.loop.call_later(RPC_IDLE / SECOND / LOOKS, self._look_again)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        super().data_received(data)
        self._hold()

    def handle_cont(self, event: Frame) -> None:
        """Parts are put together as they come: kept apart, small ones would take many times their size."""
        self._parts += event.data
        if event.fin:
            self.frames.append(bytes(self._parts))
            self._parts.clear()
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """A text that is none ends the socket (RFC 6455 section 8.1), which is no news for the log."""
        if self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self.frames = []
            self.conn.send_close(1007)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

    async def receive(self) -> Any:
        message = await super().receive()
        self._hold()
        return message

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.read_paused and self.queue.empty() and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._look.cancel()
        super().connection_lost(exc)

    def _hold(self) -> None:
        if not self.writable.is_set() and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def _look_again(self) -> None:
        now, idle = self.loop.time(), RPC_IDLE / SECOND
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        self._unsent = unsent
        unheard = self.read_paused and self.writable.is_set()
        if (unheard or unsent < before) and not self.transport.is_closing():
            # It is this side that does not read, or the other one that reads.
            self._heard_at = now
        left = self._heard_at + idle - now
        if left > 0:
            self._look = self.loop.call_later(min(left, idle / LOOKS), self._look_again)
        else:
            self.transport.abort()


def _is_text(data: bytes) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def config(app: Any, *, trusted_proxies: tuple[str, ...] = (), root_path: str = "") -> uvicorn.Config:
    """How uvicorn serves an application of ours."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=Http,
        loop="none",
        ws=WebSocket,
        # A message that is a little too big is answered; only far beyond that is the socket closed.
        ws_max_size=2 * RPC_BODY_BYTES_MAX,
        ws_ping_interval=None,
        ws_ping_timeout=None,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        root_path=root_path,
    )


def of_settings(settings: Settings, app: Any) -> uvicorn.Config:
    """As the settings say."""
    return config(app, trusted_proxies=settings.trusted_proxies, root_path=settings.root_path)
