"""Carries out one task: what it is, whether it is allowed, how long it may take, what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from mainspring_agent import commands, icmp, machine, records, tcp, web
from mainspring_agent.failure import TaskFailed, failed, not_allowed
from mainspring_agent.settings import BadSettings, Server, Settings, parse

WHOLE_S = 600.0
# At once: what goes over the network, and what starts a process.
NETWORK_MAX = 10
PROCESSES_MAX = 10
CONFIG_BYTES_MAX = 1024 * 1024


class Execute(msgspec.Struct, frozen=True):
    """A command with its arguments; no shell is involved."""

    cmd: str
    args: list[str]


class Workshop:
    """Does tasks for one agent. `reload` is called when its file has been changed."""

    def __init__(self, settings: Settings, path: Path | None, reload: Callable[[], None]) -> None:
        self._settings = settings
        self._path = path
        self._reload = reload
        self._network = asyncio.Semaphore(NETWORK_MAX)
        self._processes = asyncio.Semaphore(PROCESSES_MAX)
        network, processes = self._network, self._processes
        self._kinds: dict[str, tuple[asyncio.Semaphore | None, Callable[[Any], Awaitable[Any]]]] = {
            "ping": (network, lambda given: icmp.ping(_text(given))),
            "tcp_ping": (network, lambda given: tcp.tcp_ping(_text(given))),
            "http_ping": (network, lambda given: web.http_ping(_text(given))),
            "http_request": (network, lambda given: web.http_request(_read(given, web.HttpRequest))),
            "dns": (network, lambda given: records.dns(_read(given, records.DnsQuery))),
            "ip": (network, lambda _: machine.ip(settings.ip_provider)),
            "execute": (processes, self._execute),
            "version": (None, self._version),
            "read_config": (None, self._read_config),
            "edit_config": (None, self._edit_config),
        }

    async def do(self, server: Server, event: Any) -> tuple[Any, str | None]:
        """The result of a task, as it is uploaded, and None; or None and why there is no result. Never raises but for
        being cancelled."""
        try:
            kind, given = variant(event)
            async with asyncio.timeout(WHOLE_S):
                return {kind: await self._done(server, kind, given)}, None
        except TaskFailed as error:
            return None, str(error)
        except TimeoutError:
            return None, str(failed("Task Timeout"))
        except Exception as error:  # noqa: BLE001  # whatever a task met, its server is told, and the agent goes on
            return None, str(failed(f"{type(error).__name__}: {error}"))

    async def _done(self, server: Server, kind: str, given: Any) -> Any:
        if kind == "web_shell":
            raise TaskFailed("Permission denied: Permission Denied: this agent offers no web_shell")
        if not server.allows(kind):
            raise not_allowed()
        if kind not in self._kinds:
            raise failed(f"this agent knows no task type {kind[:64]!r}")
        room, work = self._kinds[kind]
        if room is None:
            return await work(given)
        async with room:
            return await work(given)

    async def _execute(self, given: Any) -> str:
        asked = _read(given, Execute)
        if not asked.cmd.strip():
            raise failed("Execute cmd cannot be empty")
        return await commands.execute(asked.cmd, asked.args, self._settings.exec_max_character)

    async def _version(self, _: Any) -> dict[str, str]:
        return machine.version()

    async def _read_config(self, _: Any) -> str:
        return self._file().read_text(encoding="utf-8")

    async def _edit_config(self, given: Any) -> bool:
        text = _text(given)
        if len(text.encode()) > CONFIG_BYTES_MAX:
            raise failed("the configuration is larger than 1 MiB")
        try:
            parse(text)
        except BadSettings as error:
            raise failed(f"the configuration cannot be used: {error}") from None
        path = self._file()
        fresh = path.with_name(f"{path.name}.new")
        fresh.touch(mode=0o600)
        fresh.chmod(path.stat().st_mode & 0o777)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
        self._reload()
        return True

    def _file(self) -> Path:
        if self._path is None:
            raise failed("this agent was started without a configuration file")
        return self._path.resolve()


def variant(event: Any) -> tuple[str, Any]:
    """The name of a task's kind and what it is given: `"ip"`, `{"ip": null}`, `{"ping": "host"}`. Raises
    `TaskFailed`."""
    if isinstance(event, str):
        return event, None
    if isinstance(event, dict) and len(event) == 1:
        [(kind, given)] = event.items()
        return str(kind), given
    raise failed("a task has one kind")


def _text(given: Any) -> str:
    text: str = _read(given, str)
    return text


def _read(given: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise failed(f"the task cannot be read: {error}") from None
