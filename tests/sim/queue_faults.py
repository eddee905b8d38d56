"""Faults inside the database, on every one of them: a table that takes no rows while a block runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mainspring.store.postgres import PostgresDb
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store

_SQLITE = "CREATE TRIGGER refusing BEFORE INSERT ON {} BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
_POSTGRES = """
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'refused by the test' USING ERRCODE = '23514'; END $$;
CREATE TRIGGER refusing BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION refuse()
"""


async def run(store: Store, text: str) -> None:
    """Statements, past all methods of the store."""
    match store.db:
        case SqliteDb():
            store.db.connection.execute(text)
        case PostgresDb():
            connection = await store.db.connect({})
            try:
                await connection.execute(text)
            finally:
                await connection.close()
        case _:
            raise AssertionError(store.db)


@asynccontextmanager
async def refusing(store: Store, table: str) -> AsyncIterator[None]:
    """Whatever is inserted into the table is refused, with its whole transaction."""
    embedded = isinstance(store.db, SqliteDb)
    await run(store, (_SQLITE if embedded else _POSTGRES).format(table))
    try:
        yield
    finally:
        await run(store, "DROP TRIGGER refusing" if embedded else f"DROP TRIGGER refusing ON {table}")
