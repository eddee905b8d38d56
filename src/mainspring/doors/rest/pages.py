"""What is served beside the API: health, readiness, metrics, the OpenAPI document, pages for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache

from mainspring.core import tokens
from mainspring.core.errors import Refused
from mainspring.doors.rest import openapi, reference
from mainspring.doors.rest.answers import (
    JSON_TYPE,
    Failure,
    Header,
    MethodNotAllowed,
    encode,
    refused_headers,
    status_of,
)
from mainspring.doors.rest.callers import bearer_of, is_local
from mainspring.doors.rest.dispatch import Receive, Scope, Send

Page = Callable[[Scope, Receive, Send], Awaitable[None]]

_HTML: Sequence[Header] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", reference.CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_METRICS_TYPE: Header = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_OK = b'{"status":"ok"}'
_HEALTHY = {
    "type": "http.response.start",
    "status": 200,
    "headers": [JSON_TYPE, (b"content-length", b"%d" % len(_OK))],
}
_HEALTHY_BODY = {"type": "http.response.body", "body": _OK}


async def healthz(scope: Scope, receive: Receive, send: Send) -> None:
    """Alive: answered before anything else is looked at."""
    await send(_HEALTHY)
    await send(_HEALTHY_BODY)


async def answer(scope: Scope, send: Send, status: int, headers: Sequence[Header], body: bytes) -> None:
    """Send a whole answer."""
    sent = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})


async def refuse(scope: Scope, send: Send, refused: Refused) -> None:
    """A refusal outside /v1: plain JSON without the envelope."""
    failure = Failure(refused.code, refused.message, refused.hint, refused.retryable)
    body = encode({"error": failure})
    await answer(scope, send, status_of(refused), [JSON_TYPE, *refused_headers(refused)], body)


class Pages:
    """The pages by path. `ready` says None or the reason why not, `metrics` gives the Prometheus text."""

    def __init__(
        self,
        *,
        auth: tokens.AuthCache,
        clock: Callable[[], int],
        ready: Callable[[], Awaitable[str | None]],
        metrics: Callable[[], bytes],
        root_path: str,
    ) -> None:
        self._auth = auth
        self._clock = clock
        self._ready = ready
        self._metrics = metrics
        self._document = cache(lambda: encode(openapi.document(root_path)))
        self._reference = cache(lambda: reference.reference_page(openapi.document(root_path), root_path))
        self.by_path: dict[bytes, Page] = {
            b"/healthz": healthz,
            b"/readyz": self._readyz,
            b"/metrics": self._metrics_text,
            b"/openapi.json": self._openapi,
            b"/docs": self._docs,
        }

    async def serve(self, page: Page, scope: Scope, receive: Receive, send: Send) -> None:
        """Pages are read, never written. Raises `MethodNotAllowed`."""
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(scope["method"], "GET, HEAD")
        await page(scope, receive, send)

    async def _readyz(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = await self._ready()
        if reason is None:
            return await answer(scope, send, 200, [JSON_TYPE], b'{"status":"ready"}')
        body = encode({"status": "unavailable", "reason": reason})
        await answer(scope, send, 503, [JSON_TYPE, (b"retry-after", b"1")], body)

    async def _metrics_text(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_local(scope):
            principal = await self._auth.principal(self._clock(), bearer_of(dict(scope["headers"])))
            tokens.require(principal, "metrics:read")
        await answer(scope, send, 200, [_METRICS_TYPE], self._metrics())

    async def _openapi(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send, 200, [JSON_TYPE], self._document())

    async def _docs(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send, 200, _HTML, self._reference())
