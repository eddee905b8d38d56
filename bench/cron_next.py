"""Microseconds per next fire: Mainspring beside cronsim and croniter, in one run.

    python bench/cron_next.py [--json] [--seconds 0.3]

Mainspring and croniter hold the parsed expression; cronsim reads the text at each call, as its interface has it.
Each figure is the best of five rounds; a ratio says how many times longer the other takes.
"""

from __future__ import annotations

import argparse
import json
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from platform import python_version

from croniter import croniter
from cronsim import CronSim

from mainspring.core.cron import next_after, parse, zone

CASES = (
    ("*/5 * * * *", "UTC"),
    ("0 9 * * 1-5", "America/New_York"),
    ("0 0 29 2 *", "UTC"),
    ("15 30 3 * * *", "Europe/Berlin"),
)
START = datetime(2026, 6, 3, 10, 17, tzinfo=UTC)
ROUNDS = 5


def microseconds(call: Callable[[], object], seconds: float) -> float:
    """The best round's time per call; all rounds together take about `seconds`."""
    timer = timeit.Timer(call)
    once = max(timer.timeit(20) / 20, 1e-7)
    number = max(1, int(seconds / ROUNDS / once))
    return min(timer.repeat(ROUNDS, number)) / number * 1e6


def measure(text: str, zone_name: str, seconds: float) -> dict[str, object]:
    """One row: the three next fires, which must be the same instant, and what they cost."""
    tz = zone(zone_name)
    expr, start_ms, start = parse(text), int(START.timestamp() * 1000), START.astimezone(tz)
    theirs = croniter(text, start, second_at_beginning=True)
    calls: dict[str, Callable[[], object]] = {
        "mainspring": lambda: next_after(expr, start_ms, tz),
        "cronsim": lambda: next(CronSim(text, start)),
        "croniter": lambda: theirs.get_next(datetime, start_time=start),
    }
    moments = {next(CronSim(text, start)).timestamp(), theirs.get_next(datetime, start_time=start).timestamp()}
    assert {(next_after(expr, start_ms, tz) or 0) / 1000} == moments, (text, zone_name, moments)
    costs = {name: microseconds(call, seconds) for name, call in calls.items()}
    ratios = {name: costs[name] / costs["mainspring"] for name in ("cronsim", "croniter")}
    return {"expression": text, "zone": zone_name, "microseconds": costs, "ratio": ratios}


def main() -> None:
    """Measure all cases and print a table, or JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--seconds", type=float, default=0.3, help="time per figure (default: 0.3)")
    args = options.parse_args()
    rows = [measure(text, zone_name, args.seconds) for text, zone_name in CASES]
    versions = {name: version(name) for name in ("mainspring", "cronsim", "croniter")}
    if args.json:
        print(json.dumps({"python": python_version(), "versions": versions, "rows": rows}))
        return
    print(f"µs per next fire, Python {python_version()}, " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    print(f"{'expression':16}{'zone':20}{'mainspring':>12}{'cronsim':>10}{'':9}{'croniter':>10}")
    for row in rows:
        cost, ratio = row["microseconds"], row["ratio"]
        assert isinstance(cost, dict)
        assert isinstance(ratio, dict)
        print(
            f"{row['expression']:16}{row['zone']:20}{cost['mainspring']:12.2f}"
            f"{cost['cronsim']:10.1f} ({ratio['cronsim']:4.0f} ×){cost['croniter']:10.1f} ({ratio['croniter']:4.0f} ×)"
        )


if __name__ == "__main__":
    main()
