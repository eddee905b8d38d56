"""How benchmarks print: percentiles, a histogram, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

_EDGES = (5, 10, 20, 50, 100, 150, 200, 300, 500, 1000, 2000, 5000)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def summary(values: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the extremes, in ms."""
    return {
        "p50": round(percentile(values, 0.50), 1),
        "p90": round(percentile(values, 0.90), 1),
        "p99": round(percentile(values, 0.99), 1),
        "max": round(max(values, default=float("nan")), 1),
    }


def histogram(values: Sequence[float]) -> str:
    """A line per bucket that holds anything."""
    lines, low = [], float("-inf")
    for edge in (*_EDGES, float("inf")):
        count = sum(low < value <= edge for value in values)
        if count:
            bar = "#" * max(1, round(50 * count / len(values)))
            lines.append(f"    <= {edge:>6} ms {count:>8} {bar}")
        low = edge
    return "\n".join(lines)


def emit(name: str, figures: dict[str, Any]) -> None:
    """With --json, the figures as one line."""
    if "--json" in sys.argv:
        print(json.dumps({"bench": name, **figures}))
