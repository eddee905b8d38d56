"""Requests over HTTP: how long an answer takes, and what it says."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from mainspring_agent.failure import failed

PING_S = 10.0
REQUEST_S = 30.0
BODY_BYTES_MAX = 64 * 1024 * 1024
_FAMILIES = {"ipv4 auto": socket.AF_INET, "ipv6 auto": socket.AF_INET6}


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to send. `ip`: the address to send it to instead of the host's own, or `ipv4 auto`, `ipv6 auto`."""

    url: str
    method: str
    headers: dict[str, str] | None = None
    body: str | None = None
    body_base64: str | None = None
    ip: str | None = None


class _Fixed(AbstractResolver):
    """Every name is at one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        version = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=self._address, port=port, family=version, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """There is nothing to close."""


async def http_ping(url: str) -> float:
    """Milliseconds until an answer begins, whatever its status. Raises `TaskFailed`, after 10 s too."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with _client(PING_S) as client, client.get(checked(url)):
            return (loop.time() - began) * 1000
    except TimeoutError:
        raise failed("Http Ping Timeout") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise failed(f"Http Ping failed: {_said(error)}") from None


async def http_request(asked: HttpRequest) -> dict[str, Any]:
    """Status, headers and body of the answer; a body that is no text is in `body_base64`. Raises `TaskFailed`: no
    answer in 30 s, or a body above 64 MiB."""
    try:
        async with (
            _client(REQUEST_S, asked.ip) as client,
            client.request(
                asked.method, checked(asked.url), headers=asked.headers, data=_body(asked), allow_redirects=True
            ) as answer,
        ):
            body = await _read(answer)
            headers = [{name: value} for name, value in answer.headers.items()]
            return {"status": answer.status, "headers": headers, **_shown(body)}
    except TimeoutError:
        raise failed("Http Request Timeout") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise failed(f"Http Request failed: {_said(error)}") from None


async def text_at(url: str, family: socket.AddressFamily, seconds: float) -> str:
    """The beginning of what a URL answers, over IPv4 or IPv6. Raises `aiohttp.ClientError`, `OSError`."""
    async with _client(seconds, family=family) as client, client.get(url, raise_for_status=True) as answer:
        return (await answer.content.read(4096)).decode(errors="replace")


def checked(url: str) -> str:
    """The URL, if it is one for HTTP. Raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url[:256]!r} is no http(s) URL")
    return url


def _client(
    seconds: float, ip: str | None = None, *, family: socket.AddressFamily = socket.AF_UNSPEC
) -> aiohttp.ClientSession:
    resolver: AbstractResolver | None = None
    if ip is not None and ip in _FAMILIES:
        family = _FAMILIES[ip]
    elif ip is not None:
        resolver = _Fixed(str(ipaddress.ip_address(ip)))
    connector = aiohttp.TCPConnector(
        resolver=resolver or aiohttp.ThreadedResolver(),
        family=family,
        force_close=True,
        ssl=ssl.create_default_context(),
    )
    return aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=seconds), headers={"User-Agent": "mainspring-agent"}
    )


def _body(asked: HttpRequest) -> bytes | None:
    if asked.body is not None and asked.body_base64 is not None:
        raise ValueError("body and body_base64 exclude each other")
    if asked.body_base64 is not None:
        try:
            return base64.b64decode(asked.body_base64, validate=True)
        except binascii.Error as error:
            raise ValueError(f"body_base64: {error}") from None
    return None if asked.body is None else asked.body.encode()


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise failed("Http Request failed: the answer is larger than 64 MiB")
    return bytes(body)


def _shown(body: bytes) -> dict[str, str | None]:
    try:
        return {"body": body.decode(), "body_base64": None}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": base64.b64encode(body).decode()}


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
