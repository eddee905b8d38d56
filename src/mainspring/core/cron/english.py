"""Schedules in English sentences."""

from __future__ import annotations

from typing import assert_never

from mainspring.core.cron.dialects import DAY_NAMES, MONTH_NAMES
from mainspring.core.cron.meaning import Clock, Days, Meaning, Series, even_steps, runs, week_runs
from mainspring.core.cron.tree import DayFromEnd, NearestWeekday, NthWeekday

_MONTHS = tuple(name.capitalize() for name in MONTH_NAMES)
_DAYS = tuple(name.capitalize() for name in DAY_NAMES)
_NTH = ("last", "first", "second", "third", "fourth", "fifth")
_WORKING = "working day (Monday to Friday)"


def sentence(meaning: Meaning) -> str:
    """The whole schedule, without the zone and the full stop."""
    days = _days(meaning)
    text = _times(meaning)
    if days:
        text += days if days.startswith(",") else f" {days}"
    if meaning.years:
        text += f" {_years(meaning.years)}"
    return text[0].upper() + text[1:]


def every(interval_ms: int) -> str:
    """`@every`, whose length is in milliseconds."""
    minutes, ms = divmod(interval_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    units = (f"{hours}", "hour"), (f"{minutes}", "minute"), (f"{ms / 1000:g}", "second")
    parts = [f"{n} {unit}" + ("" if n == "1" else "s") for n, unit in units if n != "0"]
    length = _joined(parts)
    if len(parts) == 1 and parts[0].startswith("1 "):
        length = parts[0][2:]
    return f"Every {length}, counted from when the schedule was created or last changed"


def in_zone(zone_name: str) -> str:
    """What follows the sentence to say in which zone its times are."""
    return ", UTC" if zone_name == "UTC" else f", {zone_name} time"


def _joined(parts: list[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


# ---- times of day


def _times(m: Meaning) -> str:
    if m.times:
        return "at " + _joined(_clocks(m.times))
    if not m.seconds.single:
        return _many_seconds(m)
    if not m.minutes.single:
        text = _many_minutes(m)
        return text if m.seconds.values == (0,) else f"{text}, at second {m.seconds.first}"
    return _many_hours(m)


def _clocks(times: tuple[Clock, ...]) -> list[str]:
    seconds = any(second for _, _, second in times)
    return [f"{h:02}:{m:02}" + (f":{s:02}" if seconds else "") for h, m, s in times]


def _many_hours(m: Meaning) -> str:
    minute, second = m.minutes.first, m.seconds.first
    if m.hours.all:
        if not minute and not second:
            return "every hour, on the hour"
        return f"every hour at minute {minute}" + (f" and second {second}" if second else "")
    times = _clocks(tuple((hour, minute, second) for hour in m.hours.values))
    if m.hours.cycle:
        return f"every {m.hours.step} hours, starting at {times[0]}"
    if m.hours.step:
        return f"{_rate(m.hours, 'hour')} from {times[0]} to {times[-1]}"
    return "at " + _joined(times)


def _many_minutes(m: Meaning) -> str:
    minutes, hours = m.minutes, m.hours
    if not minutes.step:
        return f"at {_listed(minutes, 'minute')} of {_hours(m)}"
    rate = _rate(minutes, "minute")
    if hours.all:
        return rate + _part(minutes, "minute", "hour")
    if minutes.steady or hours.single:
        return f"{rate} {_within(m)}"
    return f"{rate}{_part(minutes, 'minute', '')}{_hours(m)}"


def _many_seconds(m: Meaning) -> str:
    seconds, minutes = m.seconds, m.minutes
    if not seconds.step:
        text = f"at {_listed(seconds, 'second')} of "
        return text + (_every_minute(m) if minutes.all else f"{_listed(minutes, 'minute')} of {_hours(m)}")
    rate = _rate(seconds, "second")
    if m.hours.single and (minutes.single or (seconds.steady and minutes.step == 1)):
        return f"{rate} {_within(m)}"
    if minutes.all and seconds.steady and not m.hours.all:
        return f"{rate} {_within(m)}"
    part = _part(seconds, "second", "")
    if minutes.all:
        return rate + (_part(seconds, "second", "minute") if m.hours.all else part + _every_minute(m))
    return f"{rate}{part or ' during '}{_listed(minutes, 'minute')} of {_hours(m)}"


def _rate(series: Series, unit: str) -> str:
    return f"every {unit}" if series.step == 1 else f"every {series.step} {unit}s"


def _part(series: Series, unit: str, whole: str) -> str:
    """Where in the hour or minute a series lies; with `whole` empty it ends in `of `, for the caller to go on."""
    if series.all or (series.cycle and not series.first):
        return ""
    if series.cycle and whole:
        return f", starting at {unit} {series.first} of the {whole}"
    return f" from {unit} {series.first} to {series.last} of " + (f"every {whole}" if whole else "")


def _listed(series: Series, unit: str) -> str:
    if series.step > 1 and len(series.values) > 4:
        return f"every {_ordinal(series.step)} {unit} ({series.first}, {series.values[1]}, …, {series.last})"
    parts = [str(low) if low == high else f"{low} to {high}" for low, high in runs(series.values)]
    return f"{unit}{'' if series.single else 's'} {_joined(parts)}"


def _every_minute(m: Meaning) -> str:
    return "every minute" if m.hours.all else f"every minute {_within(m)}"


def _within(m: Meaning) -> str:
    """The stretches of the day, by first and last time where there are few, else by hour."""
    windows = m.windows()
    if len(windows) <= 3:
        return _joined([f"from {first} to {last}" for first, last in map(_clocks, windows)])
    return f"in {_hours(m)}"


def _hours(m: Meaning) -> str:
    windows = m.windows()
    if m.hours.all:
        return "every hour"
    if len(windows) == 1 and not m.hours.single:
        first, last = _clocks(windows[0])
        return f"every hour from {first} to {last}"
    return (
        _listed(m.hours, "hour") if m.hours.step > 1 and len(m.hours.values) > 4 else f"the {_listed(m.hours, 'hour')}"
    )


# ---- days


def _days(m: Meaning) -> str:
    days = m.days
    if not days.by_date and not days.by_weekday:
        month = _in_months(m.months)
        return f"every day {month}".rstrip() if m.daily else month
    dates = f"on {_dates(days, m.months)}" if days.by_date else ""
    if not days.by_weekday:
        return dates
    if not days.by_date:
        return _weekdays(days, m)
    if days.either:
        return f"{dates} and also {_other_weekdays(days, m.months)} (either is enough)"
    return f"{dates}, but only if it is {_which_weekday(days)}"


def _dates(days: Days, months: tuple[int, ...]) -> str:
    of = _of_months(months)
    stretches = runs(days.dates)
    if not days.special_dates:
        if step := even_steps(days.dates):
            first, last = _ordinal(days.dates[0]), _ordinal(days.dates[-1])
            return f"every {_ordinal(step)} day from the {first} to the {last} {of}"
        if len(stretches) == 1 and len(days.dates) > 1:
            return f"each day from the {_ordinal(days.dates[0])} to the {_ordinal(days.dates[-1])} {of}"
    plain = [_ordinal(low) if low == high else f"{_ordinal(low)} to {_ordinal(high)}" for low, high in stretches]
    special = [_special_date(item) for item in days.special_dates]
    return f"{_joined([*(['the ' + _joined(plain)] if plain else []), *special])} {of}"


def _special_date(item: DayFromEnd | NearestWeekday) -> str:
    match item:
        case DayFromEnd(before=0, weekday=weekday):
            return f"the last {_WORKING}" if weekday else "the last day"
        case DayFromEnd(before=before, weekday=weekday):
            day = "the last day but one" if before == 1 else f"the day {before} days before the last day"
            return f"the {_WORKING} nearest to {day}" if weekday else day
        case NearestWeekday(day=number):
            return f"the {_WORKING} nearest to the {_ordinal(number)}"
        case _:
            assert_never(item)


def _weekdays(days: Days, m: Meaning) -> str:
    """Weekdays alone: `every Monday` after a time, `on Mondays` after a rate, `, Monday to Friday` after both."""
    inside = f" {_in_months(m.months)}" if m.months else ""
    special = _special_weekdays(days, m.months)
    if not days.weekdays:
        return special
    stretches = week_runs(days.weekdays)
    if len(stretches) == 1 and len(days.weekdays) > 1:
        plain = f", {_DAYS[stretches[0][0]]} to {_DAYS[stretches[0][1]]}{inside}"
    else:
        names = [_DAYS[n] for n in sorted(days.weekdays, key=lambda n: n or 7)]
        plain = (f"every {_joined(names)}" if m.times else f"on {_joined([f'{name}s' for name in names])}") + inside
    return f"{plain} and {special}" if special else plain


def _special_weekdays(days: Days, months: tuple[int, ...]) -> str:
    if not days.special_weekdays:
        return ""
    return f"on {_joined([_nth(item) for item in days.special_weekdays])} {_of_months(months)}"


def _other_weekdays(days: Days, months: tuple[int, ...]) -> str:
    """The weekdays beside dates, one of the two being enough."""
    inside = f" {_in_months(months)}" if months else ""
    parts = [f"on every {_joined(_day_names(days))}{inside}"] if days.weekdays else []
    return _joined([part for part in (*parts, _special_weekdays(days, months)) if part])


def _which_weekday(days: Days) -> str:
    """The weekdays that a date has to be."""
    parts = [f"a {_DAYS[n]}" for n in sorted(days.weekdays, key=lambda n: n or 7)]
    return _joined([*parts, *(_nth(item) for item in days.special_weekdays)], "or")


def _day_names(days: Days) -> list[str]:
    return [_DAYS[a] if a == b else f"day from {_DAYS[a]} to {_DAYS[b]}" for a, b in week_runs(days.weekdays)]


def _nth(item: NthWeekday) -> str:
    return f"the {_NTH[item.nth]} {_DAYS[item.weekday]}"


def _of_months(months: tuple[int, ...]) -> str:
    if not months:
        return "of every month"
    stretches = runs(months)
    if len(stretches) == 1 and len(months) > 1:
        return f"of every month from {_MONTHS[months[0] - 1]} to {_MONTHS[months[-1] - 1]}"
    return f"of {_month_names(stretches)}"


def _in_months(months: tuple[int, ...]) -> str:
    if not months:
        return ""
    stretches = runs(months)
    return ("from " if len(stretches) == 1 and len(months) > 1 else "in ") + _month_names(stretches)


def _month_names(stretches: list[tuple[int, int]]) -> str:
    return _joined([_MONTHS[a - 1] if a == b else f"{_MONTHS[a - 1]} to {_MONTHS[b - 1]}" for a, b in stretches])


def _years(years: tuple[int, ...]) -> str:
    if step := even_steps(years):
        return f"in every {_ordinal(step)} year from {years[0]} to {years[-1]}"
    stretches = runs(years)
    word = "from" if len(stretches) == 1 and len(years) > 1 else "in"
    return f"{word} {_joined([str(low) if low == high else f'{low} to {high}' for low, high in stretches])}"


def _ordinal(n: int) -> str:
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"
