"""Reads about webhooks for the screens."""

from __future__ import annotations

from mainspring.store.db import Db


class WebhookViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db
