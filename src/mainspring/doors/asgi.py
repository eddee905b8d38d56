"""The one ASGI application: pages by exact path, doors by the first part of the path."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import cache

import msgspec

from mainspring.core import tokens
from mainspring.core.errors import NotFound, Refused, Unavailable
from mainspring.core.model import Key
from mainspring.core.ports import Core
from mainspring.doors.console.api import Listen
from mainspring.doors.console.console import Console
from mainspring.doors.crontab.routes import Crontab
from mainspring.doors.entrance import Refusal
from mainspring.doors.facts import Facts
from mainspring.doors.jsonrpc import http, openrpc
from mainspring.doors.jsonrpc.credentials import Credentials
from mainspring.doors.jsonrpc.dispatch import Rpc
from mainspring.doors.jsonrpc.routes import PREFIXES, Routes
from mainspring.doors.jsonrpc.websocket import Socket
from mainspring.doors.rest.answers import JSON_TYPE, encode
from mainspring.doors.rest.callers import is_local, names_this_machine
from mainspring.doors.rest.cors import LOOPBACK, App, Cors
from mainspring.doors.rest.dispatch import Gone, Receive, Rest, Scope, Send, body_of
from mainspring.doors.rest.inside import Inside
from mainspring.doors.rest.pages import Page, Pages, answer, healthz, refuse

Mounted = Callable[[Scope, bytes, Receive, Send], Awaitable[None]]
# What belongs to doors that a node may lack, and is never for JSON-RPC.
_RESERVED = (b"/console", b"/worker-route")
_OF_EVERY_NODE = (b"/healthz", b"/readyz", b"/metrics")


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the doors are handed.

    `clock`: now in ms UTC; `ticks`: a monotonic clock in ns, else `clock` stands in. `ready`: None, or the reason why
    not. `metrics`: the Prometheus text. `observe`: (operation, status, microseconds) of each answer. `report`: an
    unexpected error and its request id. `echo`: what /dev/echo received (method, path, headers, body). `primary_key`:
    what /v1/activate gives away on a development server. `elsewhere`: what the API answers on a node that does not
    serve it; its health, readiness and metrics are answered all the same. `rpc`: is given what answers the JSON-RPC of
    scripts. `listen`: subscribes to events; `server_zone`: the zone of the machine. `sign_in`: is given what makes
    links that sign in to the console; `facts`: what the process knows of itself. `crontab_key`: whether /crontab needs
    a key; `crontab_timezone`: the zone of its times; `crontab_string`: whether it answers `data` as a string.
    """

    core: Core
    auth: tokens.AuthCache
    clock: Callable[[], int]
    ready: Callable[[], Awaitable[str | None]]
    metrics: Callable[[], bytes]
    observe: Callable[[str, int, int], None]
    report: Callable[[BaseException, str], None]
    ticks: Callable[[], int] | None = None
    dev: bool = False
    echo: Callable[[str, str, dict[str, str], bytes], None] | None = None
    cors_origins: tuple[str, ...] = ()
    root_path: str = ""
    primary_key: str | None = None
    elsewhere: Unavailable | None = None
    rpc: Callable[[Callable[[bytes], Awaitable[bytes]]], None] | None = None
    crontab_key: bool = True
    crontab_timezone: str = "UTC"
    crontab_string: bool = False
    listen: Listen = lambda _: lambda: None
    server_zone: str = "UTC"
    sign_in: Callable[[Callable[[Key], str]], None] | None = None
    facts: Facts = Facts()


def build(door: Door) -> App:
    """The application that the server runs."""
    app: App = _Application(door)
    origins = door.cors_origins or ((LOOPBACK,) if door.dev else ())
    return Cors(app, origins, apart=PREFIXES) if origins else app


class _Application:
    def __init__(self, door: Door) -> None:
        self._report = door.report
        self._echo = door.echo
        root_path = door.root_path.rstrip("/")
        self._root = root_path.encode()
        clock = door.clock
        self._pages = Pages(auth=door.auth, clock=clock, ready=door.ready, metrics=door.metrics, root_path=root_path)
        rest = Rest(
            core=door.core,
            auth=door.auth,
            clock=clock,
            ticks=door.ticks or (lambda: clock() * 1_000_000),
            observe=door.observe,
            report=door.report,
            primary_key=door.primary_key if door.dev else None,
        )
        self._rpc = _jsonrpc(door)
        if door.rpc is not None:
            door.rpc(self._rpc.of_script)
        self._routes = _routes(door)
        self._pages.by_path[b"/openrpc.json"] = _document_page(root_path)
        # The doors, by the first part of the path; what no door owns is for JSON-RPC.
        self._doors: dict[bytes, Mounted] = {b"/v1": rest.answer, b"/crontab": _crontab(door).answer}
        self._doors[b"/worker-route"] = self._routes.answer
        console = _console(door)
        self._doors[b"/console"] = console.answer
        self._pages.by_path[b"/"] = _to(console.base)
        if door.sign_in is not None:
            door.sign_in(console.offer)
        if door.dev and door.echo is not None:
            self._doors[b"/dev"] = self._echo_door
        self._refusal: Refusal | None = None
        if door.elsewhere is not None:
            self._doors = {}
            self._refusal = Refusal(door.elsewhere, clock)
            self._pages.by_path = {path: self._pages.by_path[path] for path in _OF_EVERY_NODE}
        self._owned = {*_RESERVED, *self._pages.by_path} - {b"/"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await self._socket(scope, receive, send)
        if scope["type"] != "http":
            return await _not_http(receive, send)
        path = scope["raw_path"]
        if path == b"/healthz" and scope["method"] == "GET":
            return await healthz(scope, receive, send)
        while self._root and (path == self._root or path.startswith(self._root + b"/")):
            path = path[len(self._root) :] or b"/"
        end = path.find(b"/", 1)
        mounted = self._doors.get(path if end < 0 else path[:end])
        if mounted is not None:
            return await mounted(scope, path, receive, send)
        try:
            page = self._pages.by_path.get(path)
            if page is None and self._refusal is not None:
                return await self._refusal(scope, receive, send)
            if path == b"/" and scope["method"] == "POST":
                return await http.answer(self._rpc, scope, receive, send)
            if path.startswith(PREFIXES):
                return await self._routes.answer(scope, path, receive, send)
            if page is None and (path if end < 0 else path[:end]) not in self._owned:
                return await http.answer(self._rpc, scope, receive, send)
            if page is None:
                raise NotFound("there is nothing at this path", hint="The API is listed under /docs.")
            await self._pages.serve(page, scope, receive, send)
        except Refused as refused:
            await refuse(scope, send, refused)
        except Exception as error:  # noqa: BLE001  # a bug of ours must not reach the caller, and must be told
            self._report(error, "")
            await refuse(scope, send, Refused("something went wrong on this server", hint="The log has more."))

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A socket, on any path, is for JSON-RPC."""
        if self._refusal is not None:
            return await self._refusal(scope, receive, send)
        await Socket(self._rpc, send, http.ip_of(scope)).serve(receive)

    async def _echo_door(self, scope: Scope, path: bytes, receive: Receive, send: Send) -> None:
        """Show what arrives at /dev/echo, and send it back."""
        assert self._echo is not None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            if path != b"/dev/echo":
                raise NotFound("there is nothing at this path", hint="The echo is at /dev/echo.")
            body = await body_of(dict(scope["headers"]), receive)
        except Refused as refused:
            return await refuse(scope, send, refused)
        except Gone:
            return
        shown = path.decode("latin-1")
        self._echo(scope["method"], shown, headers, body)
        received = {"method": scope["method"], "path": shown, "headers": headers, "body": body.decode(errors="replace")}
        await answer(scope, send, 200, [JSON_TYPE], encode(received))


def _document_page(root_path: str) -> Page:
    body = cache(lambda: encode(openrpc.document(root_path)))

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send, 200, [JSON_TYPE], body())

    return page


def _to(path: str) -> Page:
    """A page that only says where to go."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send, 303, [(b"location", path.encode())], b"")

    return page


def _console(door: Door) -> Console:
    return Console(
        core=door.core,
        api=Inside(door.core, door.auth, door.clock),
        clock=door.clock,
        ticks=door.ticks or (lambda: door.clock() * 1_000_000),
        listen=door.listen,
        observe=door.observe,
        report=door.report,
        root_path=door.root_path.rstrip("/"),
        server_zone=door.server_zone,
        facts=door.facts,
    )


def _jsonrpc(door: Door) -> Rpc:
    return Rpc(
        core=door.core,
        credentials=Credentials(door.core, door.auth),
        clock=door.clock,
        ticks=door.ticks or (lambda: door.clock() * 1_000_000),
        observe=door.observe,
        report=door.report,
        dice=os.urandom,
    )


def _routes(door: Door) -> Routes:
    ticks = door.ticks or (lambda: door.clock() * 1_000_000)
    return Routes(door.core, door.clock, ticks, door.observe)


def _crontab(door: Door) -> Crontab:
    return Crontab(
        core=door.core,
        auth=door.auth,
        clock=door.clock,
        ticks=door.ticks or (lambda: door.clock() * 1_000_000),
        observe=door.observe,
        report=door.report,
        read=_body_if_there,
        is_local=_is_local_program,
        with_key=door.crontab_key,
        zone=door.crontab_timezone,
        data_as_string=door.crontab_string,
    )


async def _body_if_there(headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
    try:
        return await body_of(headers, receive)
    except Gone:
        return None


def _is_local_program(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """From this machine, and not by way of a page in its browser: those send an Origin with every POST."""
    return b"origin" not in headers and is_local(scope) and names_this_machine(headers)


async def _not_http(receive: Receive, send: Send) -> None:
    """The server's own start and stop is acknowledged."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
