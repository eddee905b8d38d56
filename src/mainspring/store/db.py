"""What the store asks of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from mainspring.store.sqlfile import Dialect

Row = tuple[Any, ...]
Durability = Literal["now", "before_use", "soon"]
"""When a commit must be on disk: `now`, before its block ends; `before_use`, before the next `settled` returns; `soon`,
within milliseconds and with nobody waiting. Databases may always do it now."""


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


class Db(Protocol):
    """One database. Raises `errors.Unavailable` when it cannot be reached or cannot promise durability."""

    dialect: Dialect

    def transaction(self, durability: Durability = "now") -> AbstractAsyncContextManager[Tx]: ...

    async def settled(self) -> None:
        """Until every `before_use` commit so far is on disk."""
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
