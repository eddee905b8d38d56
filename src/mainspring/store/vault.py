"""Seals secrets before they reach the database: AES-256-GCM, a random nonce each, bound to what they are for."""

from __future__ import annotations

import hmac
import os
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mainspring.core.errors import Conflict
from mainspring.store.upkeep import UpkeepStore

VERSION = b"\x01"
_NONCE = 12
_CANARY = b"mainspring"


class SealedVault:
    """Seals with one key. Sealed form: version byte, nonce, ciphertext with tag."""

    def __init__(self, secret_key: str) -> None:
        self._cipher = AESGCM(sha256(b"mainspring vault:" + secret_key.encode()).digest())
        self._mark_key = sha256(b"mainspring mark:" + secret_key.encode()).digest()

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Ciphertext that only `unseal` with the same purpose opens."""
        nonce = os.urandom(_NONCE)
        return VERSION + nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def unseal(self, sealed: bytes, purpose: str) -> bytes:
        """The plain bytes. Raises `Conflict` for another key, another purpose, or a damaged row."""
        try:
            if sealed[:1] != VERSION:
                raise InvalidTag
            return self._cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], purpose.encode())
        except (InvalidTag, ValueError):
            raise Conflict(
                "a stored secret cannot be opened with this secret key",
                hint="Start with the MAINSPRING_SECRET_KEY (or secret.key file) that the store was made with.",
            ) from None

    def mark(self, plain: bytes, purpose: str) -> bytes:
        """HMAC-SHA-256 of the bytes, for this purpose alone."""
        return hmac.digest(self._mark_key, b"%d:%b%b" % (len(purpose), purpose.encode(), plain), "sha256")


def opens(vault: SealedVault, canary: str) -> bool:
    """Whether this is the key of a store with that canary."""
    try:
        return vault.unseal(bytes.fromhex(canary), "canary") == _CANARY
    except (Conflict, ValueError):
        return False


async def check_canary(vault: SealedVault, upkeep: UpkeepStore) -> None:
    """Refuse to start with the wrong key: `Conflict`. A new store gets its canary here."""
    stored = await upkeep.keep_meta("canary", vault.seal(_CANARY, "canary").hex())
    if vault.unseal(bytes.fromhex(stored), "canary") != _CANARY:
        raise Conflict("the store's canary says something else", hint="Restore the store from a backup.")
