"""Tokens with limits, for doors where a token says what it is used for and where: make, find, edit, delete, judge."""

from __future__ import annotations

import hmac
from typing import Literal

import msgspec

from mainspring.core import permissions
from mainspring.core.audit import Note
from mainspring.core.changes import NewKey
from mainspring.core.errors import Conflict, Forbidden, Invalid, NotFound
from mainspring.core.idempotency import Replay, noted
from mainspring.core.limits import NAME_CHARS_MAX, RPC_PASSWORD_CHARS_MAX
from mainspring.core.model import Key
from mainspring.core.permissions import Limit, Permission
from mainspring.core.ports import Core
from mainspring.core.tokens import BOOTSTRAP_PROJECT, SCOPES, digest_of

ROOT = "root"
PAGE = 500
KEY_CHARS, SECRET_CHARS = 16, 32
DICE_BYTES = 48
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Credential(msgspec.Struct, frozen=True):
    """What a caller sends: `key:secret`, or `user|password`."""

    kind: Literal["key", "user"]
    name: str
    secret: str

    @property
    def whole(self) -> str:
        return f"{self.name}{':' if self.kind == 'key' else '|'}{self.secret}"


def read(token: str) -> Credential | None:
    """The credential in a token: split at its first `:`, else at its first `|`; None when it has neither."""
    for kind, mark in (("key", ":"), ("user", "|")):
        name, found, secret = token.partition(mark)
        if found:
            return Credential("key" if kind == "key" else "user", name, secret)
    return None


def new_pair(dice: bytes) -> tuple[str, str]:
    """A key and its secret, of 16 and 32 letters and digits, from 48 random bytes."""
    assert len(dice) == DICE_BYTES
    return _letters(dice[:16], KEY_CHARS), _letters(dice[16:], SECRET_CHARS)


def _letters(dice: bytes, count: int) -> str:
    # As many bytes as letters: two bits a letter more than needed, so that none is likelier than another to matter.
    number = int.from_bytes(dice)
    letters = []
    for _ in range(count):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(letters)


def check_super(secret: str, field: str) -> None:
    """A super token set by hand is `key:secret`. Raises `Invalid`."""
    found = read(secret)
    if found is None or found.kind != "key" or not found.name or not found.secret:
        raise Invalid(f"{field} is not a key:secret", hint="Write two parts with a colon between them.", field=field)


def super_token(secret: str, now: int) -> Key:
    """The token that may do everything, called `root`."""
    found = read(secret)
    assert found is not None, "checked before"
    return _token(found.name, found.secret, now, "super", ROOT, (), (None, None))


def _token(
    key: str,
    secret: str,
    now: int,
    kind: Literal["token", "super"],
    username: str | None,
    limits: tuple[Limit, ...],
    window: tuple[int | None, int | None],
    password: bytes | None = None,
) -> Key:
    whole = f"{key}:{secret}"
    return Key(
        id=0,
        number=0,
        project=BOOTSTRAP_PROJECT,
        kind=kind,
        name=username or key,
        lookup=key,
        digest=digest_of(whole),
        shown=f"{key}:…",
        scopes=SCOPES if kind == "super" else rest_scopes(limits),
        limits=permissions.stored(limits),
        valid_from=window[0],
        valid_until=window[1],
        created_at=now,
        last_used_at=None,
        revoked_at=None,
        bootstrap=kind == "super",
        username=username,
        password=password,
    )


def rest_scopes(limits: tuple[Limit, ...]) -> tuple[str, ...]:
    """What the token may do as a key of the other doors: what it may do everywhere."""
    found = []
    if _everywhere(limits, "crontab", "read"):
        found.append("cron:read")
    if _everywhere(limits, "crontab", "write"):
        found.append("cron:write")
    return tuple(found)


def _everywhere(limits: tuple[Limit, ...], group: str, action: str) -> bool:
    return permissions.allows(limits, (permissions.EVERYWHERE,), (Permission(group, action),))


def matches(key: Key, credential: Credential) -> bool:
    """Whether a `key:secret` is this token's."""
    return hmac.compare_digest(key.digest, digest_of(credential.whole))


class NewToken(msgspec.Struct, frozen=True):
    """A token as its maker describes it. `password`: its slow hash."""

    limits: tuple[Limit, ...]
    username: str | None = None
    password: bytes | None = None
    valid_from: int | None = None
    valid_until: int | None = None


async def create(core: Core, now: int, wanted: NewToken, dice: bytes, note: Note | None = None) -> tuple[str, str]:
    """Store a new token; its key and its secret, shown once. Raises `Invalid`, and `Conflict` for a taken username."""
    if wanted.username is not None:
        _check_username(wanted.username)
        if await core.store.credentials.token_named(wanted.username) is not None:
            raise _taken(wanted.username)
    key, secret = new_pair(dice)
    window = wanted.valid_from, wanted.valid_until
    made = _token(key, secret, now, "token", wanted.username, wanted.limits, window, wanted.password)
    stored = await core.store.create_key(NewKey(made, None if note is None else noted(note)))
    assert not isinstance(stored, Replay), "there was no idempotency key"
    return key, secret


def _check_username(name: str) -> None:
    if not name or len(name) > NAME_CHARS_MAX or ":" in name or "|" in name or not name.isprintable():
        raise Invalid("username is not usable", hint=f"Use 1 to {NAME_CHARS_MAX} printable characters without : and |.")


def check_password(password: str, least: int = 1) -> None:
    """Raises `Invalid`."""
    if not least <= len(password) <= RPC_PASSWORD_CHARS_MAX:
        raise Invalid(
            f"password has {len(password)} characters", hint=f"Use {least} to {RPC_PASSWORD_CHARS_MAX} characters."
        )


def _taken(name: str) -> Conflict:
    return Conflict(f"username already exists: {name}")


async def by_credential(core: Core, credential: Credential) -> Key | None:
    """The token that a credential is about, whether or not its secret is right."""
    if "\x00" in credential.name:
        return None  # nothing in a store has it
    if credential.kind == "key":
        return await core.store.credentials.token_by_lookup(credential.name)
    return await core.store.credentials.token_by_username(credential.name)


async def named(core: Core, name: str) -> Key | None:
    """The token with this key or username."""
    if "\x00" in name:
        return None
    return await core.store.credentials.token_named(name)


async def edit(core: Core, now: int, target: str, limits: tuple[Limit, ...], note: Note | None = None) -> Key:
    """Replace a token's limits. Raises `NotFound`, and `Forbidden` for the super token."""
    found = await _target(core, target)
    kept, scopes = permissions.stored(limits), rest_scopes(limits)
    if not await core.store.credentials.edit_token(found.id, kept, scopes, now, note):
        raise _no_token(target)
    return found


async def delete(core: Core, now: int, target: str, note: Note | None = None) -> Literal["token_key", "username"]:
    """Delete a token; by what it was found. Raises `NotFound`, and `Forbidden` for the super token."""
    found = await _target(core, target)
    if not await core.store.credentials.delete_token(found.id, now, note):
        raise _no_token(target)
    return "token_key" if found.lookup == target else "username"


async def change_password(core: Core, now: int, target: str, password: bytes, note: Note | None = None) -> None:
    """Set the slow hash of a token's password. Raises `NotFound`, and `Invalid` for one without a username."""
    found = await named(core, target)
    if found is None:
        raise _no_token(target)
    if found.username is None:
        raise Invalid("the token has no username", hint="Make one that has.")
    if not await core.store.credentials.set_password(found.id, password, now, note):
        raise _no_token(target)


async def roll(core: Core, now: int, target: str, dice: bytes, note: Note | None = None) -> tuple[str, str]:
    """Give a token a new secret; its key stays. Raises `NotFound`, and `Forbidden` for the super token."""
    found = await _target(core, target)
    assert found.lookup is not None, "tokens have one"
    _, secret = new_pair(dice)
    if not await core.store.credentials.set_digest(found.id, digest_of(f"{found.lookup}:{secret}"), now, note):
        raise _no_token(target)
    return found.lookup, secret


async def everything(core: Core) -> list[Key]:
    """Every token with limits, the super token too, in the order in which they were made."""
    found: list[Key] = []
    page: list[Key] = []
    while not found or len(page) == PAGE:
        page = await core.store.credentials.tokens(found[-1].number if found else 0, PAGE)
        if not page:
            break
        found += page
    return found


async def _target(core: Core, target: str) -> Key:
    found = await named(core, target)
    if found is None:
        raise _no_token(target)
    if found.kind == "super":
        raise Forbidden("SuperToken cannot be changed", hint="Set SUPER_TOKEN and start again.")
    return found


def _no_token(target: str) -> NotFound:
    return NotFound(f"Token not found: {target}")
