"""How many fires the next hours will bring: counted where that is cheap, estimated where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.core import cron
from mainspring.core.cron import CronError
from mainspring.core.limits import HOUR
from mainspring.core.views.overview import Alike

HOURS = 24
# What an estimate may cost, in steps to a next fire (3 µs each, measured on the machine of the benchmarks).
_BUDGET = 5_000
_STEPS = 48
_COST_OF_PARSING = 15
_COST_OF_AN_HOUR = 8
_COST_OF_ONE = 60


class Hours(msgspec.Struct, frozen=True):
    """Fires in each of the 24 hours that begin at `since` (the first has begun already: what is left of it). `about`:
    some of it is estimated."""

    since: int
    counts: tuple[int, ...]
    about: bool

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def most(self) -> int:
        return max(self.counts)


def fires_by_hour(
    now: int, alike: Sequence[Alike], once: dict[int, int], *, share: float = 1.0, cut: bool = False
) -> Hours:
    """The hours from that of `now` on.

    `alike`: schedules by expression, the most common first; `share`: of all that there are. `once`: hour → fires of
    schedules that are due once. `cut`: there may be more of those. When there are too many expressions for the budget,
    the most common half of the work is counted, and of the rest every so many-th stands for its neighbours.
    """
    since = now - now % HOUR
    sums = [0.0] * HOURS
    spent, at = 0, 0
    while at < len(alike) and spent < _BUDGET / 2:
        spent += _add(sums, alike[at], since, now, 1.0)
        at += 1
    rest = alike[at:]
    every = -(-len(rest) * _COST_OF_ONE * 2 // _BUDGET) or 1
    picked = rest[::every]
    if picked:
        weight = sum(one.count for one in rest) / sum(one.count for one in picked)
        for one in picked:
            if spent > _BUDGET:
                break
            spent += _add(sums, one, since, now, weight)
    counts = [total / share + once.get(hour, 0) for hour, total in enumerate(sums)]
    about = share < 1 or every > 1 or cut or spent > _BUDGET
    return Hours(since, tuple(map(_rounded if about else round, counts)), about)


def _add(sums: list[float], one: Alike, since: int, now: int, weight: float) -> int:
    """Add the fires of these schedules; what it cost."""
    try:
        expression, zone = cron.parse(one.cron_expr, one.dialect), cron.zone(one.timezone)
    except CronError:  # it fires no more, and says so elsewhere
        return _COST_OF_PARSING
    each = one.count * weight
    end = since + HOURS * HOUR
    hours: list[int] = []
    instant = cron.next_after(expression, now, zone, one.anchor_at)
    while instant is not None and instant < end and len(hours) <= _STEPS:
        hours.append((instant - since) // HOUR)
        instant = cron.next_after(expression, instant, zone, one.anchor_at)
    if len(hours) <= _STEPS:
        for hour in hours:
            sums[hour] += each
        return _COST_OF_PARSING + len(hours)
    for hour in range(HOURS):
        first = since + hour * HOUR
        fires = cron.count_between(expression, max(first - 1, now), first + HOUR - 1, zone, one.anchor_at)
        sums[hour] += each * fires
    return _COST_OF_PARSING + _STEPS + HOURS * _COST_OF_AN_HOUR


def _rounded(count: float) -> int:
    """To three figures."""
    return int(float(f"{count:.3g}"))
