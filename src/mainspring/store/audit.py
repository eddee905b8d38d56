"""The audit log in the store: written with what it is about, read page by page, cut off at its old end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import msgspec

from mainspring.core.audit import Anchor, Asked, AuditEntry, Mark, Note, entry, sealed_anchor
from mainspring.core.limits import DAY, PRUNE_BATCH
from mainspring.store.db import Db, Row, Tx, again_after_collisions

ANCHOR = "audit_anchor"
_fields = msgspec.json.Decoder(tuple[str, ...])


class AuditStore:
    """One method, one transaction. Entries are written by `write`, in the transactions of others."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def page(self, asked: Asked) -> list[AuditEntry]:
        return [from_row(row) for row in await self._db.scan("page_audit", **msgspec.structs.asdict(asked))]

    @again_after_collisions
    async def prune(self, now: int, days: int, mark: Mark) -> int:
        """Remove one batch of entries older than `days`, and note where the chain begins then."""
        before = now - days * DAY
        oldest = await self._db.scan("oldest_audit", limit=1)
        if not oldest or oldest[0][1] >= before:
            return 0
        async with self._db.transaction() as tx:
            await tx.hold("hold_upkeep")
            found = await tx.fetch("oldest_audit", limit=PRUNE_BATCH)
            doomed = list(takewhile(lambda row: row[1] < before, found))
            if doomed:
                number, _, hashed = doomed[-1]
                await tx.fetch("prune_audit", number=number)
                await tx.fetch("set_meta", name=ANCHOR, value=sealed_anchor(Anchor(number, bytes(hashed)), mark))
        return len(doomed)


async def write(tx: Tx, now: int, noted: Sequence[tuple[Note, object]]) -> None:
    """Append what these writes have done. The last thing in a transaction: from here on it holds up those of others."""
    if not noted:
        return
    [(last,)] = await tx.fetch("take_numbers", name="audit", count=len(noted))
    number = last - len(noted)
    found = await tx.fetch("audit_hash", number=number)
    hashed = bytes(found[0][0]) if found else b""
    rows = []
    for note, result in noted:
        number += 1
        made = entry(note, result, number, now, hashed)
        hashed = made.hash
        rows.append(_of_entry(made))
    await tx.many("insert_audit", rows)


def from_row(row: Row) -> AuditEntry:
    """An entry, from `audit_columns`."""
    return AuditEntry(*(*row[:8], _fields.decode(row[8]), row[9], bytes(row[10])))


def _of_entry(made: AuditEntry) -> Row:
    *content, fields, request_id, hashed = msgspec.structs.astuple(made)
    return *content, msgspec.json.encode(fields).decode(), request_id, hashed
