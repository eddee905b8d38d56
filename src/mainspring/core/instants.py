"""Instants at the wire: integer milliseconds UTC inside, ISO-8601 outside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from mainspring.core.errors import Invalid
from mainspring.core.limits import INSTANT_MAX

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}(:?\d{2})?)?)?", re.ASCII)


def iso(instant: int) -> str:
    """ISO-8601 UTC with milliseconds and `Z`."""
    seconds, ms = divmod(instant, 1000)
    return f"{_to_the_second(seconds)}.{ms:03d}Z"


@lru_cache(4096)
def _to_the_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def parse_iso(value: str, field: str) -> int:
    """Milliseconds of an ISO-8601 instant; any offset, UTC when it names none. Raises `Invalid` naming `field`."""
    if not _ISO.fullmatch(value):
        raise _not_an_instant(value, field)
    try:
        moment = datetime.fromisoformat(value.upper().replace(",", "."))
    except ValueError:
        raise _not_an_instant(value, field) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    instant = (moment - _EPOCH) // _MS
    if not 0 <= instant <= INSTANT_MAX:
        raise Invalid(f"{field} is outside 1970 to 2199: {value}", hint="Give an instant between them.", field=field)
    return instant


def _not_an_instant(value: str, field: str) -> Invalid:
    return Invalid(
        f"{field} is not an ISO-8601 instant: {value[:40]!r}",
        hint="Write it like 2026-11-20T09:00:00Z or with an offset like +08:00.",
        field=field,
    )
