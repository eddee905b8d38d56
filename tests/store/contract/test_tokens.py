"""Tokens in the store: found by what they are called, changed, gone; and the names of a replaced super token."""

from __future__ import annotations

import msgspec

from mainspring.core import access, tokens
from mainspring.core.changes import NewKey
from mainspring.core.model import Key
from mainspring.store.store import Store
from store.making import START

ONE, OTHER = "one-key:and-its-secret", "other-key:and-its-secret"


async def make(store: Store, secret: str, username: str | None = None) -> Key:
    drawn = access.super_token(secret, START)
    wanted = msgspec.structs.replace(drawn, kind="token", username=username, bootstrap=False)
    made = await store.create_key(NewKey(wanted, None))
    assert isinstance(made, Key)
    return made


async def test_a_token_is_found_by_its_key_and_by_its_username(store: Store) -> None:
    made = await make(store, ONE, "ann")
    for found in (
        await store.credentials.token_by_lookup("one-key"),
        await store.credentials.token_by_username("ann"),
        await store.credentials.token_named("one-key"),
        await store.credentials.token_named("ann"),
        await store.credentials.by_digest(tokens.digest_of(ONE)),
    ):
        assert found == made
    assert await store.credentials.token_by_lookup("ann") is None
    assert await store.credentials.token_named("bob") is None


async def test_changes_are_kept_and_names_come_free_again(store: Store) -> None:
    made = await make(store, ONE, "ann")
    assert await store.credentials.edit_token(made.id, b"[]", ("cron:read",), START)
    assert await store.credentials.set_password(made.id, b"a hash", START)
    assert await store.credentials.set_digest(made.id, tokens.digest_of("one-key:new"), START)
    changed = await store.credentials.token_named("ann")
    assert changed == msgspec.structs.replace(
        made, limits=b"[]", scopes=("cron:read",), password=b"a hash", digest=tokens.digest_of("one-key:new")
    )
    assert await store.credentials.delete_token(made.id, START)
    assert not await store.credentials.delete_token(made.id, START)
    assert not await store.credentials.edit_token(made.id, b"[]", (), START)
    again = await make(store, ONE, "ann")
    assert [one.id for one in await store.credentials.tokens(0, 10)] == [again.id]


async def test_keys_are_no_tokens(store: Store) -> None:
    await store.credentials.ensure_bootstrap(START, tokens.bootstrap_key("a-key-0123456789", START))
    assert await store.credentials.tokens(0, 10) == []
    assert await store.credentials.token_named("a-key-0123456789") is None


async def test_a_super_token_that_is_replaced_gives_its_names_up(store: Store) -> None:
    for secret in (ONE, OTHER, ONE, "one-key:another-secret", ONE):
        await store.credentials.ensure_bootstrap(START, access.super_token(secret, START))
        [found] = await store.credentials.tokens(0, 10)
        assert (found.username, found.digest) == ("root", tokens.digest_of(secret))
        assert found.lookup == secret.partition(":")[0]
        assert await store.credentials.token_named("root") == found


async def test_among_nodes_the_first_super_token_offered_is_taken(store: Store) -> None:
    assert await store.credentials.offer_bootstrap(START, access.super_token(ONE, START))
    assert not await store.credentials.offer_bootstrap(START, access.super_token(OTHER, START))
    assert await store.credentials.offer_bootstrap(START, access.super_token(ONE, START))
    assert len(await store.credentials.tokens(0, 10)) == 1
