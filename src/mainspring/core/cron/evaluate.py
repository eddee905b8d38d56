"""When an expression fires: the next time, the last time, how many times.

Two rules turn local matches into instants. A plan that follows the clock fires at every instant whose local time
matches. A *fixed* one (no star in seconds, minutes and hours) fires once for every matching local time: at its first
pass where the clock is set back, and right after the gap where it is set forward over it.

Local times are whole seconds since 1970-01-01 on the wall clock, instants whole seconds UTC.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from mainspring.core.cron.days import YEAR_STARTS
from mainspring.core.cron.expression import Expression
from mainspring.core.cron.plan import Plan
from mainspring.core.cron.uneven import resumes_at
from mainspring.core.cron.walls import wall_count, wall_next, wall_prev
from mainspring.core.cron.zones import DAY_S, UTC_OFFSETS, Offsets, offsets_of

_EARLIEST = (YEAR_STARTS[0] - 1) * DAY_S
_LATEST = (YEAR_STARTS[-1] + 1) * DAY_S


def next_after(expr: Expression, after_ms: int, tz: ZoneInfo, anchor_ms: int = 0) -> int | None:
    """The earliest fire strictly after `after_ms` (ms UTC), or None if there is none before the year 2200.

    `@every` fires at `anchor_ms` + k intervals, k >= 1. Years before 1900 are not searched.
    """
    plan = expr.plan
    if plan is None:
        return _interval_next(expr, after_ms, anchor_ms)
    t = after_ms // 1000
    if not _EARLIEST <= t < _LATEST:
        if t >= _LATEST:
            return None
        t = _EARLIEST
    zone = UTC_OFFSETS if plan.utc else offsets_of(tz)
    stretch = zone.last
    if not stretch[0] <= t < stretch[1]:
        stretch = zone.at(t)
    _, end, offset, floor, calm = stretch
    wall = t + offset
    if plan.fixed and wall < floor:
        wall = floor
    match = wall_next(plan, wall)
    if match is not None and match - offset < end and (match - offset >= calm or not plan.stepped):
        return (match - offset) * 1000
    found = _first_pass(match, zone) if plan.fixed else _next_by_the_clock(plan, zone, t)
    return None if found is None else found * 1000


def _first_pass(wall: int | None, zone: Offsets) -> int | None:
    """The instant at which a fixed plan fires for a matching local time."""
    if wall is None:
        return None
    start, end, offset, _, _ = zone.at(wall - 2 * DAY_S)
    while wall - offset >= end:
        start, end, offset, _, _ = zone.at(end)
    return max(wall - offset, start)


def _next_by_the_clock(plan: Plan, zone: Offsets, after: int) -> int | None:
    """The first second after `after` whose local time matches, stretch by stretch."""
    t = after
    while t < _LATEST:
        stretch = zone.at(t + 1)
        _, end, offset, _, calm = stretch
        if t + 1 < calm and plan.stepped:
            t = max(t, resumes_at(plan, zone, stretch) - 1)
        match = wall_next(plan, t + offset)
        if match is not None and match - offset < end:
            return match - offset
        t = end - 1
        if t - after > 2 * DAY_S:
            # Offsets differ by less than 2 days: local time is past that of `after` for good, no match before `match`.
            if match is None:
                return None
            t = max(t, match - 2 * DAY_S)
    return None


def last_at_or_before(expr: Expression, at_ms: int, tz: ZoneInfo, anchor_ms: int, *, not_before_ms: int) -> int | None:
    """The latest fire in (`not_before_ms`, `at_ms`] (ms UTC), or None; searches the years 1900-2199."""
    plan = expr.plan
    if plan is None:
        return _interval_last(expr, at_ms, anchor_ms, not_before_ms)
    zone = UTC_OFFSETS if plan.utc else offsets_of(tz)
    at = t = min(at_ms // 1000, _LATEST)
    lowest = max(not_before_ms // 1000, _EARLIEST)
    while t > lowest:
        stretch = zone.at(t)
        start, _, offset, floor, calm = stretch
        match = wall_prev(plan, t + offset)
        if match is not None and match - offset < calm and plan.stepped:
            floor = resumes_at(plan, zone, stretch) + offset - 1
        elif not plan.fixed:
            floor = start + offset - 1
        if match is not None and match > floor:
            found = max(match - offset, start)
            return found * 1000 if found > lowest else None
        t = start - 1
        if at - t > 2 * DAY_S:
            if match is None:
                return None
            t = min(t, match + 2 * DAY_S)
    return None


def count_between(expr: Expression, after_ms: int, until_ms: int, tz: ZoneInfo, anchor_ms: int) -> int:
    """How many fires lie in (`after_ms`, `until_ms`] (ms UTC), counted by mask, not one by one; years 1900-2199."""
    plan = expr.plan
    if plan is None:
        return _interval_count(expr, after_ms, until_ms, anchor_ms)
    zone = UTC_OFFSETS if plan.utc else offsets_of(tz)
    after, until = max(after_ms // 1000, _EARLIEST), min(until_ms // 1000, _LATEST)
    total = 0
    while after < until:
        stretch = zone.at(after + 1)
        start, end, offset, floor, calm = stretch
        last = min(until, end - 1)
        low, high = after + offset, last + offset
        if plan.fixed:
            if after + 1 == start and floor < low:
                # All matches inside the gap and the first second after it are one fire.
                total += min(1, wall_count(plan, floor, start + offset))
                floor = start + offset
            low = max(low, floor)
        elif after + 1 < calm and plan.stepped:
            low = max(low, resumes_at(plan, zone, stretch) + offset - 1)
        total += wall_count(plan, low, high)
        after = last
    return total


def _interval_next(expr: Expression, after_ms: int, anchor_ms: int) -> int:
    assert expr.interval_ms is not None
    return anchor_ms + max(1, (after_ms - anchor_ms) // expr.interval_ms + 1) * expr.interval_ms


def _interval_last(expr: Expression, at_ms: int, anchor_ms: int, not_before_ms: int) -> int | None:
    assert expr.interval_ms is not None
    number = (at_ms - anchor_ms) // expr.interval_ms
    found = anchor_ms + number * expr.interval_ms
    return found if number >= 1 and found > not_before_ms else None


def _interval_count(expr: Expression, after_ms: int, until_ms: int, anchor_ms: int) -> int:
    assert expr.interval_ms is not None
    low, high = ((t - anchor_ms) // expr.interval_ms for t in (after_ms, until_ms))
    return max(0, max(0, high) - max(0, low))
