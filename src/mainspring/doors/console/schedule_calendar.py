"""The ledger of a schedule as a calendar: what became of its instants on each day of the last twelve weeks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from mainspring.core.instants import iso
from mainspring.core.limits import DAY
from mainspring.core.views.schedules import DayCount, Stretch
from mainspring.doors.console.visit import Visit

WEEKS = 12
RUNS_MAX = 20_000
STRETCHES_MAX = 2_000
_CELL, _STEP, _LEFT, _TOP = 15, 18, 34, 18
# 1970-01-01 was a Thursday: days since then + 3 begin a week on Mondays.
_THURSDAY = 3
# Why nothing ran at an instant, as the ledger has it → in words.
REASONS = {
    "overlap": "the run before was still going",
    "queue_full": "too many runs were waiting",
    "not_running": "no server was running",
    "catchup_window": "it was too late to catch up",
    "catchup_limit": "there were too many to catch up",
    "no_agents": "there are no agents for it",
    "error": "the schedule could not be read",
}
TEXTS = (
    *REASONS.values(),
    *("Mon", "Wed", "Fri", "Sun"),
    *("ran", "caught up", "skipped", "missed"),
    *("{count} ran", "{count} failed", "{count} under way", "{count} skipped", "{count} missed"),
)


class Cell(msgspec.Struct, frozen=True):
    """One day. `mark`: a shape, so that the colour is not all that tells."""

    x: int
    y: int
    tone: str
    mark: str
    title: str


class Label(msgspec.Struct, frozen=True):
    """A word beside the cells."""

    x: int
    y: int
    text: str


class Calendar(msgspec.Struct, frozen=True):
    """All of it; sizes are those of the picture. `summary`: what it shows, for those who do not see it."""

    cells: list[Cell]
    labels: list[Label]
    width: int
    height: int
    cell: int
    summary: str
    partly: bool


class _Day(msgspec.Struct):
    ran: int = 0
    failed: int = 0
    going: int = 0
    skipped: int = 0
    missed: int = 0
    parts: list[str] = []

    @property
    def tone(self) -> tuple[str, str]:
        if self.failed or self.missed:
            return "bad", "cross"
        if self.skipped:
            return "warn", "dot"
        if self.going:
            return "busy", ""
        return ("good", "") if self.ran else ("soft", "")


def first_day(now: int) -> int:
    """The day (since 1970, UTC) with which the calendar begins: a Monday."""
    today = now // DAY
    return today - (today + _THURSDAY) % 7 - (WEEKS - 1) * 7


async def calendar_of(visit: Visit, schedule_id: int) -> Calendar:
    """The calendar of a schedule of the caller's project."""
    start = first_day(visit.now)
    views = visit.core.store.views.schedules
    counts = await views.days(schedule_id, start * DAY, RUNS_MAX)
    stretches = await views.stretches(schedule_id, start * DAY, STRETCHES_MAX)
    partly = sum(one.count for one in counts) >= RUNS_MAX or len(stretches) >= STRETCHES_MAX
    return _drawn(visit, start, visit.now // DAY, _days(visit, start, counts, stretches), partly=partly)


def _days(visit: Visit, start: int, counts: Sequence[DayCount], stretches: Sequence[Stretch]) -> dict[int, _Day]:
    days: dict[int, _Day] = {}
    for one in counts:
        day = days.setdefault(one.day, _Day())
        if one.state == "failed":
            day.failed += one.count
        elif one.state in ("succeeded", "cancelled"):
            day.ran += one.count
        else:
            day.going += one.count
    for stretch in stretches:
        first, last = stretch.from_at // DAY, stretch.to_at // DAY
        for number in range(max(first, start), last + 1):
            day = days.setdefault(number, _Day())
            if first == last:
                day.skipped += stretch.count if stretch.outcome == "skipped" else 0
                day.missed += stretch.count if stretch.outcome == "missed" else 0
                continue
            # How many of them were on which day is not kept.
            day.skipped += stretch.outcome == "skipped"
            day.missed += stretch.outcome == "missed"
            day.parts.append(_part(visit, stretch))
    return days


def _part(visit: Visit, stretch: Stretch) -> str:
    span = {"count": f"{stretch.count:,}", "since": iso(stretch.from_at)[:10], "until": iso(stretch.to_at)[:10]}
    if stretch.outcome == "skipped":
        return visit.say("some of {count} skipped from {since} to {until}", **span)
    return visit.say("some of {count} missed from {since} to {until}", **span)


def _drawn(visit: Visit, start: int, today: int, days: dict[int, _Day], *, partly: bool) -> Calendar:
    cells, labels = [], []
    for number in range(start, today + 1):
        week, weekday = divmod(number - start, 7)
        date = datetime.fromtimestamp(number * 86_400, UTC)
        x, y = _LEFT + week * _STEP, _TOP + weekday * _STEP
        if weekday == 0 and date.day <= 7:
            labels.append(Label(x, _TOP - 6, date.strftime("%m")))
        day = days.get(number, _Day())
        tone, mark = day.tone
        cells.append(Cell(x, y, tone, mark, f"{date:%Y-%m-%d}: {_told(visit, day)}"))
    for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"), (6, "Sun")):
        labels.append(Label(0, _TOP + row * _STEP + 12, visit.say(name)))
    bad = sum(day.tone[0] == "bad" for day in days.values())
    summary = visit.say(
        "{days} days with something due, {bad} of them with failures or misses", days=len(days), bad=bad
    )
    return Calendar(cells, labels, _LEFT + WEEKS * _STEP, _TOP + 7 * _STEP, _CELL, summary, partly)


def _told(visit: Visit, day: _Day) -> str:
    """What became of a day's instants, in words."""
    whole = not day.parts
    said = [
        visit.say(text, count=f"{count:,}")
        for text, count in (
            ("{count} ran", day.ran),
            ("{count} failed", day.failed),
            ("{count} under way", day.going),
            ("{count} skipped", day.skipped if whole else 0),
            ("{count} missed", day.missed if whole else 0),
        )
        if count
    ]
    return ", ".join([*said, *day.parts]) or visit.say("nothing was due, or it is no longer kept")
