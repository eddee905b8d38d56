"""Why an expression never fires again."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from mainspring.core.cron.days import FIRST_YEAR, KINDS, YEAR_STARTS
from mainspring.core.cron.dialects import MONTH_NAMES
from mainspring.core.cron.expression import Expression
from mainspring.core.cron.notes import stamp
from mainspring.core.cron.plan import Plan
from mainspring.core.cron.tree import DAY, MONTH, WEEKDAY, YEAR, numbers
from mainspring.core.cron.walls import wall_next, wall_prev
from mainspring.core.cron.zones import DAY_S, offsets_of


def never_reason(expr: Expression, after_ms: int, tz: ZoneInfo) -> str:
    """Why there is no fire after `after_ms` (ms UTC), for an expression of which `next_after` says None."""
    plan = expr.plan
    if plan is None:
        raise AssertionError("@every always fires again")
    if not any(plan.kind_days(kind) for kind in range(14)):
        return _no_such_day(expr, "")
    t = max(YEAR_STARTS[0] * DAY_S, min(after_ms // 1000, (YEAR_STARTS[-1] - 1) * DAY_S))
    wall = t if plan.utc else t + offsets_of(tz).at(t)[2]
    if wall_next(plan, wall) is not None:
        return f"its local time is always left out by the clock changes of {tz.key or 'this time zone'}"
    if expr.fields[YEAR].everything:
        return "it does not fire again before the year 2200"
    return _years_over(expr, plan, wall)


def _years_over(expr: Expression, plan: Plan, wall: int) -> str:
    years = numbers(expr.fields[YEAR], 1970, 2199)
    named = _joined([str(n) for n in years]) if len(years) <= 5 else f"{years[0]}-{years[-1]}"
    if years[-1] < int(stamp(wall)[0][:4]):
        return f"the year {named} has passed" if len(years) == 1 else f"the years {named} have passed"
    if any(plan.kind_days(KINDS[n - FIRST_YEAR]) for n in years):
        last = wall_prev(plan, wall)
        if last is not None:
            return f"its last time, {' '.join(stamp(last))}, has passed"
    return _no_such_day(expr, f" in {named}")


def _no_such_day(expr: Expression, when: str) -> str:
    """The dates that are asked for and never come; `when` names the years they are limited to."""
    dates = expr.fields[DAY]
    if not dates.plain or not expr.fields[WEEKDAY].everything:
        return f"no day{when} matches its day and month fields"
    named = [
        f"{day} {MONTH_NAMES[month - 1].capitalize()}"
        for month in numbers(expr.fields[MONTH], 1, 12)
        for day in numbers(dates, 1, 31)
    ]
    if len(named) > 6:
        return f"none of its months has such a day{when}"
    return f"{_joined(named)} {'does' if len(named) == 1 else 'do'} not exist{when}"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
