"""What a queue held over time, as the charts of the page draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mainspring.core.limits import DAY, HOUR, MINUTE
from mainspring.core.views.overview import QueuePoint
from mainspring.core.views.queues import QueueRow
from mainspring.doors.console.visit import Visit

# How far back, and the step between two points.
SPANS = {"1h": (HOUR, MINUTE), "24h": (DAY, 5 * MINUTE), "7d": (7 * DAY, HOUR)}
TEXTS = ("1 h", "24 h", "7 d")


class Charts(msgspec.Struct, frozen=True):
    """Both charts as JSON for the page, and each in a sentence."""

    depth: str
    depth_said: str
    age: str
    age_said: str


def reach(now: int, span: str) -> tuple[int, int]:
    """From when on, a whole step, and the step, in ms."""
    back, step = SPANS[span]
    return (now - back) // step * step, step


def draw(visit: Visit, points: Sequence[QueuePoint], row: QueueRow, since: int, step: int) -> Charts:
    """The points of the steps, zero where nothing was held, and what the queue holds now at the end."""
    by_step = {point.at: point for point in points}
    times = list(range(since, visit.now, step))
    along = [by_step.get(at) for at in times]
    age = 0 if row.oldest_at is None else max(0, visit.now - row.oldest_at)
    series = (
        (visit.say("Available"), "main", [point.available if point else 0 for point in along], row.available),
        (visit.say("Delayed"), "warn", [point.delayed if point else 0 for point in along], row.delayed),
        (visit.say("In flight"), "busy", [point.in_flight if point else 0 for point in along], row.in_flight),
        (visit.say("Dead letters"), "bad", [point.dead if point else 0 for point in along], row.dead),
    )
    ages = [point.oldest_ms if point else 0 for point in along]
    x, time = [at / 1000 for at in (*times, visit.now)], visit.say("Time")
    depth = {
        "kind": "line",
        "time": time,
        "x": x,
        "series": [_line(label, tone, [*old, new]) for label, tone, old, new in series],
    }
    lines = [_line(visit.say("Age"), "main", [*ages, age])]
    oldest = {"kind": "line", "unit": "ms", "time": time, "x": x, "series": lines}
    highest = max(max(*old, new) for _, _, old, new in series)
    return Charts(
        depth=_text(depth),
        depth_said=visit.say("{now} available now, at most {most} of a kind", now=row.available, most=highest),
        age=_text(oldest),
        age_said=visit.say("{now} s now, at most {most} s", now=age // 1000, most=max(*ages, age) // 1000),
    )


def _line(label: str, tone: str, values: list[int]) -> dict[str, object]:
    return {"label": label, "tone": tone, "values": values}


def _text(spec: Mapping[str, object]) -> str:
    return msgspec.json.encode(spec).decode()
