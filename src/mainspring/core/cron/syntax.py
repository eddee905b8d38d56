"""From text to tree: fields and their items, one grammar with the liberties of each dialect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mainspring.core.cron.dialects import Dialect, FieldRule
from mainspring.core.cron.errors import CronError
from mainspring.core.cron.tree import (
    DAY,
    WEEKDAY,
    ZERO,
    DayFromEnd,
    Field,
    Item,
    NearestWeekday,
    NthWeekday,
    Span,
)

_WORD = re.compile(r"[^ \t]+")
_WORD_OF_ANY_BLANK = re.compile(r"[^ \t\n\v\f\r]+")
_DAY_FROM_END = re.compile(r"L(?:-(\d+))?(W?)")
_NEAREST = re.compile(r"(\d+)W")
_NTH = re.compile(r"(\w+)#(.*)")
_LAST_OF = re.compile(r"(\w+)L")


def words(text: str, start: int, blanks: str) -> Iterator[tuple[str, int]]:
    """The runs of non-blank characters from `start` on, each with its offset."""
    pattern = _WORD if blanks == " \t" else _WORD_OF_ANY_BLANK
    return ((found[0], found.start()) for found in pattern.finditer(text, start))


def fields_of(text: str, start: int, dialect: Dialect) -> tuple[Field, ...]:
    """The seven fields written in `text` from `start` on; raises CronError."""
    found = list(words(text, start, dialect.blanks))
    layout = dialect.layouts.get(len(found))
    if layout is None:
        most = max(dialect.layouts)
        where = found[most][1] if len(found) > most else len(text)
        raise CronError(f"{dialect.name} takes {dialect.layout_words}; this has {len(found)}", where)
    fields = [ZERO, *(everything(rule) for rule in dialect.fields[1:])]
    for at, (part, where) in zip(layout, found, strict=True):
        fields[at] = _field(part, where, dialect, at)
    if dialect.one_question:
        _check_question(fields, found)
    return tuple(fields)


def everything(rule: FieldRule) -> Field:
    """The field `*`."""
    return Field((Span(rule.low, rule.high, form="star"),), star=True)


def _field(text: str, start: int, dialect: Dialect, at: int) -> Field:
    items: list[Item] = []
    where = start
    for part in text.split(","):
        if part:
            items.append(_item(part, where, dialect, at))
        elif not dialect.lax_lists:
            raise CronError(f"{dialect.fields[at].name}: a list item is empty; remove the extra comma", where)
        where += len(part) + 1
    if not items:
        raise CronError(f"{dialect.fields[at].name}: the list is empty; write * or a value", start)
    considered = items if dialect.days == "any-star" else items[:1]
    return Field(tuple(items), any(isinstance(item, Span) and item.form in ("star", "any") for item in considered))


def _item(text: str, start: int, dialect: Dialect, at: int) -> Item:
    rule = dialect.fields[at]
    special = _special(text.upper(), start, dialect, at)
    if special is not None:
        return special
    head, slash, step_text = text.partition("/")
    step = _step(step_text, start + len(head) + 1, rule) if slash else 1
    if not head and slash and dialect.bare_slash:
        head = "*"
    if head[:1] in ("*", "?") and (len(head) == 1 or (dialect.lax_lists and head[1] == "-")):
        return _star(head, start, dialect, rule, step)
    low_text, dash, high_text = head.partition("-")
    low = _number(low_text, start, dialect, rule)
    named = not low_text.isdigit()
    if not dash:
        if slash and named and not dialect.names_mix:
            raise CronError(f"{rule.name}: a name cannot take a step; write the number before /", start)
        return Span(low, rule.high if slash else low, step, "open" if slash else "value")
    high_at = start + len(low_text) + 1
    high = _number(high_text, high_at, dialect, rule)
    if named == high_text.isdigit() and not dialect.names_mix:
        raise CronError(f"{rule.name}: a range goes from name to name or from number to number", start)
    if low > high and not rule.wraps:
        raise CronError(
            f"{rule.name}: the range {head} runs backwards and ranges do not wrap around; "
            f"write {low}-{rule.high},{rule.low}-{high} instead",
            start,
        )
    return Span(low, low) if low == high else Span(low, high, step, "range")


def _star(head: str, start: int, dialect: Dialect, rule: FieldRule, step: int) -> Span:
    if head[0] == "?" and not rule.question:
        raise CronError(f"{rule.name}: ? stands only in day-of-month and day-of-week; write *", start)
    quartz_question = head[0] == "?" and dialect.one_question
    return Span(rule.low, rule.high, step, "any" if quartz_question else "star")


def _step(text: str, start: int, rule: FieldRule) -> int:
    if not text.isdigit():
        raise CronError(f"{rule.name}: after / comes a whole number, as in */5", start)
    step = int(text)
    if step == 0:
        raise CronError(f"{rule.name}: a step of 0 never moves on; write 1 or more", start)
    if rule.max_step is not None and step > rule.max_step:
        raise CronError(f"{rule.name}: the step {step} is above {rule.max_step}, the most this dialect takes", start)
    return step


def _number(text: str, start: int, dialect: Dialect, rule: FieldRule) -> int:
    if text.isdigit():
        number = int(text)
        if not rule.low <= number <= rule.high:
            raise CronError(f"{rule.name}: {text} is not within {rule.low}-{rule.high}", start)
        return number
    named = rule.names.get(text.upper())
    if named is not None:
        return named
    raise CronError(f"{rule.name}: {_why_not_a_number(text, dialect, rule)}", start)


def _why_not_a_number(text: str, dialect: Dialect, rule: FieldRule) -> str:
    names = list(rule.names)
    takes = f"{rule.low}-{rule.high}" + (f" or {names[0]}-{names[-1]}" if len(names) in (7, 12) else "")
    if not text:
        return f"a value is missing; write a number within {takes}"
    if "~" in text:
        return "random times with ~ are not supported; write a fixed value"
    if text[0] in "Hh":
        return "hashed times with H are not supported; write a fixed value"
    if text[0] in "*?":
        return f"nothing but /step can follow {text[0]}"
    if not dialect.specials and set(text.upper()) & set("LW#"):
        return f"L, W and # are not part of the {dialect.name} dialect; write a number within {takes}"
    return f'"{text}" is not a value; write a number within {takes}'


def _special(text: str, start: int, dialect: Dialect, at: int) -> Item | None:
    """`L`, `LW`, `L-n`, `nW` in a day of month, `nL`, `n#k` in a day of week (upper case); None for all else."""
    if not dialect.specials:
        return None
    if at == DAY:
        return _special_date(text, start, dialect.fields[DAY])
    if at == WEEKDAY:
        return _special_weekday(text, start, dialect)
    return None


def _special_date(text: str, start: int, rule: FieldRule) -> Item | None:
    if found := _DAY_FROM_END.fullmatch(text):
        before = int(found[1] or 0)
        if before > 30:
            raise CronError(f"{rule.name}: L-{before} is in no month; the offset is at most 30", start)
        return DayFromEnd(before, found[2] == "W")
    if found := _NEAREST.fullmatch(text):
        day = int(found[1])
        if not 1 <= day <= 31:
            raise CronError(f"{rule.name}: {day} is not within 1-31", start)
        return NearestWeekday(day)
    return None


def _special_weekday(text: str, start: int, dialect: Dialect) -> Item | None:
    rule = dialect.fields[WEEKDAY]
    if text == "L":
        if dialect.one_question:
            return Span(7, 7)
        raise CronError(f"{rule.name}: L needs a weekday before it, as in 5L for the last Friday", start)
    if found := _NTH.fullmatch(text):
        weekday = _number(found[1], start, dialect, rule)
        if not (found[2].isdigit() and 1 <= int(found[2]) <= 5):
            raise CronError(f"{rule.name}: after # comes 1 to 5, as in 1#2", start + len(found[1]) + 1)
        return NthWeekday(weekday, int(found[2]))
    if found := _LAST_OF.fullmatch(text):
        return NthWeekday(_number(found[1], start, dialect, rule), 0)
    return None


def _check_question(fields: list[Field], found: list[tuple[str, int]]) -> None:
    """Quartz: exactly one of the day fields is `?`, alone."""
    questions = [
        at for at in (DAY, WEEKDAY) if any(isinstance(item, Span) and item.form == "any" for item in fields[at].items)
    ]
    if len(questions) != 1:
        where = found[WEEKDAY][1]
        raise CronError("quartz: exactly one of day of month and day of week is ?; put ? where any day will do", where)
    if not fields[questions[0]].everything:
        raise CronError("quartz: ? stands alone in its field", found[questions[0]][1])
