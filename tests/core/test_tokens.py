from __future__ import annotations

import re
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core import tokens
from mainspring.core.errors import Forbidden, Invalid, NotFound, Unauthorized
from mainspring.core.limits import HOUR, KEY_CACHE
from mainspring.core.model import Key, Principal
from mainspring.core.tokens import AuthCache, authenticate, check_secret, digest_of, new_secret, require, shown_of
from store.making import ALL, START, Bench, new_key, once

SECRET = new_secret(bytes(range(24)))
dice = st.binary(min_size=24, max_size=24)


async def create(bench: Bench, secret: str = SECRET, **changes: Any) -> Key:
    fields = {"project": "acme", "name": "a key", "scopes": ("cron:read",), "valid_until": None} | changes
    made = await tokens.create(bench.core, START, secret=secret, **fields)
    assert isinstance(made, Key)
    return made


async def rotate(bench: Bench, now: int, key_id: int, grace_ms: int, secret: str, project: str = "acme") -> Key:
    made = await tokens.rotate(bench.core, now, project, key_id, grace_ms, secret)
    assert isinstance(made, Key)
    return made


@given(dice)
def test_a_key_has_a_prefix_its_random_bits_and_a_checksum_over_them(random: bytes) -> None:
    shape = re.fullmatch(r"msk_([0-9A-Za-z]{33})_([0-9A-Za-z]{6})", new_secret(random))
    assert shape is not None
    check = 0
    for letter in shape[2]:
        check = check * 62 + tokens._BASE62.index(letter)
    assert check == zlib.crc32(shape[1].encode())


@given(dice, dice)
def test_every_random_bit_counts(one: bytes, other: bytes) -> None:
    assert (new_secret(one) == new_secret(other)) == (one == other)


def test_a_made_key_could_also_be_set_by_hand() -> None:
    check_secret(SECRET, "API_KEY")
    check_secret(new_secret(b"\xff" * 24), "API_KEY")


@pytest.mark.parametrize("secret", ["x" * 16, "!" * 512, "~" * 16])
def test_a_key_set_by_hand_has_16_to_512_visible_characters(secret: str) -> None:
    check_secret(secret, "API_KEY")


@pytest.mark.parametrize(
    "secret", ["", "x" * 15, "x" * 513, "x" * 16 + " ", "x" * 16 + "\n", "é" * 16, "x" * 16 + "\x7f"]
)
def test_other_keys_set_by_hand_are_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_secret(secret, "API_KEY")
    assert caught.value.field == "API_KEY"
    assert not secret or secret not in caught.value.message + caught.value.hint


def test_the_store_keeps_a_digest_and_a_list_shows_the_ends() -> None:
    assert len(digest_of(SECRET)) == 32
    assert digest_of(SECRET) != digest_of(SECRET[:-1] + "0")
    assert shown_of(SECRET) == "msk_…" + SECRET[-4:]
    assert shown_of("set-by-hand-secret") == "…cret"
    assert digest_of("\ud800") != digest_of("\ud800x")


async def test_the_secret_says_who_is_calling(bench: Bench) -> None:
    key = await create(bench)
    assert SECRET not in repr(key)
    assert await authenticate(bench.core, START, SECRET) == Principal(
        key.id, "acme", frozenset({"cron:read"}), shown_of(SECRET)
    )


@pytest.mark.parametrize("secret", ["", "msk_unknown", SECRET + " ", SECRET.lower(), "\ud800"])
async def test_an_unknown_secret_is_nobody(bench: Bench, secret: str) -> None:
    await create(bench)
    with pytest.raises(Unauthorized):
        await authenticate(bench.core, START, secret)


async def test_unknown_revoked_expired_and_early_keys_get_one_identical_answer(bench: Bench) -> None:
    revoked = await create(bench, "revoked-revoked-revoked")
    await tokens.revoke(bench.core, START, "acme", revoked.id)
    await create(bench, "expired-expired-expired", valid_until=START - 1)
    early = new_key(digest_of("early-early-early-early"), valid_from=START + 1)
    await bench.store.credentials.create(START, [early])
    answers = set()
    for secret in ("unknown", "revoked-revoked-revoked", "expired-expired-expired", "early-early-early-early"):
        with pytest.raises(Unauthorized) as caught:
            await authenticate(bench.core, START, secret)
        answers.add((caught.value.code, caught.value.message, caught.value.hint, caught.value.field))
    assert len(answers) == 1


async def test_the_ends_of_the_validity_are_valid(bench: Bench) -> None:
    both = new_key(digest_of(SECRET), valid_from=START, valid_until=START + 9)
    await bench.store.credentials.create(START, [both])
    for now, valid in ((START - 1, False), (START, True), (START + 9, True), (START + 10, False)):
        if valid:
            await authenticate(bench.core, now, SECRET)
        else:
            with pytest.raises(Unauthorized):
                await authenticate(bench.core, now, SECRET)


def test_a_scope_is_needed_and_admin_has_them_all() -> None:
    require(Principal(1, "p", frozenset({"cron:read"})), "cron:read")
    require(Principal(1, "p", frozenset({"admin"})), "cron:write")
    for scopes in ((), ("cron:read",), ("cron",), ("queue:publish", "metrics:read")):
        with pytest.raises(Forbidden):
            require(Principal(1, "p", frozenset(scopes)), "cron:write")


async def test_a_new_key_is_checked_and_made_once(bench: Bench) -> None:
    for wrong, field in (
        ({"scopes": ("cron:read", "root")}, "scopes"),
        ({"project": ""}, "project_id"),
        ({"project": "a/b"}, "project_id"),
        ({"project": "ü"}, "project_id"),
        ({"project": "x" * 65}, "project_id"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
    ):
        with pytest.raises(Invalid) as caught:
            await create(bench, **wrong)
        assert caught.value.field == field
    assert await tokens.page(bench.core, None, ALL) == []
    longest = await create(bench, "longest-longest-longest", name="x" * 255, project="y" * 64)
    await tokens.revoke(bench.core, START, "y" * 64, longest.id)
    keyed = once("k", operation="key.create")
    made = [
        await tokens.create(
            bench.core, START, project="a.b_c-1", name="n", scopes=(), valid_until=None, secret=secret, once=keyed
        )
        for secret in ("first-first-first-first", "second-second-second")
    ]
    assert [isinstance(one, Key) for one in made] == [True, False]
    assert len(await tokens.page(bench.core, "a.b_c-1", ALL)) == 1


async def test_a_rotated_key_lives_on_for_its_grace(bench: Bench) -> None:
    old = await create(bench, valid_until=START + 10 * HOUR)
    new = await rotate(bench, START, old.id, HOUR, "new-new-new-new-new")
    assert (new.name, new.scopes, new.project, new.valid_until) == (old.name, old.scopes, "acme", START + 10 * HOUR)
    await authenticate(bench.core, START + HOUR, SECRET)
    with pytest.raises(Unauthorized):
        await authenticate(bench.core, START + HOUR + 1, SECRET)
    assert (await authenticate(bench.core, START + 2 * HOUR, "new-new-new-new-new")).key_id == new.id


async def test_a_rotation_never_lengthens_a_life(bench: Bench) -> None:
    old = await create(bench, valid_until=START + 5)
    await rotate(bench, START, old.id, HOUR, "new-new-new-new-new")
    with pytest.raises(Unauthorized):
        await authenticate(bench.core, START + 6, SECRET)


async def test_what_is_over_or_elsewhere_cannot_be_rotated(bench: Bench) -> None:
    key = await create(bench)
    with pytest.raises(NotFound):
        await rotate(bench, START, key.id, 0, "new-new-new-new-new", project="other")
    await tokens.revoke(bench.core, START, "acme", key.id)
    with pytest.raises(NotFound):
        await rotate(bench, START, key.id, 0, "new-new-new-new-new")


async def test_revoking_twice_is_fine_and_a_key_of_others_is_not_there(bench: Bench) -> None:
    key = await create(bench)
    with pytest.raises(NotFound):
        await tokens.revoke(bench.core, START, "other", key.id)
    await authenticate(bench.core, START, SECRET)
    await tokens.revoke(bench.core, START, "acme", key.id)
    await tokens.revoke(bench.core, START, "acme", key.id)
    with pytest.raises(NotFound):
        await tokens.revoke(bench.core, START, "acme", key.id + 1)


async def test_the_bootstrap_key_has_every_scope(bench: Bench) -> None:
    await bench.store.credentials.ensure_bootstrap(START, tokens.bootstrap_key(SECRET, START))
    principal = await authenticate(bench.core, START, SECRET)
    assert (principal.project, principal.scopes) == ("default", frozenset(tokens.SCOPES))


async def test_a_principal_is_remembered_for_a_second_and_its_use_is_noted(bench: Bench) -> None:
    key = await create(bench)
    cache = AuthCache(bench.core)
    first = await cache.principal(START, SECRET)
    await tokens.revoke(bench.core, START, "acme", key.id)
    assert await cache.principal(START + KEY_CACHE - 1, SECRET) == first
    assert cache.used == {key.id: START}
    with pytest.raises(Unauthorized):
        await cache.principal(START + KEY_CACHE, SECRET)


async def test_a_revocation_here_is_effective_at_once(bench: Bench) -> None:
    key = await create(bench)
    cache = AuthCache(bench.core)
    await cache.principal(START, SECRET)
    await tokens.revoke(bench.core, START, "acme", key.id)
    cache.forget()
    with pytest.raises(Unauthorized):
        await cache.principal(START, SECRET)


async def test_a_clock_that_steps_back_does_not_lengthen_the_memory(bench: Bench) -> None:
    key = await create(bench)
    cache = AuthCache(bench.core)
    await cache.principal(START, SECRET)
    await tokens.revoke(bench.core, START, "acme", key.id)
    with pytest.raises(Unauthorized):
        await cache.principal(START - HOUR, SECRET)
