"""One queue: its numbers now and over time, its settings, emptying and deleting it."""

from __future__ import annotations

from starlette.responses import Response

from mainspring.core import tokens
from mainspring.core.errors import Invalid, Refused
from mainspring.core.queue_model import Queue
from mainspring.core.views.queues import DEAD_COUNTED
from mainspring.doors.console import queue_charts, queue_form, queue_snippets
from mainspring.doors.console.answers import status_of
from mainspring.doors.console.queue_pages import CONSUME, EITHER, name_in, opened, path_of, show
from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit, nothing_here, one_of

DEPENDENTS_SHOWN = 20


async def page(visit: Visit) -> Response:
    """The numbers, the charts, and how to use the queue from code."""
    queue = await opened(visit, *EITHER)
    views = visit.core.store.views
    row = await views.queues.one(visit.now, queue)
    span = one_of(visit.query.get("span"), queue_charts.SPANS) or "1h"
    since, step = queue_charts.reach(visit.now, span)
    points = await views.overview.queue_series(queue.id, since, step)
    drawn = queue_charts.draw(visit, points, row, since, step)
    return show(
        visit,
        "queue.html",
        queue,
        "",
        row=row,
        counted=DEAD_COUNTED,
        span=span,
        spans=tuple(queue_charts.SPANS),
        charts=drawn,
        snippets=queue_snippets.snippets(queue_snippets.address(visit), queue.name),
    )


async def settings(visit: Visit) -> Response:
    """The settings, to be read and changed."""
    queue = await opened(visit, *EITHER)
    return await _settings(visit, queue, queue_form.typed_of(queue), {})


async def _settings(
    visit: Visit, queue: Queue, typed: dict[str, str], faults: dict[str, str], status: int = 200
) -> Response:
    dependents = await visit.core.store.views.queues.dependents(queue, DEPENDENTS_SHOWN)
    values = {"typed": typed, "faults": faults, "dependents": dependents}
    return show(visit, "queue_settings.html", queue, "/settings", status, **values)


async def change(visit: Visit) -> Response:
    """What the forms of the settings do: save, purge, delete."""
    name, typed = name_in(visit), visit.form
    queue = await opened(visit, *EITHER)
    kept = queue_form.typed_of(queue)
    try:
        match typed.get("do"):
            case "save":
                kept = queue_form.again(typed)
                await visit.call("queue.update", name, body=queue_form.settings(visit, typed, queue.type))
                return visit.back(path_of(name, "/settings"), "The settings of {name} are changed.", name=name)
            case "purge":
                _check_typed(visit, name, "purge_name")
                done = await visit.call("queue.purge", name)
                return visit.back(
                    path_of(name), "{name} is empty: {count} messages are gone.", name=name, count=done.purged
                )
            case "delete":
                _check_typed(visit, name, "delete_name")
                await visit.call("queue.delete", name)
                return visit.back("/queues", "The queue {name} is deleted.", name=name)
            case _:
                raise nothing_here()
    except Refused as refused:
        faults = queue_form.fault(visit, refused)
        if "" in faults:
            faults = {f"{typed.get('do')}_refused": faults[""]}
        return await _settings(visit, queue, kept, faults, status_of(refused))


def _check_typed(visit: Visit, name: str, field: str) -> None:
    """Raises `Forbidden` before anything is said of the name, `Invalid` when it is another."""
    tokens.require(visit.principal, CONSUME)
    if visit.form.get(field, "").strip() != name:
        raise Invalid(visit.say("Type the name of the queue to confirm."), field=field)


PAGES = (
    Page("GET", "/queues/{name}", page),
    Page("GET", "/queues/{name}/settings", settings),
    Page("POST", "/queues/{name}/settings", change),
)
