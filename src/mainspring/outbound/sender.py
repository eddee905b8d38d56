"""The sender: one request, one outcome, whatever the target does."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

import aiohttp
from yarl import URL

from mainspring.core.errors import Invalid
from mainspring.core.ports import Outcome, Request
from mainspring.core.retry_after import parse_retry_after
from mainspring.outbound.connections import FLIGHT, Clock, Flight, GuardedConnector, PlainRequest
from mainspring.outbound.failures import failure_text
from mainspring.outbound.guard import Guard
from mainspring.outbound.urls import parse_url

# The deadline of the request is the only one; the client's own timers would each cost a few microseconds.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


class HttpSender:
    """Sends requests over kept connections. `start` before the first send, `close` after the last, in one loop.

    `clock`: ms UTC. `ca_file`: certificates trusted besides the system's.
    """

    def __init__(self, guard: Guard, clock: Clock, *, ca_file: Path | None = None) -> None:
        self._guard = guard
        self._clock = clock
        self._ca_file = ca_file
        self._keeping: aiohttp.ClientSession | None = None
        self._single: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open for sending. Reads the system's certificates (some 20 ms)."""
        tls = ssl.create_default_context()
        if self._ca_file is not None:
            tls.load_verify_locations(self._ca_file)
        tls.set_alpn_protocols(["http/1.1"])
        self._keeping = _session(GuardedConnector(self._guard, tls, keep=True))
        self._single = _session(GuardedConnector(self._guard, tls, keep=False))

    async def close(self) -> None:
        """Close every connection, also those in use."""
        for session in (self._keeping, self._single):
            if session is not None:
                await session.close()

    async def send(self, request: Request) -> Outcome:
        """Send one request; every ending is an `Outcome` and only cancellation raises.

        A reply is any complete response, redirects included: they are not followed. After a failure `status` and
        `body` hold what of the response had come by then.
        """
        try:
            url, host = _dialled(request.url)
        except Invalid as refusal:
            return Outcome(kind="forbidden", ended_at=self._clock(), error=refusal.message)
        flight = Flight(host, self._clock)
        token = FLIGHT.set(flight)
        deadline = asyncio.timeout(request.deadline_ms / 1000)
        try:
            async with deadline:
                return await self._exchange(request, url, flight)
        except Exception as error:  # noqa: BLE001 - a peer must not be able to choose an exception that stops a loop
            if flight.forbidden is not None:
                return Outcome(kind="forbidden", ended_at=self._clock(), error=flight.forbidden)
            if deadline.expired():
                return self._failed(flight, "timeout", _timeout_text(request, flight))
            return self._failed(flight, "connection", failure_text(error))
        finally:
            FLIGHT.reset(token)

    async def _exchange(self, request: Request, url: URL, flight: Flight) -> Outcome:
        """Send on a kept connection; once more on a new one if the peer had closed that one.

        Every server drops idle connections, and when it does so just as a request goes out, the client learns of it
        only afterwards. That is no failed attempt. RFC 9110 section 9.2.2 lets a client repeat a request by itself
        when it knows it to be idempotent, which the Idempotency-Key says of all of ours (Go's net/http draws the same
        line); so does aiohttp for idempotent methods, before we see it.
        """
        assert self._keeping is not None, "start() comes first"
        assert self._single is not None
        try:
            return await self._attempt(self._keeping, request, url, flight)
        except (aiohttp.ClientConnectionError, OSError):
            if not flight.found_stale:
                raise
        return await self._attempt(self._single, request, url, flight)

    async def _attempt(self, session: aiohttp.ClientSession, request: Request, url: URL, flight: Flight) -> Outcome:
        response = await session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
        )
        try:
            flight.status = response.status
            await _read(response.content, flight, request.keep_bytes)
            now = self._clock()
            retry_after = response.headers.get("Retry-After")
            return Outcome(
                kind="reply",
                ended_at=now,
                sent_at=flight.sent_at,
                status=flight.status,
                body=bytes(flight.body),
                truncated=flight.size > len(flight.body),
                retry_after_ms=None if retry_after is None else parse_retry_after(retry_after, now),
                headers=_plain(response.headers) if request.want_headers else (),
            )
        finally:
            # At the end of a good reply the connection has gone back to its pool already.
            if response.connection is not None:
                response.close()

    def _failed(self, flight: Flight, kind: Literal["timeout", "connection"], error: str) -> Outcome:
        return Outcome(
            kind=kind,
            ended_at=self._clock(),
            sent_at=flight.sent_at,
            status=flight.status,
            body=bytes(flight.body),
            truncated=flight.size > len(flight.body),
            error=error,
        )


def _session(connector: GuardedConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=_NO_TIMEOUT,
        trust_env=False,
        request_class=PlainRequest,
    )


def _plain(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """As texts, which the client's own names are not quite."""
    return tuple((str(name), value) for name, value in headers.items())


async def _read(content: aiohttp.StreamReader, flight: Flight, keep_bytes: int) -> None:
    """Read to the end of the response and keep its first bytes."""
    while True:
        chunk = await content.readany()
        flight.size += len(chunk)
        room = keep_bytes - len(flight.body)
        if room > 0:
            flight.body += chunk[:room]
        if content.at_eof():
            return


def _timeout_text(request: Request, flight: Flight) -> str:
    within = f"within {request.deadline_ms / 1000:g} s"
    return f"no connection {within}" if flight.sent_at is None else f"no complete response {within}"


@lru_cache(maxsize=4096)
def _dialled(url: str) -> tuple[URL, str]:
    """The URL for the client, built from the parsed parts and not parsed again, and its host."""
    target = parse_url(url)
    path, _, query = target.target_path.partition("?")
    built = URL.build(
        scheme=target.scheme,
        host=f"[{target.host}]" if ":" in target.host else target.host,
        port=target.port,
        path=path,
        query_string=query,
        encoded=True,
    )
    return built, target.host
