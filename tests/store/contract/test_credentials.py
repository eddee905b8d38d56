from __future__ import annotations

from typing import Any

import msgspec

from mainspring.core.model import Key, Page
from mainspring.store.store import Store
from store.making import ALL, KEY, PROJECT, START, new_key


async def made(store: Store, digest: bytes, **changes: Any) -> Key:
    [key] = await store.credentials.create(START, [new_key(digest, **changes)])
    assert isinstance(key, Key)
    return key


async def test_a_key_is_found_by_the_digest_of_its_secret(store: Store) -> None:
    key = await made(store, b"d1", scopes=("admin",), valid_until=START + 9, limits=b'[{"a":1}]')
    assert await store.credentials.by_digest(b"d1") == key
    assert await store.credentials.by_digest(b"d2") is None
    assert (key.number, key.scopes, key.limits) == (1, ("admin",), b'[{"a":1}]')
    assert await store.credentials.get(PROJECT, key.id) == key
    assert await store.credentials.get("other", key.id) is None


async def test_revoking_says_whether_there_was_something_to_revoke(store: Store) -> None:
    key = await made(store, b"d1")
    assert not await store.credentials.revoke("other", key.id, START)
    assert await store.credentials.revoke(PROJECT, key.id, START + 1)
    assert not await store.credentials.revoke(PROJECT, key.id, START + 2)
    found = await store.credentials.by_digest(b"d1")
    assert found is not None
    assert found.revoked_at == START + 1


async def test_an_end_is_only_ever_moved_forward(store: Store) -> None:
    key = await made(store, b"d1")
    for until in (START + 9, START + 5, START + 7):
        await store.credentials.expire(PROJECT, key.id, until)
    found = await store.credentials.get(PROJECT, key.id)
    assert found is not None
    assert found.valid_until == START + 5


async def test_the_last_use_is_noted(store: Store) -> None:
    one, other = await made(store, b"d1"), await made(store, b"d2")
    await store.credentials.touch({one.id: START + 5})
    seen = [await store.credentials.get(PROJECT, key.id) for key in (one, other)]
    assert [key.last_used_at for key in seen if key] == [START + 5, None]


async def test_keys_page_newest_first_by_project_or_over_all(store: Store) -> None:
    keys = [await made(store, b"d%d" % number, project=("a", "b")[number % 2]) for number in range(5)]
    ids = [key.id for key in keys][::-1]
    assert [key.id for key in await store.credentials.page(None, ALL)] == ids
    assert [key.id for key in await store.credentials.page("a", ALL)] == ids[::2]
    first = await store.credentials.page(None, Page(limit=2))
    rest = await store.credentials.page(None, Page(limit=9, before=(first[-1].id, 0)))
    assert [key.id for key in first + rest] == ids


async def test_there_is_one_bootstrap_key_and_a_new_one_takes_its_place(store: Store) -> None:
    first = msgspec.structs.replace(KEY, digest=b"first", bootstrap=True)
    second = msgspec.structs.replace(KEY, digest=b"second", bootstrap=True)
    for key in (first, first, second, second):
        await store.credentials.ensure_bootstrap(START, key)
    keys = await store.credentials.page(None, ALL)
    assert [(key.digest, key.revoked_at is None) for key in keys] == [(b"second", True), (b"first", False)]
    await store.credentials.ensure_bootstrap(START, first)
    keys = await store.credentials.page(None, ALL)
    assert [(key.digest, key.revoked_at is None) for key in keys] == [(b"second", False), (b"first", True)]


async def test_other_keys_are_left_alone_by_a_new_bootstrap_key(store: Store) -> None:
    key = await made(store, b"plain")
    await store.credentials.ensure_bootstrap(START, msgspec.structs.replace(KEY, digest=b"boot", bootstrap=True))
    assert await store.credentials.get(PROJECT, key.id) == key
