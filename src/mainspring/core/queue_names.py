"""What a queue may be called."""

from __future__ import annotations

import re

from mainspring.core.errors import Invalid
from mainspring.core.limits import QUEUE_NAME_CHARS_MAX

DEAD_LETTER_SUFFIX = ".dlq"
_NAME = re.compile(rf"[A-Za-z0-9._:-]{{1,{QUEUE_NAME_CHARS_MAX}}}")


def is_name(name: str) -> bool:
    """Whether there can be a queue of this name."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str, field: str = "queue") -> str:
    """The name itself. Raises `Invalid`."""
    if not is_name(name):
        raise Invalid(
            f"{field} is not usable as the name of a queue",
            hint=f"Use 1 to {QUEUE_NAME_CHARS_MAX} letters, digits, dots, underscores, colons and hyphens.",
            field=field,
        )
    return name
