"""What the console needs from beside it: the operations of the REST API, called without a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mainspring.core.events import Event
from mainspring.core.model import Principal


class Api(Protocol):
    """One operation, by its id (`cron.pause`), with its scopes, bounds, refusals and audit log.

    `path`: the values of the path's parameters; `body`: the members of the JSON body, by name; `query`: likewise.
    Answers the operation's result struct. Raises `Refused`.
    """

    async def __call__(
        self,
        principal: Principal,
        operation: str,
        *path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        ip: str = "",
    ) -> Any: ...


# Subscribes to what happens on this node; the answer ends the subscription.
Listen = Callable[[Callable[[Event], None]], Callable[[], None]]
