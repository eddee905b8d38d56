"""Expressions, zones and instants for the property tests."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

EVEN_ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Europe/London",
    "America/Santiago",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Asia/Tehran",
    "Asia/Shanghai",
    "Pacific/Apia",
)
UNEVEN_ZONES = ("Australia/Lord_Howe", "Pacific/Chatham")

ZONE_CHANGES = tuple(
    (zone_name, int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000)
    for zone_name, text in (
        ("America/New_York", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01T06:00"),
        ("Europe/Berlin", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-25T01:00"),
        ("Antarctica/Troll", "2026-03-29T01:00"),  # by two hours
        ("Antarctica/Troll", "2026-10-25T01:00"),
        ("America/Santiago", "2026-09-06T04:00"),  # at midnight
        ("America/Santiago", "2026-04-05T03:00"),
        ("Africa/Cairo", "2026-04-23T22:00"),  # at midnight
        ("Africa/Cairo", "2026-10-29T21:00"),
        ("Asia/Tehran", "2022-03-21T20:30"),  # at midnight
        ("Pacific/Apia", "2011-12-30T10:00"),  # a day left out
        ("Australia/Lord_Howe", "2026-10-03T15:30"),  # by half an hour
        ("Australia/Lord_Howe", "2026-04-04T15:00"),
        ("Pacific/Chatham", "2026-09-26T14:00"),  # at 02:45
        ("Pacific/Chatham", "2026-04-04T14:00"),
    )
)
CHANGES = tuple(change for _, change in ZONE_CHANGES)
instants = st.one_of(
    st.builds(lambda change, by: change + by, st.sampled_from(CHANGES), st.integers(-30 * 3_600_000, 30 * 3_600_000)),
    st.integers(1_262_304_000_000, 2_208_988_800_000),
)


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    """One item of a field of `low`..`high`."""
    number = st.integers(low, high)
    ordered = st.tuples(number, number).map(sorted)
    step = st.integers(1, high)
    return st.one_of(
        number.map(str),
        ordered.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(ordered, step).map(lambda t: f"{t[0][0]}-{t[0][1]}/{t[1]}"),
        st.tuples(number, step).map(lambda t: f"{t[0]}/{t[1]}"),
    )


def fields(low: int, high: int, *more: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A field of `low`..`high`: a star, a stepped star, or a list of items."""
    stars = st.integers(1, high).map(lambda step: f"*/{step}")
    items = st.lists(st.one_of(numbers(low, high), *more), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), stars, items)


special_dates = st.one_of(
    st.sampled_from(["L", "LW"]),
    st.integers(0, 30).map(lambda n: f"L-{n}"),
    st.integers(1, 31).map(lambda n: f"{n}W"),
)


def special_weekdays(low: int) -> st.SearchStrategy[str]:
    """`nL` and `n#k` for a week whose first day is number `low`."""
    weekday = st.integers(low, low + 6)
    return st.one_of(
        weekday.map(lambda n: f"{n}L"), st.tuples(weekday, st.integers(1, 5)).map(lambda t: f"{t[0]}#{t[1]}")
    )


_second, _minute, _hour, _month = fields(0, 59), fields(0, 59), fields(0, 23), fields(1, 12)
_year = st.one_of(st.just("*"), st.integers(2024, 2028).map(str), st.just("2024-2040/3"))
_date = fields(1, 31, special_dates)
_weekday = fields(0, 7, special_weekdays(0))

minutely = st.tuples(_minute, _hour, _date, _month, _weekday).map(" ".join)
standard = st.one_of(
    minutely,
    st.tuples(_second, _minute, _hour, _date, _month, _weekday).map(" ".join),
    st.tuples(_second, _minute, _hour, _date, _month, _weekday, _year).map(" ".join),
)

_lax = fields(0, 59, st.sampled_from(["?", "*", "", "*-5"]))
_go = st.tuples(_lax, _minute, _hour, fields(1, 31, st.just("?")), _month, fields(0, 6)).map(
    lambda parts: " ".join("0" if not part.strip(",") else part for part in parts)
)


_nodeget = st.tuples(
    _second,
    _minute,
    _hour,
    fields(1, 31),
    _month,
    fields(1, 7, st.sampled_from(["MON-FRI", "tues", "Thurs", "SATURDAY"])),
    _year,
).map(" ".join)
_quartz_days = st.one_of(
    st.tuples(fields(1, 31, special_dates, st.just("L-3W")), _month, st.just("?")),
    st.tuples(st.just("?"), _month, fields(1, 7, special_weekdays(1), st.sampled_from(["FRI-MON", "L", "FRI#2"]))),
)
_quartz = st.tuples(
    st.tuples(_second, _minute, fields(0, 23, st.just("22-2"))), _quartz_days, _year.map(lambda year: (year,))
).map(lambda groups: " ".join(part for group in groups for part in group))

any_dialect = st.one_of(
    st.tuples(standard, st.just("standard")),
    st.tuples(_go, st.just("go-crontab")),
    st.tuples(_nodeget, st.just("nodeget")),
    st.tuples(_quartz, st.just("quartz")),
)
