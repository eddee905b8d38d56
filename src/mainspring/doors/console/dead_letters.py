"""Dead letters: of one queue, of all, and their way back."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from mainspring.core import tokens
from mainspring.core.dead_letters import is_source
from mainspring.core.errors import Invalid, NotFound
from mainspring.core.views.queues import DEAD_COUNTED, DeadRow
from mainspring.doors.console import queue_form
from mainspring.doors.console.messages import PAYLOAD_IN_LISTS, Shown, shown
from mainspring.doors.console.queue_pages import CONSUME, PAGE, cursor_at, name_in, opened, path_of, place_in, show
from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit


async def page(visit: Visit) -> Response:
    """Those that come from a queue, or, of one that dead letters go to, those that are in it."""
    queue = await opened(visit, CONSUME)
    views = visit.core.store.views.queues
    found = await views.dead_letters(queue, place_in(visit), PAGE + 1, PAYLOAD_IN_LISTS, by_source=is_source(queue))
    row = await views.one(visit.now, queue)
    count = row.dead if is_source(queue) else None
    return show(visit, "dead_letters.html", queue, "/dead", count=count, counted=DEAD_COUNTED, **_listed(found))


async def everywhere(visit: Visit) -> Response:
    """Those of all queues."""
    tokens.require(visit.principal, CONSUME)
    found = await visit.core.store.views.queues.all_dead_letters(
        visit.project, place_in(visit), PAGE + 1, PAYLOAD_IN_LISTS
    )
    return visit.show("dead_everywhere.html", path_of=path_of, **_listed(found))


def _listed(found: Sequence[DeadRow]) -> dict[str, Any]:
    rows: list[tuple[DeadRow, Shown]] = [(row, shown(row)) for row in found[:PAGE]]
    last = found[PAGE - 1] if len(found) > PAGE else None
    return {"rows": rows, "next_cursor": None if last is None else cursor_at((last.dead_at, last.id))}


async def redrive_picked(visit: Visit) -> Response:
    """Send back the one, or those that were picked, each named as `queue/message`."""
    picked = (visit.picked("one") or visit.picked("pick"))[:PAGE]
    if not picked:
        raise Invalid(visit.say("Nothing was picked"), hint=visit.say("Tick the dead letters that are to go back."))
    count = 0
    for one in picked:
        name, _, message_id = one.partition("/")
        # One whose queue is gone by now does not keep the others.
        with contextlib.suppress(NotFound):
            count += (await visit.call("queue.dlq.redrive", name, body={"message_id": message_id})).redriven
    return _back(visit, "/queues/dead", count, len(picked))


async def redrive(visit: Visit) -> Response:
    """Send back all of a queue, or the oldest, or those since an instant."""
    name = name_in(visit)
    body: dict[str, Any] = {"max_messages": queue_form.number(visit, visit.form, "max_messages")}
    body["since"] = visit.form.get("since", "").strip() or None
    done = await visit.call("queue.dlq.redrive", name, body=body)
    return _back(visit, path_of(name, "/dead"), done.redriven, None)


def _back(visit: Visit, otherwise: str, count: int, wanted: int | None) -> Response:
    path = visit.whence(otherwise)
    if wanted is not None and count < wanted:
        return visit.back(
            path, "{count} of {wanted} went back; the others are leased, or gone.", count=count, wanted=wanted
        )
    return visit.back(path, "{count} dead letters went back to where they came from.", count=count)


PAGES = (
    Page("GET", "/queues/dead", everywhere),
    Page("POST", "/queues/dead/redrive", redrive_picked),
    Page("GET", "/queues/{name}/dead", page),
    Page("POST", "/queues/{name}/dead/redrive", redrive),
)
