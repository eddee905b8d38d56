"""What an expression says, as sets and series of numbers, before it is put into words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

from mainspring.core.cron.dialects import RULES, Dialect
from mainspring.core.cron.expression import Expression
from mainspring.core.cron.plan import either_day
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
    numbers,
)

_SPOKEN_TIMES = 6

Clock = tuple[int, int, int]
"""Hour, minute, second."""


@dataclass(frozen=True, slots=True)
class Series:
    """Some of the numbers 0..size-1, and how they lie.

    `step` is their constant distance, 0 if it is not constant or there are fewer than three. `cycle`: the distance
    from the last to the first of the next round is the same.
    """

    values: tuple[int, ...]
    size: int
    step: int
    cycle: bool

    @property
    def all(self) -> bool:
        return len(self.values) == self.size

    @property
    def first(self) -> int:
        return self.values[0]

    @property
    def last(self) -> int:
        return self.values[-1]

    @property
    def single(self) -> bool:
        return len(self.values) == 1

    @property
    def steady(self) -> bool:
        """All, or at a constant distance round and round."""
        return self.all or self.cycle


@dataclass(frozen=True, slots=True)
class Days:
    """The two day fields: plain dates, special dates, plain weekdays (0 = Sunday), special weekdays.

    Empty `dates` and `special_dates` together mean that the date does not matter; likewise for weekdays. `either`:
    where both matter, one of them is enough.
    """

    dates: tuple[int, ...]
    special_dates: tuple[DayFromEnd | NearestWeekday, ...]
    weekdays: tuple[int, ...]
    special_weekdays: tuple[NthWeekday, ...]
    either: bool

    @property
    def by_date(self) -> bool:
        return bool(self.dates or self.special_dates)

    @property
    def by_weekday(self) -> bool:
        return bool(self.weekdays or self.special_weekdays)


@dataclass(frozen=True, slots=True)
class Meaning:
    """All that a sentence has to say. `times` lists the times of day where they are few enough to be spoken out."""

    seconds: Series
    minutes: Series
    hours: Series
    times: tuple[Clock, ...]
    days: Days
    months: tuple[int, ...]
    years: tuple[int, ...]

    @property
    def daily(self) -> bool:
        """Whether the times of day leave out some hours, so that a sentence has to say on which days they are."""
        return not self.hours.steady

    def windows(self) -> list[tuple[Clock, Clock]]:
        """First and last time of each stretch of neighbouring hours."""
        stretches: list[tuple[int, int]] = []
        for hour in self.hours.values:
            if stretches and stretches[-1][1] == hour - 1:
                stretches[-1] = (stretches[-1][0], hour)
            else:
                stretches.append((hour, hour))
        first, last = (self.minutes.first, self.seconds.first), (self.minutes.last, self.seconds.last)
        return [((low, *first), (high, *last)) for low, high in stretches]


def meaning_of(expr: Expression) -> Meaning:
    """The meaning of an expression that has fields (not `@every`)."""
    rules = RULES[expr.dialect]
    fields = expr.fields
    seconds, minutes = _series(fields[SECOND], 60), _series(fields[MINUTE], 60)
    hours = _series(fields[HOUR], 24)
    count = len(seconds.values) * len(minutes.values) * len(hours.values)
    spoken = count <= _SPOKEN_TIMES and not (seconds.step or minutes.step or hours.cycle)
    months = tuple(numbers(fields[MONTH], 1, 12))
    return Meaning(
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        times=tuple(product(hours.values, minutes.values, seconds.values)) if spoken else (),
        days=_days(fields, rules),
        months=months if len(months) < 12 else (),
        years=() if fields[YEAR].everything else tuple(numbers(fields[YEAR], 1970, 2199)),
    )


def _series(field: Field, size: int) -> Series:
    values = tuple(numbers(field, 0, size - 1))
    steps = {later - earlier for earlier, later in pairwise(values)}
    step = steps.pop() if len(steps) == 1 and len(values) >= 3 else 0
    return Series(values, size, step, bool(step) and values[0] + size - values[-1] == step)


def _days(fields: tuple[Field, ...], rules: Dialect) -> Days:
    either = either_day(fields, rules)
    dates = tuple(numbers(fields[DAY], 1, 31))
    low, high = rules.fields[WEEKDAY].low, rules.fields[WEEKDAY].high
    weekdays = tuple(sorted({(n - rules.sunday) % 7 for n in numbers(fields[WEEKDAY], low, high)}))
    free = (len(dates) == 31, len(weekdays) == 7)
    if any(free) and either:
        return Days((), (), (), (), either=False)
    no_dates, no_weekdays = free
    return Days(
        dates=() if no_dates else dates,
        special_dates=()
        if no_dates
        else tuple(item for item in fields[DAY].items if isinstance(item, DayFromEnd | NearestWeekday)),
        weekdays=() if no_weekdays else weekdays,
        special_weekdays=()
        if no_weekdays
        else tuple(
            NthWeekday((item.weekday - rules.sunday) % 7, item.nth)
            for item in fields[WEEKDAY].items
            if isinstance(item, NthWeekday)
        ),
        either=either,
    )


def runs(values: tuple[int, ...]) -> list[tuple[int, int]]:
    """Ascending numbers as stretches of three or more neighbours and single ones: 1,2,3,7 -> (1,3), (7,7)."""
    found: list[tuple[int, int]] = []
    for value in values:
        if found and found[-1][1] == value - 1:
            found[-1] = (found[-1][0], value)
        else:
            found.append((value, value))
    return [pair for low, high in found for pair in ([(low, low), (high, high)] if high == low + 1 else [(low, high)])]


def week_runs(weekdays: tuple[int, ...]) -> list[tuple[int, int]]:
    """Weekdays (0 = Sunday) like `runs`, weeks begin on Monday; one stretch may wrap: 0,1,5,6 -> (5, 1)."""
    for start in (1, 2, 3, 4, 5, 6, 0) if 3 <= len(weekdays) < 7 else ():
        if {(start + i) % 7 for i in range(len(weekdays))} == set(weekdays):
            return [(start, (start + len(weekdays) - 1) % 7)]
    return [(low % 7, high % 7) for low, high in runs(tuple(sorted(n or 7 for n in weekdays)))]


def even_steps(values: tuple[int, ...]) -> int:
    """The constant step of two or more of four or more numbers, else 0: 1,8,15,22 -> 7."""
    steps = {later - earlier for earlier, later in pairwise(values)}
    return steps.pop() if len(values) >= 4 and len(steps) == 1 and 1 not in steps else 0
