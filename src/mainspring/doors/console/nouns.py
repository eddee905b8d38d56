"""All pages, from the tables of the nouns."""

from __future__ import annotations

from mainspring.doors.console import (
    agents,
    audit_log,
    dead_letters,
    keys,
    messages,
    overview,
    pushes,
    queue,
    queues,
    runs,
    schedules,
    script_results,
    scripts,
    settings,
    token_list,
    webhooks,
)
from mainspring.doors.console.routing import Page

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *schedules.PAGES,
    *runs.PAGES,
    *queues.PAGES,
    *dead_letters.PAGES,
    *queue.PAGES,
    *messages.PAGES,
    *pushes.PAGES,
    *webhooks.PAGES,
    *agents.PAGES,
    *scripts.PAGES,
    *script_results.PAGES,
    *settings.PAGES,
    *keys.PAGES,
    *token_list.PAGES,
    *audit_log.PAGES,
)
