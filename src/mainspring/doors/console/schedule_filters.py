"""Which schedules a page or a bulk action is about: filters and places as they stand in URLs and forms."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mainspring.core.errors import Invalid
from mainspring.core.ids import KEY_MAX
from mainspring.core.limits import INSTANT_MAX
from mainspring.core.model import ScheduleKind
from mainspring.core.views.schedules import COUNTED_MAX, Filters, ListedSchedule, Order, Place
from mainspring.doors.console.visit import Visit

STATES: dict[ScheduleKind, tuple[str, ...]] = {
    "cron": ("active", "paused", "failing", "completed"),
    "task": ("scheduled", "running", "succeeded", "failed", "cancelled"),
}
TARGETS = ("http", "queue", "agent", "server", "script")
ORDERS: tuple[Order, ...] = ("newest", "due", "name")
TEXT_MAX = 200
# What the lists show of these, in words.
TEXTS = (
    *("active", "paused", "failing", "completed"),
    *("scheduled", "running", "succeeded", "failed", "cancelled", "queued", "retrying"),
    *("Queue", "Agent", "Server", "Script"),
    *("Newest first", "Next due first", "By name"),
)
TARGET_LABELS = {"http": "HTTP", "queue": "Queue", "agent": "Agent", "server": "Server", "script": "Script"}
ORDER_LABELS = {"newest": "Newest first", "due": "Next due first", "name": "By name"}


class Asked(msgspec.Struct, frozen=True):
    """What somebody asked for: the filters and the order, and how the URL says them."""

    filters: Filters
    order: Order
    query: dict[str, str]


def asked_of(values: Mapping[str, str]) -> Asked:
    """From a query or a form; what makes no sense is left out."""
    kind: ScheduleKind = "task" if values.get("once") == "1" else "cron"
    text = values.get("q", "").strip()[:TEXT_MAX]
    state, target = values.get("state", ""), values.get("target", "")
    filters: Filters = msgspec.convert(
        {
            "kind": kind,
            "text": text or None,
            "state": state if state in STATES[kind] else None,
            "target": target if target in TARGETS else None,
        },
        Filters,
    )
    order: Order = next((one for one in ORDERS if one == values.get("order")), "newest")
    query = {
        "q": text,
        "state": filters.state or "",
        "target": filters.target or "",
        "order": "" if order == "newest" else order,
        "once": "1" if kind == "task" else "",
    }
    return Asked(filters, order, query)


def place_text(order: Order, row: ListedSchedule) -> str:
    """The cursor of a page that ends with this row."""
    match order:
        case "newest":
            return str(row.id)
        case "due":
            return f"{row.id}.{'' if row.next_due_at is None else row.next_due_at}"
        case "name":
            return f"{row.number}.{row.name}"


def place_of(order: Order, cursor: str) -> Place | None:
    """Where a page goes on, None for the first. Raises `Invalid` for what is no cursor of this order."""
    if not cursor:
        return None
    first, _, rest = cursor.partition(".")
    key, at = _whole(first, KEY_MAX), _whole(rest, INSTANT_MAX)
    if key is None or "\x00" in rest or (order == "due" and rest and at is None) or (order == "newest" and rest):
        raise Invalid("that is no page of this list", hint="Begin with the first one.", field="cursor")
    match order:
        case "newest":
            return Place(key)
        case "due":
            return Place(key, at)
        case "name":
            return Place(0, name=rest, number=key)


def _whole(text: str, most: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if value <= most else None


def how_many(visit: Visit, count: int, kind: ScheduleKind) -> str:
    """How many match, in words."""
    shown = f"{count:,}" if count <= COUNTED_MAX else f"{COUNTED_MAX:,}+"
    if kind == "task":
        return visit.say("1 one-shot task") if count == 1 else visit.say("{count} one-shot tasks", count=shown)
    return visit.say("1 schedule") if count == 1 else visit.say("{count} schedules", count=shown)
