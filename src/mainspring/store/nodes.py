"""The number of this node: part of every row key it makes, leased so that no two nodes ever have the same one.

The lease is counted from the moment its renewal was asked for, on this machine's steady clock, and ends early here: a
node that was cut off or held up stops writing before another one may take its number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from mainspring.core.errors import Conflict, Unavailable
from mainspring.core.ids import KeySource
from mainspring.core.limits import LEASE, SECOND
from mainspring.store.db import Away, again_after_collisions
from mainspring.store.postgres import PostgresDb

MARGIN = 5 * SECOND
GIVE_UP_S = 3.0
_TRIES = 20


class NodeLease:
    """Holds a number (0-1023) for this process. `ticks`: a steady clock in ns; `incarnation`: told apart by this from
    whoever had the number before."""

    def __init__(self, db: PostgresDb, ticks: Callable[[], int], name: str, incarnation: str) -> None:
        self.number = -1
        self._db = db
        self._ticks = ticks
        self._name = name
        self._incarnation = incarnation
        self._good_until = 0

    async def take(self) -> None:
        """Take a free number. Raises `Conflict` when there is none."""
        for _ in range(_TRIES):
            asked = self._ticks()
            found = await self._ask("take_node", name=self._name, incarnation=self._incarnation, lease=LEASE)
            if found is not None:
                self.number = found
                self._hold_from(asked)
                return
        raise Conflict(
            "no free node number: 1,024 processes use this database", hint="Stop some of them, or wait half a minute."
        )

    async def renew(self, keys: KeySource) -> None:
        """Lengthen the lease; when another node has the number by now, go on under a new one."""
        asked = self._ticks()
        found = await self._ask("renew_node", number=self.number, incarnation=self._incarnation, lease=LEASE)
        if found is None:
            await self.take()
            keys.renumber(self.number)
        else:
            self._hold_from(asked)

    def check(self) -> None:
        """Raises `Unavailable` while the number may be somebody else's."""
        if self._ticks() >= self._good_until:
            raise Away(
                "this node's lease is over, and it could not be renewed yet",
                hint="Look at the connection to the database; nothing was accepted.",
            )

    @property
    def remaining_ms(self) -> int:
        """How long this node may go on writing unless the lease is renewed; negative when it may not."""
        return (self._good_until - self._ticks()) // 1_000_000

    async def give_up(self) -> None:
        """Leave the number to others, if that can be said quickly."""
        self._good_until = 0
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(GIVE_UP_S):
                await self._ask("free_node", number=self.number, incarnation=self._incarnation)

    def _hold_from(self, asked: int) -> None:
        self._good_until = asked + (LEASE - MARGIN) * 1_000_000

    @again_after_collisions
    async def _ask(self, query: str, **scalars: object) -> int | None:
        async with self._db.transaction(leased=False) as tx:
            found = await tx.fetch(query, **scalars)
        return int(found[0][0]) if found else None
