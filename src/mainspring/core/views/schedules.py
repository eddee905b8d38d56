"""What the screens about schedules ask of the store."""

from __future__ import annotations

from typing import Protocol


class ScheduleViews(Protocol):
    """Reads about schedules, as `store/views/schedules.py` makes them."""
