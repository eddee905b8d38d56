from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core.errors import Invalid
from mainspring.core.instants import iso, parse_iso
from mainspring.core.limits import INSTANT_MAX

NINE = 1_763_629_200_000  # 2025-11-20T09:00:00Z


@given(st.integers(0, INSTANT_MAX))
def test_what_is_written_reads_as_the_same_instant(instant: int) -> None:
    assert parse_iso(iso(instant), "at") == instant


@pytest.mark.parametrize(
    ("instant", "text"),
    [(NINE, "2025-11-20T09:00:00.000Z"), (NINE + 7, "2025-11-20T09:00:00.007Z"), (0, "1970-01-01T00:00:00.000Z")],
)
def test_instants_are_written_in_utc_with_milliseconds(instant: int, text: str) -> None:
    assert iso(instant) == text


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-20T09:00:00Z",
        "2025-11-20T09:00:00.000Z",
        "2025-11-20t09:00:00z",
        "2025-11-20 09:00:00Z",
        "2025-11-20T09:00Z",
        "2025-11-20T09:00:00",
        "2025-11-20T09:00",
        "2025-11-20T10:00:00+01:00",
        "2025-11-20T10:00:00+0100",
        "2025-11-20T10:00:00+01",
        "2025-11-19T19:00:00-14:00",
        "2025-11-20T14:30:00+05:30",
        "2025-11-20T09:00:00,000Z",
        "2025-11-20T09:00:00.000000999Z",
    ],
)
def test_nine_o_clock_in_every_spelling(text: str) -> None:
    assert parse_iso(text, "at") == NINE


@pytest.mark.parametrize(("fraction", "ms"), [("5", 500), ("05", 50), ("0059", 5), ("999999", 999), ("1234567", 123)])
def test_fractions_of_any_length_are_cut_to_milliseconds(fraction: str, ms: int) -> None:
    assert parse_iso(f"2025-11-20T09:00:00.{fraction}Z", "at") == NINE + ms


def test_a_day_alone_is_its_midnight_in_utc() -> None:
    assert parse_iso("2025-11-20", "at") == NINE - 9 * 3_600_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1763629200",
        "2025-11-20T09",
        "2025-11-20T09:00:60Z",
        "2025-11-20T24:00:01Z",
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2025-W47-4",
        "2025-11-20T09:00:00.Z",
        "2025-11-20T09:00:00.0000000000Z",
        "2025-11-20T09:00:00+24:00",
        "2025-11-20T09:00:00 Z",
        " 2025-11-20T09:00:00Z",
        "2025-11-20T09:00:00Z\n",
        "\uff12025-11-20T09:00:00Z",
    ],
)
def test_what_is_no_instant_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_iso(text, "run_at")
    assert caught.value.field == "run_at"


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59.999Z", "2200-01-01T00:00:00.001Z", "9999-12-31T23:59:59Z"])
def test_instants_outside_1970_to_2199_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_iso(text, "at")
