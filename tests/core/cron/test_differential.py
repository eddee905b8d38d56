"""The engine beside cronsim, an independent implementation of Debian's rules, on 5-field expressions."""

from __future__ import annotations

import random
from datetime import datetime
from itertools import islice, pairwise

import pytest
from cronsim import CronSim, CronSimError

from core.cron.oracle import local, ms
from core.cron.strategies import CHANGES, EVEN_ZONES, UNEVEN_ZONES
from mainspring.core.cron import next_after, parse, zone

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def field(dice: random.Random, low: int, high: int, names: list[str] | None = None, special: str = "") -> str:
    shape = dice.random()
    if shape < 0.3:
        return "*"
    if shape < 0.42:
        return f"*/{dice.randint(1, high + 3)}"
    if special and shape < 0.5:
        return dice.choice(special.split())
    items = []
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        first, last = sorted((dice.randint(low, high), dice.randint(low, high)))
        # A range of one value with a step runs on to the maximum in cronsim, so there is none here.
        step = f"/{dice.randint(1, 9)}" if dice.random() < 0.25 and first < last else ""
        written = f"{first}-{last}{step}" if dice.random() < 0.5 else f"{first}{step}"
        if names and dice.random() < 0.3 and low <= first <= low + len(names) - 1:
            written = dice.choice((str.lower, str.upper, str.capitalize))(names[first - low])
        items.append(written)
    return ",".join(items)


def expression(dice: random.Random) -> str:
    return " ".join(
        (
            field(dice, 0, 59),
            field(dice, 0, 23),
            field(dice, 1, 31, special="L LW"),
            field(dice, 1, 12, MONTHS) if dice.random() < 0.4 else "*",
            field(dice, 0, 7, DAYS, special="5L 0L 7L 1#1 3#5 0#2 mon#3"),
        )
    )


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_with_cronsim_in_zones_that_change_by_whole_hours(seed: int) -> None:
    dice = random.Random(seed)
    compared = 0
    for _ in range(500):
        text, zone_name = expression(dice), dice.choice(EVEN_ZONES)
        tz = zone(zone_name)
        start = dice.choice(CHANGES) + dice.randint(-100, 30) * 3_600_000
        if dice.random() < 0.4:
            start = dice.randint(1_300_000_000, 2_100_000_000) * 1000
        compared += compare(text, zone_name, local(start, tz))
    assert compared > 400


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_cronsim_across_half_hours_and_quarters(seed: int) -> None:
    dice = random.Random(seed)
    compared = 0
    for _ in range(250):
        zone_name = dice.choice(UNEVEN_ZONES)
        # From well before the change: in the middle of it cronsim answers by where it was asked from.
        start = dice.choice(CHANGES[-4:]) - dice.randint(49, 200) * 3_600_000
        compared += compare(expression(dice), zone_name, local(start, zone(zone_name)), fires=300)
    assert compared > 150


def compare(text: str, zone_name: str, start: datetime, fires: int = 6) -> bool:
    """Whether the two could be compared, after asserting that they agree."""
    expr, tz = parse(text), zone(zone_name)
    try:
        theirs = [ms(moment.isoformat()) for moment in islice(CronSim(text, start), fires) if moment.year < 2190]
    except CronSimError:
        assert next_after(expr, ms(start.isoformat()), tz) is None, text
        return False
    at: int | None = ms(start.isoformat())
    if any(later <= earlier for earlier, later in pairwise([ms(start.isoformat()), *theirs])):
        return False  # in the second pass of a repeated hour cronsim may go back to the first
    ours: list[int] = []
    for _ in theirs:
        assert at is not None
        at = next_after(expr, at, tz)
        assert at is not None, (text, zone_name, start)
        ours.append(at)
    assert ours == theirs, (text, zone_name, start.isoformat())
    return bool(theirs)
