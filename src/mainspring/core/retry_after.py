"""`Retry-After`, as targets really send it. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mainspring.core.limits import RETRY_AFTER_MAX

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_ZONE = r"(?:GMT|UTC|[+-]0000)"
# RFC 9110 section 5.6.7: the form to send, and the two obsolete ones that a recipient must understand.
_DATES = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf"(?:[a-z]+, ?)?(?P<day>\d\d?) (?P<month>[a-z]{{3}}) (?P<year>\d{{4}}) {_TIME} {_ZONE}",
        rf"[a-z]+, ?(?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) {_TIME} {_ZONE}",
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)


def parse_retry_after(value: str, now_ms: int) -> int | None:
    """How long (ms) a target asks to be left alone, 0 to one hour; None when it does not say so intelligibly.

    Whole seconds or an HTTP date; a date in the past is 0, anything longer than an hour is an hour, a negative number
    or other text is None. Source: RFC 9110 section 10.2.3.
    """
    text = value.strip(" \t")
    if text.isascii() and text.isdigit():
        # Length first: a thousand digits are a long time too, and not worth converting.
        return min(int(text) * 1000, RETRY_AFTER_MAX) if len(text.lstrip("0")) <= 9 else RETRY_AFTER_MAX
    for form in _DATES:
        if match := form.fullmatch(text):
            instant = _instant(match, now_ms)
            return None if instant is None else max(0, min(instant - now_ms, RETRY_AFTER_MAX))
    return None


def _instant(match: re.Match[str], now_ms: int) -> int | None:
    month = _MONTHS.get(match["month"].lower())
    if month is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year = _full_year(year, now_ms)
    try:
        moment = datetime(
            year,
            month,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            min(int(match["second"]), 59),  # a leap second is a valid one
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000


def _full_year(two_digits: int, now_ms: int) -> int:
    """A two-digit year more than 50 years ahead lies in the past (RFC 9110 section 5.6.7)."""
    this_year = datetime.fromtimestamp(now_ms / 1000, UTC).year
    year = this_year // 100 * 100 + two_digits
    return year - 100 if year > this_year + 50 else year
