"""Reads about scripts for the screens."""

from __future__ import annotations

import msgspec

from mainspring.core.views.scripts import AskedPage, SeenResult, SeenScript
from mainspring.store.db import Db
from mainspring.store.script_results import LOST


class ScriptViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def page(self, now: int, search: str, after: str, limit: int) -> list[SeenScript]:
        """In the order of their names, from behind `after` on; those that have `search` in name or route."""
        found = await self._db.scan("view_scripts", now=now, search=search.lower(), after=after, limit=limit)
        return [SeenScript(*row) for row in found]

    async def results(self, now: int, asked: AskedPage) -> list[SeenResult]:
        """Newest first."""
        where = {**msgspec.structs.asdict(asked), "now": now, "lost": LOST}
        if where["name"] is None:
            del where["name"]
        query = "view_results_of_script"
        if asked.name is None:
            query = "view_running_results" if asked.state == "running" else "view_script_results"
        return [SeenResult(*row) for row in await self._db.scan(query, **where)]
