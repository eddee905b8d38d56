"""The secrets a server keeps beside its store: the first API key and the key that seals, in private files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from mainspring.core import tokens
from mainspring.core.errors import Invalid
from mainspring.core.ports import CredentialSlice
from mainspring.settings import Settings

CREDENTIALS = "credentials.json"
SECRET_KEY = "secret.key"


class Credentials(msgspec.Struct, frozen=True):
    """What a client on this machine needs, as kept in DATA/credentials.json (mode 0600)."""

    url: str
    api_key: str | None = None


class Secrets(msgspec.Struct, frozen=True):
    """The secrets in force and whether the API key was made by this server.

    `api_key` is None on a node that was given none and did not make the one in force: another node knows it.
    """

    api_key: str | None
    secret_key: str
    generated: bool


def read_credentials(data: Path) -> Credentials | None:
    """The credentials file of a data directory, if there is one."""
    try:
        return msgspec.json.decode((data / CREDENTIALS).read_bytes(), type=Credentials)
    except (OSError, msgspec.MsgspecError):
        return None


def write_credentials(data: Path, kept: Credentials) -> None:
    """Replace the credentials file."""
    _write_private(data / CREDENTIALS, json.dumps(msgspec.to_builtins(kept), indent=2) + "\n")


def keep_credentials(data: Path, url: str, secrets: Secrets, offered: str | None) -> None:
    """Write down where this server is, and its API key if it was made here.

    `offered`: the key that it came with. Where that one was not taken, one that another worker of this data directory
    has written down meanwhile is left alone.
    """
    kept = read_credentials(data)
    if secrets.api_key is None and kept is not None and kept.api_key not in (None, offered):
        return
    write_credentials(data, Credentials(url=url, api_key=secrets.api_key if secrets.generated else None))


def prepare(settings: Settings) -> Secrets:
    """Make the data directory and the secrets that are not set; nothing is overwritten."""
    try:
        return _prepared(settings)
    except OSError as error:
        raise Invalid(
            f"the data directory cannot be used by user {os.geteuid()}: {error}",
            hint=f"Name another with --data, or: chown {os.geteuid()} {settings.data}",
            field="DATA",
        ) from None


def _prepared(settings: Settings) -> Secrets:
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if isinstance(settings.database, Path):
        settings.database.parent.mkdir(parents=True, exist_ok=True)
    secret_key = settings.secret_key or _kept(settings.data / SECRET_KEY, lambda: os.urandom(32).hex())
    known = read_credentials(settings.data)
    if settings.api_key:
        return Secrets(settings.api_key, secret_key, generated=False)
    if known is not None and known.api_key:
        return Secrets(known.api_key, secret_key, generated=True)
    return Secrets(new_key(), secret_key, generated=True)


async def settle_api_key(secrets: Secrets, credentials: CredentialSlice, now: int, *, alone: bool) -> Secrets:
    """Bring the first API key into force; the secrets as they are then.

    A key that was set replaces the one before it, which is how it is changed. One that was made here does so only in a
    store of its own (`alone`): among nodes the first to come makes it and keeps it in its credentials.json, and the
    others go on without knowing it, for nobody needs the key itself to check it. A generated key that somebody rotated
    or revoked stays dead, and there is a new one.
    """
    if secrets.api_key is None:
        return secrets
    if not secrets.generated:
        await credentials.ensure_bootstrap(now, tokens.bootstrap_key(secrets.api_key, now))
        return secrets
    kept = await credentials.by_digest(tokens.digest_of(secrets.api_key))
    mine = new_key() if kept is not None and not tokens.is_valid(kept, now) else secrets.api_key
    key = tokens.bootstrap_key(mine, now)
    if alone:
        await credentials.ensure_bootstrap(now, key)
    elif not await credentials.offer_bootstrap(now, key):
        return msgspec.structs.replace(secrets, api_key=None, generated=False)
    return msgspec.structs.replace(secrets, api_key=mine)


def new_key() -> str:
    """A fresh API key."""
    return tokens.new_secret(os.urandom(tokens.SECRET_BYTES))


def _kept(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        _write_private(path, make() + "\n")
    return path.read_text("ascii").strip()


def _write_private(path: Path, text: str) -> None:
    """Write a file nobody else can read, whole or not at all; workers may do so at the same time."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
