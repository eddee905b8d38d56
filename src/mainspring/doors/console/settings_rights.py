"""Who may see what belongs to no project: agents, scripts, tokens, the server itself."""

from __future__ import annotations

from mainspring.core import tokens
from mainspring.core.errors import Forbidden
from mainspring.doors.console.visit import Visit


def only_admins(visit: Visit) -> None:
    """Raises `Forbidden` for all but admins of the first project."""
    tokens.require(visit.principal, "admin")
    if visit.project != tokens.BOOTSTRAP_PROJECT:
        raise Forbidden(
            f"this key belongs to the project {visit.project}", hint="Use an admin key of the project default."
        )
