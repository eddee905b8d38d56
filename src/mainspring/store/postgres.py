"""The shared database: any number of nodes on one PostgreSQL. With sessions.py, what speaks to its driver.

A commit is a promise only when the server says so without a warning: one that was lost on the way, or whose wait for
a standby was cut short, may or may not be kept, and whoever asked gets `Unavailable`. So a commit is never cancelled,
whatever becomes of the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from mainspring.core.errors import Conflict, Invalid
from mainspring.store.db import Away, Collided, Durability, Row
from mainspring.store.sessions import CONNECT_S, FAILURES, LINE, SCAN, WORK, Line, Session, Sessions
from mainspring.store.sqlfile import Dialect, Query, load

T = TypeVar("T")

OLDEST = 15
ACQUIRE_S = 5.0
READ_S = 5.0
CONNECTIONS = 10
SCANS = 3

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

_HINTS = {
    "28P01": "Check the user and the password in DATABASE.",
    "28000": "Check the user in DATABASE and the server's pg_hba.conf.",
    "3D000": "Create the database, or name another in DATABASE.",
    "42501": "Grant the database user what it lacks.",
    "53300": "Raise max_connections of the server: a node takes up to 15.",
    "0A000": "The server takes no writes; it is probably failing over.",
}
_COLLISIONS = {"40001", "40P01"}
# A prepared statement met a schema that a newer version has changed meanwhile; it is prepared anew.
_OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
_CALLERS_OWN = {"22", "23", "54"}
_LOST = (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)


class PostgresTx:
    """One transaction at READ COMMITTED, on a connection of its own."""

    def __init__(self, db: PostgresDb, *, leased: bool) -> None:
        self._db = db
        self._leased = leased
        self._queries = db.queries
        self._connection: PoolConnectionProxy[Any]

    async def __aenter__(self) -> PostgresTx:
        if self._leased:
            self._db.gate()
        self._connection = await self._db.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return await self._db.to_the_end(self._commit())
        await self._db.to_the_end(self._undo())
        if isinstance(error, FAILURES):
            raise self._db.translated(error) from error

    async def _commit(self) -> None:
        connection = self._connection
        try:
            connection.said.clear()
            verdict = await connection.execute("COMMIT")
            warnings = tuple(connection.said)
        except FAILURES as error:
            raise _uncertain(error) from error
        finally:
            await self._db.release(connection)
        if warnings or verdict != "COMMIT":
            raise _uncertain(*warnings, verdict)

    async def _undo(self) -> None:
        try:
            await self._connection.execute("ROLLBACK", timeout=CONNECT_S)
        except FAILURES:
            await self._db.discard(self._connection)
        else:
            await self._db.release(self._connection)

    async def fetch(self, query: str, **scalars: object) -> list[Row]:
        compiled = self._queries[query]
        return _rows(await self._connection.fetch(compiled.text, *_scalars(compiled, scalars)))

    async def fetch_in(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        compiled = self._queries[query]
        arguments = [*_scalars(compiled, scalars), *_arrays(compiled, rows)]
        return _rows(await self._connection.fetch(compiled.text, *arguments))

    async def script(self, text: str) -> None:
        """Run several statements without parameters."""
        await self._connection.execute(text)

    async def many(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        return await self.fetch_in(query, rows, **scalars) if rows else []

    async def each(self, query: str, rows: Sequence[Sequence[object]]) -> list[Row]:
        return await self.many(query, rows)

    async def hold(self, query: str, rows: Sequence[Sequence[object]] = (), **scalars: object) -> list[Row]:
        if self._queries[query].table is None:
            return await self.fetch(query, **scalars)
        return await self.many(query, rows, **scalars)


class PostgresDb:
    """The database at `url` (several hosts: whichever takes writes). Connections are made when they are needed, and
    made anew after a restart or a fail-over."""

    dialect: Dialect = "postgres"
    commit_lag_ms = 250

    def __init__(self, url: str) -> None:
        self.queries = load("postgres")
        self.gate: Callable[[], None] = lambda: None
        """Raises `Unavailable` while this node must not write."""
        self.waits, self.waited_s = 0, 0.0
        """How often all connections of a pool were in use, and how long that was waited for."""
        self._sessions = Sessions(url)
        self._work: asyncpg.Pool[Any]
        self._scans: asyncpg.Pool[Any]
        self._pools: list[asyncpg.Pool[Any]] = []
        self._unfinished: set[asyncio.Task[Any]] = set()
        self._swift: Session | None = None

    async def _pool(self, settings: dict[str, str], size: int) -> asyncpg.Pool[Any]:
        pool = await asyncpg.create_pool(
            connect=lambda *_, **__: self.connect(settings),
            reset=_nothing,
            min_size=0,
            max_size=size,
            max_queries=float("inf"),
        )
        self._pools.append(pool)
        return pool

    async def open(self) -> None:
        """Reach it. Raises `Unavailable` when it cannot be reached, `Conflict` when it is too old."""
        try:
            connection = await self.connect({})
        except FAILURES as error:
            raise self.translated(error) from error
        try:
            version = connection.get_server_version().major
            if version < OLDEST:
                raise Conflict(
                    f"the database is PostgreSQL {version}, and at least {OLDEST} is needed", hint="Upgrade it."
                )
            if await connection.fetchval("SHOW synchronous_commit") == "off":
                self._sessions.sync_commits()
        finally:
            await connection.close()
        self._work = await self._pool(WORK, CONNECTIONS)
        self._scans = await self._pool(SCAN, SCANS)

    async def connect(self, settings: dict[str, str]) -> Session:
        """A session of its own, outside the pools."""
        return await self._sessions.open(settings)

    def transaction(self, durability: Durability = "now", *, leased: bool = True) -> PostgresTx:
        """`leased=False`: for what a node does before it has its lease, or to get it."""
        return PostgresTx(self, leased=leased)

    async def begin(self) -> PoolConnectionProxy[Any]:
        """A connection in a new transaction. One that died while it was idle, or whose server takes no writes any
        more, is replaced."""
        for last in (False, False, True):
            connection = await self._acquire(self._work)
            try:
                await connection.execute(_BEGIN)
            except BaseException as error:
                await self.discard(connection)
                await self._work.expire_connections()
                if last or not isinstance(error, FAILURES):
                    raise self.translated(error) from error
            else:
                return connection
        raise AssertionError("the last try returns or raises")

    async def at_once(self, query: str, columns: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        """A transaction of one statement: one round trip."""
        self.gate()
        compiled = self.queries[query]
        arguments = [*_scalars(compiled, scalars), *columns]
        session, self._swift = self._swift, None
        if session is None or session.is_closed():
            try:
                session = await self.connect(WORK)
            except FAILURES as error:
                raise self.translated(error) from error
        return await self.to_the_end(self._at_once(session, compiled.text, arguments))

    async def _at_once(self, session: Session, text: str, arguments: list[object]) -> list[Row]:
        """On a session that is kept for this alone: taking one from the pool costs a fifth of a small publish."""
        session.said.clear()
        try:
            found = await session.fetch(text, *arguments)
        except FAILURES as error:
            told = self.translated(error)
            if not isinstance(told, Away):
                self._keep(session)
                raise told from error
            # Perhaps the server takes no writes any more: the next one looks for another.
            session.terminate()
            await self._work.expire_connections()
            lost = not isinstance(error, asyncpg.PostgresError) or isinstance(error, _LOST)
            raise (_uncertain(error) if lost else told) from error
        except BaseException:
            session.terminate()
            raise
        warnings = tuple(session.said)
        self._keep(session)
        if warnings:
            raise _uncertain(*warnings)
        return _rows(found)

    def _keep(self, session: Session) -> None:
        """One is enough: what several at a time needed is hung up."""
        if self._swift is None:
            self._swift = session
        else:
            session.terminate()

    async def _acquire(self, pool: asyncpg.Pool[Any]) -> PoolConnectionProxy[Any]:
        in_use = pool.get_size() - pool.get_idle_size()
        loop = asyncio.get_running_loop()
        asked = loop.time()
        try:
            return await pool.acquire(timeout=ACQUIRE_S)
        except FAILURES as error:
            raise self.translated(error) from error
        finally:
            if in_use == pool.get_max_size():
                self.waits += 1
                self.waited_s += loop.time() - asked

    async def release(self, connection: PoolConnectionProxy[Any]) -> None:
        """Give a connection of the work pool back, dead or alive."""
        with contextlib.suppress(*FAILURES):
            await self._work.release(connection)

    async def discard(self, connection: PoolConnectionProxy[Any]) -> None:
        """Have done with a connection of the work pool."""
        with contextlib.suppress(*FAILURES):
            connection.terminate()
        await self.release(connection)

    async def to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`; if the caller is cancelled meanwhile, it still comes to its end."""
        task = asyncio.get_running_loop().create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    def translated(self, error: BaseException) -> BaseException:
        """What the driver raised, in the words of the house."""
        state = str(getattr(error, "sqlstate", ""))
        if state in _COLLISIONS or isinstance(error, _OUTDATED):
            return Collided(str(error))
        if state == "22021":
            return Invalid("a text holds the character U+0000", hint="Leave it out: the database cannot keep it.")
        if state[:2] in _CALLERS_OWN or not isinstance(error, FAILURES):
            return error
        return _away(error)

    async def durable(self) -> None:
        """Every commit is on disk when it returns."""

    async def read(self, query: str, **scalars: object) -> list[Row]:
        compiled = self.queries[query]
        return await self._read(self._work, READ_S, compiled.text, _scalars(compiled, scalars))

    async def read_in(self, query: str, rows: Sequence[Sequence[object]], **scalars: object) -> list[Row]:
        compiled = self.queries[query]
        arguments = [*_scalars(compiled, scalars), *_arrays(compiled, rows)]
        return await self._read(self._work, READ_S, compiled.text, arguments)

    async def scan(self, query: str, **scalars: object) -> list[Row]:
        compiled = self.queries[query]
        return await self._read(self._scans, None, compiled.text, _scalars(compiled, scalars))

    async def _read(
        self, pool: asyncpg.Pool[Any], timeout_s: float | None, text: str, arguments: Sequence[object]
    ) -> list[Row]:
        for last in (False, True):
            connection = await self._acquire(pool)
            try:
                return _rows(await connection.fetch(text, *arguments, timeout=timeout_s))
            except FAILURES as error:
                lost = not isinstance(error, asyncpg.PostgresError) or isinstance(error, _LOST)
                if lost:
                    await pool.expire_connections()
                if last or not lost or isinstance(error, TimeoutError):
                    told = self.translated(error)
                    raise (_away(error) if isinstance(told, Collided) else told) from error
            finally:
                with contextlib.suppress(*FAILURES):
                    await pool.release(connection)
        raise AssertionError("the last try returns or raises")

    async def line(self, channel: str, heard: Callable[[str], None]) -> Line:
        """A connection of its own that hears what is said on a channel, and says something there."""
        try:
            connection = await self.connect(LINE)
            await connection.add_listener(channel, lambda _, __, ___, payload: heard(str(payload)))
        except FAILURES as error:
            raise self.translated(error) from error
        return Line(connection, channel)

    async def maintain(self) -> None:
        """Autovacuum does it."""

    async def close(self) -> None:
        if self._unfinished:
            await asyncio.wait(self._unfinished, timeout=ACQUIRE_S)
        if self._swift is not None:
            self._swift.terminate()
        for pool in self._pools:
            try:
                await asyncio.wait_for(pool.close(), timeout=ACQUIRE_S)
            except FAILURES:
                pool.terminate()


def _scalars(query: Query, scalars: dict[str, object]) -> list[object]:
    return [scalars[name] for name in query.params]


def _arrays(query: Query, rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in query.columns]


def _rows(records: Sequence[Any]) -> list[Row]:
    return [tuple(record) for record in records]


async def _nothing(_: object) -> None:
    """Nothing of a session is changed, so nothing is reset between two uses."""


def _away(error: BaseException) -> Away:
    said = str(error).splitlines()[0] if str(error) else "no answer in time"
    hint = _HINTS.get(getattr(error, "sqlstate", None) or "", "Look at the database server.")
    return Away(f"the database is away: {type(error).__name__}: {said}", hint=hint + " Nothing was accepted.")


def _uncertain(*reasons: object) -> Away:
    said = "; ".join(str(reason) or type(reason).__name__ for reason in reasons)
    return Away(
        f"the database did not confirm the commit: {said}",
        hint="It may or may not be kept. Send the same request again under the same idempotency key.",
    )
