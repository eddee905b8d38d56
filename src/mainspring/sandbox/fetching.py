"""`fetch` of scripts: through the guarded sender, each redirect judged like a first request."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from mainspring import __version__
from mainspring.core.errors import Invalid
from mainspring.core.headers import checked_headers
from mainspring.core.limits import RESPONSE_BYTES_MAX, SCRIPT_REDIRECTS_MAX
from mainspring.core.ports import Outcome, Request, Sender
from mainspring.sandbox.messages import Fetch, Response

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Those that belong to the connection, which scripts cannot set anywhere (Fetch, "forbidden request-header").
_DROPPED = frozenset(
    {
        "host",
        "content-length",
        "accept-encoding",
        "connection",
        "transfer-encoding",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
    }
)
# They say who is asking, so they stay with the origin that they were meant for.
_OF_ONE_ORIGIN = frozenset({"authorization", "cookie", "proxy-authorization"})


class Failed(Exception):
    """A request that came to nothing."""


async def fetch(sender: Sender, asked: Fetch, left_ms: Callable[[], int]) -> Response:
    """Send a request and follow where it leads, at most 10 times. `left_ms`: how long it may take. Raises `Failed`."""
    method, url, body = asked.method, asked.url, asked.body
    headers = _headers(asked)
    for hop in range(SCRIPT_REDIRECTS_MAX + 1):
        outcome = await sender.send(
            Request(method, url, headers, body, left_ms(), keep_bytes=RESPONSE_BYTES_MAX, want_headers=True)
        )
        if outcome.kind != "reply" or outcome.status is None:
            raise Failed(_reason(url, outcome))
        location = next((value for name, value in outcome.headers if name.lower() == "location"), None)
        if asked.redirect == "manual" or outcome.status not in _REDIRECTS or location is None:
            return Response(outcome.status, url, hop > 0, _latin(outcome.headers), outcome.body)
        if asked.redirect == "error":
            raise Failed(f"{url} leads to another place")
        onwards = _joined(url, location)
        if (outcome.status == 303 and method != "HEAD") or (outcome.status in (301, 302) and method == "POST"):
            method, body = "GET", b""
            headers = tuple(one for one in headers if not one[0].lower().startswith("content-"))
        if _origin(url) != _origin(onwards):
            headers = tuple(one for one in headers if one[0].lower() not in _OF_ONE_ORIGIN)
        url = onwards
    raise Failed(f"more than {SCRIPT_REDIRECTS_MAX} redirects")


def _headers(asked: Fetch) -> tuple[tuple[str, str], ...]:
    wanted = {name: value for name, value in asked.headers if name.lower() not in _DROPPED}
    try:
        checked = checked_headers(wanted)
    except Invalid as invalid:
        raise Failed(invalid.message) from None
    if any(name.lower() == "user-agent" for name, _ in checked):
        return checked
    return (*checked, ("User-Agent", f"Mainspring/{__version__}"))


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location).partition("#")[0]
    except ValueError:
        raise Failed("it leads to what is no URL") from None


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", url
    return parts.scheme, parts.netloc


def _reason(url: str, outcome: Outcome) -> str:
    said = outcome.error or outcome.kind
    return f"TARGET_FORBIDDEN: {said}" if outcome.kind == "forbidden" else f"{url[:200]}: {said}"


def _latin(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Values as scripts know them: each letter one byte."""
    return tuple((name, value.encode("utf-8", "surrogateescape").decode("latin-1")) for name, value in headers)
