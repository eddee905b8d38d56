"""JSON-RPC over HTTP: POST, JSON, 200 whatever the call came to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from mainspring.core.limits import RPC_BODY_BYTES_MAX
from mainspring.doors.jsonrpc.dispatch import Rpc
from mainspring.doors.jsonrpc.errors import REQUEST_TOO_BIG, too_big
from mainspring.doors.jsonrpc.protocol import NULL, failed, read

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TYPES = {b"application/json", b"application/json-rpc", b"application/jsonrequest"}
_JSON = b"application/json; charset=utf-8"
_TEXT = b"text/plain"
_NOT_POST = b"Used HTTP Method is not allowed. POST is required"
_NOT_JSON = b"Supplied content type is not allowed. Content-Type: application/json is required"


async def answer(rpc: Rpc, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, whatever its path."""
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    if scope["method"] != "POST":
        return await _send(scope, send, 405, _TEXT, _NOT_POST, (b"allow", b"POST"))
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() not in _TYPES:
        return await _send(scope, send, 415, _TEXT, _NOT_JSON)
    body = await _body(headers, receive)
    if body is None:
        return None
    if len(body) > RPC_BODY_BYTES_MAX:
        refused = failed(NULL, too_big(REQUEST_TOO_BIG, "Request is too big", RPC_BODY_BYTES_MAX))
        return await _send(scope, send, 413, _JSON, refused)
    answered = await rpc.answer(read(body), None, ip_of(scope))
    return await _send(scope, send, 400 if answered.unreadable else 200, _JSON, answered.body)


def ip_of(scope: Scope) -> str:
    """The address that a request came from."""
    return str(client[0]) if (client := scope.get("client")) else ""


async def _body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
    """The whole body; one that is too large is cut off as soon as that is known. None when the caller has gone."""
    if int(headers.get(b"content-length", b"0")) > RPC_BODY_BYTES_MAX:
        return bytes(RPC_BODY_BYTES_MAX + 1)
    chunks: list[bytes] = []
    size, more = 0, True
    while more and size <= RPC_BODY_BYTES_MAX:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


async def _send(scope: Scope, send: Send, status: int, kind: bytes, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
