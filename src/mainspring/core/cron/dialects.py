"""What sets the four dialects apart, as data: ranges, names, and which liberties a text may take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

MONTH_NAMES = (
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
)
DAY_NAMES = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")


def _named(names: tuple[str, ...], first: int, *, long: bool) -> dict[str, int]:
    short = {name[:3]: first + i for i, name in enumerate(names)}
    return short | {name: first + i for i, name in enumerate(names)} if long else short


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field: bounds, names (upper case), whether `?` may stand in it, the largest step (None: any)."""

    name: str
    low: int
    high: int
    names: dict[str, int]
    question: bool = False
    max_step: int | None = None
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """The rules of one dialect.

    `layouts` gives, by number of fields, which of the seven are present. `days` says how the two day fields combine:
    "first-star" = OR unless one of them begins with a star, "any-star" = OR unless an item of one is a star, "and".
    `sunday` is the number of Sunday. `one_question`: exactly one day field is `?`. `names_mix`: a name may stand in a
    range beside a number and before a step. `longest_every_s` 0 means there is no `@every`.
    """

    name: str
    fields: tuple[FieldRule, ...]
    layouts: dict[int, tuple[int, ...]]
    layout_words: str
    days: Literal["first-star", "any-star", "and"]
    sunday: int
    nicknames: dict[str, str]
    nicknames_any_case: bool = False
    blanks: str = " \t\n\v\f\r"
    specials: bool = False
    one_question: bool = False
    bare_slash: bool = False
    lax_lists: bool = False
    names_mix: bool = True
    zone_prefix: bool = False
    every: Literal["exact", "whole seconds"] = "exact"
    longest_every_s: int = 0
    utc: bool = False


_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SHORT_MONTHS = _named(MONTH_NAMES, 1, long=False)

_SECOND = FieldRule("second", 0, 59, {})
_MINUTE = FieldRule("minute", 0, 59, {})
_HOUR = FieldRule("hour", 0, 23, {})
_DAY = FieldRule("day of month", 1, 31, {}, question=True)
_MONTH = FieldRule("month", 1, 12, _SHORT_MONTHS)
_WEEKDAY = FieldRule("day of week", 0, 7, _named(DAY_NAMES, 0, long=False), question=True)
_YEAR = FieldRule("year", 1970, 2199, {})

_STANDARD = Dialect(
    name="standard",
    fields=(_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY, _YEAR),
    layouts={5: (1, 2, 3, 4, 5), 6: (0, 1, 2, 3, 4, 5), 7: (0, 1, 2, 3, 4, 5, 6)},
    layout_words="5 fields (minute hour day-of-month month day-of-week), 6 with seconds first, 7 with the year last",
    days="first-star",
    sunday=0,
    nicknames=_NICKNAMES,
    nicknames_any_case=True,
    blanks=" \t",
    specials=True,
    zone_prefix=True,
    longest_every_s=366 * 86_400,
)

# robfig/cron of February 2013: `?` is `*` everywhere, Sunday is only 0, empty list items and `*-5` pass.
_GO_CRONTAB = Dialect(
    name="go-crontab",
    fields=(
        *(replace(rule, question=True) for rule in (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH)),
        replace(_WEEKDAY, high=6),
        _YEAR,
    ),
    layouts={5: (0, 1, 2, 3, 4), 6: (0, 1, 2, 3, 4, 5)},
    layout_words="5 or 6 fields (second minute hour day-of-month month [day-of-week])",
    days="any-star",
    sunday=0,
    nicknames={name: f"0 {text}" for name, text in _NICKNAMES.items()},
    lax_lists=True,
    every="whole seconds",
    longest_every_s=(2**63 - 1) // 10**9,
)

# The Rust crate `cron` 0.16: a step may not exceed the field's maximum, names stand alone or in ranges of names.
_NODEGET = Dialect(
    name="nodeget",
    fields=(
        replace(_SECOND, max_step=59),
        replace(_MINUTE, max_step=59),
        replace(_HOUR, max_step=23),
        replace(_DAY, max_step=31),
        replace(_MONTH, max_step=12, names=_named(MONTH_NAMES, 1, long=True)),
        FieldRule(
            "day of week",
            1,
            7,
            _named(DAY_NAMES, 1, long=True) | {"TUES": 3, "THURS": 5},
            question=True,
            max_step=7,
        ),
        FieldRule("year", 1970, 2100, {}, max_step=2100),
    ),
    layouts={6: (0, 1, 2, 3, 4, 5), 7: (0, 1, 2, 3, 4, 5, 6)},
    layout_words="6 fields (second minute hour day-of-month month day-of-week), 7 with the year last",
    days="and",
    sunday=1,
    nicknames={
        "@yearly": "0 0 0 1 1 *",
        "@monthly": "0 0 0 1 * *",
        "@weekly": "0 0 0 * * 1",
        "@daily": "0 0 0 * * *",
        "@hourly": "0 0 * * * *",
    },
    names_mix=False,
    utc=True,
)

_QUARTZ = Dialect(
    name="quartz",
    fields=(
        replace(_SECOND, max_step=59, wraps=True),
        replace(_MINUTE, max_step=59, wraps=True),
        replace(_HOUR, max_step=23, wraps=True),
        replace(_DAY, max_step=31, wraps=True),
        replace(_MONTH, max_step=12, wraps=True, names=_named(MONTH_NAMES, 1, long=True)),
        FieldRule("day of week", 1, 7, _named(DAY_NAMES, 1, long=True), question=True, max_step=7, wraps=True),
        _YEAR,
    ),
    layouts={6: (0, 1, 2, 3, 4, 5), 7: (0, 1, 2, 3, 4, 5, 6)},
    layout_words="6 fields (second minute hour day-of-month month day-of-week), 7 with the year last",
    days="and",
    sunday=1,
    nicknames={},
    specials=True,
    one_question=True,
    bare_slash=True,
)

RULES = {dialect.name: dialect for dialect in (_STANDARD, _NODEGET, _GO_CRONTAB, _QUARTZ)}
DIALECTS = tuple(RULES)
