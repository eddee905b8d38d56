"""The first key of a store that nodes share: the first to offer one has it."""

from __future__ import annotations

from mainspring.core import tokens
from mainspring.core.model import Key
from mainspring.store.store import Store
from store.making import START

ONE, OTHER = "one-key-0123456789", "other-key-0123456789"


async def offer(store: Store, secret: str, now: int = START) -> bool:
    return await store.credentials.offer_bootstrap(now, tokens.bootstrap_key(secret, now))


async def found(store: Store, secret: str) -> Key | None:
    return await store.credentials.by_digest(tokens.digest_of(secret))


async def test_the_first_key_offered_is_taken_and_the_next_one_is_not(store: Store) -> None:
    assert await offer(store, ONE)
    assert not await offer(store, OTHER)
    assert await offer(store, ONE)
    kept = await found(store, ONE)
    assert kept is not None
    assert tokens.is_valid(kept, START)
    assert await found(store, OTHER) is None


async def test_when_the_first_key_is_no_longer_valid_another_is_taken(store: Store) -> None:
    assert await offer(store, ONE)
    kept = await found(store, ONE)
    assert kept is not None
    await store.credentials.expire(kept.project, kept.id, START + 5)
    assert not await offer(store, OTHER, START + 5)
    assert await offer(store, OTHER, START + 6)
    assert await found(store, OTHER) is not None
