"""The embedded database: one file, one process, WAL, every commit on disk before it is acknowledged.

The write connection lives on the event-loop thread: no acknowledgement ever waits for a Python thread to get the
interpreter back (measured: a writer thread beside a busy loop did 0-43 rows/s, inline 93k). Long reads have a thread
and a connection of their own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from types import TracebackType

import apsw

from mainspring.core.errors import Conflict, Unavailable
from mainspring.store.db import Durability, Row
from mainspring.store.sqlfile import Dialect, Query, load
from mainspring.store.syncer import Syncer

Connection = apsw.Connection
DriverError = apsw.Error

# Rows per statement, in powers of two so that few texts are prepared.
CHUNK = 64

_PRAGMAS = """
PRAGMA page_size = 8192;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 2000;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;
PRAGMA journal_size_limit = 67108864;
"""


# FIFO groups, in memory: who is next in each, and how many wait. Group keys are hashes, so on disk every message would
# dirty three pages of its own (measured: 100,000 groups were consumed at a third of the pace of plain messages). As
# temporary tables they are rolled back with the rest; `message_groups` hides the one of the schema, which stays empty.
GROUPS = """
CREATE TEMP TABLE message_groups (
  generation INTEGER NOT NULL, group_key INTEGER NOT NULL, tail INTEGER NOT NULL, waiting INTEGER NOT NULL,
  PRIMARY KEY (generation, group_key)) STRICT, WITHOUT ROWID;
CREATE TEMP TABLE line (
  generation INTEGER NOT NULL, group_key INTEGER NOT NULL, place INTEGER NOT NULL, id INTEGER NOT NULL,
  PRIMARY KEY (generation, group_key, place)) STRICT, WITHOUT ROWID;
INSERT INTO line SELECT generation, group_key, place, id FROM blocked;
INSERT INTO message_groups
  SELECT generation, group_key, max(place), sum(waits) FROM (
    SELECT generation, group_key, 0 AS place, 0 AS waits FROM ready
    WHERE generation IN (SELECT generation FROM queues WHERE type = 'fifo') AND group_key IS NOT NULL
    UNION ALL SELECT generation, group_key, 0, 0 FROM leased WHERE group_key IS NOT NULL
    UNION ALL SELECT generation, group_key, 0, 0 FROM postponed WHERE group_key IS NOT NULL
    UNION ALL SELECT generation, group_key, place, 1 FROM blocked)
  GROUP BY generation, group_key;
CREATE TEMP TRIGGER join_line AFTER INSERT ON blocked BEGIN
  INSERT INTO line (generation, group_key, place, id) VALUES (NEW.generation, NEW.group_key, NEW.place, NEW.id);
END;
CREATE TEMP TRIGGER leave_line AFTER DELETE ON blocked BEGIN
  DELETE FROM line WHERE generation = OLD.generation AND group_key = OLD.group_key AND place = OLD.place;
END;
"""


class FileLock:
    """Keeps a second process off the database file, for as long as this one lives."""

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._handle, 64).decode("ascii", "replace").strip() or "unknown"
            os.close(self._handle)
            raise Conflict(
                f"another mainspring (process {holder}) is using {database}",
                hint="Stop it first, or start this one with another --data directory.",
            ) from None
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        os.close(self._handle)


def connect(path: Path, *, vfs: str | None = None, readonly: bool = False) -> apsw.Connection:
    """A connection with the house settings. `vfs` names a registered SQLite VFS (tests count syncs with one)."""
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=500)
    connection.set_busy_timeout(5_000)
    if not readonly:
        # A statement with an answer holds up those after it until somebody takes the answer.
        connection.execute(_PRAGMAS).fetchall()
    return connection


def _unavailable(error: apsw.Error) -> Unavailable:
    return Unavailable(
        f"the database refused: {type(error).__name__}: {error}",
        hint="Check free disk space and the permissions of the data directory; nothing was accepted.",
    )


class SqliteTx:
    """An open transaction on the write connection. Nothing in it suspends, so transactions never interleave."""

    def __init__(self, db: SqliteDb, connection: apsw.Connection, durability: Durability) -> None:
        self._db = db
        self._connection = connection
        self._queries = db.queries
        self._durability = durability

    async def __aenter__(self) -> SqliteTx:
        try:
            if self._connection.in_transaction:
                raise AssertionError("a transaction may not span a suspension")
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise _unavailable(error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except apsw.Error as failed:
                self._rollback()
                raise _unavailable(failed) from failed
            return await self._db.committed(self._durability)
        self._rollback()
        if isinstance(error, apsw.FullError | apsw.IOError | apsw.BusyError | apsw.ReadOnlyError | apsw.CantOpenError):
            raise _unavailable(error) from error

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    async def fetch(self, query: str, **scalars: object) -> list[Row]:
        return _run(self._connection, self._queries[query], scalars)

    async def fetch_in(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        return _run_in(self._connection, self._queries[query], rows, scalars)

    async def many(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        compiled = self._queries[query]
        given = [scalars[name] for name in compiled.params]
        returned: list[Row] = []
        at = 0
        while at < len(rows):
            size = min(CHUNK, 1 << (len(rows) - at).bit_length() - 1)
            bindings = [*given, *chain.from_iterable(rows[at : at + size])]
            returned.extend(self._connection.execute(_text(compiled, size), bindings))
            at += size
        return returned

    async def each(self, query: str, rows: Sequence[Sequence[object]]) -> list[Row]:
        return [answer for row in rows for answer in await self.fetch_in(query, [row])]

    async def hold(self, query: str, rows: Sequence[Sequence[object]] = (), **scalars: object) -> list[Row]:
        return []


class SqliteDb:
    """The database file: the write connection, and a reader with its own thread."""

    dialect: Dialect = "sqlite"
    commit_lag_ms = 0

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        self._lock = FileLock(path)
        self.path = path
        self.queries = load("sqlite")
        try:
            self._writer = connect(path, vfs=vfs)
        except apsw.Error as error:
            self._lock.release()
            raise _unavailable(error) from error
        self._syncer: Syncer | None = None
        self._commits = 0
        self._reader: apsw.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-reader")

    @property
    def connection(self) -> apsw.Connection:
        """The write connection, for migrations and backups."""
        return self._writer

    def recall_groups(self) -> None:
        """Make what is kept in memory of FIFO groups, from the messages that are there."""
        self._writer.execute(GROUPS)

    def sync_aside(self) -> None:
        """From now on commits are made durable by a helper process instead of on the event loop."""
        self._writer.execute("PRAGMA synchronous = NORMAL")
        self._syncer = Syncer(self.path.with_name(self.path.name + "-wal"))

    def transaction(self, durability: Durability = "now") -> SqliteTx:
        return SqliteTx(self, self._writer, durability)

    async def at_once(self, query: str, columns: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        async with self.transaction() as tx:
            return await tx.many(query, list(zip(*columns, strict=True)), **scalars)

    async def committed(self, durability: Durability) -> None:
        """What follows a commit. One that wrote nothing waits too: it may have read what is not on disk yet."""
        if self._syncer is None:
            return
        self._commits += 1
        self._syncer.want(self._commits)
        if durability == "now":
            await self._syncer.wait(self._commits)

    async def durable(self) -> None:
        if self._syncer is not None:
            await self._syncer.wait(self._commits)

    async def read(self, query: str, **scalars: object) -> list[Row]:
        try:
            return _run(self._writer, self.queries[query], scalars)
        except apsw.Error as error:
            raise _unavailable(error) from error

    async def read_in(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        try:
            return _run_in(self._writer, self.queries[query], rows, scalars)
        except apsw.Error as error:
            raise _unavailable(error) from error

    async def scan(self, query: str, **scalars: object) -> list[Row]:
        def work() -> list[Row]:
            if self._reader is None:
                self._reader = connect(self.path, readonly=True)
            return _run(self._reader, self.queries[query], scalars)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except apsw.Error as error:
            raise _unavailable(error) from error

    async def maintain(self) -> None:
        try:
            self._writer.execute("PRAGMA incremental_vacuum(64)").fetchall()
        except apsw.Error as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        try:
            await self.durable()
        finally:
            if self._syncer is not None:
                self._syncer.close()
            self._thread.shutdown()
            if self._reader is not None:
                self._reader.close()
            self._writer.close()
            self._lock.release()


_texts: dict[tuple[str, int], str] = {}


def _text(query: Query, rows: int) -> str:
    if query.table is None:
        return query.text
    text = _texts.get((query.name, rows))
    if text is None:
        text = _texts[query.name, rows] = query.with_rows(rows)
    return text


def _run(connection: apsw.Connection, query: Query, scalars: dict[str, object]) -> list[Row]:
    return list(connection.execute(query.text, [scalars[name] for name in query.params]))


def _run_in(
    connection: apsw.Connection, query: Query, rows: Sequence[Sequence[object]], scalars: dict[str, object]
) -> list[Row]:
    size = 1 << (len(rows) - 1).bit_length() if rows else 0
    # Repeating the last row changes nothing in a set and keeps the number of prepared texts small.
    padded = [*rows, *(rows[-1] for _ in range(size - len(rows)))] if rows else []
    bindings = [*(scalars[name] for name in query.params), *chain.from_iterable(padded)]
    return list(connection.execute(_text(query, size), bindings))
