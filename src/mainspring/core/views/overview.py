"""What the screens about overview ask of the store."""

from __future__ import annotations

from typing import Protocol


class OverviewViews(Protocol):
    """Reads about overview, as `store/views/overview.py` makes them."""
