"""What the screens about queues ask of the store."""

from __future__ import annotations

from typing import Protocol


class QueueViews(Protocol):
    """Reads about queues, as `store/views/queues.py` makes them."""
