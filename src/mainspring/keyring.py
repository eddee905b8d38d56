"""The secrets a server keeps beside its store: the first API key, the super token and the key that
seals, in private files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from mainspring.core import access, ids, tokens
from mainspring.core.audit import Mark, Note
from mainspring.core.credential_ports import CredentialSlice
from mainspring.core.errors import Invalid
from mainspring.core.model import Key
from mainspring.settings import Settings

CREDENTIALS = "credentials.json"
SECRET_KEY = "secret.key"

KeyOf = Callable[[str, int], Key]


class Credentials(msgspec.Struct, frozen=True):
    """What a client on this machine needs, as kept in DATA/credentials.json (mode 0600)."""

    url: str
    api_key: str | None = None
    super_token: str | None = None


class Secrets(msgspec.Struct, frozen=True):
    """The secrets in force and whether the API key and the super token were made by this server.

    They are None on a node that was given none and did not make those in force: another node knows them.
    """

    api_key: str | None
    secret_key: str
    generated: bool
    super_token: str | None = None
    super_generated: bool = True


def read_credentials(data: Path) -> Credentials | None:
    """The credentials file of a data directory, if there is one."""
    try:
        return msgspec.json.decode((data / CREDENTIALS).read_bytes(), type=Credentials)
    except (OSError, msgspec.MsgspecError):
        return None


def write_credentials(data: Path, kept: Credentials) -> None:
    """Replace the credentials file."""
    _write_private(data / CREDENTIALS, json.dumps(msgspec.to_builtins(kept), indent=2) + "\n")


def keep_credentials(data: Path, url: str, secrets: Secrets, offered: Secrets) -> None:
    """Write down where this server is, and of its first key and its super token those that were made here.

    `offered`: those that it came with. Where one was not taken, one that another worker of this data directory has
    written down meanwhile is kept.
    """
    kept = read_credentials(data) or Credentials(url)

    def to_keep(mine: str | None, generated: bool, theirs: str | None, offer: str | None) -> str | None:
        if mine is not None:
            return mine if generated else None
        return theirs if theirs != offer else None

    api_key = to_keep(secrets.api_key, secrets.generated, kept.api_key, offered.api_key)
    token = to_keep(secrets.super_token, secrets.super_generated, kept.super_token, offered.super_token)
    write_credentials(data, Credentials(url, api_key, token))


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
    known = read_credentials(settings.data) or Credentials("")
    return Secrets(
        api_key=settings.api_key or known.api_key or new_key(),
        secret_key=secret_key,
        generated=settings.api_key is None,
        super_token=settings.super_token or known.super_token or new_super_token(),
        super_generated=settings.super_token is None,
    )


async def settle(secrets: Secrets, credentials: CredentialSlice, now: int, *, alone: bool, mark: Mark) -> Secrets:
    """Bring the first API key and the super token into force; the secrets as they are then.

    One that was set replaces the one before it, which is how it is changed. One that was made here does so only in a
    store of its own (`alone`): among nodes the first to come makes it and keeps it in its credentials.json, and the
    others go on without knowing it, for nobody needs the secret itself to check it. A generated one that somebody
    rotated or revoked stays dead, and there is a new one. `mark`: for the audit log, where a replacement is noted.
    """

    note = Note(
        project=tokens.BOOTSTRAP_PROJECT,
        key_id=0,
        shown="settings",
        ip="",
        operation="server.start",
        fields=(),
        request_id="",
        object_of=lambda key: ids.text("key", key.id),
        mark=mark,
    )

    async def settled(mine: str | None, generated: bool, key_of: KeyOf, new: Callable[[], str]) -> str | None:
        if mine is None:
            return None
        if not generated:
            await credentials.ensure_bootstrap(now, key_of(mine, now), note)
            return mine
        kept = await credentials.by_digest(tokens.digest_of(mine))
        if kept is not None and not tokens.is_valid(kept, now):
            mine = new()
        if alone:
            await credentials.ensure_bootstrap(now, key_of(mine, now), note)
        elif not await credentials.offer_bootstrap(now, key_of(mine, now)):
            return None
        return mine

    api_key = await settled(secrets.api_key, secrets.generated, tokens.bootstrap_key, new_key)
    token = await settled(secrets.super_token, secrets.super_generated, access.super_token, new_super_token)
    return msgspec.structs.replace(
        secrets,
        api_key=api_key,
        generated=secrets.generated and api_key is not None,
        super_token=token,
        super_generated=secrets.super_generated and token is not None,
    )


def new_key() -> str:
    """A fresh API key."""
    return tokens.new_secret(os.urandom(tokens.SECRET_BYTES))


def new_super_token() -> str:
    """A fresh super token."""
    return ":".join(access.new_pair(os.urandom(access.DICE_BYTES)))


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
