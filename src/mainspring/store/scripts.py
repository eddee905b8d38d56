"""Scripts in the store."""

from __future__ import annotations

import msgspec

from mainspring.core.errors import Conflict
from mainspring.core.ids import KeySource
from mainspring.core.scripts_model import Script
from mainspring.store.db import Db, Tx, again_after_collisions


class ScriptStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource) -> None:
        self._db = db
        self._keys = keys

    @again_after_collisions
    async def create(self, now: int, script: Script) -> Script:
        """The script with its id and number. Raises `Conflict` when another has its name or its route."""
        async with self._db.transaction() as tx:
            await tx.hold("hold_scripts")
            await _check_room(tx, script)
            [(number,)] = await tx.fetch("take_numbers", name="scripts", count=1)
            made = msgspec.structs.replace(script, id=self._keys.next(now), number=number)
            await tx.fetch("insert_script", **msgspec.structs.asdict(made))
            return made

    @again_after_collisions
    async def update(self, script: Script) -> Script | None:
        """Replace it; None when there is none of that id. Raises `Conflict` when another has its route."""
        async with self._db.transaction() as tx:
            await tx.hold("hold_scripts")
            await _check_room(tx, script)
            changed = msgspec.structs.asdict(script)
            for kept in ("id", "number", "created_at"):
                del changed[kept]
            return script if await tx.fetch("update_script", **changed) else None

    @again_after_collisions
    async def delete(self, name: str) -> int:
        """How many went: one or none."""
        async with self._db.transaction() as tx:
            return len(await tx.fetch("delete_script", name=name))

    async def by_name(self, name: str) -> Script | None:
        found = await self._db.read("script_by_name", name=name)
        return Script(*found[0]) if found else None

    async def by_route(self, route: str) -> Script | None:
        found = await self._db.read("script_by_route", route=route)
        return Script(*found[0]) if found else None

    async def names(self) -> list[str]:
        """In the order in which they were made."""
        return [row[0] for row in await self._db.scan("script_names")]


async def _check_room(tx: Tx, script: Script) -> None:
    found = await tx.fetch("script_in_the_way", id=script.id, name=script.name, route=script.route)
    if not found:
        return
    [(name, _)] = found
    if name == script.name:
        raise Conflict(f"js_worker already exists: {name}")
    raise Conflict(f"route_name already exists: {script.route}", field="route_name")
