"""Clock changes that are not by whole hours on the hour: Lord Howe (30 minutes), Chatham (at 02:45).

The normative vectors (`spec/vectors/cron.jsonl`) come from a search that walks on from the last fire in steps of one
hour while the hour does not match, and by the distance to the minute when there is only one. Across such a change
these steps come out beside the full hour, so that the first matches after it are left out. This file works out where
the matches count again, and nothing else in the package knows about it.
"""

from __future__ import annotations

from mainspring.core.cron.plan import Plan
from mainspring.core.cron.tree import HOUR, MINUTE, numbers
from mainspring.core.cron.walls import day_matches, wall_prev
from mainspring.core.cron.zones import DAY_S, Offsets, Stretch

_HOUR_S = 3600


def resumes_at(plan: Plan, zone: Offsets, stretch: Stretch) -> int:
    """The UTC second from which the matches after an uneven change count; at most `calm` of the stretch."""
    start, _, _, floor, calm = stretch
    hours, minutes = numbers(plan.fields[HOUR], 0, 23), numbers(plan.fields[MINUTE], 0, 59)
    before = wall_prev(plan, floor)
    wall = floor // DAY_S * DAY_S
    if before is not None:
        wall = max(wall, before + 60)
    t = start + wall - (floor + 1)
    while t < calm:
        wall = t + zone.at(t)[2]
        if not day_matches(plan, wall // DAY_S):
            return max(t, start)
        hour, minute = wall // _HOUR_S % 24, wall // 60 % 60
        if hour not in hours:
            t = _to_hour(zone, t - wall % _HOUR_S, hours)
        elif minute not in minutes:
            t = _to_minute(zone, t, minute, minutes)
        else:
            return max(t, start)
    return calm


def _to_hour(zone: Offsets, t: int, hours: list[int]) -> int:
    while True:
        t += _HOUR_S
        if (t + zone.at(t)[2]) // _HOUR_S % 24 in hours:
            return t


def _to_minute(zone: Offsets, t: int, minute: int, minutes: list[int]) -> int:
    if len(minutes) == 1:
        t += (minutes[0] - minute) % 60 * 60
    while (t + zone.at(t)[2]) // 60 % 60 not in minutes:
        t += 60
    return t
