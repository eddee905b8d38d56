from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core.limits import HOUR, SECOND
from mainspring.core.retry import backoff, next_attempt_at
from store.making import target

NOW = 1_763_629_200_000
MIDDLE = 0.5


def delay(attempt: int, *, retry: int = 10, after: int | None = None, dice: float = MIDDLE, **more: Any) -> int | None:
    at = next_attempt_at(target(retry=retry, **more), attempt, NOW, after, dice)
    return None if at is None else at - NOW


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 5), (2, 15), (3, 45), (4, 135), (5, 405), (6, 900), (7, 900), (50, 900)]
)
def test_the_delay_triples_up_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert backoff(failures) == seconds * SECOND
    assert delay(failures, retry=50) == seconds * SECOND


@given(st.integers(1, 10), st.floats(0, 1, exclude_max=True))
def test_the_jitter_is_at_most_a_tenth(attempt: int, dice: float) -> None:
    waited = delay(attempt, dice=dice)
    assert waited is not None
    assert abs(waited - backoff(attempt)) <= backoff(attempt) / 10


def test_the_dice_spread_over_the_whole_jitter() -> None:
    assert (delay(1, dice=0.0), delay(1, dice=0.25), delay(1, dice=0.75)) == (4_500, 4_750, 5_250)


@pytest.mark.parametrize(("retry", "attempt", "goes_on"), [(0, 1, False), (1, 1, True), (1, 2, False), (3, 3, True)])
def test_as_many_retries_as_asked_for(retry: int, attempt: int, goes_on: bool) -> None:
    assert (delay(attempt, retry=retry) is not None) == goes_on


def test_a_list_of_delays_is_kept_to_the_millisecond() -> None:
    given_delays = (1_000, 1_500, 0)
    waited = [delay(attempt, retry=3, retry_delays_ms=given_delays, dice=0.0) for attempt in (1, 2, 3, 4)]
    assert waited == [1_000, 1_500, 0, None]


def test_more_retries_than_delays_repeat_the_last_one() -> None:
    assert [delay(n, retry=4, retry_delays_ms=(1_000, 2_000)) for n in (1, 2, 3, 4)] == [1_000, 2_000, 2_000, 2_000]


def test_an_empty_list_of_delays_waits_not_at_all() -> None:
    assert delay(1, retry=1, retry_delays_ms=()) == 0


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0, 5 * SECOND), (5 * SECOND, 5 * SECOND), (60 * SECOND, 60 * SECOND), (HOUR, HOUR), (HOUR + 1, HOUR)],
)
def test_retry_after_lengthens_the_delay_up_to_an_hour_and_never_shortens_it(asked: int, waited: int) -> None:
    assert delay(1, after=asked) == waited


def test_retry_after_also_holds_for_a_list_of_delays_and_buys_no_further_attempt() -> None:
    assert delay(1, retry=1, retry_delays_ms=(1_000,), after=9_000) == 9_000
    assert delay(2, retry=1, retry_delays_ms=(1_000,), after=9_000) is None
