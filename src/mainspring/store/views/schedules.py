"""Reads about schedules for the screens."""

from __future__ import annotations

from mainspring.store.db import Db


class ScheduleViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db
