from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core.errors import Invalid, LimitExceeded
from mainspring.core.limits import HOUR, MINUTE, SECOND
from mainspring.core.rate import Allowance, Buckets, Left, parse_rate

NOW = 1_763_629_200_000


def taken(buckets: Buckets, key: int, now: int, tries: int) -> int:
    """How many of so many requests are let through."""
    through = 0
    for _ in range(tries):
        try:
            buckets.take(key, now)
        except LimitExceeded:
            continue
        through += 1
    return through


@pytest.mark.parametrize(
    ("text", "requests", "window"),
    [
        ("100", 100, SECOND),
        ("100/s", 100, SECOND),
        ("600/m", 600, MINUTE),
        ("1/h", 1, HOUR),
        ("1000000", 10**6, SECOND),
    ],
)
def test_a_rate_is_written_as_a_number_and_a_window(text: str, requests: int, window: int) -> None:
    assert parse_rate(text) == Allowance(requests, window)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "01", "1/d", "1/", "/s", "1000001", "ten", "1 /s", "٣"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_rate(text)
    assert caught.value.field == "RATE_LIMIT"


def test_as_many_at_once_as_there_are_and_then_one_after_the_other() -> None:
    buckets = Buckets(parse_rate("10/s"))
    assert taken(buckets, 1, NOW, 20) == 10
    assert taken(buckets, 1, NOW + 99, 5) == 0
    assert taken(buckets, 1, NOW + 100, 5) == 1
    assert taken(buckets, 1, NOW + 500, 9) == 4
    assert taken(buckets, 1, NOW + 5_000, 20) == 10


def test_keys_do_not_take_from_each_other() -> None:
    buckets = Buckets(parse_rate("3/m"))
    assert [taken(buckets, key, NOW, 5) for key in (1, 2, 3)] == [3, 3, 3]


def test_whoever_waits_as_long_as_told_is_let_through_and_nobody_earlier_by_a_second() -> None:
    buckets = Buckets(parse_rate("2/h"))
    buckets.take(1, NOW)
    buckets.take(1, NOW)
    with pytest.raises(LimitExceeded) as caught:
        buckets.take(1, NOW + 1)
    assert (caught.value.retry_after_s, caught.value.limit) == (1_800, 2)
    assert taken(buckets, 1, NOW + 1_799 * SECOND, 1) == 0
    assert taken(buckets, 1, NOW + 1 + 1_800 * SECOND, 1) == 1


def test_to_wait_is_never_less_than_a_second() -> None:
    buckets = Buckets(parse_rate("1000/s"))
    assert taken(buckets, 1, NOW, 1_000) == 1_000
    with pytest.raises(LimitExceeded) as caught:
        buckets.take(1, NOW)
    assert caught.value.retry_after_s == 1


def test_what_is_left_is_told() -> None:
    buckets = Buckets(parse_rate("4/m"))
    assert buckets.left(1, NOW) == Left(4, 4, 0)
    buckets.take(1, NOW)
    assert buckets.left(1, NOW) == Left(4, 3, 15)
    assert buckets.left(1, NOW + 1) == Left(4, 3, 15)
    assert taken(buckets, 1, NOW, 9) == 3
    assert buckets.left(1, NOW) == Left(4, 0, 60)
    assert buckets.left(1, NOW + MINUTE) == Left(4, 4, 0)


def test_a_clock_that_steps_back_shuts_nobody_out() -> None:
    buckets = Buckets(parse_rate("10/s"))
    assert taken(buckets, 1, NOW, 10) == 10
    assert taken(buckets, 1, NOW - HOUR, 1) == 0
    assert taken(buckets, 1, NOW - HOUR + 100, 5) == 1


def test_full_buckets_are_forgotten_when_there_are_many() -> None:
    buckets = Buckets(parse_rate("1/s"))
    for key in range(10_000):
        buckets.take(key, NOW)
    buckets.take(10_000, NOW + 2 * SECOND)
    assert len(buckets._full_at) == 1
    assert taken(buckets, 10_000, NOW + 2 * SECOND, 1) == 0


@given(st.integers(1, 50), st.lists(st.integers(0, 400), max_size=60))
def test_no_window_lets_more_through_than_twice_its_number(requests: int, gaps: list[int]) -> None:
    """What was saved up, and what comes in meanwhile."""
    buckets = Buckets(Allowance(requests, SECOND))
    now, through = NOW, []
    for gap in gaps:
        now += gap
        through += [now] * taken(buckets, 1, now, 7)
    for began in through:
        assert sum(began <= at < began + SECOND for at in through) <= 2 * requests
