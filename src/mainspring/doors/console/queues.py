"""Queues."""

from __future__ import annotations

from starlette.responses import Response

from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit


async def page(visit: Visit) -> Response:
    """The screen."""
    return visit.show("queues.html")


PAGES = (Page("GET", "/queues", page),)
