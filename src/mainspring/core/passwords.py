"""Passwords, kept as slow hashes: Argon2id at the least cost that OWASP recommends. Slow on purpose."""

from __future__ import annotations

from functools import cache

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SALT_BYTES = 16
_MEMORY_KIB, _ITERATIONS, _LANES, _LENGTH = 19_456, 2, 1, 32


def hashed(password: str, salt: bytes) -> bytes:
    """The hash with its salt and costs, as a PHC string; tens of milliseconds of work."""
    kdf = Argon2id(salt=salt, length=_LENGTH, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB)
    return kdf.derive_phc_encoded(password.encode("utf-8", "replace")).encode()


def is_it(password: str, kept: bytes) -> bool:
    """Whether this is the password of a hash; as slow."""
    try:
        Argon2id.verify_phc_encoded(password.encode("utf-8", "replace"), kept.decode())
    except InvalidKey:
        return False
    return True


@cache
def nobodys() -> bytes:
    """A hash to compare with where there is none, so that an unknown name takes as long as a wrong password."""
    return hashed("", bytes(SALT_BYTES))
