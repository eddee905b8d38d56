"""The last runs of a schedule as bars and as a chart, and what an expression means in words."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import assert_never

import msgspec

from mainspring.core import cron
from mainspring.core.instants import iso
from mainspring.core.model import RunState
from mainspring.core.views.schedules import PastRun
from mainspring.doors.console.shown import duration
from mainspring.doors.console.visit import Visit

BARS = 30
STEP, WIDTH, HEIGHT = 4, 3, 24
_LOWEST = 3


class Bar(msgspec.Struct, frozen=True):
    """One run: its height says how long it took, its tone how it ended."""

    x: int
    y: int
    height: int
    tone: str
    title: str


class Bars(msgspec.Struct, frozen=True):
    """Some runs, oldest first. `summary`: what they show, for those who do not see them."""

    bars: list[Bar]
    summary: str


def tone_of(state: RunState) -> str:
    """The colour of a state."""
    match state:
        case "succeeded":
            return "good"
        case "failed":
            return "bad"
        case "running":
            return "busy"
        case "retrying":
            return "warn"
        case "queued" | "cancelled":
            return "idle"
        case _ as never:
            assert_never(never)


def bars_of(visit: Visit, runs: Sequence[PastRun]) -> Bars:
    """The last runs as bars, the newest at the right. Heights go by the root, so that one long run hides no other."""
    runs = runs[-BARS:]
    longest = max((run.took_ms or 0 for run in runs), default=0)
    bars = []
    for at, run in enumerate(runs, BARS - len(runs)):
        share = 0.0 if not longest or run.took_ms is None else sqrt(run.took_ms / longest)
        height = _LOWEST + round(share * (HEIGHT - _LOWEST))
        bars.append(Bar(at * STEP, HEIGHT - height, height, tone_of(run.state), _title(visit, run)))
    failed = sum(run.state == "failed" for run in runs)
    return Bars(bars, visit.say("{count} runs, {failed} failed", count=len(runs), failed=failed))


def _title(visit: Visit, run: PastRun) -> str:
    took = "" if run.took_ms is None else f", {duration(run.took_ms)}"
    return f"{visit.say(run.state)}{took}, {iso(run.scheduled_for)[:19]}Z"


def chart_of(visit: Visit, runs: Sequence[PastRun]) -> str:
    """How long the runs took, as the `chart` macro wants it: a series for each way in which they ended."""
    over = [run for run in runs if run.took_ms is not None]
    series = []
    for label, tone, states in (
        (visit.say("Succeeded"), "good", ("succeeded",)),
        (visit.say("Failed"), "bad", ("failed",)),
        (visit.say("Cancelled"), "idle", ("cancelled",)),
    ):
        values = [run.took_ms if run.state in states else None for run in over]
        if any(value is not None for value in values):
            series.append({"label": label, "tone": tone, "unit": "ms", "values": values})
    x = [run.scheduled_for / 1000 for run in over]
    spec = {"kind": "dots", "unit": "ms", "time": visit.say("Time"), "x": x, "series": series}
    return msgspec.json.encode(spec).decode() if over else ""


def in_words(visit: Visit, cron_expr: str | None, dialect: str, timezone: str) -> str:
    """What an expression means, in the reader's language; empty when it cannot be read."""
    if cron_expr is None:
        return ""
    try:
        expression = cron.parse(cron_expr, dialect)
    except cron.CronError:
        return ""
    return cron.describe(expression, "zh" if visit.preferences.language == "zh" else "en", zone_name=timezone)
