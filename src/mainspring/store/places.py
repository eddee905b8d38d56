"""The two ends of a move: a store that no server uses, in a file or on PostgreSQL, read and written in bulk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from mainspring.core.errors import Conflict, Refused, Unavailable
from mainspring.store import tables
from mainspring.store.db import Row
from mainspring.store.migrate import migrate, migrate_shared, pending, pending_shared
from mainspring.store.moved import named
from mainspring.store.postgres import PostgresDb
from mainspring.store.sessions import FAILURES
from mainspring.store.sqlfile import load
from mainspring.store.sqlite import Connection, DriverError, FileLock, connect
from mainspring.store.tables import Table

# Of the largest rows, messages of 256 KiB, that is 50 MiB.
PAGE = 200
CLOSE_S = 2.0
# SQLite takes 32,766 values per statement.
_VALUES_MAX = 30_000


class Place(Protocol):
    """One end. What a database refuses is raised as `Conflict` or `Unavailable`."""

    shown: str
    keeps_nul: bool

    async def tables(self) -> dict[str, Table]:
        """The tables that move, by name."""
        ...

    async def users(self) -> list[str]:
        """Servers that use the store now; a file that is locked has none."""
        ...

    async def get(self, name: str) -> str | None:
        """A value of the table `meta`."""
        ...

    async def count(self, table: Table) -> int: ...

    def pages(
        self, table: Table, after: Row | None = None, *, leases_ended: bool = False
    ) -> AsyncGenerator[list[Row], None]:
        """All rows in order of key, at most `PAGE` at a time, in the common form; after `after` if given."""
        ...

    async def find_nul(self, table: Table) -> str | None:
        """A row with the character U+0000 in a text, in words."""
        ...

    async def write(
        self,
        meta: Mapping[str, str | None],
        table: Table | None = None,
        rows: Sequence[Row] = (),
        *,
        first: bool = False,
    ) -> None:
        """One transaction, durable when it returns: values of `meta` (None: gone) and rows of one table; before its
        `first` ones, what the table has is removed."""
        ...

    async def settle(self, moved: Sequence[Table]) -> None:
        """After the last row: numbers that the database gives out go on above the copied ones."""
        ...


class SqlitePlace:
    """A store in a file."""

    keeps_nul = True

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.shown = name

    async def tables(self) -> dict[str, Table]:
        return tables.described(self._connection.execute(load("sqlite")["list_columns"].text))

    async def users(self) -> list[str]:
        return []

    async def get(self, name: str) -> str | None:
        found = self._connection.execute(load("sqlite")["get_meta"].text, (name,)).fetchone()
        return None if found is None else str(found[0])

    async def count(self, table: Table) -> int:
        [(count,)] = self._connection.execute(tables.counting(table))
        return int(count)

    async def pages(
        self, table: Table, after: Row | None = None, *, leases_ended: bool = False
    ) -> AsyncGenerator[list[Row], None]:
        rows = self._connection.execute(tables.reading(table, after, leases_ended=leases_ended), after or ())
        last = after
        while True:
            try:
                page: list[Row] = list(islice(rows, PAGE))
            except UnicodeDecodeError:
                behind = "its first row" if last is None else f"the one after {table.shown(last)}"
                raise Conflict(f"{table.name} has a text that is not UTF-8, in {behind} or soon after") from None
            if not page:
                return
            last = table.key_of(page[-1])
            yield page

    async def find_nul(self, table: Table) -> str | None:
        texts = [f'"{column.name}"' for column in table.columns if column.kind == "TEXT"]
        if not texts:
            return None
        key = ", ".join(f'"{table.names[at]}"' for at in table.key)
        cases = " ".join(f"WHEN instr({name}, char(0)) > 0 THEN '{name}'" for name in texts)
        question = f'SELECT {key}, CASE {cases} END AS found FROM "{table.name}" WHERE found IS NOT NULL LIMIT 1'  # noqa: S608  # catalogue names
        found = self._connection.execute(question).fetchone()
        return None if found is None else f"{table.shown(found[:-1])}, column {found[-1]}"

    async def write(
        self,
        meta: Mapping[str, str | None],
        table: Table | None = None,
        rows: Sequence[Row] = (),
        *,
        first: bool = False,
    ) -> None:
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            if table is not None and first:
                execute(tables.clearing(table))
            if table is not None:
                for text, values in _inserts(table, rows):
                    execute(text, values)
            for name, value in meta.items():
                known = load("sqlite")["delete_meta" if value is None else "set_meta"]
                execute(known.text, [{"name": name, "value": value}[param] for param in known.params])
            execute("COMMIT")
        except DriverError as error:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise _refused(self.shown, table, rows, error) from error

    async def settle(self, moved: Sequence[Table]) -> None:
        """AUTOINCREMENT minds what is inserted by itself."""


def _inserts(table: Table, rows: Sequence[Row]) -> Iterator[tuple[str, list[Any]]]:
    width = len(table.columns)
    most = max(1, _VALUES_MAX // width)
    names = ", ".join(f'"{name}"' for name in table.names)
    for start in range(0, len(rows), most):
        some = rows[start : start + most]
        values = ", ".join(["(" + ", ".join("?" * width) + ")"] * len(some))
        yield f'INSERT INTO "{table.name}" ({names}) VALUES {values}', [cell for row in some for cell in row]  # noqa: S608  # as above


class PostgresPlace:
    """A store on PostgreSQL, over one session."""

    keeps_nul = False

    def __init__(self, db: PostgresDb, connection: Any, name: str) -> None:
        self._db = db
        self._connection = connection
        self._flags: dict[str, set[int]] | None = None
        self.shown = name

    async def _flags_of(self, table: Table) -> set[int]:
        """Which of its columns are flags here; the other end has numbers there."""
        if self._flags is None:
            self._flags = {
                name: {at for at, column in enumerate(mine.columns) if column.type == "boolean"}
                for name, mine in (await self.tables()).items()
            }
        return self._flags[table.name]

    async def _ask(self, query: str, *values: object) -> list[Row]:
        return [tuple(row) for row in await self._connection.fetch(load("postgres")[query].text, *values)]

    async def take_turn(self) -> None:
        """Keep other moves away. Raises `Conflict` when one is under way."""
        [(taken,)] = await self._ask("take_moving_turn")
        if not taken:
            raise Conflict(
                f"another move has {self.shown} in use", hint="Wait for it; and name two different databases."
            )

    async def tables(self) -> dict[str, Table]:
        return tables.described(await self._ask("list_columns"))

    async def users(self) -> list[str]:
        return [str(name) for (name,) in await self._ask("list_live_nodes")]

    async def get(self, name: str) -> str | None:
        found = await self._ask("get_meta", name)
        return None if not found else str(found[0][0])

    async def count(self, table: Table) -> int:
        return int(await self._connection.fetchval(tables.counting(table)))

    async def pages(
        self, table: Table, after: Row | None = None, *, leases_ended: bool = False
    ) -> AsyncGenerator[list[Row], None]:
        flags = await self._flags_of(table)
        question = tables.reading(table, after, leases_ended=leases_ended)
        async with self._connection.transaction(readonly=True):
            cursor = await self._connection.cursor(question, *_cells(after or (), [at in flags for at in table.key]))
            while found := await cursor.fetch(PAGE):
                yield [_numbered(tuple(row), flags) for row in found] if flags else [tuple(row) for row in found]

    async def find_nul(self, table: Table) -> str | None:
        """PostgreSQL cannot keep one."""
        return None

    async def write(
        self,
        meta: Mapping[str, str | None],
        table: Table | None = None,
        rows: Sequence[Row] = (),
        *,
        first: bool = False,
    ) -> None:
        try:
            async with self._connection.transaction():
                if table is not None and first:
                    await self._connection.execute(tables.clearing(table))
                if table is not None and rows:
                    found = await self._flags_of(table)
                    flags = [at in found for at in range(len(table.columns))]
                    records = [_cells(row, flags) for row in rows] if found else rows
                    await self._connection.copy_records_to_table(table.name, records=records, columns=table.names)
                for name, value in meta.items():
                    given = (name,) if value is None else (name, value)
                    await self._ask("delete_meta" if value is None else "set_meta", *given)
        except FAILURES as error:
            told = self._db.translated(error)
            raise told if isinstance(told, Refused) else _refused(self.shown, table, rows, error) from error

    async def settle(self, moved: Sequence[Table]) -> None:
        names = {table.name for table in moved}
        for table, column, sequence in await self._ask("list_sequences"):
            if table in names:
                largest = f'(SELECT max("{column}") FROM "{table}")'  # noqa: S608  # catalogue names
                await self._connection.execute(f"SELECT setval('{sequence}', {largest})")
        await self._ask("make_groups")
        # A server that starts at once would plan for empty tables.
        await self._connection.execute("ANALYZE " + ", ".join(f'"{name}"' for name in names))


def _numbered(row: Row, flags: set[int]) -> Row:
    return tuple(int(cell) if at in flags and cell is not None else cell for at, cell in enumerate(row))


def _cells(row: Sequence[Any], flags: Sequence[bool]) -> Row:
    return tuple(bool(cell) if flag and cell is not None else cell for cell, flag in zip(row, flags, strict=False))


def _refused(place: str, table: Table | None, rows: Sequence[Row], error: BaseException) -> Refused:
    if table is None or not rows:
        return Unavailable(f"{place} refused: {type(error).__name__}: {error}")
    first, last = (table.shown(table.key_of(rows[at])) for at in (0, -1))
    return Conflict(f"{place} refused a row between {first} and {last}: {type(error).__name__}: {error}")


@asynccontextmanager
async def opened(
    where: Path | str, now: int, *, say: Callable[[str], None] = lambda _: None, make: bool = False, look: bool = False
) -> AsyncIterator[Place]:
    """One end, kept for this process alone. `make`: give it a schema if it has none at all. `look`: it is only read,
    and servers may be using it.

    Raises `Conflict` when it is in use, missing, or of another version; `Unavailable` when it cannot be reached.
    """
    if isinstance(where, Path):
        with _opened_file(where, now, say=say, make=make, look=look) as file:
            yield file
        return
    async with _reached(where) as db:
        todo = await pending_shared(db)
        if todo and not (make and todo[0].number == 1):
            raise _behind(named(where))
        if todo:
            await migrate_shared(db, now, say)
        connection = await db.connect({"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"})
        try:
            place = PostgresPlace(db, connection, named(where))
            if not look:
                await place.take_turn()
            yield place
        finally:
            with suppress(*FAILURES):
                await connection.close(timeout=CLOSE_S)


async def is_blank(where: Path | str) -> bool:
    """Whether there is no store yet, so that `opened` would make one."""
    if isinstance(where, Path):
        return _is_blank_file(where)
    async with _reached(where) as db:
        todo = await pending_shared(db)
    return bool(todo) and todo[0].number == 1


def _is_blank_file(path: Path) -> bool:
    if not path.exists():
        return True
    with _driven(path):
        connection = connect(path, readonly=True)
        try:
            todo = pending(connection)
        finally:
            connection.close()
    return bool(todo) and todo[0].number == 1


@asynccontextmanager
async def _reached(url: str) -> AsyncIterator[PostgresDb]:
    db = PostgresDb(url)
    try:
        await db.open()
        yield db
    except FAILURES as error:
        told = db.translated(error)
        raise told if isinstance(told, Refused) else Unavailable(f"{named(url)} failed: {error}") from error
    finally:
        await db.close()


@contextmanager
def _driven(path: Path) -> Iterator[None]:
    try:
        yield
    except DriverError as error:
        raise Unavailable(f"{path} cannot be used: {error}") from error


@contextmanager
def _opened_file(path: Path, now: int, *, say: Callable[[str], None], make: bool, look: bool) -> Iterator[SqlitePlace]:
    if make:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not path.exists():
        raise Conflict(f"there is no store at {path}", hint="Name the file, such as sqlite:/var/lib/mainspring.db")
    lock = None if look else FileLock(path)
    try:
        with _driven(path):
            connection = connect(path, readonly=look)
            try:
                todo = pending(connection)
                if todo and not (make and todo[0].number == 1):
                    raise _behind(named(path))
                migrate(connection, path, now, say)
                yield SqlitePlace(connection, named(path))
            finally:
                connection.close()
    finally:
        if lock is not None:
            lock.release()


def fresh() -> SqlitePlace:
    """A new store in memory, for what a store has before anything is in it."""
    connection = connect(Path(":memory:"))
    migrate(connection, Path(), 0, lambda _: None)
    return SqlitePlace(connection, "a new store")


def _behind(place: str) -> Conflict:
    return Conflict(
        f"the schema of {place} is older than this version", hint="Run `mainspring migrate` on it, without --from."
    )
