"""Who calls, remembered for a second; passwords are checked aside, and the right ones remembered longer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from mainspring.core import access, passwords, permissions
from mainspring.core.limits import KEY_CACHE, MINUTE
from mainspring.core.model import Key
from mainspring.core.permissions import Limit, Permission, Scope
from mainspring.core.ports import Core
from mainspring.core.tokens import AuthCache, digest_of
from mainspring.doors.jsonrpc.errors import BAD_CREDENTIALS, wrong

MOST = 10_000
PASSWORD_MEMORY = 10 * MINUTE
NO_CREDENTIAL = "Failed to parse token: Invalid token format: must be 'key:secret' or 'username|password'"


class TokenPrincipal(msgspec.Struct, frozen=True):
    """Who calls: the token behind a credential that was right."""

    key: Key
    limits: tuple[Limit, ...]

    @property
    def is_super(self) -> bool:
        return self.key.kind == "super"

    def is_early(self, now: int) -> bool:
        """Before its time."""
        return self.key.valid_from is not None and now < self.key.valid_from

    def is_late(self, now: int) -> bool:
        """After its time; its last millisecond is still in it."""
        return self.key.valid_until is not None and now > self.key.valid_until

    def allows(self, now: int, scopes: Sequence[Scope], wanted: Sequence[Permission]) -> bool:
        """Whether it may do all of these in all of those scopes, now."""
        if self.is_super:
            return True
        if self.is_early(now) or self.is_late(now):
            return False
        return permissions.allows(self.limits, scopes, wanted)


class Credentials:
    """Finds who calls. `auth`: where the use of keys is noted and counted, for this door as for the others."""

    def __init__(self, core: Core, auth: AuthCache) -> None:
        self._core = core
        self._auth = auth
        self._known: dict[str, tuple[int, TokenPrincipal]] = {}
        self._right: dict[bytes, tuple[int, bytes]] = {}
        # Each check takes 19 MiB and a core for tens of ms.
        self._one = asyncio.Semaphore(1)

    async def principal(self, now: int, token: str) -> TokenPrincipal:
        """Whose token this is. Raises `RpcError`: 101 for what has no known form, else 102, whatever is wrong."""
        cached = self._known.get(token)
        if cached is not None and now < cached[0] <= now + KEY_CACHE:
            return cached[1]
        credential = check_form(token)
        key = await access.by_credential(self._core, credential)
        if not await self._is_right(now, key, credential):
            raise wrong("permission", BAD_CREDENTIALS)
        assert key is not None
        found = TokenPrincipal(key, () if key.limits is None else permissions.from_stored(key.limits))
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[token] = now + KEY_CACHE, found
        self._auth.used[key.id] = now
        return found

    def count(self, now: int, principal: TokenPrincipal) -> None:
        """One call of theirs. Raises `LimitExceeded`."""
        if self._auth.buckets is not None:
            self._auth.buckets.take(principal.key.id, now)

    async def _is_right(self, now: int, key: Key | None, credential: access.Credential) -> bool:
        if credential.kind == "key":
            return key is not None and access.matches(key, credential)
        kept = None if key is None else key.password
        name = digest_of(credential.whole)
        until, seen = self._right.get(name, (0, b""))
        if kept is not None and seen == kept and now < until <= now + PASSWORD_MEMORY:
            return True
        async with self._one:
            right = await asyncio.to_thread(_compare, credential.secret, kept)
        if not right or kept is None:
            return False
        if len(self._right) >= MOST:
            self._right.clear()
        self._right[name] = now + PASSWORD_MEMORY, kept
        return True

    def forget(self) -> None:
        """After a change of tokens on this node."""
        self._known.clear()


def check_form(token: str) -> access.Credential:
    """The credential in a token. Raises `RpcError` 101."""
    found = access.read(token)
    if found is None:
        raise wrong("parse", NO_CREDENTIAL)
    return found


def _compare(password: str, kept: bytes | None) -> bool:
    return passwords.is_it(password, passwords.nobodys() if kept is None else kept) and kept is not None
