"""This process as one node of many: its number, the database's clock, the line to the others."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import msgspec

from mainspring.core.errors import Unavailable
from mainspring.core.ids import KeySource
from mainspring.core.limits import SECOND
from mainspring.core.ports import Wakeup
from mainspring.store.clock import SKEW_MAX, DatabaseClock
from mainspring.store.nodes import NodeLease
from mainspring.store.postgres import PostgresDb
from mainspring.store.wakeups import SharedWakeups

BEAT = 5 * SECOND


class Vitals(msgspec.Struct, frozen=True):
    """How a node is doing: what is left of its lease, how far its own clock is ahead of the database's, how often and
    how long it waited because all its connections were in use."""

    lease_ms: int
    skew_ms: int
    waits: int
    waited_s: float


class Membership:
    """Join, beat every few seconds, leave. Between joining and leaving the database may be written."""

    def __init__(self, db: PostgresDb, wall: Callable[[], int], ticks: Callable[[], int]) -> None:
        self._db = db
        self._incarnation = os.urandom(8).hex()
        self.clock = DatabaseClock(db, wall, ticks)
        self.lease = NodeLease(db, ticks, f"{socket.gethostname()}:{os.getpid()}", self._incarnation)
        self._wakeups: SharedWakeups | None = None

    async def join(self) -> None:
        """Take a number and set the clock. Raises `Unavailable`, or `Conflict` when there are too many nodes."""
        await self.clock.look()
        await self.lease.take()
        self._db.gate = self.lease.check

    def shared(self, local: Wakeup) -> Wakeup:
        """Wake-ups for the loops of this process that reach those of the others as well, from the next beat on."""
        self._wakeups = SharedWakeups(self._db, local, self._incarnation)
        return self._wakeups

    async def beat(self, keys: KeySource) -> int:
        """Renew the lease, set the clock, mend the line; ms until the next beat. Raises `Unavailable`."""
        await self.lease.renew(keys)
        await self.clock.look()
        if self._wakeups is not None:
            await self._wakeups.connect()
        return BEAT

    def problem(self) -> str | None:
        """Why this node should be given no work, if there is a reason."""
        try:
            self.lease.check()
        except Unavailable as lapsed:
            return lapsed.message
        skew = self.clock.skew
        if abs(skew) > SKEW_MAX:
            side = "ahead of" if skew > 0 else "behind"
            return f"this machine's clock is {abs(skew) / SECOND:.1f} s {side} the database's"
        return None

    def vitals(self) -> Vitals:
        """For whoever watches this node."""
        return Vitals(self.lease.remaining_ms, self.clock.skew, self._db.waits, self._db.waited_s)

    async def leave(self) -> None:
        """Give the number back and hang up."""
        if self._wakeups is not None:
            await self._wakeups.close()
        await self.lease.give_up()
