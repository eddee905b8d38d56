from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core.limits import RETRY_AFTER_MAX
from mainspring.core.retry_after import parse_retry_after

NOW = int(datetime(2026, 11, 20, 9, 0, 0, tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("value", "delay"),
    [
        ("0", 0),
        ("1", 1_000),
        (" 120\t", 120_000),
        ("0007", 7_000),
        ("3600", 3_600_000),
        ("3601", RETRY_AFTER_MAX),
        ("999999999", RETRY_AFTER_MAX),
        ("9" * 5_000, RETRY_AFTER_MAX),
        ("Fri, 20 Nov 2026 09:00:30 GMT", 30_000),
        ("Friday, 20-Nov-26 09:00:30 GMT", 30_000),
        ("Fri Nov 20 09:00:30 2026", 30_000),
        ("20 Nov 2026 09:00:30 +0000", 30_000),
        ("Fri, 20 Nov 2026 08:59:59 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Fri, 20 Nov 2099 09:00:00 GMT", RETRY_AFTER_MAX),
        ("Fri, 31 Dec 9999 23:59:60 GMT", RETRY_AFTER_MAX),
    ],
)
def test_seconds_and_all_three_date_forms_are_understood(value: str, delay: int) -> None:
    assert parse_retry_after(value, NOW) == delay


@pytest.mark.parametrize(
    "value",
    ["", "-1", "-120", "+5", "1.5", "1e3", "soon", "٣", "0x10", "1 2", "Fri, 32 Nov 2026 09:00:00 GMT",
     "Fri, 20 Foo 2026 09:00:00 GMT", "Fri, 20 Nov 2026 25:00:00 GMT", "Fri, 20 Nov 0000 09:00:00 GMT",
     "Fri, 20 Nov 2026 09:00:00 CET", "2026-11-20T09:00:30Z"],
)  # fmt: skip
def test_what_is_neither_is_as_if_it_were_absent(value: str) -> None:
    assert parse_retry_after(value, NOW) is None


@given(st.one_of(st.integers(-5_000, 5_000), st.integers(-(10**9), 2 * 10**9)))
def test_dates_agree_with_the_standard_library(ahead_s: int) -> None:
    moment = datetime.fromtimestamp(NOW / 1000, UTC) + timedelta(seconds=ahead_s)
    value = format_datetime(moment, usegmt=True)
    assert parse_retry_after(value, NOW) == max(0, min(ahead_s * 1000, RETRY_AFTER_MAX))


@given(st.text())
def test_no_text_raises_and_every_answer_is_in_bounds(value: str) -> None:
    delay = parse_retry_after(value, NOW)
    assert delay is None or 0 <= delay <= RETRY_AFTER_MAX
