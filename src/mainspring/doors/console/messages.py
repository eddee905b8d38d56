"""The messages of a queue: looked at without being taken, and published by hand."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from starlette.responses import Response

from mainspring.core import ids
from mainspring.core.errors import NotFound, Refused
from mainspring.core.ids import made_at
from mainspring.core.limits import PAYLOAD_BYTES_MAX, PRIORITY_MAX
from mainspring.core.views.queues import DeadRow, MessageRow, MessageState
from mainspring.doors.console import queue_form
from mainspring.doors.console.answers import status_of
from mainspring.doors.console.queue_pages import CONSUME, PAGE, cursor_at, opened, path_of, place_in, show
from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit, one_of

STATES: tuple[MessageState, ...] = get_args(MessageState)
PAYLOAD_IN_LISTS = 512
TEXTS = (
    *("available", "behind", "delayed", "in flight"),
    *("Available", "Behind others of their group", "Delayed", "In flight"),
)
LABELS = {
    "available": "Available",
    "behind": "Behind others of their group",
    "delayed": "Delayed",
    "in_flight": "In flight",
}

_headers = msgspec.json.Decoder(dict[str, str])


class Shown(msgspec.Struct, frozen=True):
    """What pages show of a message, wherever it is. `whole`: nothing of the payload is left out."""

    id: str
    published_at: int
    payload: bytes
    size: int
    whole: bool
    headers: dict[str, str]
    group_id: str | None
    attempt: int
    failures: int

    @property
    def line(self) -> str:
        """The payload in one line."""
        return " ".join(self.payload.decode("utf-8", "replace").split()) + ("" if self.whole else " …")


def shown(row: MessageRow | DeadRow) -> Shown:
    """A row of the store as pages show it."""
    return Shown(
        id=ids.text("msg", row.id),
        published_at=made_at(row.id),
        payload=row.payload,
        size=row.size,
        whole=len(row.payload) == row.size,
        headers=_headers.decode(row.headers) if row.headers else {},
        group_id=row.group_id,
        attempt=row.attempt,
        failures=row.failures,
    )


async def page(visit: Visit) -> Response:
    """Those of one state, in the order in which they will be had."""
    queue = await opened(visit, CONSUME)
    state = one_of(visit.query.get("state"), STATES) or "available"
    found = await visit.core.store.views.queues.messages(queue, state, place_in(visit), PAGE, PAYLOAD_IN_LISTS)
    return show(
        visit,
        "messages.html",
        queue,
        "/messages",
        state=state,
        labels={one: label for one, label in LABELS.items() if one != "behind" or queue.type == "fifo"},
        rows=[(row, shown(row)) for row in found.rows],
        priority_max=PRIORITY_MAX,
        next_cursor=cursor_at(found.following),
    )


async def one(visit: Visit) -> Response:
    """A message in full."""
    queue = await opened(visit, CONSUME)
    public = visit.path["id"]
    message_id = ids.key_of("msg", public)
    views = visit.core.store.views.queues
    row = letter = None
    if message_id is not None:
        row = await views.message(queue, message_id, PAYLOAD_BYTES_MAX)
        letter = await views.dead_letter(queue, message_id, PAYLOAD_BYTES_MAX)
    found = row or letter
    if found is None:
        raise NotFound(
            "there is no such message in this queue", hint="It may have been acknowledged, or gone back, meanwhile."
        )
    values: dict[str, Any] = {"row": row, "letter": letter, "message": shown(found), "priority_max": PRIORITY_MAX}
    return show(visit, "message.html", queue, "/messages" if letter is None else "/dead", **values)


BLANK = {
    "payload": '{"hello": "world"}',
    "delay_seconds": "",
    "priority": "",
    "message_group_id": "",
    "deduplication_id": "",
    "headers": "",
}


async def compose(visit: Visit) -> Response:
    """The form for a message."""
    queue = await opened(visit, "queue:publish")
    return show(visit, "publish.html", queue, "/publish", typed=BLANK, faults={})


async def publish(visit: Visit) -> Response:
    """Put what was typed on the queue."""
    queue = await opened(visit, "queue:publish")
    typed = {**BLANK, **visit.form}
    try:
        body: dict[str, Any] = {
            "queue": queue.name,
            "payload": queue_form.json_of(visit, typed["payload"], "payload"),
            "delay_seconds": queue_form.number(visit, typed, "delay_seconds"),
            "priority": queue_form.number(visit, typed, "priority"),
            "message_group_id": typed["message_group_id"] or None,
            "deduplication_id": typed["deduplication_id"] or None,
            "headers": queue_form.headers(visit, typed["headers"]),
        }
        done = await visit.call("queue.publish", body=body)
    except Refused as refused:
        faults = queue_form.fault(visit, refused)
        return show(visit, "publish.html", queue, "/publish", status_of(refused), typed=typed, faults=faults)
    if visit.may(CONSUME):
        state = "delayed" if body["delay_seconds"] else "available"
        return visit.back(path_of(queue.name, f"/messages?state={state}"), "Published {id}.", id=done.message_id)
    return visit.back(path_of(queue.name, "/publish"), "Published {id}.", id=done.message_id)


PAGES = (
    Page("GET", "/queues/{name}/messages", page),
    Page("GET", "/queues/{name}/messages/{id}", one),
    Page("GET", "/queues/{name}/publish", compose),
    Page("POST", "/queues/{name}/publish", publish),
)
