"""What the core reads off a URL that the target check has passed."""

from __future__ import annotations

from urllib.parse import urlsplit

from mainspring.core.limits import NAME_CHARS_MAX

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """`scheme://host:port`: the unit of fairness between targets."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    bracketed = f"[{host}]" if ":" in host else host.rstrip(".")
    return f"{parts.scheme}://{bracketed}:{parts.port or _PORTS[parts.scheme]}"


def name_of(url: str) -> str:
    """The name of a schedule that was given none: the target's host and path."""
    parts = urlsplit(url)
    return ((parts.hostname or "") + parts.path.rstrip("/"))[:NAME_CHARS_MAX]
