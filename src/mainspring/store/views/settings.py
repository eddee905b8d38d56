"""Reads about the server itself for the screens."""

from __future__ import annotations

import shutil
from pathlib import Path

from mainspring.core.audit import AuditEntry
from mainspring.core.views.settings import COUNTED_MOST, SeenNode, Size
from mainspring.store.audit import from_row
from mainspring.store.db import Db
from mainspring.store.sqlfile import Dialect


class SettingViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db

    @property
    def database(self) -> Dialect:
        return self._db.dialect

    async def rows(self) -> dict[str, int]:
        """How many rows there are of each kind that retention removes, counted up to `COUNTED_MOST`."""
        return {name: int(count) for name, count in await self._db.scan("view_rows", most=COUNTED_MOST)}

    async def size(self) -> Size:
        """How much the database takes, and what is left."""
        if self._db.dialect == "postgres":
            [(_, total)] = await self._db.scan("describe_database")
            return Size(int(total))
        [(pages, free, each, file)] = await self._db.scan("view_file")
        left = shutil.disk_usage(Path(file).parent).free if file else None
        return Size(int(pages) * int(each), int(free) * int(each), left)

    async def nodes(self) -> list[SeenNode]:
        """Those that share the database; none where a process has it for itself."""
        if self._db.dialect != "postgres":
            return []
        return [SeenNode(*row) for row in await self._db.scan("view_nodes")]

    async def written(self) -> int:
        """How many entries of the audit log were ever written."""
        [(count,)] = await self._db.scan("count_audit")
        return int(count)

    async def follow(self, after: int, limit: int) -> list[AuditEntry]:
        """The entries of the audit log of all projects, in order of their numbers."""
        return [from_row(row) for row in await self._db.scan("follow_audit", after=after, limit=limit)]
