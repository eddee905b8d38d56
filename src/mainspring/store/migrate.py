"""Numbered migrations: each in its own transaction, its file's hash on record, a backup of the file before the first.

A store whose applied files are not the ones of this version is refused. On PostgreSQL nodes are upgraded one after the
other, so a schema that is ahead by one migration is worked on, and kept; by two it is refused. On SQLite, where the one
process is upgraded at once, anything newer is: there a migration may rebuild tables, and the way back is its backup.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.core.errors import Conflict, Unavailable
from mainspring.core.instants import iso
from mainspring.store.db import Collided, Row, again_after_collisions
from mainspring.store.sqlfile import Dialect
from mainspring.store.sqlite import Connection, DriverError

if TYPE_CHECKING:
    from mainspring.store.postgres import PostgresDb

AHEAD_MAX = 1

_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations (
  number     INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  sha256     TEXT NOT NULL,
  applied_at INTEGER NOT NULL
) STRICT
"""


class Migration(msgspec.Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    text: str
    sha256: str


def migrations(dialect: Dialect) -> list[Migration]:
    """All migrations of this version, in order."""
    found = []
    for entry in files("mainspring.store").joinpath("schema", dialect).iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name.removesuffix(".sql").partition("_")
            text = entry.read_text("utf-8")
            found.append(Migration(int(number), name, text, hashlib.sha256(text.encode()).hexdigest()))
    found.sort(key=lambda migration: migration.number)
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    return found


def pending(connection: Connection) -> list[Migration]:
    """What `migrate` would apply. Raises `Conflict` for a newer or different schema."""
    ledger = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'").fetchone()
    applied = list(connection.execute("SELECT number, name, sha256 FROM migrations ORDER BY number")) if ledger else []
    return _outstanding(applied, migrations("sqlite"), ahead=0)


def _outstanding(applied: Sequence[Row], known: list[Migration], *, ahead: int) -> list[Migration]:
    """`ahead`: by how many migrations the database may be newer than this version."""
    if len(applied) > len(known) + ahead:
        raise Conflict(
            f"the database is at migration {applied[-1][0]}, this version knows {len(known)}"
            + (f" and works up to {len(known) + ahead}" if ahead else ""),
            hint="Run the newer version of mainspring, or restore the backup made before its upgrade.",
        )
    for (number, name, sha256), migration in zip(applied, known, strict=False):
        if sha256 != migration.sha256:
            raise Conflict(
                f"migration {number} ({name}) in the database is not the one of this version",
                hint="Run the version of mainspring that made the database.",
            )
    return known[len(applied) :]


def migrate(connection: Connection, path: Path, now: int, say: Callable[[str], None]) -> list[Migration]:
    """Apply what is pending; returns it. A store with content is backed up beside its file first."""
    todo = pending(connection)
    if not todo:
        return []
    if todo[0].number > 1:
        backup = path.with_name(f"{path.name}.before-{todo[0].number:04d}-{iso(now)[:19].replace(':', '')}.bak")
        say(f"backing up to {backup.name}")
        copy(connection, backup)
    for migration in todo:
        say(f"migrating: {migration.number:04d} {migration.name}")
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_LEDGER)
            connection.execute(migration.text)
            connection.execute(
                "INSERT INTO migrations (number, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
                (migration.number, migration.name, migration.sha256, now),
            )
            connection.execute("COMMIT")
        except DriverError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise _failed(migration, error) from error
    return todo


async def pending_shared(db: PostgresDb) -> list[Migration]:
    """What `migrate_shared` would apply. Raises `Conflict` for a schema that is too new, or different."""
    [(ledger,)] = await db.read("find_ledger")
    applied = await db.read("get_migrations") if ledger else []
    return _outstanding(applied, migrations("postgres"), ahead=AHEAD_MAX)


async def migrate_shared(db: PostgresDb, now: int, say: Callable[[str], None]) -> list[Migration]:
    """Apply what is pending on PostgreSQL; returns it. Of several nodes one does it, the others wait for it.

    There is no backup here: that is the matter of whoever runs the server.
    """
    done: list[Migration] = []
    while (migration := await _apply_next(db, now, say)) is not None:
        done.append(migration)
    return done


@again_after_collisions
async def _apply_next(db: PostgresDb, now: int, say: Callable[[str], None]) -> Migration | None:
    """While older nodes go on working: a deadlock with one of them only means to try again."""
    async with db.transaction(leased=False) as tx:
        await tx.hold("hold_migrations")
        await tx.fetch("make_ledger")
        todo = _outstanding(await tx.fetch("get_migrations"), migrations("postgres"), ahead=AHEAD_MAX)
        if not todo:
            return None
        migration = todo[0]
        say(f"migrating: {migration.number:04d} {migration.name}")
        try:
            await tx.script(migration.text)
        except Exception as error:
            if isinstance(db.translated(error), Collided):
                raise
            raise _failed(migration, error) from error
        await tx.fetch(
            "note_migration",
            number=migration.number,
            name=migration.name,
            sha256=migration.sha256,
            applied_at=now,
        )
    return migration


def _failed(migration: Migration, error: Exception) -> Unavailable:
    return Unavailable(
        f"migration {migration.number:04d} {migration.name} failed: {error}",
        hint="Nothing of it was kept. Check free disk space, then start again.",
    )


def copy(connection: Connection, to: Path) -> None:
    """A consistent copy of the database in one file, on disk when this returns.

    Raises `Conflict` when the file exists and `Unavailable` when it cannot be written.
    """
    try:
        # SQLite fills an empty file too, so nobody else ever has a look at it; but it does not sync what it wrote.
        handle = os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Conflict(f"{to} exists", hint="Name a file that does not exist yet.") from None
    try:
        connection.execute("VACUUM INTO ?", (str(to),))
        os.fsync(handle)
    except (DriverError, OSError) as error:
        to.unlink()
        raise Unavailable(f"{to} could not be written: {error}", hint="Check free disk space.") from error
    finally:
        os.close(handle)
