"""The console as one ASGI application: who is calling, then the page, and all that holds for every page."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, get_args
from urllib.parse import unquote, urlsplit
from zlib import crc32

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from mainspring.core.errors import Forbidden, Refused, TooLarge, Unauthorized
from mainspring.core.limits import BODY_BYTES_MAX, MINUTE
from mainspring.core.model import Key
from mainspring.core.ports import Core
from mainspring.core.rate import Allowance, Buckets
from mainspring.doors.console import preferences
from mainspring.doors.console.answers import Files, guarded, status_of
from mainspring.doors.console.api import Api, Listen
from mainspring.doors.console.nouns import PAGES
from mainspring.doors.console.pulse import Pulse
from mainspring.doors.console.render import STATIC, Pages
from mainspring.doors.console.routing import Method, Page
from mainspring.doors.console.session import COOKIE, LIFE, Session, Sessions
from mainspring.doors.console.visit import Note, Visit, fields_of, nothing_here
from mainspring.doors.facts import Facts

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_NOTE = "mainspring_note"
_NOTE_PURPOSE = "console note"
_SIGN_INS = Allowance(20, MINUTE)


class Console:
    """Answers everything under /console.

    `api`: the operations of the REST API; `listen`: subscribes to events; `observe`: (operation, status,
    microseconds); `report`: an unexpected error; `server_zone`: an IANA name; `facts`: what the process knows of
    itself.
    """

    def __init__(
        self,
        *,
        core: Core,
        api: Api,
        clock: Callable[[], int],
        ticks: Callable[[], int],
        listen: Listen,
        observe: Callable[[str, int, int], None],
        report: Callable[[BaseException, str], None],
        root_path: str,
        server_zone: str,
        facts: Facts,
    ) -> None:
        self._core = core
        self._api = api
        self._clock = clock
        self._ticks = ticks
        self._observe = observe
        self._report = report
        self._server_zone = server_zone
        self._facts = facts
        self._started_at = clock()
        self._pages = Pages(root_path)
        self.base = self._pages.base
        self._sessions = Sessions(core)
        self._pulse = Pulse(listen)
        self._tries = Buckets(_SIGN_INS)
        self._app = guarded(
            Starlette(
                routes=[
                    Mount("/static", Files(directory=STATIC)),
                    Route("/sign-in", self._whole(self._sign_in), methods=["GET", "POST"]),
                    Route("/sign-out", self._whole(self._sign_out), methods=["POST"]),
                    Route("/preferences", self._whole(self._prefer), methods=["POST"]),
                    Route("/pulse", self._whole(self._beat)),
                    *(Route(page.path, self._whole(self._page(page)), methods=[page.method]) for page in PAGES),
                    Route("/{rest:path}", self._whole(_nowhere), methods=list(get_args(Method))),
                ]
            )
        )

    async def answer(self, scope: Scope, path: bytes, receive: Receive, send: Send) -> None:
        """Answer one request; `path` is the raw one, without the root path."""
        started = self._ticks()
        inner = unquote(path.decode("latin-1")).removeprefix("/console") or "/"
        status = 499

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app({**scope, "path": inner, "raw_path": inner.encode(), "root_path": ""}, receive, sending)
        self._observe("console", status, (self._ticks() - started) // 1000)

    def offer(self, key: Key) -> str:
        """The path of a link that signs in whoever follows it first, as the holder of this key."""
        return f"{self.base}/sign-in?code={self._sessions.offer(self._clock(), key)}"

    def _whole(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A handler whose refusals and bugs become pages."""

        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request)
            except Refused as refused:
                return self._bare("refused.html", request, status_of(refused), refused=refused)
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception as error:  # noqa: BLE001  # a bug of ours must not reach the caller, and must be told
                self._report(error, "")
                bug = Refused("something went wrong on this server", hint="The log has more.")
                return self._bare("refused.html", request, 500, refused=bug)

        return endpoint

    def _page(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Who is signed in, the form's token, the page, and what the next one has to say."""

        async def endpoint(request: Request) -> Response:
            now = self._clock()
            session = self._sessions.read(request.cookies.get(COOKIE))
            try:
                if session is None:
                    raise Unauthorized("nobody is signed in")
                principal = await self._sessions.principal(now, session)
            except Unauthorized:
                return self._ask_who(request)
            visit = Visit(
                request=request,
                principal=principal,
                session=session,
                preferences=preferences.preferences_of(request),
                core=self._core,
                api=self._api,
                pages=self._pages,
                now=now,
                base=self.base,
                server_zone=self._server_zone,
                clock=self._clock,
                facts=self._facts,
                started_at=self._started_at,
                fields=[],
                note=self._note_of(request),
            )
            if page.method == "GET":
                return await self._got(page, visit)
            return await self._posted(page, visit)

        return endpoint

    async def _got(self, page: Page, visit: Visit) -> Response:
        try:
            response = await page.handler(visit)
        except Refused as refused:
            response = visit.show("refusal.html", status_of(refused), refused=refused, said=visit.refused(refused))
        if visit.note is not None:
            response.delete_cookie(_NOTE, path=self.base)
        return response

    async def _posted(self, page: Page, visit: Visit) -> Response:
        visit.note = None
        visit.fields = await _form(visit.request)
        sent = visit.form.get("csrf") or visit.request.headers.get("x-csrf-token", "")
        _check_origin(visit.request)
        if not hmac.compare_digest(sent.encode("utf-8", "replace"), visit.session.csrf.encode()):
            raise Forbidden("the form is too old or not from this console", hint="Reload the page and try again.")
        try:
            response = await page.handler(visit)
        except Refused as refused:
            visit.note = Note("failed", visit.refused(refused))
            response = RedirectResponse(visit.url(visit.whence("")), 303)
        if visit.note is not None:
            kept = self._core.vault.seal(msgspec.json.encode(visit.note), _NOTE_PURPOSE).hex()
            response.set_cookie(_NOTE, kept, max_age=60, path=self.base, httponly=True, samesite="lax")
        return response

    def _note_of(self, request: Request) -> Note | None:
        try:
            kept = bytes.fromhex(request.cookies.get(_NOTE, ""))
            return msgspec.json.decode(self._core.vault.unseal(kept, _NOTE_PURPOSE), type=Note) if kept else None
        except (Refused, ValueError):
            return None

    def _bare(self, template: str, request: Request, status: int, **values: Any) -> Response:
        chosen = preferences.preferences_of(request)
        text = self._pages.bare(template, chosen.language, chosen.theme, **values)
        return HTMLResponse(text, status)

    def _ask_who(self, request: Request, failed: str | None = None) -> Response:
        """The page to sign in on; a part of a page that asks for itself makes the browser load it whole."""
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"hx-refresh": "true"})
        inner = request.url.path
        status = 401 if failed or inner != "/" else 200
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        onward = wanted if request.method == "GET" and inner != "/sign-in" else "/"
        return self._bare("sign_in.html", request, status, onward=onward, failed=failed)

    async def _sign_in(self, request: Request) -> Response:
        now = self._clock()
        if request.method in ("GET", "HEAD"):
            code = request.query_params.get("code")
            if code is None:
                return RedirectResponse(self.base, 303)
            return self._signed_in(request, self._sessions.redeem(now, code), "/")
        _check_origin(request)
        self._tries.take(crc32((request.client.host if request.client else "").encode()), now)
        form = dict(await _form(request))
        try:
            session = await self._sessions.sign_in(now, form.get("credential", "").strip())
        except Unauthorized:
            return self._ask_who(request, failed="That is no valid key or token.")
        onward = form.get("onward", "/")
        return self._signed_in(request, session, onward if onward.startswith("/") and onward[1:2] not in "/\\" else "/")

    def _signed_in(self, request: Request, session: Session, onward: str) -> Response:
        response = RedirectResponse(self.base + onward.removesuffix("/"), 303)
        response.set_cookie(
            COOKIE,
            self._sessions.cookie(session),
            max_age=LIFE // 1000,
            path=self.base,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    async def _sign_out(self, request: Request) -> Response:
        _check_origin(request)
        response = RedirectResponse(self.base, 303)
        response.delete_cookie(COOKIE, path=self.base)
        return response

    async def _prefer(self, request: Request) -> Response:
        _check_origin(request)
        form = dict(await _form(request))
        back = form.get("back", self.base)
        inside = back.startswith(self.base) and urlsplit(back).netloc == ""
        response = RedirectResponse(back if inside else self.base, 303)
        preferences.keep(response, preferences.preferences_of(request), form, self.base)
        return response

    async def _beat(self, request: Request) -> Response:
        session = self._sessions.read(request.cookies.get(COOKIE))
        if session is None:
            raise Unauthorized("nobody is signed in")
        await self._sessions.principal(self._clock(), session)
        self._pulse.check()
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._pulse.beats(), media_type="text/event-stream", headers=headers)


async def _nowhere(request: Request) -> Response:
    raise nothing_here()


async def _form(request: Request) -> list[tuple[str, str]]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise TooLarge("the form is too large", hint="Send less.")
    return fields_of(bytes(body))


def _check_origin(request: Request) -> None:
    """Only this console's own pages may send forms, and browsers say where a form comes from. Raises `Forbidden`.

    Over plain HTTP they only name the origin; its port is not compared, because proxies often leave it out of `Host`.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    host = urlsplit("//" + request.headers.get("host", "")).hostname
    if site is None and origin is not None:
        site = "same-origin" if urlsplit(origin).hostname == host else "cross-site"
    if site not in (None, "same-origin", "none"):
        raise Forbidden("the form comes from another site", hint="Open the console and send it from there.")
