"""Credentials: make, find, judge. REST keys and JSON-RPC tokens are one table and one function here."""

from __future__ import annotations

import hashlib
import hmac
import zlib

from mainspring.core import limits, permissions
from mainspring.core.audit import Note
from mainspring.core.changes import NewKey
from mainspring.core.errors import Forbidden, Invalid, NotFound, Unauthorized
from mainspring.core.idempotency import Once, Replay
from mainspring.core.model import Key, Page, Principal
from mainspring.core.ports import Core
from mainspring.core.rate import Buckets

SCOPES = (
    "cron:read",
    "cron:write",
    "queue:publish",
    "queue:consume",
    "webhook:read",
    "webhook:write",
    "metrics:read",
    "admin",
)
PREFIX = "msk_"
BOOTSTRAP_PROJECT = "default"
SECRET_BYTES = 24
# To write and to delete are two rights of tokens, one scope of keys.
_DELETES: frozenset[str] = frozenset({"cron.delete"})
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_secret(dice: bytes) -> str:
    """A key from 24 random bytes: `msk_`, 33 base-62 letters of 192 random bits, `_` and a 6-letter checksum."""
    assert len(dice) == SECRET_BYTES
    body = _base62(int.from_bytes(dice), 33)
    return f"{PREFIX}{body}_{_base62(zlib.crc32(body.encode()), 6)}"


def digest_of(secret: str) -> bytes:
    """What the store keeps of a secret: SHA-256. No slow hash: a generated key has 192 random bits."""
    return hashlib.sha256(b"mainspring:" + secret.encode("utf-8", "replace")).digest()


def shown_of(secret: str) -> str:
    """The part of a key that lists may show."""
    return secret[: len(PREFIX)] + "…" + secret[-4:] if secret.startswith(PREFIX) else "…" + secret[-4:]


def check_secret(secret: str, field: str) -> None:
    """A key set by hand has 16-512 visible ASCII characters. Raises `Invalid`."""
    visible = all("!" <= letter <= "~" for letter in secret)
    if not visible or not limits.KEY_CHARS_MIN <= len(secret) <= limits.KEY_CHARS_MAX:
        raise Invalid(
            f"{field} is not usable as a key",
            hint=f"Use {limits.KEY_CHARS_MIN} to {limits.KEY_CHARS_MAX} visible ASCII characters without spaces.",
            field=field,
        )


def bootstrap_key(secret: str, now: int) -> Key:
    """The first key of the default project, with every scope."""
    return _key(secret, now, BOOTSTRAP_PROJECT, "bootstrap", SCOPES, None, bootstrap=True)


async def authenticate(core: Core, now: int, secret: str) -> Principal:
    """Who holds this secret. Raises `Unauthorized`: one answer for unknown, revoked, expired and not yet valid."""
    digest = digest_of(secret)
    key = await core.store.credentials.by_digest(digest)
    if key is None or not hmac.compare_digest(key.digest, digest) or not is_valid(key, now):
        raise Unauthorized(
            "a valid API key is needed",
            hint="Send it as `Authorization: Bearer <key>`; `mainspring key list` shows them.",
        )
    return principal_of(key)


def principal_of(key: Key) -> Principal:
    """Who holds a key, once it is clear that they do."""
    barred = _DELETES if key.kind == "token" and key.limits is not None and not _may_delete(key.limits) else frozenset()
    return Principal(key.id, key.project, frozenset(key.scopes), key.shown, barred)


def _may_delete(kept: bytes) -> bool:
    held = permissions.from_stored(kept)
    return permissions.allows(held, (permissions.EVERYWHERE,), (permissions.Permission("crontab", "delete"),))


def require(principal: Principal, *scopes: str) -> None:
    """Raises `Forbidden` unless the caller has one of the scopes (or `admin`)."""
    if principal.scopes.isdisjoint(scopes) and "admin" not in principal.scopes:
        raise Forbidden(
            f"this key lacks the scope {' or '.join(scopes)}",
            hint="Use a key that has it; `mainspring key create --scopes`.",
        )


def require_not_barred(principal: Principal, operation: str) -> None:
    """Raises `Forbidden` for an operation that is more than the caller's token allows."""
    if operation in principal.barred:
        raise Forbidden(
            f"this token may not do {operation}", hint="Give it the permission to delete in the global scope."
        )


async def create(
    core: Core,
    now: int,
    *,
    project: str,
    name: str,
    scopes: tuple[str, ...],
    valid_until: int | None,
    secret: str,
    once: Once | None = None,
) -> Key | Replay:
    """Store a new key; the caller shows `secret` once. Raises `Invalid` for an unknown scope or project name."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise Invalid(f"unknown scope {unknown[0][:40]!r}", hint="Known: " + ", ".join(SCOPES) + ".", field="scopes")
    if not project or len(project) > 64 or not all(c.isascii() and (c.isalnum() or c in "._-") for c in project):
        raise Invalid("project is not a name", hint="Use letters, digits, . _ - (at most 64).", field="project_id")
    if not name or len(name) > limits.NAME_CHARS_MAX:
        raise Invalid("name is empty or too long", hint=f"Use 1 to {limits.NAME_CHARS_MAX} characters.", field="name")
    return await core.store.create_key(NewKey(_key(secret, now, project, name, scopes, valid_until), once))


async def rotate(
    core: Core, now: int, project: str, key_id: int, grace_ms: int, secret: str, once: Once | None = None
) -> Key | Replay:
    """A new key like the old one, which stays valid for `grace_ms`. Raises `NotFound`.

    A repeat (`once`) only makes sure that the old key ends; what it ends at is never moved to later.
    """
    old = await core.store.credentials.get(project, key_id)
    if old is None or not is_valid(old, now):
        raise _no_key()
    made = await core.store.create_key(NewKey(_key(secret, now, project, old.name, old.scopes, old.valid_until), once))
    await core.store.credentials.expire(project, key_id, now + grace_ms)
    return made


async def revoke(core: Core, now: int, project: str, key_id: int, note: Note | None = None) -> None:
    """The key is no longer valid. Raises `NotFound` for a key that never was."""
    if await core.store.credentials.revoke(project, key_id, now, note):
        return
    if await core.store.credentials.get(project, key_id) is None:
        raise _no_key()


async def page(core: Core, project: str | None, page: Page) -> list[Key]:
    """Keys without their secrets, newest first."""
    return await core.store.credentials.page(project, page)


def _no_key() -> NotFound:
    return NotFound("there is no such key", hint="`mainspring key list` shows them.")


def is_valid(key: Key, now: int) -> bool:
    """Neither revoked, nor expired, nor before its time."""
    return (
        key.revoked_at is None
        and (key.valid_from is None or now >= key.valid_from)
        and (key.valid_until is None or now <= key.valid_until)
    )


def _key(
    secret: str,
    now: int,
    project: str,
    name: str,
    scopes: tuple[str, ...],
    valid_until: int | None,
    *,
    bootstrap: bool = False,
) -> Key:
    return Key(
        id=0,
        number=0,
        project=project,
        kind="key",
        name=name,
        lookup=None,
        digest=digest_of(secret),
        shown=shown_of(secret),
        scopes=scopes,
        limits=None,
        valid_from=None,
        valid_until=valid_until,
        created_at=now,
        last_used_at=None,
        revoked_at=None,
        bootstrap=bootstrap,
    )


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        letters.append(_BASE62[digit])
    return "".join(reversed(letters))


class AuthCache:
    """Principals by credential for a second, so that a revocation is effective within one on every node.

    `buckets`: how many requests each key may make through this node, if that is bounded.
    """

    def __init__(self, core: Core, buckets: Buckets | None = None) -> None:
        self._core = core
        self.buckets = buckets
        self._known: dict[str, tuple[int, Principal]] = {}
        self.used: dict[int, int] = {}

    async def principal(self, now: int, secret: str) -> Principal:
        """As `authenticate`; notes the use of the key in `used` (id to instant). Raises `LimitExceeded`."""
        cached = self._known.get(secret)
        # Both bounds: a clock that stepped back an hour must not make a second an hour.
        if cached is not None and now < cached[0] <= now + limits.KEY_CACHE:
            principal = cached[1]
        else:
            principal = await self._looked_up(now, secret)
        if self.buckets is not None:
            self.buckets.take(principal.key_id, now)
        return principal

    async def _looked_up(self, now: int, secret: str) -> Principal:
        principal = await authenticate(self._core, now, secret)
        if len(self._known) >= 10_000:
            self._known.clear()
        self._known[secret] = now + limits.KEY_CACHE, principal
        self.used[principal.key_id] = now
        return principal

    def forget(self) -> None:
        """After a revocation on this node."""
        self._known.clear()
