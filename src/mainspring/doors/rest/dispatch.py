"""The /v1 application: find the operation, know the caller, read the request, hand it over, wrap what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from msgspec import Raw, Struct

from mainspring.core import tokens
from mainspring.core.errors import Invalid, Refused, TooLarge, Unavailable
from mainspring.core.idempotency import Replay, check_key
from mainspring.core.limits import BODY_BYTES_MAX
from mainspring.core.model import Principal
from mainspring.core.ports import Core
from mainspring.doors.rest import calls
from mainspring.doors.rest.answers import (
    JSON_TYPE,
    REPLAYED,
    Header,
    RequestIds,
    encode,
    enveloped,
    rate_headers,
    refused_body,
    refused_headers,
    status_of,
)
from mainspring.doors.rest.callers import bearer_of, ip_of, is_local, names_this_machine
from mainspring.doors.rest.calls import Call, Handler, Key, Origin
from mainspring.doors.rest.operations import OPERATIONS
from mainspring.doors.rest.reading import SAID_BY_PATH, WARNINGS_MAX, fingerprint, members_of, query_pairs, text_of
from mainspring.doors.rest.requests import Nothing
from mainspring.doors.rest.routes import Place, Route, Router, nothing_here

Scope = MutableMapping[str, Any]
Receive = calls.Receive
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

UNKNOWN = "unknown"
_NOBODY = Principal(key_id=0, project="", scopes=frozenset())
_NOTHING = Nothing()
_NO_FIELDS: frozenset[str] = frozenset()
_Read = tuple[Any, Key | None, list[str]]
_NO_BODY: _Read = (_NOTHING, None, [])


class Gone(Exception):
    """The caller hung up before the whole request was here; nobody waits for an answer."""


class Rest:
    """The REST door. `clock` is now in ms, `ticks` a monotonic clock in ns, `observe` takes microseconds."""

    def __init__(
        self,
        *,
        core: Core,
        auth: tokens.AuthCache,
        clock: Callable[[], int],
        ticks: Callable[[], int],
        observe: Callable[[str, int, int], None],
        report: Callable[[BaseException, str], None],
        primary_key: str | None,
    ) -> None:
        self._core = core
        self._auth = auth
        self._clock = clock
        self._ticks = ticks
        self._observe = observe
        self._report = report
        self._primary_key = primary_key
        self._request_ids = RequestIds()
        self._router = Router(row for row in OPERATIONS if primary_key is not None or not row.dev)

    async def answer(self, scope: Scope, path: bytes, receive: Receive, send: Send) -> None:
        """Answer one request; `path` is the raw one, without the root path."""
        started = self._ticks()
        now = self._clock()
        request_id = self._request_ids.next(now)
        method = scope["method"]
        name = UNKNOWN
        principal = _NOBODY
        extra: list[Header] = []
        try:
            place, values = self._router.find(path)
            if method == "OPTIONS":
                return await _options(place, request_id, send)
            route = place.route(method)
            name = route.name
            headers: Mapping[bytes, bytes] = dict(scope["headers"])
            if route.dev and not (is_local(scope) and names_this_machine(headers)):
                raise nothing_here()
            if not route.public:
                principal = await self._auth.principal(now, bearer_of(headers))
            if route.scopes:
                tokens.require(principal, *route.scopes)
                tokens.require_not_barred(principal, name)
            query = _NOTHING if route.query is None else route.query.from_query(scope["query_string"])
            body, key, warnings = (
                _NO_BODY if route.body is None else await _read(route, values, headers, scope, receive)
            )
            origin = Origin(name, ip_of(scope), request_id.decode()) if route.audited else None
            primary = self._primary_key
            call = Call(self._core, self._auth, now, principal, values, body, query, key, primary, receive, origin)
            result = await (route.handler(call) if key is None else _once(route.handler, call))
            if isinstance(result, Replay):
                data = call.replayed(result)
                extra = [REPLAYED]
            else:
                data = encode(result)
            status = 200
            took = self._ticks() - started
            answer = data if route.bare else enveloped(data, request_id, took // 1_000_000, warnings)
        except Gone:
            return
        except Exception as error:  # noqa: BLE001  # a bug of ours must not reach the caller, and must be told
            refused = error if isinstance(error, Refused) else self._bug(error, request_id)
            status, extra = status_of(refused), refused_headers(refused)
            took = self._ticks() - started
            answer = refused_body(refused, request_id, took // 1_000_000)
        sent = [JSON_TYPE, (b"content-length", b"%d" % len(answer)), (b"x-request-id", request_id), *extra]
        if self._auth.buckets is not None and principal is not _NOBODY:
            sent += rate_headers(self._auth.buckets.left(principal.key_id, now))
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer})
        self._observe(name, status, took // 1000)

    def _bug(self, error: Exception, request_id: bytes) -> Refused:
        self._report(error, request_id.decode())
        return Refused(
            "something went wrong on this server", hint="Tell its operator the request_id; the log has more."
        )


async def _read(
    route: Route, values: tuple[str, ...], headers: Mapping[bytes, bytes], scope: Scope, receive: Receive
) -> _Read:
    """The body of a write as its struct, its idempotency key, and what was ignored."""
    assert route.body is not None
    members = await _members(headers, receive)
    key: Key | None = None
    if route.idempotent:
        chosen = _chosen_key(headers, members.pop("idempotency_key", None), scope["query_string"])
        if chosen is not None:
            key = Key(":".join((route.name, *values)).replace("\x00", ""), chosen, fingerprint(members))
    body, unknown = route.body.from_members(members, SAID_BY_PATH if values else _NO_FIELDS)
    return body, key, [f"unknown field: {field}" for field in unknown[:WARNINGS_MAX]]


async def _once(handler: Handler, call: Call[Any, Any]) -> Struct | Replay:
    """As the handler; a refusal gives way to the first answer to this key: its object may have changed since."""
    try:
        return await handler(call)
    except Unavailable:
        # Not asked again: a store that is gone by now would say that nothing was accepted, of a commit left open.
        raise
    except Refused:
        if (first := await call.recall()) is None:
            raise
        return first


def _chosen_key(headers: Mapping[bytes, bytes], said: Raw | None, query: bytes) -> str | None:
    """The idempotency key: of the header, else body, else query. Raises `Invalid` for a bad one in any of them."""
    in_body = None if said is None else text_of("idempotency_key", said)
    in_header = headers.get(b"idempotency-key")
    found = [
        None if in_header is None else in_header.decode("latin-1"),
        in_body,
        dict(query_pairs(query)).get("idempotency_key") if query else None,
    ]
    keys = [_usable(key) for key in found if key is not None]
    return keys[0] if keys else None


def _usable(key: str) -> str:
    if "\x00" in key:
        raise Invalid("idempotency_key holds a NUL character", hint="Remove it.", field="idempotency_key")
    return check_key(key)


async def _members(headers: Mapping[bytes, bytes], receive: Receive) -> dict[str, Raw]:
    body = await body_of(headers, receive)
    if body:
        _check_type(headers)
    return members_of(body)


async def body_of(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """The whole body. Raises `TooLarge` as soon as it is known to be, `Gone`."""
    if int(headers.get(b"content-length", b"0")) > BODY_BYTES_MAX:
        raise _too_large()
    message = await receive()
    body = _chunk(message)
    if message.get("more_body", False):
        chunks, size = [body], len(body)
        while message.get("more_body", False):
            if size > BODY_BYTES_MAX:
                raise _too_large()
            message = await receive()
            chunk = _chunk(message)
            chunks.append(chunk)
            size += len(chunk)
        body = b"".join(chunks)
    if len(body) > BODY_BYTES_MAX:
        raise _too_large()
    return body


def _chunk(message: MutableMapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise Gone
    chunk: bytes = message.get("body", b"")
    return chunk


def _check_type(headers: Mapping[bytes, bytes]) -> None:
    """Raises `Invalid` for a type that is not JSON; none at all is taken for JSON."""
    given = headers.get(b"content-type", b"application/json")
    if given != b"application/json":
        kind = given.partition(b";")[0].strip().lower()
        if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
            raise Invalid(
                "the content type is not JSON",
                hint="Send Content-Type: application/json.",
                code="UNSUPPORTED_MEDIA_TYPE",
            )
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Invalid("the body is compressed", hint="Send it without Content-Encoding.", code="UNSUPPORTED_MEDIA_TYPE")


def _too_large() -> TooLarge:
    return TooLarge(f"the body is larger than {BODY_BYTES_MAX} bytes", hint="Send less, or a reference to the data.")


async def _options(place: Place, request_id: bytes, send: Send) -> None:
    headers = [(b"allow", place.allow.encode()), (b"x-request-id", request_id)]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
