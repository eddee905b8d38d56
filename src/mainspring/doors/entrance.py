"""Where every request comes in: answered from the first moment on, by the real application once there is one.

While the store is being opened and migrated the process is alive (/healthz) but not ready, and what it cannot do yet is
refused as it is while the database is away: nothing was accepted, try again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mainspring.core.errors import Refused, Unavailable
from mainspring.doors.rest.answers import JSON_TYPE, RequestIds, encode, refused_body, refused_headers, status_of
from mainspring.doors.rest.cors import App
from mainspring.doors.rest.dispatch import Receive, Scope, Send
from mainspring.doors.rest.pages import answer, healthz, refuse

STARTING = Unavailable("the server is starting", hint="Try again in a moment; nothing was accepted.")


def elsewhere(roles: frozenset[str]) -> Unavailable:
    """For callers of the API on a node without it: 503, not 404, for what they want exists, and may be asked again."""
    return Unavailable(
        f"this node does not serve the API; its roles: {', '.join(sorted(roles))}",
        hint="Send it to a node with the role api; nothing was accepted.",
    )


class Entrance:
    """One application for the whole life of the process. `open` puts the real one in its place."""

    def __init__(self, clock: Callable[[], int], root_path: str = "") -> None:
        self._app: App = _Starting(clock, root_path)

    def open(self, app: App) -> None:
        """From the next request on, `app` answers."""
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._app(scope, receive, send)


class _Starting:
    """Alive, and nothing else yet."""

    def __init__(self, clock: Callable[[], int], root_path: str) -> None:
        self._refusal = Refusal(STARTING, clock)
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await self._refusal(scope, receive, send)
        match scope["path"].removeprefix(self._root):
            case "/healthz":
                await healthz(scope, receive, send)
            case "/readyz":
                body = encode({"status": "unavailable", "reason": "starting"})
                await answer(scope, send, 503, [JSON_TYPE, *refused_headers(STARTING)], body)
            case _:
                await self._refusal(scope, receive, send)


class Refusal:
    """Answers every request with one refusal, under /v1 in the envelope that its clients read."""

    def __init__(self, refused: Refused, clock: Callable[[], int]) -> None:
        self._refused = refused
        self._clock = clock
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await _turn_away(self._refused, receive, send)
        if "/v1/" not in scope["path"]:
            return await refuse(scope, send, self._refused)
        body = refused_body(self._refused, self._ids.next(self._clock()), 0)
        await answer(scope, send, status_of(self._refused), [JSON_TYPE, *refused_headers(self._refused)], body)


async def _turn_away(refused: Refused, receive: Receive, send: Send) -> None:
    """Answer the request for a socket with the refusal instead."""
    await receive()
    headers = [JSON_TYPE, *refused_headers(refused)]
    await send({"type": "websocket.http.response.start", "status": status_of(refused), "headers": headers})
    await send({"type": "websocket.http.response.body", "body": encode({"error": refused.message})})
