"""What the pages of one queue share: its paths, who may see it, the heading with the ways to its other pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from mainspring.core import queues, tokens
from mainspring.core.dead_letters import is_source
from mainspring.core.errors import Invalid
from mainspring.core.ids import KEY_MAX
from mainspring.core.queue_model import Queue
from mainspring.doors.console.visit import Visit

# Either is enough to see that a queue is there, as over REST; what is in it is for those who may consume.
EITHER = ("queue:publish", "queue:consume")
CONSUME = "queue:consume"
PAGE = 50

# Names of queues that would mean something else in a path.
_TAKEN = {"new", "dead", ".", ".."}
_MARK = "~"

TEXTS = (
    *("Status", "Messages", "Publish", "Dead letters", "Push", "Settings"),
    *("standard", "fifo", "max retries", "rejected", "active", "resting", "ended", "paused"),
)


class Tab(msgspec.Struct, frozen=True):
    """One page of a queue: `path` under the queue's own, `label` in English, `scope`: who gets to see it."""

    path: str
    label: str
    scope: str | None = None


TABS = (
    Tab("", "Status"),
    Tab("/messages", "Messages", CONSUME),
    Tab("/publish", "Publish", "queue:publish"),
    Tab("/dead", "Dead letters", CONSUME),
    Tab("/push", "Push", CONSUME),
    Tab("/settings", "Settings"),
)


def path_of(name: str, rest: str = "") -> str:
    """The path of a queue's page within the console. A name that stands for something else there gets a mark before it
    that no name can have."""
    return f"/queues/{_MARK if name in _TAKEN else ''}{quote(name, safe='')}{rest}"


def name_in(visit: Visit) -> str:
    """The name of the queue in the path."""
    return visit.path["name"].removeprefix(_MARK)


async def opened(visit: Visit, *scopes: str) -> Queue:
    """The queue in the path. Raises `Forbidden` unless the caller has one of the scopes, `NotFound`."""
    tokens.require(visit.principal, *scopes)
    return await queues.named(visit.core, visit.project, name_in(visit))


def show(visit: Visit, template: str, queue: Queue, tab: str, status: int = 200, **values: Any) -> Response:
    """A page of a queue; `tab`: the path of its entry in `TABS`."""
    shown = [one for one in TABS if one.scope is None or visit.may(one.scope)]
    return visit.show(
        template, status, queue=queue, tab=tab, tabs=shown, path_of=path_of, by_source=is_source(queue), **values
    )


def place_in(visit: Visit) -> tuple[int, int] | None:
    """Where the list goes on, as `cursor_at` wrote it. Raises `Invalid` for anything else."""
    cursor = visit.query.get("cursor", "")
    if not cursor:
        return None
    parts = cursor.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) <= 19 for part in parts):
        raise foreign()
    place = int(parts[0]), int(parts[1])
    if max(place) > KEY_MAX:
        raise foreign()
    return place


def cursor_at(place: tuple[int, int] | None) -> str | None:
    """A place in a list as text for the address."""
    return None if place is None else f"{place[0]}.{place[1]}"


def foreign() -> Invalid:
    """The refusal of a cursor that no list has written."""
    return Invalid("this page of the list cannot be found", hint="Begin at the first page.", field="cursor")
