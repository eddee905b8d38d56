"""The two schemas are one: the same tables, columns and indexes, each in the types of its database."""

from __future__ import annotations

import re

import apsw
import pytest

from mainspring.store.migrate import migrations
from mainspring.store.postgres import PostgresDb
from mainspring.store.sqlfile import Dialect, load
from mainspring.store.store import Store
from store.sharing import query

TYPES = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea"}
# What the embedded store keeps in memory instead.
KEPT_IN_MEMORY = {"blocked_by_group"}
SHARED_ONLY = {"nodes"}

Columns = dict[str, list[tuple[str, str, bool]]]


def statements(dialect: Dialect) -> dict[str, str]:
    """CREATE INDEX statements by name, in one spelling."""
    text = re.sub(r"--.*", "", "\n".join(one.text for one in migrations(dialect)))
    found = re.findall(r"CREATE (?:UNIQUE )?INDEX \w+ [^;]*", text)
    return {re.findall(r"INDEX (\w+)", one)[0]: " ".join(one.split()) for one in found}


def on_sqlite() -> tuple[Columns, set[tuple[str, tuple[str, ...]]]]:
    """Columns by table, and what is unique."""
    connection = apsw.Connection(":memory:")
    for one in migrations("sqlite"):
        connection.execute(one.text)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns: Columns = {}
    unique = set()
    for table in tables:
        info = list(connection.execute(f"PRAGMA table_info({table})"))
        columns[table] = [(name, TYPES[kind], bool(required or key)) for _, name, kind, required, _, key in info]
        unique.add((table, tuple(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5])))
        for _, index, is_unique, origin, _ in connection.execute(f"PRAGMA index_list({table})"):
            if is_unique and origin == "u":
                unique.add((table, tuple(row[2] for row in connection.execute(f"PRAGMA index_info({index})"))))
    return columns, unique


async def on_postgres(database: str) -> tuple[Columns, set[tuple[str, tuple[str, ...]]]]:
    columns: Columns = {}
    for table, name, kind, nullable in await query(
        database,
        "SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name <> 'migrations' ORDER BY table_name, ordinal_position",
    ):
        columns.setdefault(table, []).append((name, kind, not nullable))
    keys = await query(
        database,
        "SELECT c.conrelid::regclass::text, array_agg(a.attname::text ORDER BY k.at) FROM pg_constraint AS c, "
        "unnest(c.conkey) WITH ORDINALITY AS k (number, at), pg_attribute AS a "
        "WHERE c.contype IN ('p', 'u') AND a.attrelid = c.conrelid AND a.attnum = k.number "
        "AND c.connamespace = 'public'::regnamespace AND c.conrelid::regclass::text <> 'migrations' "
        "GROUP BY c.oid, c.conrelid",
    )
    return columns, {(table, tuple(names)) for table, names in keys}


async def test_tables_columns_and_keys_are_the_same(database: str, store_on_postgres: Store) -> None:
    sqlite_columns, sqlite_unique = on_sqlite()
    columns, unique = await on_postgres(database)
    assert {table: names for table, names in columns.items() if table not in SHARED_ONLY} == sqlite_columns
    assert {key for key in unique if key[0] not in SHARED_ONLY} == sqlite_unique
    assert len(columns) >= 10


def test_indexes_are_the_same() -> None:
    shared = {name: text for name, text in statements("postgres").items() if name not in KEPT_IN_MEMORY}
    assert shared == statements("sqlite")
    assert len(statements("postgres")) >= 15


async def test_indexed_text_is_compared_byte_by_byte(database: str, store_on_postgres: Store) -> None:
    """An index in the order of the system's collation is damaged when a new version of the system orders otherwise."""
    other = await query(
        database,
        "SELECT i.indexrelid::regclass::text, a.attname FROM pg_index AS i, pg_attribute AS a "
        "WHERE a.attrelid = i.indexrelid AND a.attcollation NOT IN (0, 950) AND i.indrelid IN "
        "(SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)",
    )
    assert other == []


async def test_every_query_is_understood(store_on_postgres: Store) -> None:
    assert isinstance(store_on_postgres.db, PostgresDb)
    connection = await store_on_postgres.db.connect({})
    try:
        for query in load("postgres").values():
            try:
                await connection.prepare(query.text)
            except Exception as error:  # noqa: BLE001  # whatever it is, with the query's name
                pytest.fail(f"{query.name}: {error}")
    finally:
        await connection.close()
