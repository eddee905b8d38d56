"""What the store asks of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any, Literal, ParamSpec, Protocol, TypeVar

from mainspring.core.errors import Unavailable
from mainspring.store.sqlfile import Dialect

Row = tuple[Any, ...]
Durability = Literal["now", "soon"]
"""When a commit must be on disk: `now`, before its block ends; `soon`, within milliseconds and with nobody waiting.
Databases may always do it now."""

COLLISIONS_MAX = 5

P = ParamSpec("P")
R = TypeVar("R")


class Away(Unavailable):
    """The database cannot be reached now, or was lost during a commit: the same again, now, would not fare better, and
    what was tried may have been kept."""


class Collided(Exception):
    """The database undid a transaction in favour of another one (a deadlock); nothing of it was kept."""


def again_after_collisions(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Run a store method anew when its transaction collided, a few times; then `Unavailable`.

    For methods that leave nothing behind in memory when they raise.
    """

    @wraps(method)
    async def repeated(*args: P.args, **kwargs: P.kwargs) -> R:
        tries = 0
        while True:
            try:
                return await method(*args, **kwargs)
            except Collided as collided:
                tries += 1
                if tries >= COLLISIONS_MAX:
                    raise Unavailable(
                        "other writes were in the way of this one", hint="Try again; nothing was kept."
                    ) from collided

    return repeated


class Tx(Protocol):
    """One transaction: all or nothing."""

    async def fetch(self, query: str, **scalars: object) -> list[Row]:
        """Run one named query; returns its rows (empty when it has none)."""
        ...

    async def fetch_in(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        """Run one named query once, with the set `rows` as its table (may be empty; a row may come back twice)."""
        ...

    async def many(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        """Run one named statement over `rows`, in as few steps as the database likes; returns all rows returned."""
        ...

    async def each(self, query: str, rows: Sequence[Sequence[object]]) -> list[Row]:
        """Run one named query for each of `rows` by itself, in as few steps as the database can."""
        ...

    async def hold(self, query: str, rows: Sequence[Sequence[object]] = (), **scalars: object) -> list[Row]:
        """Keep other nodes off until the end: one named query of those that only a shared database has. A database
        with one writer does nothing and returns nothing."""
        ...


class Db(Protocol):
    """One database. Raises `errors.Unavailable` when it cannot be reached or cannot promise durability."""

    dialect: Dialect
    commit_lag_ms: int
    """How long after the `now` it was made with a write may become visible to others of this process, as a rule."""

    def transaction(self, durability: Durability = "now") -> AbstractAsyncContextManager[Tx]: ...

    async def at_once(self, query: str, columns: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        """A transaction of one statement, its rows given column by column."""
        ...

    async def durable(self) -> None:
        """Until every commit so far is on disk."""
        ...

    async def read(self, query: str, **scalars: object) -> list[Row]:
        """A short read, by key."""
        ...

    async def read_in(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]: ...

    async def scan(self, query: str, **scalars: object) -> list[Row]:
        """A read that may take long; never holds up the writes."""
        ...

    async def maintain(self) -> None:
        """One short step of housekeeping: give freed pages back."""
        ...

    async def close(self) -> None: ...
