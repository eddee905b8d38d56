"""How many runs may be in flight, and how many of them to one origin, so that one hanging target cannot take them all.

Claiming reads waiting runs in due order from a cursor on. What belongs to an origin without a free seat is passed
over and stays behind the cursor; when that origin has seats again, its runs are looked up by origin. So a claim costs
what it takes, however many runs wait for a hanging target. When all seats are taken, those passed over and the rest
choose first turn about, and those passed over are served in turn, so that no origin waits for another's backlog.
"""

from __future__ import annotations

from mainspring.core.limits import SEATS, SEATS_PER_ORIGIN


class Seats:
    """The seats of one dispatcher, and how far it has read."""

    def __init__(self, seats: int = SEATS, per_origin: int = SEATS_PER_ORIGIN) -> None:
        self.free = seats
        self.cursor = (0, 0)
        self._per_origin = per_origin
        self._taken: dict[str, int] = {}
        self._passed_over: dict[str, None] = {}
        self._late_first = False

    def take(self, origin: str) -> bool:
        """One seat for `origin`; False when it has none left, and it is passed over from then on."""
        taken = self._taken.get(origin, 0)
        if taken >= self._per_origin:
            self._passed_over.setdefault(origin)
            return False
        if origin in self._passed_over:
            self._passed_over[origin] = self._passed_over.pop(origin)
        self._taken[origin] = taken + 1
        self.free -= 1
        return True

    def give_back(self, origin: str) -> None:
        self.free += 1
        taken = self._taken.pop(origin) - 1
        if taken:
            self._taken[origin] = taken

    def room(self, origin: str) -> int:
        return min(self.free, self._per_origin - self._taken.get(origin, 0))

    def passed_over(self) -> list[str]:
        """Origins whose waiting runs are not read in due order, the one served longest ago first."""
        return list(self._passed_over)

    def late_first(self) -> bool:
        """Whether those passed over choose first this time; every other time they do."""
        self._late_first = not self._late_first
        return self._late_first

    def caught_up(self, origin: str) -> None:
        """Nothing due waits for `origin` behind the cursor."""
        self._passed_over.pop(origin, None)

    def reread(self, due_at: int = 0) -> None:
        """Something that became due at `due_at` or later may lie behind the cursor, (due_at, row key)."""
        self.cursor = min(self.cursor, (due_at, 0))
