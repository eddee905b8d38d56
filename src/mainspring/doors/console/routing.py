"""Which function answers which path: each noun has a table of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import msgspec
from starlette.responses import Response

from mainspring.doors.console.visit import Visit

Method: TypeAlias = Literal["GET", "POST"]
Handler = Callable[[Visit], Awaitable[Response]]


class Page(msgspec.Struct, frozen=True):
    """One page or one action. `path` within the console, with Starlette's parameters: `/schedules/{id}`.

    A POST has been checked for the session's own token before its handler is called; a `Refused` that the handler lets
    go becomes a note on the page that the form named as `back`, for a GET an error page.
    """

    method: Method
    path: str
    handler: Handler
