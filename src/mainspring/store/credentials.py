"""Credentials in the store, found by the digest of the secret."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.core.audit import Note
from mainspring.core.changes import NewKey
from mainspring.core.errors import Conflict, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KeySource
from mainspring.core.model import Key, Page
from mainspring.store import audit, rows
from mainspring.store.db import Db, Tx, again_after_collisions
from mainspring.store.once import apply_once


class CredentialStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource) -> None:
        self._db = db
        self._keys = keys

    async def by_digest(self, digest: bytes) -> Key | None:
        found = await self._db.read("key_by_digest", digest=digest)
        return rows.key(found[0]) if found else None

    @again_after_collisions
    async def create(self, now: int, items: Sequence[NewKey]) -> Sequence[Key | Replay | Refused]:
        async with self._db.transaction() as tx:

            async def insert(fresh: Sequence[NewKey]) -> list[Key | Refused]:
                return [await self._taken(tx, item.key) or await self._insert(tx, now, item.key) for item in fresh]

            return await apply_once(tx, now, items, lambda item: item.once, insert)

    async def _taken(self, tx: Tx, key: Key) -> Refused | None:
        """The refusal of a username that another token has."""
        if key.username is None:
            return None
        await tx.fetch("take_numbers", name="credentials", count=0)  # behind which all nodes queue
        found = await tx.fetch("token_by_username", name=key.username)
        return Conflict(f"username already exists: {key.username}") if found else None

    async def _insert(self, tx: Tx, now: int, key: Key) -> Key:
        [(number,)] = await tx.fetch("take_numbers", name="credentials", count=1)
        made = msgspec.structs.replace(key, id=self._keys.next(now), number=number)
        row = msgspec.structs.asdict(made)
        row["scopes"] = msgspec.json.encode(made.scopes).decode()
        row["limits"] = None if made.limits is None else made.limits.decode()
        row["bootstrap"] = int(made.bootstrap)
        del row["last_used_at"], row["revoked_at"]
        await tx.fetch("insert_key", **row)
        return made

    @again_after_collisions
    async def ensure_bootstrap(self, now: int, key: Key, note: Note | None = None) -> None:
        """Make `key` the one bootstrap credential of its kind; the one before it is revoked, which is noted."""
        async with self._db.transaction() as tx:
            await tx.hold("hold_bootstrap")
            retired = await tx.fetch("retire_bootstrap", now=now, digest=key.digest, kind=key.kind)
            if known := await tx.fetch("key_by_digest", digest=key.digest):
                await tx.fetch("restore_bootstrap", digest=key.digest, lookup=key.lookup, username=key.username)
                key = rows.key(known[0])
            else:
                key = await self._insert(tx, now, key)
            if retired and note is not None:
                await audit.write(tx, now, [(note, key)])

    @again_after_collisions
    async def offer_bootstrap(self, now: int, key: Key) -> bool:
        """Make `key` the bootstrap credential of its kind unless there is a valid one; whether it is the one then."""
        async with self._db.transaction() as tx:
            await tx.hold("hold_bootstrap")
            found = await tx.fetch("valid_bootstraps", now=now, kind=key.kind)
            if not found:
                await self._insert(tx, now, key)
            return not found or any(rows.key(row).digest == key.digest for row in found)

    async def get(self, project: str, key_id: int) -> Key | None:
        found = await self._db.read("get_key", id=key_id, project=project)
        return rows.key(found[0]) if found else None

    async def page(self, project: str | None, page: Page) -> list[Key]:
        """REST keys, newest first; of every project when `project` is None."""
        before = page.before[0] if page.before else 1 << 62
        found = await self._db.scan("page_keys", project=project, before=before, limit=page.limit)
        return [rows.key(row) for row in found]

    @again_after_collisions
    async def expire(self, project: str, key_id: int, valid_until: int) -> None:
        """The credential is valid until then at the latest."""
        async with self._db.transaction() as tx:
            await tx.fetch("expire_key", id=key_id, project=project, valid_until=valid_until)

    @again_after_collisions
    async def revoke(self, project: str, key_id: int, now: int, note: Note | None = None) -> bool:
        """False when there was nothing to revoke, and nothing to note."""
        async with self._db.transaction() as tx:
            revoked = await tx.fetch("revoke_key", id=key_id, project=project, now=now)
            if not revoked:
                await tx.hold("hold_answer")
            elif note is not None:
                await audit.write(tx, now, [(note, key_id)])
        return bool(revoked)

    @again_after_collisions
    async def touch(self, used: dict[int, int]) -> None:
        """Note when credentials were last used (id to instant)."""
        async with self._db.transaction() as tx:
            await tx.many("touch_keys", sorted(used.items()))

    async def token_by_lookup(self, name: str) -> Key | None:
        found = await self._db.read("token_by_lookup", name=name)
        return rows.key(found[0]) if found else None

    async def token_by_username(self, name: str) -> Key | None:
        found = await self._db.read("token_by_username", name=name)
        return rows.key(found[0]) if found else None

    async def token_named(self, name: str) -> Key | None:
        """By its key, else by its username."""
        return await self.token_by_lookup(name) or await self.token_by_username(name)

    async def tokens(self, after: int, limit: int) -> list[Key]:
        """Tokens with limits, in order of their numbers, those above `after`."""
        found = await self._db.scan("page_tokens", after=after, limit=limit)
        return [rows.key(row) for row in found]

    async def edit_token(
        self, key_id: int, limits: bytes, scopes: tuple[str, ...], now: int, note: Note | None = None
    ) -> bool:
        """False when there is no such token any more."""
        encoded = msgspec.json.encode(scopes).decode()
        return await self._changed("edit_token", now, note, id=key_id, limits=limits.decode(), scopes=encoded)

    async def delete_token(self, key_id: int, now: int, note: Note | None = None) -> bool:
        return await self._changed("delete_token", now, note, id=key_id)

    async def set_password(self, key_id: int, password: bytes, now: int, note: Note | None = None) -> bool:
        return await self._changed("set_password", now, note, id=key_id, password=password)

    async def set_digest(self, key_id: int, digest: bytes, now: int, note: Note | None = None) -> bool:
        return await self._changed("set_digest", now, note, id=key_id, digest=digest)

    @again_after_collisions
    async def _changed(self, query: str, now: int, note: Note | None, **scalars: object) -> bool:
        async with self._db.transaction() as tx:
            changed = bool(await tx.fetch(query, **scalars))
            if changed and note is not None:
                await audit.write(tx, now, [(note, None)])
            return changed
