"""aiohttp's connections, held on a short lead: every dial through the guard, every reply under a cap."""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from mainspring.core.limits import RESPONSE_BYTES_MAX
from mainspring.outbound.failures import ResponseTooLarge
from mainspring.outbound.guard import Guard, TargetForbidden

Clock = Callable[[], int]


class Flight:
    """What is known of one request while it is under way. Mutable: several layers of the client write to it.

    `connected`: it was given a connection; `dialled`: a new one was opened for it; `received`: raw bytes of the reply;
    `forbidden`: the guard's reason.
    """

    __slots__ = ("body", "connected", "dialled", "forbidden", "host", "received", "sent_at", "size", "status")

    def __init__(self, host: str) -> None:
        self.host = host
        self.connected = False
        self.dialled = False
        self.forbidden: str | None = None
        self.sent_at: int | None = None
        self.received = 0
        self.status: int | None = None
        self.size = 0
        self.body = bytearray()

    @property
    def found_stale(self) -> bool:
        """It went out on a kept connection and nothing came back: the peer had closed it meanwhile."""
        return self.connected and not self.dialled and self.received == 0


# aiohttp opens a connection in the task of the request that needs it, or in a child of that task.
FLIGHT: ContextVar[Flight] = ContextVar("flight")


class _GuardedResolver(AbstractResolver):
    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            addresses = await self._guard.resolve(host)
        except TargetForbidden as refusal:
            FLIGHT.get().forbidden = refusal.reason
            raise
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class _CappedReply(ResponseHandler):
    """Reads replies of at most 1 MiB on the wire, whatever fills them: body, headers, chunk framing, 1xx replies."""

    _flight: Flight | None = None

    def set_response_params(self, **params: Any) -> None:
        self._flight = FLIGHT.get()
        self._flight.connected = True
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        flight = self._flight
        if flight is not None:
            flight.received += len(data)
            if flight.received > RESPONSE_BYTES_MAX:
                self._cut(ResponseTooLarge())
                return
        super().data_received(data)

    def is_connected(self) -> bool:
        # What arrived on an idle connection (a 408 before the close, say) is no reply to the next request.
        return super().is_connected() and not self._buffer

    def _cut(self, error: ResponseTooLarge) -> None:
        payload, transport = self._payload, self.transport
        self.set_exception(error)
        if payload is not None:
            payload.set_exception(error)
        if transport is not None:
            transport.abort()


class GuardedConnector(aiohttp.TCPConnector):
    """Connections that the guard has permitted: names in the resolver, every address again where its socket is made.

    The second check is the one that counts: an address literal never reaches the resolver. Pools are per scheme, host
    and port; how many connections are open is bounded by the seats of the dispatcher. Must be made in a running loop.
    """

    def __init__(self, guard: Guard, tls: ssl.SSLContext, *, keep: bool) -> None:
        super().__init__(
            resolver=_GuardedResolver(guard),
            use_dns_cache=False,
            ssl=tls,
            limit=0,
            limit_per_host=0,
            force_close=not keep,
            socket_factory=functools.partial(_open_socket, guard),
        )
        # Not in aiohttp's public interface; the tests of the cap fail if a new version looks elsewhere.
        self._factory = functools.partial(_CappedReply, loop=self._loop)  # type: ignore[assignment] # partial of a subclass


def _open_socket(guard: Guard, info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = info
    flight = FLIGHT.get()
    try:
        guard.permit(address[0], flight.host)
    except TargetForbidden as refusal:
        flight.forbidden = refusal.reason
        raise
    flight.dialled = True
    return socket.socket(family, kind, protocol)
