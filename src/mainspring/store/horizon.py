"""Runs that are committed but perhaps not on disk yet: none may be sent, for a power cut would take them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mainspring.core.ids import KEY_MAX


class Horizon:
    """Shared by all that makes or claims runs on one node. Keys grow, so one bound tells the new from the old."""

    def __init__(self) -> None:
        self._writing: dict[int, int] = {}

    @contextmanager
    def writing(self, first_key: int, now: int) -> Iterator[None]:
        """While runs with keys above `first_key`, due at `now` or later, are on their way to the disk."""
        self._writing[first_key] = now
        try:
            yield
        finally:
            del self._writing[first_key]

    @property
    def key(self) -> int:
        """Runs below this key are on disk."""
        return min(self._writing, default=KEY_MAX)

    def until(self, now: int) -> int:
        """All that became due before this instant is on disk."""
        return min(now, *self._writing.values()) if self._writing else now
