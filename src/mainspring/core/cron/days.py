"""Days as bits: which days of a year are Mondays, firsts, lasts … for the 14 kinds of year there are.

A year's mask has bit i set for its i-th day (0 = 1 January). The kind of a year is the weekday of its 1 January
(0 = Sunday), plus 7 in a leap year; two years of one kind have the same calendar.
"""

from __future__ import annotations

from datetime import date
from itertools import accumulate, pairwise

FIRST_YEAR = 1900
LAST_YEAR = 2199

_EPOCH = date(1970, 1, 1).toordinal()
_LENGTHS = ((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31))
_MONTH_STARTS = tuple(tuple(accumulate(lengths[:-1], initial=0)) for lengths in _LENGTHS)

YEAR_STARTS = tuple(date(year, 1, 1).toordinal() - _EPOCH for year in range(FIRST_YEAR, LAST_YEAR + 2))
"""Days from 1970-01-01 to 1 January of each year from FIRST_YEAR to the one after LAST_YEAR."""

KINDS = tuple((start + 4) % 7 + 7 * (following - start - 365) for start, following in pairwise(YEAR_STARTS))
"""The kind of each year from FIRST_YEAR to LAST_YEAR."""

FULL = tuple((1 << 365) - 1 if kind < 7 else (1 << 366) - 1 for kind in range(14))
MONTHS = tuple(
    (0, *(((1 << n) - 1) << at for at, n in zip(_MONTH_STARTS[leap], _LENGTHS[leap], strict=True))) for leap in (0, 1)
)
"""MONTHS[leap][month]: all days of a month."""

DATES = tuple(
    tuple(
        sum(1 << at + day - 1 for at, n in zip(_MONTH_STARTS[leap], _LENGTHS[leap], strict=True) if day <= n)
        if day
        else 0
        for day in range(32)
    )
    for leap in (0, 1)
)
"""DATES[leap][day]: that day of every month that has it."""

_EVERY_SEVENTH = sum(1 << 7 * week for week in range(53))
WEEKDAYS = tuple(
    tuple((_EVERY_SEVENTH << (weekday - kind) % 7) & FULL[kind] for weekday in range(7)) for kind in range(14)
)
"""WEEKDAYS[kind][weekday]: every such weekday, 0 = Sunday."""


def from_end(leap: int, before: int) -> int:
    """The mask of the day `before` (0-30) days before the last day of each month that is long enough."""
    lasts = (at + n - 1 for at, n in zip(_MONTH_STARTS[leap], _LENGTHS[leap], strict=True) if before < n)
    return sum(1 << last - before for last in lasts)


def nearest_weekday(kind: int, days: int) -> int:
    """`days` (one a month) moved to the nearest Monday-to-Friday day of the same month."""
    leap = int(kind >= 7)
    saturdays = days & WEEKDAYS[kind][6]
    sundays = days & WEEKDAYS[kind][0]
    first, last = DATES[leap][1], from_end(leap, 0)
    moved = (saturdays & ~first) >> 1 | (saturdays & first) << 2 | (sundays & ~last) << 1 | (sundays & last) >> 2
    return days & ~saturdays & ~sundays | moved


def nth_weekday(kind: int, weekday: int, nth: int) -> int:
    """The mask of the `nth` (1-5; 0 = the last) `weekday` (0 = Sunday) of every month that has it."""
    leap = int(kind >= 7)
    days = range(7 * nth - 6, min(7 * nth, 31) + 1)
    week = sum(DATES[leap][day] for day in days) if nth else sum(from_end(leap, before) for before in range(7))
    return WEEKDAYS[kind][weekday] & week
