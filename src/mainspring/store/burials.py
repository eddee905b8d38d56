"""Dead letters in the store: how messages become them, and how they go back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainspring.core.errors import Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KeySource
from mainspring.core.limits import REDRIVE_BATCH
from mainspring.core.messages import group_key_of
from mainspring.core.model import Page
from mainspring.core.queue_model import DeadLetter, Queue, Redrive, Redriven
from mainspring.store.db import Db, Tx, again_after_collisions
from mainspring.store.once import apply_once
from mainspring.store.queues import QueueStore, queue_of
from mainspring.store.waiting import WRITER_REDRIVE, Arrived, Tally, Waiting, line_up, move_up, settle_down


async def bury(
    tx: Tx,
    queues: QueueStore,
    keys: KeySource,
    now: int,
    queue: Queue,
    rows: Sequence[tuple[Waiting, str]],
    tally: Tally,
    arrived: Arrived,
    dead_letter_id: int | None = None,
) -> set[int]:
    """Make messages dead letters of `queue`, each with its reason; the ids of those that are. None are when the queue
    has no dead letters of its own. Their FIFO groups have still to move up."""
    grave = await queues.grave_of(tx, now, queue, dead_letter_id)
    if grave is None:
        return set()
    if not grave.holds_dead:
        await tx.fetch("mark_holds_dead", id=grave.id)
        queues.forget(grave)
    await tx.many("move_messages", sorted((row.id, grave.generation) for row, _ in rows))
    await tx.many(
        "insert_dead",
        sorted(
            (row.id, queue.id, grave.id, grave.generation, now, reason, row.attempt, row.failures)
            for row, reason in rows
        ),
    )
    arrived.at(grave)
    fifo = grave.type == "fifo"
    moved = [
        (row._replace(generation=grave.generation, failures=0, group_key=(row.group_key or 0) if fifo else None), None)
        for row, _ in rows
    ]
    if fifo:
        await line_up(tx, moved, now, keys.next(now), tally, arrived)
    else:
        await settle_down(tx, moved, now, tally, arrived)
    await queues.announcer.announce_dead(tx, now, queue, grave, {row.id: reason for row, reason in rows})
    return {row.id for row, _ in rows}


async def take_out(tx: Tx, rows: Sequence[tuple[int, int]], tally: Tally) -> tuple[list[Waiting], list[Waiting]]:
    """Take messages (generation, id) away from wherever they wait; those that were the first of a FIFO group, or in
    none, and those that had others before them. Leased ones stay."""
    ready = [Waiting(*row) for row in await tx.many("take_out_ready", rows)]
    for row in ready:
        tally.ready(row.generation, -1)
    left = sorted(set(rows) - {(row.generation, row.id) for row in ready})
    behind = [Waiting(*row) for row in await tx.many("take_out_blocked", left)] if left else []
    for row in behind:
        tally.blocked(row.generation, -1)
    left = sorted(set(left) - {(row.generation, row.id) for row in behind})
    hidden = [Waiting(*row) for row in await tx.many("take_out_postponed", left)] if left else []
    for row in hidden:
        tally.postponed(row.generation, -1)
    if behind:
        groups = [(row.generation, row.group_key) for row in behind]
        for group in sorted(groups):
            await tx.many("leave_groups", [group])
    return [*ready, *hidden], behind


class DeadLetterStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, queues: QueueStore, writer: Callable[[], int]) -> None:
        self._db = db
        self._keys = keys
        self._queues = queues
        self._writer = writer

    async def page(self, queue: Queue, page: Page, *, by_source: bool) -> list[DeadLetter]:
        """Newest first: those of a source, or those in a queue."""
        at, message_id = page.before or (1 << 62, 0)
        where = {"before_at": at, "before_id": message_id, "limit": page.limit}
        if by_source:
            found = await self._db.scan("page_dead_by_source", queue_id=queue.id, **where)
        else:
            found = await self._db.scan("page_dead_by_queue", generation=queue.generation, **where)
        return [DeadLetter(*row) for row in found]

    @again_after_collisions
    async def redrive(self, now: int, items: Sequence[Redrive]) -> Sequence[Redriven | Replay | Refused]:
        """Send dead letters back to where they came from, at most 1,000 of each item; failures begin anew."""
        async with self._db.transaction() as tx:

            async def apply(fresh: Sequence[Redrive]) -> list[Redriven | Refused]:
                return [await self._redrive(tx, now, item) for item in fresh]

            return await apply_once(tx, now, items, lambda item: item.once, apply)

    async def _redrive(self, tx: Tx, now: int, item: Redrive) -> Redriven:
        queue, limit = item.queue, min(item.limit, REDRIVE_BATCH)
        if item.message_id is not None:
            found = await tx.fetch("find_redrivable", id=item.message_id, queue_id=queue.id)
        elif item.by_source:
            found = await tx.fetch("find_redrivable_of_source", queue_id=queue.id, since=item.since, limit=limit)
        else:
            found = await tx.fetch(
                "find_redrivable_in_queue", generation=queue.generation, since=item.since, limit=limit
            )
        if not found:
            return Redriven(item.done)
        tally, arrived = Tally(), Arrived()
        first, behind = await take_out(tx, sorted((row[2], row[0]) for row in found), tally)
        out = {row.id: row for row in [*first, *behind]}
        sources = {one.id: one for one in await self._sources(tx, {row[1] for row in found})}
        back: list[Waiting] = []
        for message_id, source_id, _, group_id in found:
            if message_id in out:
                source = sources[source_id]
                group_key = group_key_of(group_id or "") if source.type == "fifo" else None
                arrived.at(source)
                back.append(out[message_id]._replace(generation=source.generation, failures=0, group_key=group_key))
        await tx.many("mark_redriven", sorted((row.id,) for row in back), now=now)
        await tx.many("move_messages", sorted((row.id, row.generation) for row in back))
        await move_up(tx, first, now, tally, arrived)
        if fifo := [(row, None) for row in back if row.group_key is not None]:
            await line_up(tx, fifo, now, self._keys.next(now), tally, arrived)
        await settle_down(tx, [(row, None) for row in back if row.group_key is None], now, tally, arrived)
        await tally.write(tx, self._writer() + WRITER_REDRIVE)
        return Redriven(item.done + len(back), arrived.told())

    async def _sources(self, tx: Tx, ids: set[int]) -> list[Queue]:
        return [queue_of(row) for row in await tx.fetch_in("get_queues", [(one,) for one in sorted(ids)])]
