"""Which time-zone data is in use."""

from __future__ import annotations

import tzdata


def version() -> str:
    """The release of the IANA data shipped with this server, like 2026c."""
    return str(tzdata.IANA_VERSION)
