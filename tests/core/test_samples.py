from __future__ import annotations

import itertools
from typing import Any

import pytest

from mainspring.core.events import AttemptEnded, Claimed
from mainspring.core.limits import HOUR, MINUTE, SECOND
from mainspring.core.samples import LATE_MS, RANGES, Sample, Tally, minute_of, percentile

ENDED = AttemptEnded(
    project="p",
    run_id=1,
    schedule_id=2,
    trigger="schedule",
    attempt=1,
    state="succeeded",
    status=200,
    error=None,
    lateness_ms=3,
    duration_ms=20,
)


def ended(**changes: Any) -> AttemptEnded:
    return AttemptEnded(**{name: getattr(ENDED, name) for name in ENDED.__struct_fields__} | changes)


def late(*runs: int) -> tuple[int, ...]:
    """The ranges, with runs that were so late (ms)."""
    tally = Tally()
    for ms in runs:
        tally.on_event(ended(lateness_ms=ms))
    [sample] = tally.take()
    return sample.late


def test_first_attempts_are_counted_as_fires_and_final_failures_as_failed() -> None:
    tally = Tally()
    tally.on_event(ended(state="retrying", duration_ms=50))
    tally.on_event(ended(attempt=2, state="failed", lateness_ms=None, duration_ms=900))
    tally.on_event(ended())
    tally.on_event(ended(project="q", state="failed", lateness_ms=None))
    assert tally.take() == [
        Sample("p", 2, 1, 70, 50, (2, *(0,) * (RANGES - 1))),
        Sample("q", 1, 1, 20, 20, (0,) * RANGES),
    ]
    assert tally.take() == []


def test_what_belongs_to_no_schedule_and_what_is_no_attempt_is_not_counted() -> None:
    tally = Tally()
    tally.on_event(ended(schedule_id=None))
    tally.on_event(Claimed(runs=3))
    assert tally.take() == []


def test_what_could_not_be_kept_is_counted_with_what_came_meanwhile() -> None:
    tally = Tally()
    tally.on_event(ended(duration_ms=70))
    taken = tally.take()
    tally.on_event(ended(state="failed"))
    tally.give_back(taken)
    assert tally.take() == [Sample("p", 2, 1, 90, 70, (2, *(0,) * (RANGES - 1)))]


def test_the_ranges_are_in_order_and_a_bound_belongs_to_the_range_that_it_ends() -> None:
    assert all(low < high for low, high in itertools.pairwise(LATE_MS))
    assert LATE_MS[-1] == HOUR
    assert late(4)[0] == late(5)[1] == 1
    assert late(-20)[0] == 1
    assert late(HOUR + 1)[-1] == 1


def test_percentiles_are_read_off_the_sums_of_many_rows() -> None:
    rows = [late(*range(1, 100)), late(*([700] * 100)), late(2 * HOUR)]
    sums = [sum(counts) for counts in zip(*rows, strict=True)]
    half, nearly_all = percentile(sums, 0.5), percentile(sums, 0.99)
    assert half is not None
    assert nearly_all is not None
    assert 64 <= half <= 1024
    assert 512 <= nearly_all <= 1024
    assert percentile(sums, 1.0) == HOUR


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_without_runs_there_is_no_percentile(share: float) -> None:
    assert percentile((0,) * RANGES, share) is None


@pytest.mark.parametrize("ms", [1, 7, 90, 1_500, 20 * SECOND])
def test_a_percentile_is_off_by_no_more_than_its_range_is_wide(ms: int) -> None:
    found = percentile(late(*([ms] * 50)), 0.99)
    assert found is not None
    assert ms / 2 <= found <= max(4, ms * 2)


def test_a_minute_begins_where_the_clock_says() -> None:
    assert minute_of(3 * MINUTE + 59_999) == 3 * MINUTE == minute_of(3 * MINUTE)
