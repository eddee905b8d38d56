"""uvicorn as this service runs it: its signals left alone, and sockets that end when the other side falls silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mainspring.core.limits import RPC_BODY_BYTES_MAX, RPC_IDLE, SECOND
from mainspring.settings import Settings


class HttpServer(uvicorn.Server):
    """uvicorn without its own signal handling: this process has one place for that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebSocket(WebSocketsSansIOProtocol):
    """A socket on which no frame of any kind has come for 90 s is over. The server sends no pings of its own."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._heard_at = self.loop.time()
        self._look = self.loop.call_later(RPC_IDLE / SECOND, self._look_again)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._look.cancel()
        super().connection_lost(exc)

    def _look_again(self) -> None:
        left = self._heard_at + RPC_IDLE / SECOND - self.loop.time()
        if left > 0:
            self._look = self.loop.call_later(left, self._look_again)
        else:
            self.transport.abort()


def config(app: Any, *, trusted_proxies: tuple[str, ...] = (), root_path: str = "") -> uvicorn.Config:
    """How uvicorn serves an application of ours."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        http="httptools",
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
        timeout_keep_alive=75,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        root_path=root_path,
    )


def of_settings(settings: Settings, app: Any) -> uvicorn.Config:
    """As the settings say."""
    return config(app, trusted_proxies=settings.trusted_proxies, root_path=settings.root_path)
