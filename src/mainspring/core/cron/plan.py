"""A tree compiled to bit masks: which days of a year, which minutes of a day, which seconds of a minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from mainspring.core.cron.days import (
    DATES,
    FIRST_YEAR,
    FULL,
    KINDS,
    MONTHS,
    WEEKDAYS,
    from_end,
    nearest_weekday,
    nth_weekday,
)
from mainspring.core.cron.dialects import Dialect
from mainspring.core.cron.tree import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    WEEKDAY,
    YEAR,
    DayFromEnd,
    Field,
    NearestWeekday,
    NthWeekday,
    Span,
    numbers,
    span_values,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The masks of one expression.

    `seconds` has 60 bits, `minutes` 1,440 (the minutes of a day), `years` one for each year from FIRST_YEAR on.
    `first` and `last` are the first and last matching second of a matching day, `per_day` their number there.
    `fixed` picks the DST rule, `stepped` says whether `uneven.py` has a say, `utc` that the dialect has no time zones.
    """

    seconds: int
    minutes: int
    years: int
    first: int
    last: int
    per_day: int
    fixed: bool
    stepped: bool
    utc: bool
    dialect: Dialect
    fields: tuple[Field, ...]
    year_masks: list[int]
    """Day masks by kind of year, -1 until first asked for: most expressions only ever meet two or three kinds."""

    def days(self, year: int) -> int:
        """The mask of the matching days of the `year`-th year from FIRST_YEAR on (0 where the year does not match)."""
        if not self.years >> year & 1:
            return 0
        mask = self.year_masks[KINDS[year]]
        return mask if mask >= 0 else self.kind_days(KINDS[year])

    def kind_days(self, kind: int) -> int:
        """The mask of the matching days in a year of that kind, whichever years are asked for."""
        mask = self.year_masks[kind]
        if mask < 0:
            mask = self.year_masks[kind] = _year_mask(self.fields, self.dialect, kind)
        return mask


def compiled(fields: tuple[Field, ...], dialect: Dialect) -> Plan:
    """The plan of seven fields; total for every tree that `parse` builds."""
    second, minute, hour = (
        sum(1 << n for n in numbers(fields[at], 0, dialect.fields[at].high)) for at in (SECOND, MINUTE, HOUR)
    )
    minutes = sum(minute << 60 * h for h in range(24) if hour >> h & 1)
    every_year = (1 << len(KINDS)) - 1
    year = fields[YEAR]
    years = every_year if year.everything else sum(1 << n - FIRST_YEAR for n in numbers(year, 1970, 2199)) & every_year
    fixed = not any(field.star for field in fields[:DAY])
    return Plan(
        seconds=second,
        minutes=minutes,
        years=years,
        first=_lowest(minutes) * 60 + _lowest(second),
        last=(minutes.bit_length() - 1) * 60 + second.bit_length() - 1,
        per_day=minutes.bit_count() * second.bit_count(),
        fixed=fixed,
        stepped=not fixed and second == 1 and dialect.name == "standard",
        utc=dialect.utc,
        dialect=dialect,
        fields=fields,
        year_masks=[-1] * 14,
    )


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def either_day(fields: tuple[Field, ...], dialect: Dialect) -> bool:
    """Whether one matching day field is enough (OR): both are restricted and, by the dialect, neither is a star."""
    return dialect.days != "and" and not fields[DAY].star and not fields[WEEKDAY].star


def _year_mask(fields: tuple[Field, ...], dialect: Dialect, kind: int) -> int:
    leap = int(kind >= 7)
    dates = _day_mask(fields[DAY], dialect, DAY, kind)
    weekdays = _day_mask(fields[WEEKDAY], dialect, WEEKDAY, kind)
    months = sum(MONTHS[leap][n] for n in numbers(fields[MONTH], 1, 12))
    return (dates | weekdays if either_day(fields, dialect) else dates & weekdays) & months


def _day_mask(field: Field, dialect: Dialect, at: int, kind: int) -> int:
    if field.everything:
        return FULL[kind]
    rule, leap, mask = dialect.fields[at], int(kind >= 7), 0
    for item in field.items:
        match item:
            case Span():
                for n in span_values(item, rule.low, rule.high):
                    mask |= DATES[leap][n] if at == DAY else WEEKDAYS[kind][(n - dialect.sunday) % 7]
            case DayFromEnd(before=before, weekday=weekday):
                days = from_end(leap, before)
                mask |= nearest_weekday(kind, days) if weekday else days
            case NearestWeekday(day=day):
                mask |= nearest_weekday(kind, DATES[leap][day])
            case NthWeekday(weekday=number, nth=nth):
                mask |= nth_weekday(kind, (number - dialect.sunday) % 7, nth)
            case _:
                assert_never(item)
    return mask
