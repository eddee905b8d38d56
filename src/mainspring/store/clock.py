"""The database's clock, kept by this node between two looks at it: what many nodes agree on when they say `now`."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.core.limits import SECOND
from mainspring.store.db import Db

SKEW_MAX = 2 * SECOND
_LOOKS = 3


class DatabaseClock:
    """Called, it gives the database's now, in ms UTC. `wall` is this machine's own clock (ms), `ticks` a steady one
    (ns)."""

    def __init__(self, db: Db, wall: Callable[[], int], ticks: Callable[[], int]) -> None:
        self._db = db
        self._wall = wall
        self._ticks = ticks
        self._ahead = 0

    def __call__(self) -> int:
        return self._ticks() // 1_000_000 + self._ahead

    async def look(self) -> None:
        """Set it by the database: of a few looks, by the quickest, whose answer is the least old."""
        quickest = None
        for _ in range(_LOOKS):
            asked = self._ticks()
            [(told,)] = await self._db.read("database_clock")
            answered = self._ticks()
            if quickest is None or answered - asked < quickest:
                quickest = answered - asked
                self._ahead = int(told) - (asked + answered) // 2 // 1_000_000

    @property
    def skew(self) -> int:
        """How far (ms) this machine's own clock is ahead of the database's."""
        return self._wall() - self()
