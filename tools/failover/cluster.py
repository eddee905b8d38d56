"""Three database servers under Patroni and three members of etcd on this machine, and the end of a leader.

The settings are those that docs/operations.md recommends; a test compares the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg

from tools.failover.programs import Programs

USER = "mainspring"
DATABASE = "mainspring"
NODES = 3
PATIENCE = 120.0
# Clients of this machine dial from ports above this one, and must not find that of a server which is down.
_PORTS = range(15_000, 32_000)

DCS: dict[str, Any] = {
    "ttl": 20,
    "loop_wait": 2,
    "retry_timeout": 3,
    "synchronous_mode": "quorum",
    "synchronous_mode_strict": True,
    "synchronous_node_count": 1,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {
            "synchronous_commit": "on",
            "fsync": "on",
            "full_page_writes": "on",
            "wal_log_hints": "on",
        },
    },
}
INITDB: list[Any] = ["data-checksums", {"encoding": "UTF8"}, {"locale": "C"}]


class Member(NamedTuple):
    """One server as Patroni sees it: `role` is leader, quorum_standby, sync_standby or replica."""

    name: str
    role: str
    state: str


class Cluster:
    """Started once; after that leaders die and come back."""

    def __init__(self, programs: Programs, home: Path) -> None:
        self._programs = programs
        self._home = home
        ports = _free_ports(4 * NODES)
        self.ports = {f"db{at + 1}": ports[at] for at in range(NODES)}
        self._rest = {f"db{at + 1}": ports[NODES + at] for at in range(NODES)}
        self._etcd = list(zip(ports[2 * NODES : 3 * NODES], ports[3 * NODES :], strict=True))
        self._members: list[subprocess.Popen[bytes]] = []
        self._patroni: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """The address for the server, with all three hosts in it."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        return f"postgresql://{USER}@{hosts}/{DATABASE}"

    async def start(self) -> None:
        """Until there is a leader with two standbys that can take its place, and our database on it."""
        members = ",".join(f"e{at}=http://127.0.0.1:{peer}" for at, (_, peer) in enumerate(self._etcd))
        for at, (client, peer) in enumerate(self._etcd):
            here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
            self._members.append(
                self._popen(
                    f"e{at}",
                    [
                        *(self._programs.etcd, "--name", f"e{at}", "--data-dir", str(self._home / f"e{at}")),
                        *("--listen-client-urls", here, "--advertise-client-urls", here),
                        *("--listen-peer-urls", there, "--initial-advertise-peer-urls", there),
                        *("--initial-cluster", members, "--initial-cluster-state", "new"),
                    ],
                )
            )
        for name in self.ports:
            self._start_patroni(name)
        await self.whole()
        leader = await self.leader()
        await self._execute(leader, f"CREATE ROLE {USER} LOGIN")
        await self._execute(leader, f"CREATE DATABASE {DATABASE} OWNER {USER}")

    async def members(self) -> list[Member]:
        """What the first Patroni that answers says; nothing when none does."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            for name, port in self._rest.items():
                if name not in self._patroni:
                    continue
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
                    async with session.get(f"http://127.0.0.1:{port}/cluster") as reply:
                        told = await reply.json(content_type=None)
                        return [Member(each["name"], each["role"], each["state"]) for each in told["members"]]
        return []

    async def leader(self, *, other_than: str = "") -> str:
        """The name of the server that leads, once one does."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for name, role, state in await self.members():
                if role == "leader" and state == "running" and name != other_than:
                    return name
            await asyncio.sleep(0.2)
        raise TimeoutError(f"no new leader in {PATIENCE:g} s")

    async def whole(self) -> None:
        """Until all three are there and each standby may be promoted."""
        until = time.monotonic() + PATIENCE
        seen: list[Member] = []
        while time.monotonic() < until:
            seen = await self.members()
            states = sorted((role, state) for _, role, state in seen)
            standby = ("quorum_standby", "streaming")
            if states == [("leader", "running"), standby, standby]:
                return
            for name, process in self._patroni.items():
                if process.poll() is not None:
                    raise ChildProcessError(f"Patroni of {name} ended: look at {self._home / name}.log")
            await asyncio.sleep(0.5)
        raise TimeoutError(f"the cluster is not whole after {PATIENCE:g} s: {seen}")

    async def confirms(self) -> str:
        """Whom a commit waits for, by the leader's own word."""
        [row] = await self._execute(await self.leader(), "SHOW synchronous_standby_names")
        return str(row[0])

    def cut_off(self, name: str) -> None:
        """Nothing that this server writes reaches its standbys any more; everything else goes on."""
        for process in _families(self._postmaster(name)):
            with contextlib.suppress(OSError):
                if b"walsender" in Path(f"/proc/{process}/cmdline").read_bytes():
                    _signal([process], signal.SIGSTOP)

    def kill(self, name: str) -> None:
        """What the loss of a machine does to its processes: Patroni and every process of its server, SIGKILL."""
        process = self._patroni.pop(name)
        roots = {process.pid} | self._postmaster(name)
        # Held still, they can neither start another process nor lose sight of those they have.
        _signal(roots, signal.SIGSTOP)
        _signal(_families(roots), signal.SIGKILL)
        process.wait()

    def revive(self, name: str) -> None:
        """The machine is back, with what is on its disk."""
        self._start_patroni(name)

    def stop(self) -> None:
        """End everything; safe at any moment."""
        for name in list(self.ports):
            if name in self._patroni:
                self.kill(name)
        for member in self._members:
            member.kill()
            member.wait()

    async def database(self) -> asyncpg.Connection[Any]:
        """A session on our database at the leader."""
        port = self.ports[await self.leader()]
        return await asyncpg.connect(f"postgresql://{USER}@127.0.0.1:{port}/{DATABASE}")

    async def _execute(self, name: str, text: str) -> list[Any]:
        session = await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{self.ports[name]}/postgres")
        try:
            return list(await session.fetch(text))
        finally:
            await session.close()

    def _start_patroni(self, name: str) -> None:
        path = self._home / f"{name}.json"
        path.write_text(json.dumps(self._config(name), indent=1))
        path.chmod(0o644)
        self._patroni[name] = self._popen(name, [*self._programs.patroni, str(path)])

    def _config(self, name: str) -> dict[str, Any]:
        """Patroni's file for one server; JSON is YAML."""
        rest, server = f"127.0.0.1:{self._rest[name]}", f"127.0.0.1:{self.ports[name]}"
        known = {role: {"username": role, "password": "-"} for role in ("replication", "rewind")}
        return {
            "scope": "demonstration",
            "name": name,
            "restapi": {"listen": rest, "connect_address": rest},
            "etcd3": {"hosts": [f"127.0.0.1:{client}" for client, _ in self._etcd]},
            "bootstrap": {"dcs": DCS, "initdb": INITDB},
            "postgresql": {
                "listen": server,
                "connect_address": server,
                "data_dir": str(self._home / f"{name}-data"),
                "bin_dir": str(self._programs.postgres),
                "pgpass": str(self._home / f"{name}.pgpass"),
                "authentication": {"superuser": {"username": "postgres", "password": "-"}, **known},
                "parameters": {"unix_socket_directories": str(self._home)},
                # What cannot be rewound is cloned again; on a server of yours somebody may want to look at it first.
                "remove_data_directory_on_rewind_failure": True,
                "pg_hba": [f"host {what} all 127.0.0.1/32 trust" for what in ("all", "replication")],
            },
            "watchdog": {"mode": "off"},
        }

    def _popen(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._home / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._home,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "HOME": str(self._home),
                    "PYTHONPATH": str(self._programs.modules),
                    "LC_ALL": "C.UTF-8",
                    "TZ": "UTC",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C is for the demonstration, which ends the others itself.
                start_new_session=True,
                **self._programs.identity,
            )

    def _postmaster(self, name: str) -> set[int]:
        """The process id of the server, if it runs; a file that a dead one has left is not believed."""
        try:
            server = int((self._home / f"{name}-data" / "postmaster.pid").read_text().split()[0])
            command = Path(f"/proc/{server}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return set()
        return {server} if f"{name}-data".encode() in command else set()


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("not enough free ports")


def _families(roots: set[int]) -> set[int]:
    """Those processes, the ones they have started, and so on."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = set(roots)
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _signal(processes: Iterable[int], how: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, how)
