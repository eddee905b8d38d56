from __future__ import annotations

import pytest

from mainspring.core.errors import Conflict
from mainspring.store.store import Store
from mainspring.store.vault import SealedVault, check_canary, opens

PLAIN = b"a secret that nobody may read"


def test_what_was_sealed_opens_with_the_same_key_for_the_same_purpose() -> None:
    sealed = SealedVault("key").seal(PLAIN, "headers")
    assert PLAIN not in sealed
    assert SealedVault("key").unseal(sealed, "headers") == PLAIN
    assert SealedVault("key").unseal(SealedVault("key").seal(b"", "headers"), "headers") == b""


def test_no_two_sealed_forms_are_alike() -> None:
    vault = SealedVault("key")
    assert len({vault.seal(PLAIN, "headers") for _ in range(100)}) == 100


def test_another_key_or_purpose_opens_nothing() -> None:
    sealed = SealedVault("key").seal(PLAIN, "headers")
    with pytest.raises(Conflict):
        SealedVault("other").unseal(sealed, "headers")
    with pytest.raises(Conflict):
        SealedVault("key").unseal(sealed, "secret")


def test_a_row_damaged_anywhere_or_cut_short_is_refused() -> None:
    vault = SealedVault("key")
    sealed = vault.seal(PLAIN, "headers")
    flipped = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    cut = [sealed[:length] for length in range(len(sealed))]
    for damaged in flipped + cut:
        with pytest.raises(Conflict) as caught:
            vault.unseal(damaged, "headers")
        assert caught.value.hint


async def test_a_store_remembers_which_key_it_was_made_with(store: Store) -> None:
    await check_canary(SealedVault("key"), store.upkeep)
    await check_canary(SealedVault("key"), store.upkeep)
    with pytest.raises(Conflict):
        await check_canary(SealedVault("other"), store.upkeep)


async def test_the_canary_must_also_say_the_right_thing(store: Store) -> None:
    vault = SealedVault("key")
    await store.upkeep.set_meta("canary", vault.seal(b"something else", "canary").hex())
    with pytest.raises(Conflict):
        await check_canary(vault, store.upkeep)


def test_a_mark_is_of_these_bytes_this_purpose_and_this_key() -> None:
    marks = {SealedVault(key).mark(plain, purpose) for key in ("a", "b") for plain in (b"x", b"y") for purpose in "pq"}
    assert len(marks) == 8
    assert SealedVault("a").mark(b"x", "p") in marks
    assert SealedVault("a").mark(b"\x00x", "p") != SealedVault("a").mark(b"x", "p\x00")


def test_whether_a_key_opens_a_store_can_be_asked() -> None:
    canary = SealedVault("key").seal(b"mainspring", "canary").hex()
    assert opens(SealedVault("key"), canary)
    assert not opens(SealedVault("other"), canary)
    assert not opens(SealedVault("key"), "no canary")
