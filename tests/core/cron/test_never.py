from __future__ import annotations

import pytest

from core.cron.oracle import ms
from mainspring.core.cron import count_between, last_at_or_before, never_reason, next_after, parse, zone

NOW = "2026-02-01T00:00Z"


@pytest.mark.parametrize(
    ("dialect", "text", "zone_name", "reason"),
    [
        ("standard", "0 0 30 2 *", "UTC", "30 February does not exist"),
        ("standard", "0 0 31 4,6 *", "UTC", "31 April and 31 June do not exist"),
        ("standard", "0 0 30,31 2 *", "Europe/Berlin", "30 February and 31 February do not exist"),
        ("standard", "0 0 31 2-6/2 *", "UTC", "31 February, 31 April and 31 June do not exist"),
        ("standard", "0 0 30-31 2 */7", "UTC", "no day matches its day and month fields"),
        ("standard", "0 0 L-30 2 *", "UTC", "no day matches its day and month fields"),
        ("standard", "0 0 0 1 1 * 2020", "UTC", "the year 2020 has passed"),
        ("standard", "0 0 0 1 1 * 2019,2020", "UTC", "the years 2019 and 2020 have passed"),
        ("standard", "0 0 0 1 1 * 1970-2020", "UTC", "the years 1970-2020 have passed"),
        ("standard", "0 0 0 1 1 * 2026", "UTC", "its last time, 2026-01-01 00:00, has passed"),
        ("standard", "0 0 0 29 2 * 2027", "UTC", "29 February does not exist in 2027"),
        ("standard", "0 0 0 29 2 * 2024,2027", "UTC", "its last time, 2024-02-29 00:00, has passed"),
        (
            "standard",
            "0 * 2 8 3 * 2026",
            "America/New_York",
            "its local time is always left out by the clock changes of",
        ),
        ("nodeget", "0 0 0 31 2 *", "UTC", "31 February does not exist"),
        ("nodeget", "0 0 0 30 2 1", "UTC", "no day matches its day and month fields"),
        ("go-crontab", "0 0 0 31 2 *", "Asia/Shanghai", "31 February does not exist"),
        ("quartz", "0 0 0 30 2 ?", "UTC", "30 February does not exist"),
    ],
)
def test_what_never_fires_says_why(dialect: str, text: str, zone_name: str, reason: str) -> None:
    expr, tz = parse(text, dialect), zone(zone_name)
    assert next_after(expr, ms(NOW), tz) is None
    assert never_reason(expr, ms(NOW), tz).startswith(reason)
    assert count_between(expr, ms(NOW), ms("2190-01-01T00:00Z"), tz, 0) == 0


def test_the_rarest_day_is_found() -> None:
    expr = parse("0 0 29 2 */7")
    assert next_after(expr, ms("2026-01-01T00:00Z"), zone("UTC")) == ms("2032-02-29T00:00Z")
    assert next_after(expr, ms("2088-03-01T00:00Z"), zone("UTC")) == ms("2128-02-29T00:00Z")
    assert last_at_or_before(expr, ms("2128-01-01T00:00Z"), zone("UTC"), 0, not_before_ms=0) == ms("2088-02-29T00:00Z")


def test_the_search_ends_with_the_year_2199() -> None:
    expr, tz = parse("0 0 1 1 *"), zone("America/New_York")
    last = ms("2199-01-01T05:00Z")
    assert next_after(expr, last - 1, tz) == last
    assert next_after(expr, last, tz) is None
    assert never_reason(expr, last, tz) == "it does not fire again before the year 2200"
    assert next_after(expr, 10**17, tz) is None
    assert last_at_or_before(expr, 10**17, tz, 0, not_before_ms=0) == last


def test_instants_before_1900_are_as_good_as_1900() -> None:
    expr, tz = parse("0 0 1 1 *"), zone("UTC")
    assert next_after(expr, -(10**17), tz) == ms("1900-01-01T00:00Z")
    assert last_at_or_before(expr, -(10**17), tz, 0, not_before_ms=-(10**18)) is None
    assert count_between(expr, -(10**17), ms("1970-01-01T00:00Z"), tz, 0) == 71
