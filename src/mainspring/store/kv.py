"""Keys and values in the store."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.core.limits import FOLD_ROWS_MAX
from mainspring.store.db import Db, again_after_collisions


class KvStore:
    """One method, one transaction."""

    def __init__(self, db: Db) -> None:
        self._db = db

    @again_after_collisions
    async def create(self, namespace: str, now: int) -> bool:
        """False when it is there already."""
        async with self._db.transaction() as tx:
            return bool(await tx.fetch("create_namespace", namespace=namespace, now=now))

    @again_after_collisions
    async def drop(self, namespace: str) -> bool:
        """Delete a namespace with all that is in it; False when it is not there."""
        async with self._db.transaction() as tx:
            gone = bool(await tx.fetch("delete_namespace", namespace=namespace))
            await tx.fetch("empty_namespace", namespace=namespace)
            return gone

    @again_after_collisions
    async def set(self, namespace: str, key: str, value: str, now: int) -> bool:
        """False when there is no such namespace."""
        async with self._db.transaction() as tx:
            if not await tx.fetch("has_namespace", namespace=namespace):
                return False
            await tx.fetch("set_value", namespace=namespace, key=key, value=value, now=now)
            return True

    async def get(self, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The values of these (namespace, key) that are there."""
        found: dict[tuple[str, str], str] = {}
        for at in range(0, len(asked), FOLD_ROWS_MAX):
            for namespace, key, value in await self._db.read_in("get_values", asked[at : at + FOLD_ROWS_MAX]):
                found[namespace, key] = value
        return found

    async def beginning(self, namespace: str, start: str, limit: int) -> list[tuple[str, str]]:
        """(key, value) of the keys that begin so, in order."""
        upto = _after_all(start)
        found = await self._db.scan("get_values_from", namespace=namespace, since=start, upto=upto, limit=limit)
        return [(key, value) for _, key, value in found]

    @again_after_collisions
    async def remove(self, namespace: str, key: str) -> bool:
        """False when it is not there."""
        async with self._db.transaction() as tx:
            return bool(await tx.fetch("delete_value", namespace=namespace, key=key))

    async def keys(self, namespace: str) -> list[str] | None:
        """In order; None when there is no such namespace."""
        if not await self._db.read("has_namespace", namespace=namespace):
            return None
        return [row[0] for row in await self._db.scan("list_keys", namespace=namespace)]

    async def namespaces(self) -> list[str]:
        return [row[0] for row in await self._db.scan("list_namespaces")]

    async def of_key(self, key: str) -> list[tuple[str, str]]:
        """(namespace, value) of every namespace that has this key."""
        return [(row[0], row[1]) for row in await self._db.scan("values_of_key", key=key)]


def _after_all(start: str) -> str | None:
    """The first text after all that begin so; None when there is none."""
    kept = start.rstrip("\U0010ffff")
    if not kept:
        return None
    # The letters between are no letters: half of a pair stands for nothing by itself.
    following = 0xE000 if ord(kept[-1]) == 0xD7FF else ord(kept[-1]) + 1
    return kept[:-1] + chr(following)
