"""What the addresses of lists say: instants, places between pages, ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mainspring.core import ids
from mainspring.core.errors import Invalid
from mainspring.core.instants import parse_iso
from mainspring.core.limits import DAY, HOUR, MINUTE
from mainspring.doors.console.visit import Visit

_AGO = re.compile(r"(\d{1,4}) ?(min|m|h|d|w)")
_PLACE = re.compile(r"(\d{1,19})\.(\d{1,19})")
_SIZES = {"min": MINUTE, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def moment(text: str, now: int, field: str) -> int | None:
    """An instant in ms UTC: ISO-8601, or how long ago (`30m`, `2h`, `7d`); None for nothing. Raises `Invalid`."""
    text = text.strip()
    if not text:
        return None
    if found := _AGO.fullmatch(text):
        return max(0, now - int(found[1]) * _SIZES[found[2]])
    return parse_iso(text, field)


def moments(visit: Visit, query: Mapping[str, str]) -> tuple[int, int | None, dict[str, str]]:
    """`since` and `until` of a query, and by field what is wrong with them: what cannot be read is left out."""
    faults: dict[str, str] = {}

    def read(field: str) -> int | None:
        try:
            return moment(query.get(field, ""), visit.now, field)
        except Invalid:
            faults[field] = visit.say("Write it like 2026-11-20T09:00Z, or how long ago: 30m, 2h, 7d.")
            return None

    return read("since") or 0, read("until"), faults


def place_of(cursor: str) -> tuple[int, int] | None:
    """Where a page begins; None, which is the first page, for what is no place."""
    found = _PLACE.fullmatch(cursor)
    if found is None:
        return None
    at, key = int(found[1]), int(found[2])
    return (at, key) if max(at, key) <= ids.KEY_MAX else None


def written(place: tuple[int, int] | None) -> str | None:
    """A place as addresses carry it."""
    return None if place is None else f"{place[0]}.{place[1]}"


def public(prefix: str) -> Callable[[int], str]:
    """How the ids of a noun are written."""
    return lambda key: ids.text(prefix, key)
