"""Reads about queues for the screens."""

from __future__ import annotations

from typing import assert_never

from mainspring.core.ids import KEY_MAX, made_at
from mainspring.core.queue_model import Queue
from mainspring.core.views.queues import (
    DEAD_COUNTED,
    DEAD_COUNTED_IN_LISTS,
    WINDOW,
    DeadRow,
    MessagePage,
    MessageRow,
    MessageState,
    QueueRow,
    QueueWish,
)
from mainspring.store.db import Db, Row

_START = (-1, -1)
_END = (KEY_MAX, KEY_MAX)


class QueueViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def page(self, now: int, project: str, wish: QueueWish) -> list[QueueRow]:
        """Queues with their numbers."""
        wanted = {
            "now": now,
            "project": project,
            "search": _pattern(wish.search),
            "holding": int(wish.holding),
            "dead": int(wish.dead),
            "paused": int(wish.paused),
            "dead_most": DEAD_COUNTED_IN_LISTS,
            "limit": wish.limit,
        }
        depth, queue_id, name = wish.after or (KEY_MAX, KEY_MAX, "")
        match wish.order:
            case "newest":
                rows = await self._db.scan("view_queues_by_newest", **wanted, id=queue_id)
            case "name":
                rows = await self._db.scan("view_queues_by_name", **wanted, name=name)
            case "depth":
                rows = await self._db.scan("view_queues_by_depth", **wanted, depth=depth, id=queue_id)
            case _:
                assert_never(wish.order)
        return [_queue(row) for row in rows]

    async def one(self, now: int, queue: Queue) -> QueueRow:
        """The numbers of one queue that is there."""
        [row] = await self._db.scan("view_queue", now=now, id=queue.id, dead_most=DEAD_COUNTED)
        return _queue(row)

    async def messages(
        self, queue: Queue, state: MessageState, after: tuple[int, int] | None, limit: int, payload_most: int
    ) -> MessagePage:
        """Waiting messages, none of them taken, those first that will be had first. `payload_most` bytes of each."""
        place, message_id = after or _START
        where = {
            "generation": queue.generation,
            "place": place,
            "id": message_id,
            "payload_most": payload_most,
            "limit": limit + 1,
        }
        if state in ("available", "behind"):
            found = await self._db.scan(f"view_{state}", **where)
        else:
            found = await self._db.scan(f"view_{state}", **where, within=WINDOW)
        rows = [MessageRow(state, *row) for row in found]
        if len(rows) > limit:
            return MessagePage(rows[:limit], (rows[limit - 1].place, rows[limit - 1].id))
        if state in ("available", "behind"):
            return MessagePage(rows, None)
        ends = await self._db.scan(f"view_{state}_end", place=place, id=message_id, within=WINDOW - 1)
        return MessagePage(rows, (ends[0][0], ends[0][1]) if ends else None)

    async def message(self, queue: Queue, message_id: int, payload_most: int) -> MessageRow | None:
        """One message of a queue, wherever in it it is."""
        found = await self._db.scan(
            "view_message", id=message_id, generation=queue.generation, payload_most=payload_most
        )
        if not found:
            return None
        shown, rank, ready, behind, leased = found[0][:5], found[0][5], found[0][6:9], found[0][9:13], found[0][13:17]
        if ready[0] is not None:
            return MessageRow(*("available", 0, *shown, rank, *ready[1:], None))
        if behind[0] is not None:
            return MessageRow(*("behind", 0, *shown, rank, *behind[1:]))
        if leased[0] is not None:
            return MessageRow(*("in_flight", 0, *shown, rank, *leased[1:]))
        near = await self._db.scan("view_delayed_message", id=message_id, within=WINDOW)
        return MessageRow(*("delayed", 0, *shown, rank, *(near[0] if near else (0, 0, None))))

    async def dead_letters(
        self, queue: Queue, before: tuple[int, int] | None, limit: int, payload_most: int, *, by_source: bool
    ) -> list[DeadRow]:
        """Dead letters that come from a queue, or that are in it; newest first, before (instant, id)."""
        at, letter_id = before or _END
        where = {"before_at": at, "before_id": letter_id, "limit": limit, "payload_most": payload_most}
        if by_source:
            found = await self._db.scan("view_dead_of", **where, queue_id=queue.id)
        else:
            found = await self._db.scan("view_dead_in", **where, generation=queue.generation)
        return [_dead(row) for row in found]

    async def all_dead_letters(
        self, project: str, before: tuple[int, int] | None, limit: int, payload_most: int
    ) -> list[DeadRow]:
        """Those of every queue of a project; newest first, before (instant, id)."""
        at, letter_id = before or _END
        found = await self._db.scan(
            "view_dead_of_all",
            project=project,
            before_at=at,
            before_id=letter_id,
            limit=limit,
            payload_most=payload_most,
        )
        return [_dead(row) for row in found]

    async def dead_letter(self, queue: Queue, message_id: int, payload_most: int) -> DeadRow | None:
        """One dead letter that comes from a queue, or is in it."""
        found = await self._db.scan("view_dead_letter", id=message_id, queue_id=queue.id, payload_most=payload_most)
        return _dead(found[0]) if found else None

    async def pushing(self, now: int, queue: Queue) -> dict[int, int]:
        """How many messages are being posted now, by the id of the subscription."""
        return dict(await self._db.scan("view_pushing", now=now, queue_id=queue.id))

    async def dependents(self, queue: Queue, limit: int) -> list[str]:
        """The names of queues whose dead letters go to this one because somebody said so."""
        return [name for (name,) in await self._db.scan("view_dependents", queue_id=queue.id, limit=limit)]


def _pattern(search: str) -> str:
    """What LIKE looks for: the text anywhere in a name; nothing for no text."""
    if not search:
        return ""
    exact = search.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{exact}%"


def _queue(row: Row) -> QueueRow:
    queue_id, name, kind, paused_at, holds_dead, ready, leased, postponed, blocked, *more = row
    ended, surfaced, hidden, dead, first, behind, pushes = more
    oldest = min((one for one in (first, behind) if one is not None), default=None)
    return QueueRow(
        id=queue_id,
        name=name,
        type=kind,
        paused=paused_at is not None,
        holds_dead=bool(holds_dead),
        available=ready + ended + surfaced + blocked - hidden,
        delayed=postponed - surfaced + hidden,
        in_flight=leased - ended,
        depth=ready + leased + postponed + blocked,
        dead=dead,
        oldest_at=None if oldest is None else made_at(oldest),
        pushes=pushes,
    )


def _dead(row: Row) -> DeadRow:
    return DeadRow(*(*row[:11], bool(row[11]), *row[12:]))
