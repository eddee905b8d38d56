"""What the rules say, told slowly: every second of a window is looked at, one by one, with the standard library."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mainspring.core.cron import Expression
from mainspring.core.cron.dialects import RULES
from mainspring.core.cron.tree import DayFromEnd, Field, NearestWeekday, NthWeekday, Span, span_values

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ms(text: str, tz: ZoneInfo | None = None) -> int:
    """An ISO-8601 instant in ms UTC; with `tz` it is a local time there, the first of two."""
    moment = datetime.fromisoformat(text)
    return _ms(moment if tz is None else moment.replace(tzinfo=tz))


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def local(at_ms: int, tz: ZoneInfo) -> datetime:
    """The local time of an instant."""
    return (EPOCH + timedelta(milliseconds=at_ms)).astimezone(tz)


def fires(expr: Expression, after_ms: int, until_ms: int, tz: ZoneInfo) -> list[int]:
    """All fires in (after_ms, until_ms], by definition; not for zones that change the clock by less than an hour."""
    zone = ZoneInfo("UTC") if expr.dialect == "nodeget" else tz
    days: dict[date, bool] = {}
    if any(field.star for field in expr.fields[:3]) or expr.dialect == "nodeget":
        step = 1 if expr.has_seconds else 60
        found = {
            t * 1000
            for t in range(after_ms // 1000 // step * step, until_ms // 1000 + 1, step)
            if _matches(expr, local(t * 1000, zone).replace(tzinfo=None), days)
        }
    else:
        day, end = local(after_ms, zone).date() - timedelta(days=2), local(until_ms, zone).date() + timedelta(days=2)
        found = set()
        while day <= end:
            if _day_matches(expr, day):
                found |= {_first_pass(datetime.combine(day, clock), zone) for clock in _clocks(expr)}
            day += timedelta(days=1)
    return sorted(at for at in found if after_ms < at <= until_ms)


def _clocks(expr: Expression) -> list[time]:
    second, minute, hour = expr.fields[:3]
    return [
        time(h, m, s)
        for h in range(24)
        if _in(hour, h, 23)
        for m in range(60)
        if _in(minute, m, 59)
        for s in range(60)
        if _in(second, s, 59)
    ]


def _first_pass(wall: datetime, tz: ZoneInfo) -> int:
    """The instant of a local time, the first of two; the first instant after the gap for one that does not exist."""
    at = _ms(wall.replace(tzinfo=tz))
    if local(at, tz).replace(tzinfo=None) == wall:
        return at
    low, high = at // 1000 - 2 * 86_400, at // 1000 + 2 * 86_400
    while high - low > 1:
        middle = (low + high) // 2
        if local(middle * 1000, tz).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return high * 1000


def _matches(expr: Expression, wall: datetime, days: dict[date, bool]) -> bool:
    second, minute, hour = expr.fields[:3]
    if not (_in(second, wall.second, 59) and _in(minute, wall.minute, 59) and _in(hour, wall.hour, 23)):
        return False
    day = wall.date()
    if day not in days:
        days[day] = _day_matches(expr, day)
    return days[day]


def _in(field: Field, value: int, high: int) -> bool:
    return any(isinstance(item, Span) and value in span_values(item, 0, high) for item in field.items)


def _day_matches(expr: Expression, day: date) -> bool:
    rules = RULES[expr.dialect]
    dates, months, weekdays, years = expr.fields[3:]
    if not any(isinstance(item, Span) and day.month in span_values(item, 1, 12) for item in months.items):
        return False
    if not (
        years.everything or any(isinstance(i, Span) and day.year in span_values(i, 1970, 2199) for i in years.items)
    ):
        return False
    by_date = any(_date_matches(item, day) for item in dates.items)
    by_weekday = any(_weekday_matches(item, day, rules.sunday) for item in weekdays.items)
    if rules.days == "and" or dates.star or weekdays.star:
        return by_date and by_weekday
    return by_date or by_weekday


def _date_matches(item: object, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    match item:
        case Span():
            return day.day in span_values(item, 1, 31)
        case DayFromEnd(before=before, weekday=False):
            return day.day == last - before
        case DayFromEnd(before=before):
            return before < last and day == _nearest(day.replace(day=last - before))
        case NearestWeekday(day=wanted):
            return wanted <= last and day == _nearest(day.replace(day=wanted))
    raise AssertionError(item)


def _nearest(day: date) -> date:
    near = sorted((day + timedelta(days=n) for n in range(-3, 4)), key=lambda other: (abs(other - day), other > day))
    return next(other for other in near if other.month == day.month and other.weekday() < 5)


def _weekday_matches(item: object, day: date, sunday: int) -> bool:
    number = day.isoweekday() % 7
    last = calendar.monthrange(day.year, day.month)[1]
    match item:
        case Span():
            return number in [(n - sunday) % 7 for n in span_values(item, sunday, sunday + 6)]
        case NthWeekday(weekday=weekday, nth=0):
            return number == (weekday - sunday) % 7 and day.day + 7 > last
        case NthWeekday(weekday=weekday, nth=nth):
            return number == (weekday - sunday) % 7 and (day.day + 6) // 7 == nth
    raise AssertionError(item)
