"""What every answer looks like: the envelope, and the one table from refusals to HTTP."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.core.errors import Invalid, LimitExceeded, Refused, Unavailable
from mainspring.core.rate import Left

Header = tuple[bytes, bytes]

# Code of a refusal → HTTP status. The doors' only place that knows it.
STATUS: dict[str, int] = {
    "INVALID_JSON": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "LEASE_EXPIRED": 409,
    "QUEUE_IN_USE": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "VALIDATION_FAILED": 422,
    "IDEMPOTENCY_MISMATCH": 422,
    "TARGET_FORBIDDEN": 422,
    "NEVER_FIRES": 422,
    "RATE_LIMITED": 429,
    "QUEUE_FULL": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
# What a status means, in a few words.
MEANING = {
    400: "The body is not JSON",
    401: "No key, or none that is valid",
    403: "The key lacks the scope",
    404: "No such thing in this project",
    409: "Its state does not allow it now",
    413: "The body, or a part of it, is too large",
    415: "The body is of another type than JSON",
    422: "The input means nothing that can be done",
    429: "Too much for now",
    500: "A bug of the server",
    503: "The store is away; nothing was accepted",
}
RETRYABLE = frozenset({"RATE_LIMITED", "QUEUE_FULL", "UNAVAILABLE"})

JSON_TYPE: Header = (b"content-type", b"application/json")
REPLAYED: Header = (b"idempotency-replayed", b"true")

_METADATA = b'{"request_id":"%b","latency_ms":%d,"cost_usd":0,"vendor":"mainspring","cache_hit":false%b}'
_DONE = b'{"ok":true,"data":%b,"error":null,"metadata":' + _METADATA + b"}"
_REFUSED = b'{"ok":false,"data":null,"error":%b,"metadata":' + _METADATA + b"}"

encode = msgspec.json.Encoder().encode


class Failure(msgspec.Struct, frozen=True):
    """Why there is no result: a stable code, what happened, what to do about it, and the input at fault if one is."""

    code: str
    message: str
    hint: str
    retryable: bool
    field: str | UnsetType = UNSET


class MethodNotAllowed(Invalid):
    """The path exists, but not with this method; `allow` lists those it has."""

    code = "METHOD_NOT_ALLOWED"

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"{method[:20]} is not possible here", hint=f"Use {allow}.")
        self.allow = allow


class RequestIds:
    """UUIDs of version 7 (RFC 9562 section 5.7), as ASCII text; their random parts are made many at a time."""

    def __init__(self) -> None:
        self._tails: list[bytes] = []
        self._now = -1
        self._head = b""

    def next(self, now: int) -> bytes:
        """The id of a request that began at `now` (ms)."""
        if not self._tails:
            self._tails = _random_tails(os.urandom(10 * 256).hex().encode())
        if now != self._now:
            digits = b"%012x" % now
            self._now, self._head = now, b"%b-%b-7" % (digits[:8], digits[8:])
        return self._head + self._tails.pop()


def _random_tails(digits: bytes) -> list[bytes]:
    """What follows the version, from 20 random hexadecimal digits each."""
    return [
        b"%b-%c%b-%b"
        % (digits[at : at + 3], b"89ab"[digits[at + 3] & 3], digits[at + 4 : at + 7], digits[at + 7 : at + 19])
        for at in range(0, len(digits), 20)
    ]


def status_of(refused: Refused) -> int:
    """The HTTP status of a refusal."""
    status = STATUS.get(refused.code)
    return status if status is not None else STATUS[type(refused).code]


def enveloped(data: bytes, request_id: bytes, latency_ms: int, warnings: Sequence[str] = ()) -> bytes:
    """A successful answer around the JSON of its result."""
    more = b',"warnings":' + encode(warnings) if warnings else b""
    return _DONE % (data, request_id, latency_ms, more)


def refused_body(refused: Refused, request_id: bytes, latency_ms: int) -> bytes:
    """The answer to a request that was refused."""
    failure = Failure(
        code=refused.code,
        message=refused.message,
        hint=refused.hint,
        retryable=refused.retryable,
        field=UNSET if refused.field is None else refused.field,
    )
    return _REFUSED % (encode(failure), request_id, latency_ms, b"")


def rate_headers(left: Left) -> list[Header]:
    """What a key may still do, as in draft-ietf-httpapi-ratelimit-headers-03."""
    return [
        (b"ratelimit-limit", b"%d" % left.limit),
        (b"ratelimit-remaining", b"%d" % left.remaining),
        (b"ratelimit-reset", b"%d" % left.reset_s),
    ]


def refused_headers(refused: Refused) -> list[Header]:
    """What a refusal says in headers, besides its body."""
    match refused:
        case LimitExceeded():
            seconds = refused.retry_after_s
            said = [(b"retry-after", b"%d" % seconds)]
            return said if refused.limit is None else said + rate_headers(Left(refused.limit, 0, seconds))
        case Unavailable():
            return [(b"retry-after", b"1")]
        case MethodNotAllowed():
            return [(b"allow", refused.allow.encode())]
        case _ if refused.code == "UNAUTHORIZED":
            return [(b"www-authenticate", b"Bearer")]
        case _:
            return []
