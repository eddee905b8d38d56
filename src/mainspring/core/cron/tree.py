"""The syntax tree that all dialects share: seven fields, each a list of items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR = range(7)


@dataclass(frozen=True, slots=True)
class Span:
    """Every `step`-th value from `low` to `high`, in the numbers of the dialect; `low` > `high` wraps around.

    `form` is how it was written: `*`, the Quartz `?`, a single value, `a-b`, or `a/n` that runs to the maximum.
    """

    low: int
    high: int
    step: int = 1
    form: Literal["star", "any", "value", "range", "open"] = "value"


@dataclass(frozen=True, slots=True)
class DayFromEnd:
    """`L`, `L-n`: the day `before` days before the last of the month; `weekday` (`LW`): the weekday nearest to it."""

    before: int
    weekday: bool


@dataclass(frozen=True, slots=True)
class NearestWeekday:
    """`nW`: the Monday-to-Friday day nearest to day `day`, never in another month."""

    day: int


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """`n#k`: the `nth` (1-5) such weekday of the month; `nth` 0 (`nL`) is the last one."""

    weekday: int
    nth: int


Item = Span | DayFromEnd | NearestWeekday | NthWeekday


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `star` is what the dialect calls a star: it decides AND/OR of the day fields and the DST rule."""

    items: tuple[Item, ...]
    star: bool

    @property
    def everything(self) -> bool:
        """Whether the field is a bare `*` or `?` and so restricts nothing."""
        first = self.items[0]
        return len(self.items) == 1 and isinstance(first, Span) and first.step == 1 and first.form in ("star", "any")

    @property
    def plain(self) -> bool:
        """Whether the field holds numbers only, without `L`, `W` and `#`."""
        return all(isinstance(item, Span) for item in self.items)


ZERO = Field((Span(0, 0),), star=False)


def span_values(span: Span, low: int, high: int) -> range | list[int]:
    """The numbers a span stands for, in order, within a field of `low`..`high`."""
    if span.low <= span.high:
        return range(span.low, span.high + 1, span.step)
    size = high - low + 1
    return [low + (value - low) % size for value in range(span.low, span.high + size + 1, span.step)]


def numbers(field: Field, low: int, high: int) -> list[int]:
    """The distinct numbers of the plain items of a field of `low`..`high`, ascending."""
    return sorted({n for item in field.items if isinstance(item, Span) for n in span_values(item, low, high)})


def item_text(item: Item) -> str:
    """An item as one writes it, in its shortest spelling with numbers."""
    match item:
        case Span(form="star", step=step):
            return "*" if step == 1 else f"*/{step}"
        case Span(form="any", step=step):
            return "?" if step == 1 else f"?/{step}"
        case Span(low=low, form="value"):
            return str(low)
        case Span(low=low, high=high, step=step, form="range"):
            return f"{low}-{high}" if step == 1 else f"{low}-{high}/{step}"
        case Span(low=low, step=step, form="open"):
            return f"{low}/{step}"
        case Span():
            raise AssertionError(item)
        case DayFromEnd(before=before, weekday=weekday):
            return "L" + (f"-{before}" if before else "") + ("W" if weekday else "")
        case NearestWeekday(day=day):
            return f"{day}W"
        case NthWeekday(weekday=number, nth=nth):
            return f"{number}#{nth}" if nth else f"{number}L"
        case _:
            assert_never(item)


def field_text(field: Field) -> str:
    """A field as one writes it; the order of the items is kept, for the first one may decide what a star is."""
    return ",".join(item_text(item) for item in field.items)
