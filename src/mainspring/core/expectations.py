"""Checks of what is given: numbers between bounds, and what counts as success of an attempt."""

from __future__ import annotations

import re2

from mainspring.core import limits
from mainspring.core.errors import Invalid
from mainspring.core.model import Expect


def bounded(value: int | float, low: float, high: float, field: str) -> None:
    """Raises `Invalid` naming `field` unless low <= value <= high."""
    if not low <= value <= high:
        raise Invalid(f"{field} is {value:g}", hint=f"Use a value from {low:g} to {high:g}.", field=field)


def checked_expect(expect: Expect | None) -> Expect | None:
    """The expectation itself. Raises `Invalid` naming the part at fault."""
    if expect is None:
        return None
    if expect.statuses == ():
        raise Invalid(
            "expect.status is an empty list", hint="Name at least one, or leave it out.", field="expect.status"
        )
    for status in expect.statuses or ():
        bounded(status, 100, 599, "expect.status")
    if expect.body_regexp is not None:
        if len(expect.body_regexp) > limits.REGEXP_CHARS_MAX:
            raise Invalid(
                "expect.body_regexp is too long",
                hint=f"Use at most {limits.REGEXP_CHARS_MAX} characters.",
                field="expect.body_regexp",
            )
        try:
            re2.compile(expect.body_regexp)
        except re2.error as error:
            reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
            raise Invalid(
                f"expect.body_regexp is not an RE2 pattern: {reason}",
                hint="RE2 has no look-around and no back-references.",
                field="expect.body_regexp",
            ) from None
    return expect
