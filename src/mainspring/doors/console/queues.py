"""The list of queues, and making one."""

from __future__ import annotations

from starlette.responses import Response

from mainspring.core import tokens
from mainspring.core.errors import Refused
from mainspring.core.ids import KEY_MAX
from mainspring.core.queue_names import check_name
from mainspring.core.views.queues import DEAD_COUNTED_IN_LISTS, QueueOrder, QueueRow, QueueWish
from mainspring.doors.console import queue_form
from mainspring.doors.console.answers import status_of
from mainspring.doors.console.queue_pages import EITHER, PAGE, foreign, name_in, path_of
from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit, one_of

SEARCH_CHARS_MAX = 124
ORDERS: tuple[QueueOrder, ...] = ("depth", "name", "newest")
TEXTS = ("Most messages", "Name", "Newest", "All", "Holding messages", "With dead letters", "Paused")


async def page(visit: Visit) -> Response:
    """The queues, as the address asks for them."""
    tokens.require(visit.principal, *EITHER)
    order = one_of(visit.query.get("order"), ORDERS) or "depth"
    only = one_of(visit.query.get("only"), ("holding", "dead", "paused")) or ""
    search = visit.query.get("q", "").replace("\x00", "").strip()[:SEARCH_CHARS_MAX]
    wish = QueueWish(
        order=order,
        search=search,
        holding=only == "holding",
        dead=only == "dead",
        paused=only == "paused",
        after=_after(order, visit.query.get("cursor", "")),
        limit=PAGE + 1,
    )
    rows = await visit.core.store.views.queues.page(visit.now, visit.project, wish)
    shown = rows[:PAGE]
    return visit.show(
        "queues.html",
        rows=shown,
        most=max((row.depth for row in shown), default=0),
        counted=DEAD_COUNTED_IN_LISTS,
        order=order,
        only=only,
        search=search,
        filters={"q": search, "only": only, "order": "" if order == "depth" else order},
        next_cursor=_cursor(order, shown[-1]) if len(rows) > PAGE else None,
        path_of=path_of,
    )


def _cursor(order: QueueOrder, last: QueueRow) -> str:
    match order:
        case "name":
            return last.name
        case "depth" | "newest":
            return f"{last.depth}.{last.id}"


def _after(order: QueueOrder, cursor: str) -> tuple[int, int, str] | None:
    """Where the list goes on. Raises `Invalid` for what no list has written."""
    if not cursor:
        return None
    if order == "name":
        return 0, 0, cursor[:SEARCH_CHARS_MAX].replace("\x00", "")
    depth, _, queue_id = cursor.partition(".")
    if not all(part.isascii() and part.isdecimal() and len(part) <= 19 for part in (depth, queue_id)):
        raise foreign()
    if max(int(depth), int(queue_id)) > KEY_MAX:
        raise foreign()
    return int(depth), int(queue_id), ""


async def new(visit: Visit) -> Response:
    """The form for a queue."""
    tokens.require(visit.principal, *EITHER)
    return _form(visit, queue_form.BLANK, {})


def _form(visit: Visit, typed: dict[str, str], faults: dict[str, str], status: int = 200) -> Response:
    return visit.show("queue_new.html", status, typed=typed, faults=faults)


async def create(visit: Visit) -> Response:
    """Make a queue of what was typed."""
    typed = visit.form
    try:
        body = queue_form.settings(visit, typed, typed.get("type", "standard"))
        name = check_name(typed.get("name", "").strip(), "name")
        made = await visit.call("queue.create", body={"name": name, **body})
    except Refused as refused:
        return _form(visit, queue_form.again(typed), queue_form.fault(visit, refused), status_of(refused))
    return visit.back(path_of(made.name), "The queue {name} is there.", name=made.name)


async def pause(visit: Visit) -> Response:
    """Hand out nothing more."""
    name = name_in(visit)
    await visit.call("queue.pause", name)
    return visit.back(visit.whence(path_of(name)), "{name} is paused: it takes messages and hands out none.", name=name)


async def resume(visit: Visit) -> Response:
    """Hand out messages again."""
    name = name_in(visit)
    await visit.call("queue.resume", name)
    return visit.back(visit.whence(path_of(name)), "{name} hands out messages again.", name=name)


PAGES = (
    Page("GET", "/queues", page),
    Page("GET", "/queues/new", new),
    Page("POST", "/queues/new", create),
    Page("POST", "/queues/{name}/pause", pause),
    Page("POST", "/queues/{name}/resume", resume),
)
