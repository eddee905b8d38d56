"""Push subscriptions of a queue: what they post, and how that went."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from mainspring.core import ids, limits
from mainspring.core.errors import Refused
from mainspring.core.queue_model import Queue
from mainspring.doors.console import queue_form
from mainspring.doors.console.answers import status_of
from mainspring.doors.console.queue_pages import CONSUME, name_in, opened, path_of, show
from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit

SUBSCRIPTIONS_SHOWN = 100
PUSHES_SHOWN = 25
TEXTS = ("acked", "nacked", "released", "lost")
BLANK = {
    "url": "",
    "secret": "",
    "headers": "",
    "signature_style": "body",
    "format": "message",
    "max_concurrency": str(limits.PUSH_CONCURRENCY_DEFAULT),
    "timeout_seconds": str(limits.PUSH_TIMEOUT_S_DEFAULT),
    "visibility_timeout": "",
    "max_retries": "",
    "dead_letter_queue": "",
}
_NUMBERS = ("max_concurrency", "timeout_seconds", "visibility_timeout", "max_retries")


async def page(visit: Visit) -> Response:
    """The subscriptions and the pushes of late."""
    return await _page(visit, await opened(visit, CONSUME), BLANK, {})


async def _page(
    visit: Visit, queue: Queue, typed: dict[str, str], faults: dict[str, str], status: int = 200
) -> Response:
    subscriptions = await visit.call("queue.push_list", queue.name, query={"limit": str(SUBSCRIPTIONS_SHOWN)})
    wanted = {"limit": str(PUSHES_SHOWN)}
    for name in ("subscription_id", "cursor"):
        if visit.query.get(name):
            wanted[name] = visit.query[name]
    log = await visit.call("queue.push_deliveries", queue.name, query=wanted)
    pushing = await visit.core.store.views.queues.pushing(visit.now, queue)
    return show(
        visit,
        "pushes.html",
        queue,
        "/push",
        status,
        subscriptions=subscriptions.items,
        urls={one.id: one.url for one in subscriptions.items},
        pushing={ids.text("sub", one): count for one, count in pushing.items()},
        only=wanted.get("subscription_id", ""),
        pushes=log.items,
        next_cursor=log.next_cursor,
        typed=typed,
        faults=faults,
    )


async def add(visit: Visit) -> Response:
    """Subscribe the URL, or change its subscription."""
    queue = await opened(visit, CONSUME)
    typed = {**BLANK, **visit.form}
    try:
        body: dict[str, Any] = {name: queue_form.number(visit, typed, name) for name in _NUMBERS}
        body["dead_letter_queue"] = queue_form.dead_letters(typed)
        for name in ("secret", "signature_style", "format"):
            body[name] = typed[name].strip() or None
        body["headers"] = queue_form.headers(visit, typed["headers"]) or None
        made = await visit.call("queue.push_subscribe", queue.name, body={"url": typed["url"].strip(), **body})
    except Refused as refused:
        faults = queue_form.fault(visit, refused)
        return await _page(visit, queue, {**typed, "secret": ""}, faults, status_of(refused))
    return visit.back(path_of(queue.name, "/push"), "Messages are now pushed to {url}.", url=made.url)


async def remove(visit: Visit) -> Response:
    """End a subscription."""
    name = name_in(visit)
    await visit.call("queue.push_unsubscribe", name, visit.form.get("subscription", ""))
    return visit.back(
        visit.whence(path_of(name, "/push")), "The subscription is over; what is being posted ends by itself."
    )


PAGES = (
    Page("GET", "/queues/{name}/push", page),
    Page("POST", "/queues/{name}/push", add),
    Page("POST", "/queues/{name}/push/remove", remove),
)
