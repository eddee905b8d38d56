"""`/worker-route/<name>/…`: requests that scripts answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Annotated, TypeVar
from urllib.parse import unquote

import msgspec

from mainspring.core import script_runs
from mainspring.core.errors import Unavailable
from mainspring.core.limits import SCRIPT_ROUTE_BYTES_MAX, SCRIPT_ROUTE_SEATS, SCRIPT_ROUTES_WAITING
from mainspring.core.ports import Core
from mainspring.core.scripts_model import Script
from mainspring.doors.jsonrpc.http import Receive, Scope, Send

Header = tuple[bytes, bytes]
PREFIXES = (b"/worker-route/", b"/nodeget/worker-route/")
NOT_BOUND = b"No js_worker bound to this route_name"
_TEXT = b"text/plain; charset=utf-8"
_PASSED_ON = frozenset(
    {
        "content-type",
        "cache-control",
        "last-modified",
        "etag",
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-allow-headers",
    }
)
# A page that a script makes is a stranger to the console, though it comes from the same address.
_OWN: tuple[Header, ...] = (
    (b"content-security-policy", b"sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads"),
    (b"x-content-type-options", b"nosniff"),
)


class Response(msgspec.Struct, frozen=True):
    """What a script answers; the body is base64 in JSON."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    headers: list[tuple[str, str]]
    body: bytes


T = TypeVar("T")


class _Gone(Exception):
    """The caller has hung up."""


class Routes:
    """The door of scripts. `observe` takes microseconds, `ticks` is a monotonic clock in ns."""

    def __init__(
        self,
        core: Core,
        clock: Callable[[], int],
        ticks: Callable[[], int],
        observe: Callable[[str, int, int], None],
    ) -> None:
        self._core = core
        self._runs = script_runs.Runs(core, clock)
        self._ticks = ticks
        self._observe = observe
        self._room = asyncio.Semaphore(SCRIPT_ROUTE_SEATS)
        self._here = 0

    async def answer(self, scope: Scope, path: bytes, receive: Receive, send: Send) -> None:
        """Answer one request; `path` is that below the root path."""
        started = self._ticks()
        try:
            status, kind, body, more = await self._answer(scope, path, receive)
        except _Gone:
            return
        except Unavailable as away:
            status, kind, body, more = 503, _TEXT, away.message.encode(), ()
        headers = [(b"content-length", str(len(body)).encode()), *more, *_OWN]
        if kind is not None:
            headers.append((b"content-type", kind))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        shown = b"" if scope["method"] == "HEAD" or status in (204, 205, 304) else body
        await send({"type": "http.response.body", "body": shown})
        self._observe("rpc.worker-route", status, (self._ticks() - started) // 1000)

    async def _answer(
        self, scope: Scope, path: bytes, receive: Receive
    ) -> tuple[int, bytes | None, bytes, tuple[Header, ...]]:
        """Status, content type, body and further headers."""
        script = await self._script(path)
        if script is None:
            return 404, _TEXT, NOT_BOUND, ()
        body = await _body(receive)
        if body is None:
            return 413, _TEXT, b"The body is larger than 8 MiB", ()
        if self._here >= SCRIPT_ROUTE_SEATS + SCRIPT_ROUTES_WAITING:
            raise Unavailable("too many requests wait for scripts")
        self._here += 1
        try:
            async with self._room:
                running = self._runs.run(script, "route", _request(scope, body), None)
                end = await _while_connected(receive, running)
        finally:
            self._here -= 1
        if end.result is None:
            return 500, _TEXT, (end.error or "").encode("utf-8", "replace"), ()
        try:
            found = msgspec.json.decode(end.result, type=Response)
            headers = [_header(name, value) for name, value in found.headers if name in _PASSED_ON]
        except (msgspec.DecodeError, UnicodeError):
            return 500, _TEXT, b"The script answered with what is no response", ()
        kind = next((value for name, value in headers if name == b"content-type"), None)
        return found.status, kind, found.body, tuple(one for one in headers if one[0] != b"content-type")

    async def _script(self, path: bytes) -> Script | None:
        prefix = next((one for one in PREFIXES if path.startswith(one)), b"")
        name = unquote(path[len(prefix) :].partition(b"/")[0].decode("latin-1"), errors="replace")
        if not prefix or not name or len(name) > 128:
            return None
        return await self._core.store.scripts.by_route(name)


def _request(scope: Scope, body: bytes) -> bytes:
    """The request as the script's process is told of it."""
    client = scope.get("client")
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name != b"ng-connecting-ip"
    ]
    host = next((value for name, value in headers if name == "host"), "localhost")
    query = scope["query_string"].decode("latin-1")
    url = f"{scope['scheme']}://{host}{scope['raw_path'].decode('latin-1')}{'?' + query if query else ''}"
    headers.append(("NG-Connecting-IP", "" if client is None else client[0]))
    return msgspec.json.encode(
        {"method": scope["method"], "url": url, "headers": headers, "body": base64.b64encode(body).decode()}
    )


def _header(name: str, value: str) -> Header:
    """One header to send. Raises `UnicodeError` for a value that would be more than one."""
    found = value.encode("latin-1")
    if any((one < 0x20 and one != 0x09) or one == 0x7F for one in found):
        raise UnicodeError
    return name.encode(), found


async def _while_connected(receive: Receive, running: Coroutine[None, None, T]) -> T:
    """What comes of it, unless the caller hangs up before. Raises `_Gone`."""
    task = asyncio.create_task(running)
    gone = asyncio.create_task(_hung_up(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _Gone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive) -> bytes | None:
    """The whole body, None when it is too large. Raises `_Gone`."""
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > SCRIPT_ROUTE_BYTES_MAX:
            return None
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)
