"""The settings of an agent: from its TOML file, or from a few flags. Pure but for reading the file."""

from __future__ import annotations

import re
import tomllib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

KINDS = (
    "ping",
    "tcp_ping",
    "http_ping",
    "web_shell",
    "execute",
    "http_request",
    "read_config",
    "edit_config",
    "ip",
    "version",
    "dns",
)
_AUTO = "auto_gen"
_SWITCHES = {"ping": "allow_icmp_ping"}


class BadSettings(Exception):
    """The settings cannot be used; the text says why."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server that this agent works for. `server_uuid` empty: any. `allow_task_type`, when it names anything,
    decides alone; else the switches do."""

    ws_url: str
    token: str
    name: str = ""
    server_uuid: str = ""
    allow_task: bool = False
    allow_task_type: tuple[str, ...] = ()
    ignore_cert: bool = False
    allow_icmp_ping: bool = False
    allow_tcp_ping: bool = False
    allow_http_ping: bool = False
    allow_web_shell: bool = False
    allow_execute: bool = False
    allow_http_request: bool = False
    allow_read_config: bool = False
    allow_edit_config: bool = False
    allow_ip: bool = False
    allow_version: bool = False
    allow_dns: bool = False
    allow_self_update: bool = False

    def allows(self, kind: str) -> bool:
        """Whether tasks of this kind are done for this server."""
        if not self.allow_task:
            return False
        if self.allow_task_type:
            return kind in self.allow_task_type
        return bool(getattr(self, _SWITCHES.get(kind, f"allow_{kind}"), False))


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an agent is told. Milliseconds, characters; members it has no use for are accepted.

    `state_dir`: where results wait until a server has taken them; beside the file unless it says otherwise.
    `ip_provider`: `cloudflare`, `ipinfo`, or a URL that answers with the caller's address.
    """

    agent_uuid: str = _AUTO
    server: tuple[Server, ...] = ()
    log_level: str = "info"
    connect_timeout_ms: int = 1_000
    exec_max_character: int = 10_000
    ip_provider: str = "cloudflare"
    state_dir: str | None = None
    stop_timeout_ms: int = 30_000


class Loaded(msgspec.Struct, frozen=True):
    """Settings and where they came from: None for flags."""

    settings: Settings
    path: Path | None
    state: Path


def load(path: Path) -> Loaded:
    """Read a file; an `agent_uuid` of `auto_gen` is made up and written back. Raises `BadSettings` or `OSError`."""
    text = path.read_text(encoding="utf-8")
    settings = parse(text)
    if settings.agent_uuid == _AUTO:
        made = str(uuid.uuid4())
        path.write_text(_with_uuid(text, made), encoding="utf-8")
        settings = msgspec.structs.replace(settings, agent_uuid=made)
    state = Path(settings.state_dir) if settings.state_dir else path.with_name(f"{path.stem}-state")
    return Loaded(settings, path, state)


def from_flags(url: str, token: str, agent_uuid: str, allow: Sequence[str], state: Path) -> Loaded:
    """One server, from the command line. Raises `BadSettings`."""
    server = Server(ws_url=url, token=token, allow_task=bool(allow), allow_task_type=tuple(allow))
    return Loaded(_checked(Settings(agent_uuid=agent_uuid, server=(server,))), None, state)


def parse(text: str) -> Settings:
    """Settings from TOML. Raises `BadSettings` naming what is wrong."""
    try:
        return _checked(msgspec.convert(tomllib.loads(text), Settings))
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise BadSettings(str(error)) from None


def _checked(settings: Settings) -> Settings:
    if not settings.server:
        raise BadSettings("no [[server]] to work for")
    if settings.connect_timeout_ms <= 0 or settings.exec_max_character <= 0 or settings.stop_timeout_ms < 0:
        raise BadSettings("connect_timeout_ms and exec_max_character are above 0, stop_timeout_ms not below it")
    agent_uuid = settings.agent_uuid if settings.agent_uuid == _AUTO else _uuid(settings.agent_uuid)
    servers = tuple(_checked_server(server) for server in settings.server)
    return msgspec.structs.replace(settings, agent_uuid=agent_uuid, server=servers)


def _checked_server(server: Server) -> Server:
    unknown = [kind for kind in server.allow_task_type if kind not in (*KINDS, "self_update")]
    if unknown:
        raise BadSettings(f"unknown task type {unknown[0]!r}; known are {', '.join(KINDS)}")
    if not server.token:
        raise BadSettings(f"no token for {server.ws_url}")
    return msgspec.structs.replace(server, ws_url=socket_url(server.ws_url))


def socket_url(url: str) -> str:
    """The address of the socket of a server that is named by any of `http`, `https`, `ws`, `wss`. Raises
    `BadSettings`."""
    schemes: dict[str, Literal["ws", "wss"]] = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BadSettings(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise BadSettings(f"{url!r} is no URL of a server: ws://host:port/ or wss://host/")
    return urlunsplit((schemes[parts.scheme], parts.netloc, parts.path or "/", parts.query, ""))


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise BadSettings(f"{text!r} is no UUID") from None


def _with_uuid(text: str, made: str) -> str:
    line = f'agent_uuid = "{made}"'
    found, count = re.subn(r"(?m)^[ \t]*agent_uuid[ \t]*=.*$", line, text, count=1)
    return found if count else f"{line}\n{text}"
