"""What the screens about webhooks ask of the store."""

from __future__ import annotations

from typing import Protocol


class WebhookViews(Protocol):
    """Reads about webhooks, as `store/views/webhooks.py` makes them."""
