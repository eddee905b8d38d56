"""One row of the table of methods, and one call on its way to its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from mainspring.core.permissions import Permission, Scope
from mainspring.core.ports import Core
from mainspring.doors.jsonrpc.credentials import Credentials, TokenPrincipal

P = TypeVar("P", bound=msgspec.Struct)


class Subscription(Protocol):
    """A stream of events over one socket, `id` being what its events carry."""

    id: int

    async def send(self, item: object) -> bool:
        """Send one event, not before the answer that made the subscription known; False once it is over."""
        ...

    def end(self) -> None:
        """No more events; its `ended` is told."""
        ...


class Session(Protocol):
    """One socket."""

    def subscribe(self, method: str, ended: Callable[[], None]) -> Subscription:
        """Open a subscription; `ended` is called once, when it is cancelled, ended, or the socket closes.

        Raises `RpcError` when the socket has too many.
        """
        ...

    def unsubscribe(self, subscription: int) -> bool:
        """Cancel one of this socket's subscriptions; False when it has none with this id."""
        ...


class Call(msgspec.Struct, Generic[P], frozen=True):
    """A call with its parameters. `session`: the socket that it came over, None over HTTP; `dice`: random bytes;
    `ip`: where it came from; `counted`: the tokens that it has been counted for, None when it counts for none."""

    core: Core
    now: int
    params: P
    credentials: Credentials
    dice: Callable[[int], bytes]
    session: Session | None = None
    ip: str = ""
    counted: set[int] | None = None

    async def principal(self, token: str) -> TokenPrincipal:
        """Whose token this is; one call of theirs, however often it asks. Raises `RpcError`: 101 for a token that has
        no known form, 102 for one nobody has; `LimitExceeded` when they call more often than they may."""
        found = await self.credentials.principal(self.now, token)
        if self.counted is not None and found.key.id not in self.counted:
            self.counted.add(found.key.id)
            self.credentials.count(self.now, found)
        return found

    async def allows(self, token: str, scopes: Sequence[Scope], permissions: Sequence[Permission]) -> bool:
        """Whether its principal may do all of these in all of those scopes, now. Raises as `principal` does."""
        return (await self.principal(token)).allows(self.now, scopes, permissions)


Handler = Callable[[Call[Any]], Awaitable[Any]]


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a caller can do.

    `params`: a struct, whose order is that of parameters by position. `result`: its type. `permission`: in words, what
    the token needs, None when there is no token. `over_socket`: only there (a subscription). `errors_twice`: errors
    repeat themselves as a JSON text in `data`. `waits`: may take long, and is given up when the caller hangs up.
    `counted`: whether it counts towards RATE_LIMIT. What agents send does not: it comes as the server asks for it, or
    at a pace of its own, and agents do not send again what was refused.
    """

    name: str
    summary: str
    params: type[msgspec.Struct]
    result: Any
    permission: str | None
    handler: Handler
    over_socket: bool = False
    errors_twice: bool = False
    waits: bool = False
    counted: bool = True
