"""Sessions of PostgreSQL: how one is opened, and the one over which nodes call each other."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import asyncpg

from mainspring.core.errors import Unavailable
from mainspring.store.hosts import each_host

CONNECT_S = 2.0
SAY_S = 5.0
SCAN_MS = 30_000
# A plan is made for the size that a table has at that moment, and a new store grows fast.
PLANS_S = 20

# Generated plans age badly here: made while a table was small, a sequential scan stays in the plan when it is large
# (measured: 32k messages/s fell to 3k, with these settings 50k stayed). A node that stops in the middle of a
# transaction must not keep its rows from the others for long.
WORK = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "idle_in_transaction_session_timeout": "10000",
    "statement_timeout": "0",
}
# A list of a small project among large ones needs another plan than theirs: each is planned for what it asks.
SCAN = {"statement_timeout": str(SCAN_MS), "plan_cache_mode": "force_custom_plan"}
# A notification is only a hint: it need not wait for the disk, least of all while it holds the lock of them all.
LINE = {"synchronous_commit": "off"}
_EVERY = {
    "application_name": "mainspring",
    "timezone": "UTC",
    "jit": "off",
    "default_transaction_isolation": "read committed",
}

# Seconds, but for the last one: what was sent and is not acknowledged, in ms.
_PATIENCE_WITH_PEERS = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}

FAILURES = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError)


class Session(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """A connection that keeps what the server says beside its answers: after a warning, a commit is no promise.

    By the method that would tell the driver's listeners: adding one for each commit costs 40 us.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.said: list[str] = []

    def _process_log_message(self, fields: dict[str, str], last_query: str | None) -> None:
        if (state := fields.get("C", "")) != "00000":
            self.said.append(f"{state} {fields.get('M', '')}")


class Sessions:
    """Opens sessions with the house settings on whichever host of `url` takes writes."""

    def __init__(self, url: str) -> None:
        self.hosts = each_host(url)
        self._durably: dict[str, str] = {}

    def sync_commits(self) -> None:
        """From now on sessions wait for the disk although the server's default is not to."""
        self._durably = {"synchronous_commit": "on"}

    async def open(self, settings: dict[str, str]) -> Session:
        """A new connection to the first host that takes writes; the last one that did is asked first."""
        failure: BaseException | None = None
        for host in list(self.hosts):
            try:
                connection = await asyncpg.connect(
                    host.url,
                    timeout=CONNECT_S,
                    connection_class=Session,
                    target_session_attrs=host.wanted,
                    statement_cache_size=256,
                    max_cached_statement_lifetime=PLANS_S,
                    server_settings={**_EVERY, **self._durably, **settings},
                )
            except FAILURES as error:
                failure = failure or error
                continue
            _notice_a_dead_peer(connection)
            assert isinstance(connection, Session)
            self.hosts.remove(host)
            self.hosts.insert(0, host)
            return connection
        assert failure is not None
        raise failure


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
            await self._connection.execute("SELECT pg_notify($1, $2)", self._channel, text, timeout=SAY_S)
        except FAILURES as error:
            self._connection.terminate()
            raise Unavailable(f"the line to the other nodes is cut: {error}") from error

    async def close(self) -> None:
        with contextlib.suppress(*FAILURES):
            await self._connection.close(timeout=CONNECT_S)


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
