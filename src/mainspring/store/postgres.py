"""The shared database: any number of nodes on one PostgreSQL. The only file that speaks to its driver.

A commit is a promise only when the server says so without a warning: one that was lost on the way, or whose wait for
a standby was cut short, may or may not be kept, and whoever asked gets `Unavailable`. So a commit is never cancelled,
whatever becomes of the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from mainspring.core.errors import Conflict, Invalid, Unavailable
from mainspring.store.db import Away, Collided, Durability, Row
from mainspring.store.hosts import each_host
from mainspring.store.sqlfile import Dialect, Query, load

Connection = asyncpg.Connection
DriverError = asyncpg.PostgresError

OLDEST = 15
CONNECT_S = 2.0
ACQUIRE_S = 5.0
READ_S = 5.0
SCAN_MS = 30_000
CONNECTIONS = 10
SCANS = 3

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

# Generated plans age badly here: made while a table was small, a sequential scan stays in the plan when it is large
# (measured: 32k messages/s fell to 3k, with these settings 50k stayed). A node that stops in the middle of a
# transaction must not keep its rows from the others for long.
_WORK = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "idle_in_transaction_session_timeout": "10000",
    "statement_timeout": "0",
}
# A list of a small project among large ones needs another plan than theirs: each is planned for what it asks.
_SCAN = {"statement_timeout": str(SCAN_MS), "plan_cache_mode": "force_custom_plan"}
# A notification is only a hint: it need not wait for the disk, least of all while it holds the lock of them all.
_LINE = {"synchronous_commit": "off"}
_EVERY = {
    "application_name": "mainspring",
    "timezone": "UTC",
    "jit": "off",
    "default_transaction_isolation": "read committed",
}

# Seconds, but for the last one: what was sent and is not acknowledged, in ms.
_PATIENCE_WITH_PEERS = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}

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
_FAILURES = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError)


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
        if isinstance(error, _FAILURES):
            raise self._db.translated(error) from error

    async def _commit(self) -> None:
        connection, warnings = self._connection, list[str]()

        def note(_: object, message: Any) -> None:
            if message.sqlstate != "00000":
                warnings.append(f"{message.sqlstate} {message.message}")

        try:
            connection.add_log_listener(note)
            verdict = await connection.execute("COMMIT")
        except _FAILURES as error:
            raise _uncertain(error) from error
        finally:
            with contextlib.suppress(asyncpg.InterfaceError):
                connection.remove_log_listener(note)
            await self._db.release(connection)
        if warnings or verdict != "COMMIT":
            raise _uncertain(*warnings, verdict)

    async def _undo(self) -> None:
        try:
            await self._connection.execute("ROLLBACK", timeout=CONNECT_S)
        except _FAILURES:
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
        self._hosts = each_host(url)
        self._durably: dict[str, str] = {}
        self._work: asyncpg.Pool[Any]
        self._scans: asyncpg.Pool[Any]
        self._pools: list[asyncpg.Pool[Any]] = []
        self._unfinished: set[asyncio.Task[None]] = set()

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
        except _FAILURES as error:
            raise self.translated(error) from error
        try:
            version = connection.get_server_version().major
            if version < OLDEST:
                raise Conflict(
                    f"the database is PostgreSQL {version}, and at least {OLDEST} is needed", hint="Upgrade it."
                )
            if await connection.fetchval("SHOW synchronous_commit") == "off":
                self._durably = {"synchronous_commit": "on"}
        finally:
            await connection.close()
        self._work = await self._pool(_WORK, CONNECTIONS)
        self._scans = await self._pool(_SCAN, SCANS)

    async def connect(self, settings: dict[str, str]) -> asyncpg.Connection[Any]:
        """A new connection to the first host that takes writes; the last one that did is asked first."""
        failure: BaseException | None = None
        for host in list(self._hosts):
            try:
                connection = await asyncpg.connect(
                    host.url,
                    timeout=CONNECT_S,
                    target_session_attrs=host.wanted,
                    statement_cache_size=256,
                    server_settings={**_EVERY, **self._durably, **settings},
                )
            except _FAILURES as error:
                failure = failure or error
                continue
            _notice_a_dead_peer(connection)
            self._hosts.remove(host)
            self._hosts.insert(0, host)
            return connection
        assert failure is not None
        raise failure

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
                if last or not isinstance(error, _FAILURES):
                    raise self.translated(error) from error
            else:
                return connection
        raise AssertionError("the last try returns or raises")

    async def _acquire(self, pool: asyncpg.Pool[Any]) -> PoolConnectionProxy[Any]:
        try:
            return await pool.acquire(timeout=ACQUIRE_S)
        except _FAILURES as error:
            raise self.translated(error) from error

    async def release(self, connection: PoolConnectionProxy[Any]) -> None:
        """Give a connection of the work pool back, dead or alive."""
        with contextlib.suppress(*_FAILURES):
            await self._work.release(connection)

    async def discard(self, connection: PoolConnectionProxy[Any]) -> None:
        """Have done with a connection of the work pool."""
        with contextlib.suppress(*_FAILURES):
            connection.terminate()
        await self.release(connection)

    async def to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Await `work`; if the caller is cancelled meanwhile, it still comes to its end."""
        task = asyncio.get_running_loop().create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        await asyncio.shield(task)

    def translated(self, error: BaseException) -> BaseException:
        """What the driver raised, in the words of the house."""
        state = str(getattr(error, "sqlstate", ""))
        if state in _COLLISIONS or isinstance(error, _OUTDATED):
            return Collided(str(error))
        if state == "22021":
            return Invalid("a text holds the character U+0000", hint="Leave it out: the database cannot keep it.")
        if state[:2] in _CALLERS_OWN or not isinstance(error, _FAILURES):
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
        connection = await self._acquire(pool)
        try:
            return _rows(await connection.fetch(text, *arguments, timeout=timeout_s))
        except _FAILURES as error:
            told = self.translated(error)
            raise (_away(error) if isinstance(told, Collided) else told) from error
        finally:
            with contextlib.suppress(*_FAILURES):
                await pool.release(connection)

    async def line(self, channel: str, heard: Callable[[str], None]) -> Line:
        """A connection of its own that hears what is said on a channel, and says something there."""
        try:
            connection = await self.connect(_LINE)
            await connection.add_listener(channel, lambda _, __, ___, payload: heard(str(payload)))
        except _FAILURES as error:
            raise self.translated(error) from error
        return Line(connection, channel)

    async def maintain(self) -> None:
        """Autovacuum does it."""

    async def close(self) -> None:
        if self._unfinished:
            await asyncio.wait(self._unfinished, timeout=ACQUIRE_S)
        for pool in self._pools:
            try:
                await asyncio.wait_for(pool.close(), timeout=ACQUIRE_S)
            except _FAILURES:
                pool.terminate()


class Line:
    """Hears and says short texts to all nodes; nobody waits for them, and some get lost."""

    def __init__(self, connection: asyncpg.Connection[Any], channel: str) -> None:
        self._connection = connection
        self._channel = channel

    @property
    def cut(self) -> bool:
        return bool(self._connection.is_closed())

    async def say(self, text: str) -> None:
        """Raises `Unavailable` when the line is cut."""
        try:
            await self._connection.execute("SELECT pg_notify($1, $2)", self._channel, text, timeout=READ_S)
        except _FAILURES as error:
            self._connection.terminate()
            raise Unavailable(f"the line to the other nodes is cut: {error}") from error

    async def close(self) -> None:
        with contextlib.suppress(*_FAILURES):
            await self._connection.close(timeout=CONNECT_S)


def _scalars(query: Query, scalars: dict[str, object]) -> list[object]:
    return [scalars[name] for name in query.params]


def _arrays(query: Query, rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in query.columns]


def _rows(records: Sequence[Any]) -> list[Row]:
    return [tuple(record) for record in records]


async def _nothing(_: object) -> None:
    """Nothing of a session is changed, so nothing is reset between two uses."""


def _notice_a_dead_peer(connection: asyncpg.Connection[Any]) -> None:
    """Without this a host that vanished without a word is waited for a quarter of an hour."""
    transport = connection._transport  # the driver has no setting for it
    handle = transport.get_extra_info("socket")
    if handle.family == socket.AF_UNIX:
        return
    with socket.socket(fileno=socket.dup(handle.fileno())) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PATIENCE_WITH_PEERS.items():
            if hasattr(socket, name):
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


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
