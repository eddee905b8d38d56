"""The audit log: who changed which setting or right. Each entry is bound to the one before it by a keyed hash.

An entry is written in the transaction of what it is about. Whoever can write to the database but does not have the
secret key can neither change an entry, nor take one out of the middle, without breaking the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mainspring.core.limits import AUDIT_OBJECT_CHARS

PURPOSE = "audit"

Mark = Callable[[bytes], bytes]
"""A keyed hash: the same bytes give the same hash, to whoever has the key."""


class Note(msgspec.Struct, frozen=True):
    """What the log will say of a write if it takes effect; it goes with the write into its transaction.

    `project`: whose thing it is. `key_id`: 0 for who came without a key. `fields`: the names of what was given, never
    the values. `object_of` names what was changed, from the write's result.
    """

    project: str
    key_id: int
    shown: str
    ip: str
    operation: str
    fields: tuple[str, ...]
    request_id: str
    object_of: Callable[[Any], str]
    mark: Mark


class AuditEntry(msgspec.Struct, frozen=True):
    """One entry. `number`: counts up from 1 over all projects, without gaps. `hash`: links it to the one before."""

    number: int
    at: int
    project: str
    key_id: int
    shown: str
    ip: str
    operation: str
    object: str
    fields: tuple[str, ...]
    request_id: str
    hash: bytes


class Anchor(msgspec.Struct, frozen=True):
    """Where the chain begins: the last entry that retention removed; number 0 before the first removal."""

    number: int = 0
    hash: bytes = b""


class Asked(msgspec.Struct, frozen=True):
    """Which entries a listing shows, newest first, with numbers below `before`."""

    project: str
    before: int
    limit: int
    since: int = 0
    operation: str | None = None
    object: str | None = None
    key_id: int | None = None


def entry(note: Note, result: object, number: int, at: int, before: bytes) -> AuditEntry:
    """The entry of a write that had this result. `before`: the hash of the entry before it."""
    made = AuditEntry(
        number=number,
        at=at,
        project=note.project,
        key_id=note.key_id,
        shown=note.shown,
        ip=note.ip,
        operation=note.operation,
        object=note.object_of(result)[:AUDIT_OBJECT_CHARS].replace("\x00", ""),
        fields=note.fields,
        request_id=note.request_id,
        hash=b"",
    )
    return msgspec.structs.replace(made, hash=_link(made, before, note.mark))


def _link(made: AuditEntry, before: bytes, mark: Mark) -> bytes:
    *content, _ = msgspec.structs.astuple(made)
    return mark(before + msgspec.json.encode(content))


def sealed_anchor(anchor: Anchor, mark: Mark) -> str:
    """An anchor as text that only `opened_anchor` with the same key takes."""
    return f"{anchor.number} {anchor.hash.hex()} {mark(_bytes_of(anchor)).hex()}"


def opened_anchor(text: str | None, mark: Mark) -> Anchor | None:
    """The anchor of a text, the first one when there is none; None when somebody else wrote it."""
    if text is None:
        return Anchor()
    try:
        number, hashed, sealed = text.split(" ")
        anchor = Anchor(int(number), bytes.fromhex(hashed))
    except ValueError:
        return None
    return anchor if mark(_bytes_of(anchor)).hex() == sealed else None


def _bytes_of(anchor: Anchor) -> bytes:
    return b"%d %b" % (anchor.number, anchor.hash)


class Chain:
    """Follows the chain from its anchor, entry by entry; `problem` says the first thing that is wrong with it."""

    def __init__(self, anchor: Anchor | None, mark: Mark) -> None:
        self._mark = mark
        self.last = anchor or Anchor()
        self.entries = 0
        self.problem = None if anchor is not None else "where it begins was not written by this server"

    def follow(self, entries: Iterable[AuditEntry]) -> None:
        """Go on with the next entries, in order of their numbers."""
        for one in entries:
            if self.problem is None:
                self.problem = self._wrong_with(one)
            self.last = Anchor(one.number, one.hash)
            self.entries += 1

    def end(self, count: int) -> None:
        """There is nothing further; `count` entries were ever written."""
        if self.problem is None and count > self.last.number:
            self.problem = f"entries {self.last.number + 1} to {count} are missing"

    def _wrong_with(self, one: AuditEntry) -> str | None:
        if one.number != self.last.number + 1:
            return f"entries {self.last.number + 1} to {one.number - 1} are missing"
        if _link(one, self.last.hash, self._mark) != one.hash:
            return f"entry {one.number} was changed, or one before it, or the secret key is another"
        return None
