"""What a move copies: which tables, and a row of them in one form whatever database it lies in.

That form is the embedded store's: integers, texts, byte strings and floats, or NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from mainspring.core.errors import Conflict
from mainspring.store.db import Row
from mainspring.store.moved import ARRIVING, LEAVING

# In this order. A table of a schema is here or below; a test looks.
COPIED = (
    "meta",
    "counters",
    "credentials",
    "targets",
    "schedules",
    "progress",
    "crontab_tasks",
    "runs",
    "attempts",
    "gaps",
    "idempotency",
    "queues",
    "leftovers",
    "messages",
    "ready",
    "leased",
    "postponed",
    "blocked",
    "queue_counts",
    "dead",
    "dedup",
    "receives",
    "subscriptions",
    "pushes",
    "endpoints",
    "circuits",
    "deliveries",
    "audit",
    "schedule_agents",
    "crontab_results",
    "kv_namespaces",
    "kv",
    "scripts",
    "script_results",
    "agents",
    "agent_reports",
    "agent_tasks",
    "samples",
    "queue_samples",
)
LEFT_OUT = {
    "migrations": "each database's own record of its own files",
    "message_groups": "made anew from the messages; the embedded store keeps them in memory",
    "nodes": "leases of processes that are gone",
    "agent_sessions": "sockets of processes that are gone",
}
# What stays behind of a table that is copied.
_WITHOUT = {"meta": f"name NOT IN ('{LEAVING}', '{ARRIVING}')"}
# Leases end with the move, so that what was under way is rescued at once: columns, and what takes a lease's place.
_ENDED = {"runs": {"lease_until": "CASE WHEN lease_until IS NULL THEN NULL ELSE 0 END", "node": "NULL"}}

# Column type → the type in the common form. PostgreSQL has more that mean the same.
_KINDS = {
    "INTEGER": "INTEGER",
    "TEXT": "TEXT",
    "BLOB": "BLOB",
    "REAL": "REAL",
    "bigint": "INTEGER",
    "integer": "INTEGER",
    "smallint": "INTEGER",
    "boolean": "INTEGER",
    "text": "TEXT",
    "bytea": "BLOB",
    "double precision": "REAL",
}

_packer = msgspec.msgpack.Encoder()


class Column(msgspec.Struct, frozen=True):
    """One column. `kind`: its type in the common form; `type`: as the database calls it."""

    name: str
    kind: str
    type: str


class Table(msgspec.Struct, frozen=True):
    """One table: its columns in order, and the places of the primary key's among them."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def key_of(self, row: Row) -> Row:
        """The row's primary key."""
        return tuple(row[at] for at in self.key)

    def shown(self, key: Sequence[object]) -> str:
        """A row as it is named in a message."""
        return self.name + " " + ", ".join(f"{self.names[at]} {cell!r}" for at, cell in zip(self.key, key, strict=True))


def described(found: Iterable[Row]) -> dict[str, Table]:
    """The tables that move, in order, from rows of (table, column, type, place in the key).

    Raises `Conflict` for a table that no list knows, one without a key, and a type that has no common form.
    """
    by_name: dict[str, list[Row]] = {}
    for table, *column in found:
        by_name.setdefault(table, []).append(tuple(column))
    unknown = sorted(set(by_name) - set(COPIED) - set(LEFT_OUT))
    if unknown:
        raise Conflict(
            f"this version does not know the table {unknown[0]}", hint="Use the version that made the store."
        )
    return {name: _described(name, by_name[name]) for name in COPIED if name in by_name}


def _described(name: str, found: list[Row]) -> Table:
    columns = []
    for column, kind, _ in found:
        if kind not in _KINDS:
            raise Conflict(f"{name}.{column} is of the type {kind}, which cannot be moved")
        columns.append(Column(column, _KINDS[kind], kind))
    key = sorted((place, at) for at, (_, _, place) in enumerate(found) if place)
    if not key:
        raise Conflict(f"the table {name} has no primary key, so it cannot be moved")
    return Table(name, tuple(columns), tuple(at for _, at in key))


def reading(table: Table, after: Sequence[object] | None, *, leases_ended: bool) -> str:
    """The question for a table's rows in order of key, after one of them if given, for either database."""
    ended = _ENDED.get(table.name, {}) if leases_ended else {}
    cells = ", ".join(ended.get(name, f'"{name}"') for name in table.names)
    key = ", ".join(f'"{table.names[at]}"' for at in table.key)
    conditions = [_WITHOUT[table.name]] if table.name in _WITHOUT else []
    if after is not None:
        conditions.append(f"({key}) > ({', '.join(f'${at}' for at, _ in enumerate(after, 1))})")
    return f'SELECT {cells} FROM "{table.name}"{_where(conditions)} ORDER BY {key}'  # noqa: S608  # catalogue names


def counting(table: Table) -> str:
    """The question for how many rows of a table move."""
    return f'SELECT count(*) FROM "{table.name}"{_where([_WITHOUT.get(table.name, "")])}'  # noqa: S608  # as above


def clearing(table: Table) -> str:
    """The statement that removes what a new store already has in a table that is copied."""
    return f'DELETE FROM "{table.name}"{_where([_WITHOUT.get(table.name, "")])}'  # noqa: S608  # catalogue names


def _where(conditions: Sequence[str]) -> str:
    stated = " AND ".join(condition for condition in conditions if condition)
    return " WHERE " + stated if stated else ""


def packed(rows: Iterable[Row]) -> bytes:
    """The canonical bytes of rows: MessagePack of one after the other, the same from either database."""
    return b"".join(map(_packer.encode, rows))


def key_text(key: Row) -> str:
    """A key as text, for a mark."""
    return _packer.encode(key).hex()


def key_from(text: str) -> Row:
    """The key that `key_text` wrote."""
    return tuple(msgspec.msgpack.decode(bytes.fromhex(text)))
