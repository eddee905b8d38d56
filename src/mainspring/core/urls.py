"""What the core reads off a URL that the target check has passed."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mainspring.core.errors import Invalid
from mainspring.core.limits import NAME_CHARS_MAX
from mainspring.core.ports import TargetCheck

CALL_SCHEME = "tcp://"
QUEUE_SCHEME = "queue:"
OWN_SCHEME = "mainspring:"

_PORTS = {"http": 80, "https": 443}
_CALL = re.compile(r"[^/?#@]+:[0-9]+/(?P<function>[A-Za-z0-9_.-]+\.[A-Za-z0-9_]+)", re.ASCII)


def origin_of(url: str) -> str:
    """`scheme://host:port`, or what is no URL as it is: the unit of fairness between targets."""
    if url.startswith((QUEUE_SCHEME, OWN_SCHEME)):
        return url
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    bracketed = f"[{host}]" if ":" in host else host.rstrip(".")
    return f"{parts.scheme}://{bracketed}:{parts.port or _PORTS[parts.scheme]}"


def name_of(url: str) -> str:
    """The name of a schedule that was given none: the target's host and path, or the queue's name."""
    if url.startswith(QUEUE_SCHEME):
        return url.removeprefix(QUEUE_SCHEME)
    parts = urlsplit(url)
    return ((parts.hostname or "") + parts.path.rstrip("/"))[:NAME_CHARS_MAX]


def call_address(targets: TargetCheck, text: str, field: str) -> str:
    """`tcp://host:port/handler.function` from what is written with or without that scheme.

    The host passes the same check as that of a URL. Raises `Invalid` naming `field`.
    """
    bare = text.removeprefix(CALL_SCHEME)
    if not _CALL.fullmatch(bare):
        raise Invalid(
            f"{field} is not the address of a function",
            hint="Write it as host:port/handler.function, with a port.",
            field=field,
        )
    return CALL_SCHEME + targets.check("http://" + bare, field).removeprefix("http://")
