"""Who is signed in: a sealed cookie that names the key, which is judged anew at every request."""

from __future__ import annotations

import asyncio
import secrets

import msgspec

from mainspring.core import access, passwords, tokens
from mainspring.core.errors import Conflict, Unauthorized
from mainspring.core.limits import DAY, HOUR, KEY_CACHE
from mainspring.core.model import Key, Principal
from mainspring.core.ports import Core

COOKIE = "mainspring_session"
LIFE = 7 * DAY
CODE_LIFE = 12 * HOUR
_PURPOSE = "console session"
_KNOWN_MAX = 10_000


class Session(msgspec.Struct, frozen=True):
    """What the cookie says. `csrf` has to come back with every form; `until` in ms UTC."""

    key_id: int
    project: str
    csrf: str
    until: int


class Sessions:
    """Opens and judges sessions. A revoked or expired key ends its sessions within a second, on every node."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: dict[int, tuple[int, Principal]] = {}
        self._codes: dict[str, tuple[int, Key]] = {}
        # Each check of a password takes 19 MiB and a core for tens of ms.
        self._one = asyncio.Semaphore(1)

    async def sign_in(self, now: int, credential: str) -> Session:
        """A session for a key, a `key:secret` or a `user|password`. Raises `Unauthorized`, always the same."""
        found = access.read(credential)
        if found is None or found.kind == "key":
            principal = await tokens.authenticate(self._core, now, credential)
            return _session(now, principal.key_id, principal.project)
        key = await access.by_credential(self._core, found)
        kept = passwords.nobodys() if key is None or key.password is None else key.password
        async with self._one:
            right = await asyncio.to_thread(passwords.is_it, found.secret, kept)
        if not right or key is None or key.password is None or not tokens.is_valid(key, now):
            raise Unauthorized("that is no valid key or token")
        return _session(now, key.id, key.project)

    def offer(self, now: int, key: Key) -> str:
        """A code that signs in whoever brings it first, as the holder of this key, within 12 hours."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = now + CODE_LIFE, key
        return code

    def redeem(self, now: int, code: str) -> Session:
        """The session for a code, which is used up by it. Raises `Unauthorized`."""
        until, key = self._codes.pop(code, (0, None))
        if key is None or until <= now:
            raise Unauthorized("that link has been used, or is too old")
        return _session(now, key.id, key.project)

    async def principal(self, now: int, session: Session) -> Principal:
        """Who is signed in. Raises `Unauthorized` when the session or its key is over."""
        if now >= session.until:
            raise Unauthorized("the session is over")
        cached = self._known.get(session.key_id)
        if cached is not None and now < cached[0] <= now + KEY_CACHE:
            return cached[1]
        key = await self._core.store.credentials.get(session.project, session.key_id)
        if key is None or not tokens.is_valid(key, now):
            raise Unauthorized("the session is over")
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        found = tokens.principal_of(key)
        self._known[session.key_id] = now + KEY_CACHE, found
        return found

    def cookie(self, session: Session) -> str:
        """The session as the cookie's value."""
        return self._core.vault.seal(msgspec.json.encode(session), _PURPOSE).hex()

    def read(self, cookie: str | None) -> Session | None:
        """The session in a cookie that this server has written, if it is one."""
        if not cookie:
            return None
        try:
            return msgspec.json.decode(self._core.vault.unseal(bytes.fromhex(cookie), _PURPOSE), type=Session)
        except (Conflict, ValueError):
            return None


def _session(now: int, key_id: int, project: str) -> Session:
    return Session(key_id, project, secrets.token_urlsafe(18), now + LIFE)
