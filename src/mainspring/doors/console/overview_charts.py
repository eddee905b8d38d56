"""The charts of the overview: samples of a span of time, made into what charts.js draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mainspring.core.limits import DAY, HOUR, MINUTE
from mainspring.core.samples import RANGES, percentile
from mainspring.core.views.overview import FirePoint

_NOBODY = (0,) * RANGES


class Span(msgspec.Struct, frozen=True):
    """What a chart covers, and how finely."""

    name: str
    label: str
    length_ms: int
    step_ms: int

    def since(self, now: int) -> int:
        """The first whole step of the span that ends now."""
        return now - now % self.step_ms - self.length_ms + self.step_ms


SPANS = (
    Span("1h", "1 hour", HOUR, MINUTE),
    Span("24h", "24 hours", DAY, 5 * MINUTE),
    Span("7d", "7 days", 7 * DAY, HOUR),
)
TEXTS = ("1 hour", "24 hours", "7 days")


class Shown(msgspec.Struct, frozen=True):
    """The charts of a span, as JSON, and the numbers that say the same in words. `lateness` is None without runs."""

    fires: str
    lateness: str | None
    total: int
    failed: int
    took_ms: float | None
    took_max_ms: int
    p50: float | None
    p99: float | None


def span_of(name: str | None) -> Span:
    """The one of that name, else the hour."""
    return next((span for span in SPANS if span.name == name), SPANS[0])


def shown(points: Sequence[FirePoint], span: Span, now: int, say: Callable[[str], str]) -> Shown:
    """Of every step of the span; the minute that is not over has no sample yet and is left out."""
    last = now - now % span.step_ms - (MINUTE if span.step_ms == MINUTE else 0)
    steps = range(span.since(now), last + 1, span.step_ms)
    by_step = {point.at: point for point in points}
    there = [by_step.get(at) for at in steps]
    total = sum(point.fires for point in points)
    late = [sum(counts) for counts in zip(_NOBODY, *(point.late for point in points), strict=True)]
    seconds = [at // 1000 for at in steps]
    fires = _chart(
        "bars",
        say("Time"),
        seconds,
        (say("Runs begun"), "main", [point.fires if point else 0 for point in there]),
        (say("Failed"), "bad", [point.failed if point else 0 for point in there]),
    )
    lateness = _chart(
        "line",
        say("Time"),
        seconds,
        (say("Half of them at most"), "main", [percentile(point.late, 0.5) if point else None for point in there]),
        (say("99 of 100 at most"), "warn", [percentile(point.late, 0.99) if point else None for point in there]),
        unit="ms",
    )
    return Shown(
        fires=fires,
        lateness=lateness if sum(late) else None,
        total=total,
        failed=sum(point.failed for point in points),
        took_ms=sum(point.took_ms for point in points) / total if total else None,
        took_max_ms=max((point.took_max_ms for point in points), default=0),
        p50=percentile(late, 0.5),
        p99=percentile(late, 0.99),
    )


def _chart(kind: str, time: str, x: list[int], *series: tuple[str, str, Sequence[float | None]], unit: str = "") -> str:
    lines = [{"label": label, "tone": tone, "values": values} for label, tone, values in series]
    return msgspec.json.encode({"kind": kind, "unit": unit, "time": time, "x": x, "series": lines}).decode()
