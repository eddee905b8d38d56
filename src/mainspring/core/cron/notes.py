"""What to tell a person about one fire near a clock change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from mainspring.core.cron.evaluate import count_between, last_at_or_before
from mainspring.core.cron.expression import Expression
from mainspring.core.cron.plan import Plan
from mainspring.core.cron.walls import wall_count, wall_next
from mainspring.core.cron.zones import DAY_S, Offsets, offsets_of

Language = Literal["en", "zh"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Change:
    """A clock change at UTC second `at`, from the offset `before` to `after` (seconds east)."""

    at: int
    before: int
    after: int

    @property
    def left(self) -> int:
        """The local time at which the old time ends."""
        return self.at + self.before

    @property
    def found(self) -> int:
        """The local time at which the new time starts."""
        return self.at + self.after


def note_for(expr: Expression, at_ms: int, tz: ZoneInfo, lang: Language = "en") -> str | None:
    """What a clock change does to the fire at `at_ms`: moved, one of two passes, others left out; None: nothing."""
    plan = expr.plan
    if plan is None or plan.utc:
        return None
    zone, t = offsets_of(tz), at_ms // 1000
    ahead = _change_ahead(zone, t)
    if ahead is not None and t + ahead.before >= ahead.found:
        again = at_ms + (ahead.before - ahead.after) * 1000
        twice = count_between(expr, again - 1, again, tz, 0) == 1
        return _first_pass(t + ahead.before, lang, twice=twice)
    change = _change_behind(zone, t)
    if change is None:
        return None
    if t + change.after < change.left:
        return _second_pass(t + change.after, lang)
    if plan.fixed:
        return _moved(plan, change, lang) if t == change.at else None
    if last_at_or_before(expr, at_ms - 1, tz, 0, not_before_ms=change.at * 1000 - 1) is None:
        return _left_out(wall_count(plan, change.left - 1, t + change.after - 1), change, lang)
    return None


def _change_ahead(zone: Offsets, t: int) -> Change | None:
    """The change in the two days after `t`, if any."""
    start, end, offset, _, _ = zone.at(t)
    while end - t <= 2 * DAY_S:
        start, end, later, _, _ = zone.at(end)
        if later != offset:
            return Change(start, offset, later)
    return None


def _change_behind(zone: Offsets, t: int) -> Change | None:
    """The last change in the eight days up to `t`, if any: a weekly schedule is told once about what it missed."""
    start, _, offset, _, _ = zone.at(t)
    while t - start <= 8 * DAY_S:
        at = start
        start, _, earlier, _, _ = zone.at(at - 1)
        if earlier != offset:
            return Change(at, earlier, offset)
    return None


def _first_pass(wall: int, lang: Language, *, twice: bool) -> str:
    day, clock = stamp(wall)
    if lang == "zh":
        what = "这是第一次，两次都触发" if twice else "只在第一次触发"
        return f"{day} 的 {clock} 会出现两次：{what}。"
    what = "this is the first pass, it fires in both." if twice else "it fires only in the first pass."
    return f"{clock} occurs twice on {day}: {what}"


def _second_pass(wall: int, lang: Language) -> str:
    day, clock = stamp(wall)
    if lang == "zh":
        return f"{day} 的 {clock} 会出现两次：这是第二次。"
    return f"{clock} occurs twice on {day}: this is the second pass."


def _moved(plan: Plan, change: Change, lang: Language) -> str | None:
    missing = wall_count(plan, change.left - 1, change.found - 1)
    first = wall_next(plan, change.left - 1)
    if not missing or first is None:
        return None
    day, clock = stamp(first)
    own = wall_count(plan, change.found - 1, change.found) == 1
    if lang == "zh":
        others = f" 等 {missing} 个时刻" if missing > 1 else " "
        what = "由本次一并代替" if own else "改在拨快之后立即触发"
        return f"{day} 的 {clock}{others}不存在（{_turn(change, lang)}）：{what}。"
    others = f" and {missing - 1} more" if missing > 1 else ""
    verb, it = ("do", "them") if missing > 1 else ("does", "it")
    what = f"this fire stands for {it} as well." if own else "moved to right after the change."
    return f"{clock}{others} {verb} not exist on {day} ({_turn(change, lang)}): {what}"


def _left_out(missing: int, change: Change, lang: Language) -> str | None:
    if missing <= 0:
        return None
    day = stamp(change.left)[0]
    if lang == "zh":
        return f"{day} {_turn(change, lang)}：此前跳过 {missing} 个时刻。"
    times = "1 matching time before this one is" if missing == 1 else f"{missing} matching times before this one are"
    return f"On {day} {_turn(change, lang)}: {times} left out."


def _turn(change: Change, lang: Language) -> str:
    (day, left), (other_day, found) = stamp(change.left), stamp(change.found)
    if day != other_day:
        left, found = f"{day} {left}", f"{other_day} {found}"
    return f"时钟从 {left} 拨到 {found}" if lang == "zh" else f"the clock goes from {left} to {found}"


def stamp(wall: int) -> tuple[str, str]:
    """A local time (seconds since 1970-01-01 on the wall clock) as date and time of day."""
    moment = _EPOCH + timedelta(seconds=wall)
    return moment.strftime("%Y-%m-%d"), moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
