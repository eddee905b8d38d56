"""All pages, from the tables of the nouns."""

from __future__ import annotations

from mainspring.doors.console import agents, overview, queues, runs, schedules, scripts, settings, webhooks
from mainspring.doors.console.routing import Page

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *schedules.PAGES,
    *runs.PAGES,
    *queues.PAGES,
    *webhooks.PAGES,
    *agents.PAGES,
    *scripts.PAGES,
    *settings.PAGES,
)
