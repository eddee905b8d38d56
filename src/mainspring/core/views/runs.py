"""What the screens about runs ask of the store."""

from __future__ import annotations

from typing import Protocol


class RunViews(Protocol):
    """Reads about runs, as `store/views/runs.py` makes them."""
