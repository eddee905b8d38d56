"""Calls from browsers: which origins may read the answers. Never with credentials: keys are sent by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from mainspring.doors.rest.answers import Header
from mainspring.doors.rest.callers import names_this_machine
from mainspring.doors.rest.dispatch import Receive, Scope, Send

App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = "loopback"
_VARY: Header = (b"vary", b"Origin")
_EXPOSED: Header = (
    b"access-control-expose-headers",
    b"X-Request-Id, Idempotency-Replayed, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset",
)
_PREFLIGHT: Sequence[Header] = (
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Idempotency-Key"),
    (b"access-control-max-age", b"600"),
)


class Cors:
    """An application around another one. `origins`: exact ones, `*`, or `loopback` for every port of this machine;
    `apart`: beginnings of paths whose answers say by themselves who may read them."""

    def __init__(self, app: App, origins: Sequence[str], apart: tuple[bytes, ...] = ()) -> None:
        self._app = app
        self._apart = apart
        self._any = "*" in origins
        self._loopback = LOOPBACK in origins
        self._origins = {origin.rstrip("/").lower().encode() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer preflights here; mark every other answer with who may read it."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        origin = headers.get(b"origin")
        if origin is None or scope["raw_path"].startswith(self._apart):
            return await self._app(scope, receive, send)
        marks = [_VARY]
        if self._allows(origin):
            marks.append((b"access-control-allow-origin", b"*" if self._any else origin))
            marks.append(_EXPOSED)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            marks += _PREFLIGHT if len(marks) > 1 else ()
            await send({"type": "http.response.start", "status": 204, "headers": marks})
            return await send({"type": "http.response.body", "body": b""})

        async def marked(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *marks]}
            await send(message)

        await self._app(scope, receive, marked)

    def _allows(self, origin: bytes) -> bool:
        if self._any or origin.lower() in self._origins:
            return True
        if not self._loopback:
            return False
        host = urlsplit(origin.decode("latin-1")).netloc
        return names_this_machine({b"host": host.encode("latin-1")})
