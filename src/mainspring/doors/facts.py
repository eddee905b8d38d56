"""What a process knows of itself, for the doors that show it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mainspring.core.limits import AUDIT_DAYS_DEFAULT


class Facts(msgspec.Struct, frozen=True):
    """`roles`: what this process does; `audit_days`: how long the audit log is kept; `node`: its number now."""

    roles: frozenset[str] = frozenset()
    audit_days: int = AUDIT_DAYS_DEFAULT
    node: Callable[[], int] = lambda: 0
