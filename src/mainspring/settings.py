"""Every knob: name, default, unit, bound, meaning. Flags win over the environment, that over mainspring.toml."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from mainspring.core.access import check_super
from mainspring.core.drafts import check_timezone
from mainspring.core.errors import Invalid
from mainspring.core.limits import AUDIT_DAYS_DEFAULT, AUDIT_DAYS_MAX
from mainspring.core.rate import Allowance, parse_rate
from mainspring.core.tokens import check_secret

T = TypeVar("T")

ENV_PREFIX = "MAINSPRING_"
FILE = "mainspring.toml"
ROLES = ("api", "scheduler", "dispatcher", "janitor")


class Setting(msgspec.Struct, frozen=True):
    """One knob. `kind`: text, int, flag, list (comma-separated)."""

    name: str
    kind: Literal["text", "int", "flag", "list"]
    default: str | None
    unit: str
    bound: str
    meaning: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("HOST", "text", "127.0.0.1", "address", "", "Address to listen on."),
    Setting("PORT", "int", "8080", "port", "0 to 65535 (0: any free one)", "Port to listen on.", 0, 65_535),
    Setting("BIND", "list", None, "HOST:PORT", "", "Addresses to listen on, instead of HOST and PORT."),
    Setting("DATA", "text", "./mainspring-data", "directory", "", "Where the embedded store, keys and locks live."),
    Setting(
        "DATABASE",
        "text",
        None,
        "URL",
        "sqlite:///path or postgresql://user@host/db",
        "The database; the file in DATA when not set. Any number of nodes share one on PostgreSQL.",
    ),
    Setting(
        "SYNC",
        "text",
        "auto",
        "",
        "auto, inline or helper",
        "Who waits for the disk on SQLite: the event loop, or a helper process (auto: by the disk's speed).",
        choices=("auto", "inline", "helper"),
    ),
    Setting(
        "ROLES",
        "list",
        ",".join(ROLES),
        "",
        "any of " + ", ".join(ROLES) + "; all of them on SQLite",
        "What this process does.",
        choices=ROLES,
    ),
    Setting("WORKERS", "int", "1", "processes", "1 to 64; 1 on SQLite", "Processes on one port, each a node.", 1, 64),
    Setting(
        "API_KEY",
        "text",
        None,
        "",
        "16 to 512 visible characters",
        "The first key of the default project; made at the first start when not set, on PostgreSQL by the first node.",
        secret=True,
    ),
    Setting(
        "SUPER_TOKEN",
        "text",
        None,
        "",
        "key:secret, 16 to 512 visible characters",
        "The JSON-RPC token that may do everything; made like API_KEY when not set.",
        secret=True,
    ),
    Setting(
        "SECRET_KEY",
        "text",
        None,
        "",
        "16 to 512 visible characters",
        "Encrypts stored secrets and headers; made into DATA/secret.key when not set. Required with PostgreSQL.",
        secret=True,
    ),
    Setting(
        "ALLOW_TARGETS",
        "list",
        None,
        "CIDR or host name",
        "",
        "Targets that may be called although they are private (dev: 127.0.0.0/8,::1/128).",
    ),
    Setting(
        "CRONTAB_AUTH",
        "text",
        "bearer",
        "",
        "bearer or off",
        "Whether /crontab needs a key; off only where every bound address is loopback.",
        choices=("bearer", "off"),
    ),
    Setting(
        "CRONTAB_TIMEZONE",
        "text",
        None,
        "IANA time zone",
        "a name like Europe/Berlin",
        "Zone of times at /crontab, kept with each task; the host's, else UTC, when not set.",
    ),
    Setting(
        "CRONTAB_DATA",
        "text",
        "object",
        "",
        "object or string",
        "How /crontab answers `data`; some old clients expect the JSON as a string.",
        choices=("object", "string"),
    ),
    Setting("QUEUE_AUTO_CREATE", "text", "on", "", "on or off", "Whether use makes a queue.", choices=("on", "off")),
    Setting(
        "MAX_QUEUE_DEPTH",
        "int",
        None,
        "messages",
        "1 to 1000000000",
        "Most messages that one queue may hold; publishing more is refused with 429.",
        1,
        1_000_000_000,
    ),
    Setting(
        "RATE_LIMIT",
        "text",
        None,
        "requests",
        "N, N/s, N/m or N/h",
        "Requests that each key may make at each node, as many of them at once; more are refused with 429.",
    ),
    Setting(
        "AUDIT_DAYS",
        "int",
        str(AUDIT_DAYS_DEFAULT),
        "days",
        f"1 to {AUDIT_DAYS_MAX}",
        "How long the audit log is kept.",
        1,
        AUDIT_DAYS_MAX,
    ),
    Setting("CORS_ORIGINS", "list", None, "origin", "", "Web origins that may call the API (dev: loopback)."),
    Setting("ROOT_PATH", "text", None, "path", "", "Path under which a proxy serves this server."),
    Setting("TRUSTED_PROXIES", "list", None, "address", "", "Proxies whose X-Forwarded-For is believed."),
    Setting(
        "LOG_FORMAT",
        "text",
        None,
        "",
        "text or json",
        "Form of the log on standard error; text on a terminal, else json.",
        choices=("text", "json"),
    ),
    Setting(
        "LOG_LEVEL",
        "text",
        "info",
        "",
        "debug, info, warning or error",
        "Least important log lines shown.",
        choices=("debug", "info", "warning", "error"),
    ),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


class Settings(msgspec.Struct, frozen=True):
    """The values in force. `database`: the file of the embedded store, or the URL of a PostgreSQL."""

    binds: tuple[tuple[str, int], ...]
    data: Path
    database: Path | str
    sync: str
    roles: frozenset[str]
    api_key: str | None
    super_token: str | None
    secret_key: str | None
    allow_targets: tuple[str, ...]
    cors_origins: tuple[str, ...]
    root_path: str
    trusted_proxies: tuple[str, ...]
    workers: int
    queue_auto_create: bool
    max_queue_depth: int | None
    rate_limit: Allowance | None
    audit_days: int
    crontab_auth: str
    crontab_timezone: str
    crontab_data: str
    log_format: Literal["text", "json"] | None
    log_level: str
    dev: bool = False


def read(
    flags: Mapping[str, str | None], environ: Mapping[str, str], file: Path | None = None, *, dev: bool = False
) -> Settings:
    """The settings in force. `flags` by setting name. Raises `Invalid` naming the setting and its bound."""
    values = _file_values(file or Path(FILE), required=file is not None)
    values.update(
        (setting.name, environ[ENV_PREFIX + setting.name])
        for setting in SETTINGS
        if environ.get(ENV_PREFIX + setting.name)
    )
    values.update((name, value) for name, value in flags.items() if value is not None)

    def text(name: str) -> str | None:
        return _checked(_BY_NAME[name], values.get(name) or _BY_NAME[name].default)

    def items(name: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in (text(name) or "").split(",") if item.strip())

    for name in ("API_KEY", "SECRET_KEY", "SUPER_TOKEN"):
        if given := values.get(name):
            check_secret(given, ENV_PREFIX + name)
    if super_token := values.get("SUPER_TOKEN"):
        check_super(super_token, ENV_PREFIX + "SUPER_TOKEN")
    data = Path(text("DATA") or "").expanduser()
    bind = items("BIND") or (f"{_bracketed(text('HOST') or '')}:{text('PORT')}",)
    log_format = text("LOG_FORMAT")
    return Settings(
        binds=tuple(_address(item) for item in bind),
        data=data,
        database=_database(text("DATABASE"), data),
        sync=text("SYNC") or "auto",
        roles=frozenset(items("ROLES")),
        api_key=text("API_KEY"),
        super_token=super_token or None,
        secret_key=text("SECRET_KEY"),
        allow_targets=items("ALLOW_TARGETS") or (("127.0.0.0/8", "::1/128") if dev else ()),
        cors_origins=items("CORS_ORIGINS"),
        root_path=(text("ROOT_PATH") or "").rstrip("/"),
        trusted_proxies=items("TRUSTED_PROXIES"),
        workers=int(text("WORKERS") or 1),
        queue_auto_create=text("QUEUE_AUTO_CREATE") != "off",
        max_queue_depth=int(depth) if (depth := text("MAX_QUEUE_DEPTH")) else None,
        rate_limit=_read_by(parse_rate, rate, "RATE_LIMIT") if (rate := text("RATE_LIMIT")) else None,
        audit_days=int(text("AUDIT_DAYS") or AUDIT_DAYS_DEFAULT),
        crontab_auth=text("CRONTAB_AUTH") or "bearer",
        crontab_timezone=_crontab_timezone(text("CRONTAB_TIMEZONE"), environ),
        crontab_data=text("CRONTAB_DATA") or "object",
        log_format="text" if log_format == "text" else "json" if log_format == "json" else None,
        log_level=text("LOG_LEVEL") or "info",
        dev=dev,
    )


def _file_values(path: Path, *, required: bool) -> dict[str, str]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if required:
            raise Invalid(f"{path} does not exist", hint="Name an existing file.", field="--config") from None
        return {}
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read: {error}", hint="Write it as TOML.", field=str(path)) from None
    values = {}
    for key, value in found.items():
        name = key.upper().replace("-", "_")
        if name not in _BY_NAME:
            raise Invalid(f"{path}: unknown setting {key}", hint="Known: " + ", ".join(_BY_NAME).lower(), field=key)
        values[name] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return values


def _checked(setting: Setting, value: str | None) -> str | None:
    if value is None:
        return None
    if setting.kind == "int" and not (
        value.isascii() and value.isdigit() and setting.low <= int(value) <= setting.high
    ):
        raise _out_of_bound(setting, value)
    if setting.choices:
        chosen = [item.strip() for item in value.split(",")] if setting.kind == "list" else [value]
        if not chosen or any(item not in setting.choices for item in chosen):
            raise _out_of_bound(setting, value)
    return value


def _out_of_bound(setting: Setting, value: str) -> Invalid:
    shown = "this value" if setting.secret else repr(value[:80])
    return Invalid(f"{setting.name} cannot be {shown}", hint=f"Use {setting.bound}.", field=ENV_PREFIX + setting.name)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise Invalid(f"BIND cannot be {text[:80]!r}", hint="Write HOST:PORT.", field=ENV_PREFIX + "BIND")
    return host, int(port)


def _database(url: str | None, data: Path) -> Path | str:
    if url is None:
        return data / "mainspring.db"
    if url.startswith(("postgresql://", "postgres://")):
        return url
    for prefix in ("sqlite:///", "sqlite:"):
        if url.startswith(prefix) and len(url) > len(prefix):
            return Path(url.removeprefix(prefix)).expanduser()
    raise Invalid(
        "DATABASE is not a URL this version can open",
        hint="Use sqlite:///path/to/file.db or postgresql://user@host/database.",
        field=ENV_PREFIX + "DATABASE",
    )


def _read_by(reading: Callable[[str], T], text: str, name: str) -> T:
    """What the core reads in a text; a refusal names the setting. Raises `Invalid`."""
    try:
        return reading(text)
    except Invalid as refused:
        raise Invalid(refused.message, hint=refused.hint, field=ENV_PREFIX + name) from None


def _crontab_timezone(given: str | None, environ: Mapping[str, str]) -> str:
    """The zone that is set, else the host's by its name, else UTC."""
    if given is not None:
        _read_by(check_timezone, given, "CRONTAB_TIMEZONE")
        return given
    named = environ.get("TZ", "").removeprefix(":")
    for name in (named, os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]):
        with contextlib.suppress(Invalid):
            check_timezone(name)
            return name
    return "UTC"


def check_to_serve(settings: Settings) -> None:
    """What a process alone on its store and a node among others may and must be told. Raises `Invalid`.

    Among nodes SECRET_KEY has no default: a key made by each of them would open nothing that the others have sealed.
    """
    if settings.crontab_auth == "off" and not is_loopback(settings.binds):
        raise Invalid(
            "CRONTAB_AUTH=off lets everybody in who reaches an address that is not loopback",
            hint="Bind loopback addresses only, or leave CRONTAB_AUTH at bearer.",
            field=ENV_PREFIX + "CRONTAB_AUTH",
        )
    if isinstance(settings.database, Path):
        if settings.workers > 1:
            raise Invalid(
                "more than one worker needs PostgreSQL",
                hint="Leave WORKERS at 1, or set DATABASE to postgresql://user@host/database.",
                field=ENV_PREFIX + "WORKERS",
            )
        if settings.roles != frozenset(ROLES):
            raise Invalid(
                "on SQLite one process does all roles, and fewer need PostgreSQL",
                hint="Leave ROLES out, or set DATABASE to postgresql://user@host/database.",
                field=ENV_PREFIX + "ROLES",
            )
    elif not settings.secret_key:
        raise Invalid(
            "SECRET_KEY is required with PostgreSQL",
            hint="Set it to the same 16 to 512 visible characters on every node, and keep them.",
            field=ENV_PREFIX + "SECRET_KEY",
        )


def is_loopback(binds: Sequence[tuple[str, int]]) -> bool:
    """Whether every bound address is reachable from this machine only."""
    return all(host in ("localhost", "::1") or host.startswith("127.") for host, _ in binds)


def from_process(flags: Mapping[str, str | None], *, dev: bool = False, file: Path | None = None) -> Settings:
    """`read` with this process's environment."""
    return read(flags, os.environ, file, dev=dev)
