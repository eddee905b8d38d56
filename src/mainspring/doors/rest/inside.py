"""The operations without a socket: for callers within this process, who are authenticated already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import urlencode

import msgspec

from mainspring.core import tokens
from mainspring.core.idempotency import Replay
from mainspring.core.model import Principal
from mainspring.core.ports import Core
from mainspring.doors.rest.answers import RequestIds
from mainspring.doors.rest.calls import Call, Origin
from mainspring.doors.rest.operations import OPERATIONS
from mainspring.doors.rest.reading import SAID_BY_PATH, members_of
from mainspring.doors.rest.requests import Nothing
from mainspring.doors.rest.routes import Route

_NOTHING = Nothing()


class Inside:
    """Any operation, by its id. Scopes, bounds, refusals and the audit log are those of a request over HTTP."""

    def __init__(self, core: Core, auth: tokens.AuthCache, clock: Callable[[], int]) -> None:
        self._core = core
        self._auth = auth
        self._clock = clock
        self._request_ids = RequestIds()
        self._routes = {row.id: Route(row) for row in OPERATIONS if not row.dev}

    async def __call__(
        self,
        principal: Principal,
        operation: str,
        *path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        ip: str = "",
    ) -> Any:
        """The operation's result. `path`: the values of the path's parameters; `body`: the members of the JSON body,
        of which `msgspec.Raw` ones are JSON already. Raises `Refused`, `KeyError` for an operation that is not there.
        """
        route = self._routes[operation]
        now = self._clock()
        if route.scopes:
            tokens.require(principal, *route.scopes)
            tokens.require_not_barred(principal, operation)
        asked = _NOTHING if route.query is None else route.query.from_query(urlencode(query or {}).encode())
        given: Any = _NOTHING
        if route.body is not None:
            members = members_of(msgspec.json.encode(body or {}))
            given, _ = route.body.from_members(members, SAID_BY_PATH if path else frozenset())
        origin = Origin(operation, ip, self._request_ids.next(now).decode()) if route.audited else None
        call = Call(self._core, self._auth, now, principal, path, given, asked, None, None, _nobody, origin)
        result = await route.handler(call)
        assert not isinstance(result, Replay), "there was no idempotency key"
        return result


async def _nobody() -> NoReturn:
    raise AssertionError("an operation within the process waits for nobody")
