"""Matches on the wall clock alone, without a time zone: next, previous, number of them.

A local time is a whole number of seconds since 1970-01-01 00:00 as the wall clock shows it.
"""

from __future__ import annotations

from bisect import bisect_right

from mainspring.core.cron.days import KINDS, YEAR_STARTS
from mainspring.core.cron.plan import Plan

_DAY_S = 86_400
_YEARS = len(KINDS)


def wall_next(plan: Plan, wall: int) -> int | None:
    """The first match after `wall`, up to the end of 2199; matches before 1900 do not count."""
    day, second = divmod(wall, _DAY_S)
    year = bisect_right(YEAR_STARTS, day) - 1
    if not 0 <= year < _YEARS:
        if year >= 0:
            return None
        year, day, second = 0, YEAR_STARTS[0], -1
    index = day - YEAR_STARTS[year]
    days = plan.days(year) >> index
    if days & 1 and second < plan.last:
        return day * _DAY_S + _next_second(plan, second)
    days >>= 1
    while not days:
        year += 1
        if year == _YEARS:
            return None
        index = -1
        days = plan.days(year)
    return (YEAR_STARTS[year] + index + (days & -days).bit_length()) * _DAY_S + plan.first


def _next_second(plan: Plan, second: int) -> int:
    """The first matching second of a day after `second`, which is before the day's last one."""
    minute, within = divmod(second, 60)
    if minute >= 0 and plan.minutes >> minute & 1:
        seconds = plan.seconds >> within + 1
        if seconds:
            return second + (seconds & -seconds).bit_length()
    minutes = plan.minutes >> minute + 1
    return (minute + (minutes & -minutes).bit_length()) * 60 + plan.first % 60


def wall_prev(plan: Plan, wall: int) -> int | None:
    """The last match at or before `wall`, down to 1900."""
    day, second = divmod(wall, _DAY_S)
    year = bisect_right(YEAR_STARTS, day) - 1
    if not 0 <= year < _YEARS:
        if year < 0:
            return None
        year, day, second = _YEARS - 1, YEAR_STARTS[-1] - 1, _DAY_S - 1
    index = day - YEAR_STARTS[year]
    days = plan.days(year)
    if days >> index & 1 and second >= plan.first:
        return day * _DAY_S + _prev_second(plan, second)
    days &= (1 << index) - 1
    while not days:
        year -= 1
        if year < 0:
            return None
        days = plan.days(year)
    return (YEAR_STARTS[year] + days.bit_length() - 1) * _DAY_S + plan.last


def _prev_second(plan: Plan, second: int) -> int:
    """The last matching second of a day at or before `second`, which is not before the day's first one."""
    minute, within = divmod(second, 60)
    if plan.minutes >> minute & 1:
        seconds = plan.seconds & (2 << within) - 1
        if seconds:
            return minute * 60 + seconds.bit_length() - 1
    minutes = plan.minutes & (1 << minute) - 1
    return (minutes.bit_length() - 1) * 60 + plan.last % 60


def wall_count(plan: Plan, low: int, high: int) -> int:
    """How many matches lie in (`low`, `high`], within 1900-2199."""
    low = max(low, YEAR_STARTS[0] * _DAY_S - 1)
    high = min(high, YEAR_STARTS[-1] * _DAY_S - 1)
    if low >= high:
        return 0
    low_day, low_second = divmod(low, _DAY_S)
    high_day, high_second = divmod(high, _DAY_S)
    total = _days_before(plan, low_day, high_day) * plan.per_day
    if day_matches(plan, low_day):
        total -= _seconds_up_to(plan, low_second)
    if day_matches(plan, high_day):
        total += _seconds_up_to(plan, high_second)
    return total


def _days_before(plan: Plan, first: int, end: int) -> int:
    """How many of the days first..end-1 match."""
    total, first = 0, max(first, YEAR_STARTS[0])
    year = bisect_right(YEAR_STARTS, first) - 1
    while first < end:
        start, following = YEAR_STARTS[year], YEAR_STARTS[year + 1]
        days = plan.days(year) >> first - start
        if end < following:
            days &= (1 << end - first) - 1
        total += days.bit_count()
        first = following
        year += 1
    return total


def day_matches(plan: Plan, day: int) -> bool:
    """Whether a day (counted from 1970-01-01) matches."""
    year = bisect_right(YEAR_STARTS, day) - 1
    return 0 <= year < _YEARS and bool(plan.days(year) >> day - YEAR_STARTS[year] & 1)


def _seconds_up_to(plan: Plan, second: int) -> int:
    """How many seconds of a matching day up to and including `second` match."""
    minute, within = divmod(second, 60)
    whole = (plan.minutes & (1 << minute) - 1).bit_count() * plan.seconds.bit_count()
    if plan.minutes >> minute & 1:
        return whole + (plan.seconds & (2 << within) - 1).bit_count()
    return whole
