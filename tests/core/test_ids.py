from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core import ids
from mainspring.core.ids import KEY_MAX, KeySource, floor_of, key_of, made_at, text

NOW = 1_763_629_200_000
keys = st.integers(0, KEY_MAX)


@given(st.lists(st.integers(NOW - 10_000, NOW + 10_000), min_size=2), st.integers(0, 1023))
def test_keys_never_go_backwards_whatever_the_clock_does(instants: list[int], node: int) -> None:
    source = KeySource(node)
    made = [source.next(now) for now in instants]
    assert made == sorted(set(made))


def test_a_key_tells_when_it_was_made() -> None:
    assert made_at(KeySource().next(NOW)) == NOW
    assert made_at(KeySource(1023).next(NOW)) == NOW


def test_more_than_4096_keys_in_a_millisecond_borrow_from_the_next() -> None:
    made = KeySource().take(NOW, 5_000)
    assert made == sorted(set(made))
    assert [made_at(key) - NOW for key in (made[0], made[4_095], made[4_096], made[-1])] == [0, 0, 1, 1]


def test_nodes_never_make_the_same_key() -> None:
    made = [key for node in (0, 1, 1023) for key in KeySource(node).take(NOW, 5_000)]
    assert len(set(made)) == len(made)
    assert [key >> 12 & 1023 for key in (KeySource(0).next(NOW), KeySource(1023).next(NOW))] == [0, 1023]
    for node in (-1, 1024):
        with pytest.raises(AssertionError):
            KeySource(node)


def test_keys_go_on_above_the_largest_of_the_store_although_the_clock_stepped_back() -> None:
    largest = KeySource(5).take(NOW, 10)[-1]
    assert KeySource(0, floor=largest).next(NOW - 3_600_000) > largest
    assert KeySource(0, floor=largest).next(NOW) > largest


def test_keys_last_until_2089() -> None:
    key = KeySource().next(ids.EPOCH + (1 << 41) - 1)
    assert key <= KEY_MAX
    assert key_of("run", text("run", key)) == key


@given(keys)
def test_the_text_of_a_key_leads_back_to_it(key: int) -> None:
    public = text("run", key)
    assert key_of("run", public) == key
    assert len(public) == 17


@given(keys, keys)
def test_texts_sort_as_their_keys_do(one: int, other: int) -> None:
    assert (text("run", one) < text("run", other)) == (one < other)


@pytest.mark.parametrize(
    "public",
    [
        "",
        "run",
        "run_",
        "run_0",
        "cron_0000000000001",
        "run_000000000000i",
        "run_000000000000I",
        "run_00000000000 1",
        "run_00000000000001",
        "run_8000000000000",
        "run_zzzzzzzzzzzzz",
        "RUN_0000000000001",
        "run-0000000000001",
        "run_é000000000000",
    ],
)
def test_what_is_no_id_of_this_kind_has_no_key(public: str) -> None:
    assert key_of("run", public) is None


@given(st.integers(NOW - 10_000, NOW + 10_000), st.integers(0, 1023))
def test_the_floor_of_an_instant_parts_earlier_keys_from_later_ones(at: int, node: int) -> None:
    assert (KeySource(node).next(at) >= floor_of(NOW)) == (at >= NOW)


def test_instants_before_all_keys_have_the_floor_of_the_first() -> None:
    assert floor_of(0) == floor_of(ids.EPOCH) == 0


def test_an_instant_beyond_every_key_is_after_the_largest() -> None:
    assert ids.floor_of(7_258_118_400_000) == ids.KEY_MAX
