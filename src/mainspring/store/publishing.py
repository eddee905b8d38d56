"""Publishing: messages appended to queues, each where it waits. Calls of one kind share a transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mainspring.core.changes import Stale
from mainspring.core.errors import LimitExceeded, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KeySource
from mainspring.core.limits import DEDUP_WINDOW
from mainspring.core.queue_model import NewMessage, Publish, Published
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.once import apply_once
from mainspring.store.queues import QueueStore
from mainspring.store.waiting import WRITER_PUBLISH, Arrived, Tally, Waiting, line_up, settle_down

PublishOutcome = Published | Stale | Replay | Refused


class PublishStore:
    """One method, one transaction. `writer` is the first of this node's counters."""

    def __init__(self, db: Db, keys: KeySource, queues: QueueStore, writer: Callable[[], int]) -> None:
        self._db = db
        self._keys = keys
        self._queues = queues
        self._writer = writer

    @again_after_collisions
    async def publish(self, now: int, items: Sequence[Publish]) -> Sequence[PublishOutcome]:
        """Append messages; each item's all or none."""
        if self._db.dialect == "postgres" and _are_plain(items) and not any(item.once for item in items):
            ids, messages = self._numbered(now, items)
            found = await self._db.at_once("publish_plain", _columns(ids, messages), **self._scalars(items[0], ids))
            return self._all_published(items, ids, current=bool(found))
        async with self._db.transaction() as tx:

            async def insert(fresh: Sequence[Publish]) -> list[Published | Stale | Refused]:
                return (
                    [*await self._publish_plain(tx, now, fresh)]
                    if _are_plain(fresh)
                    else await self._publish(tx, now, fresh)
                )

            return await apply_once(tx, now, items, lambda item: item.once, insert)

    async def _publish_plain(self, tx: Tx, now: int, items: Sequence[Publish]) -> Sequence[Published | Stale]:
        """All for one queue, and nothing to be looked up but whether it is still as it was."""
        queue = items[0].queue
        ids, messages = self._numbered(now, items)
        if self._db.dialect == "postgres":
            rows: list[Row] = list(zip(*_columns(ids, messages), strict=True))
            found = await tx.fetch_in("publish_plain", rows, **self._scalars(items[0], ids))
            return self._all_published(items, ids, current=bool(found))
        if not await self._queues.current(tx, [queue]):
            return self._all_published(items, ids, current=False)
        generation = queue.generation
        if ids:
            rows = [
                (key, generation, one.rank, one.payload, one.headers, one.group_id)
                for key, one in zip(ids, messages, strict=True)
            ]
            await tx.many("insert_messages", rows)
            await tx.fetch("show_plain", first=ids[0], last=ids[-1])
            await tx.many("add_counts", [(generation, len(ids), 0, 0, 0)], writer=self._writer() + WRITER_PUBLISH)
        return self._all_published(items, ids, current=True)

    def _numbered(self, now: int, items: Sequence[Publish]) -> tuple[list[int], list[NewMessage]]:
        messages = [one for item in items for one in item.messages]
        return self._keys.take(now, len(messages)), messages

    def _scalars(self, item: Publish, ids: Sequence[int]) -> dict[str, int]:
        return {
            "queue_id": item.queue.id,
            "version": item.queue.version,
            "generation": item.queue.generation,
            "writer": self._writer() + WRITER_PUBLISH,
            "count": len(ids),
        }

    def _all_published(
        self, items: Sequence[Publish], ids: Sequence[int], *, current: bool
    ) -> Sequence[Published | Stale]:
        """What to tell each; `current`: the queue is still as it was, and all of it was written."""
        queue = items[0].queue
        if not current:
            self._queues.forget(queue)
            return [Stale() for _ in items]
        outcomes: list[Published | Stale] = []
        if len(items) == len(ids) and all(len(item.messages) == 1 for item in items):
            outcomes += [Published((one,)) for one in ids]
        else:
            start = 0
            for item in items:
                end = start + len(item.messages)
                outcomes.append(Published(tuple(ids[start:end])))
                start = end
        outcomes[0] = Published(tuple(ids[: len(items[0].messages)]), len(ids), ((queue.id, len(ids)),))
        return outcomes

    async def _publish(self, tx: Tx, now: int, items: Sequence[Publish]) -> list[Published | Stale | Refused]:
        current = await self._queues.current(tx, [item.queue for item in items])
        outcomes: list[Published | Stale | Refused | None] = [None] * len(items)
        if any(item.depth_max is not None for item in items):
            await self._refuse_overfull(tx, items, outcomes)
        accepted = [(at, item) for at, item in enumerate(items) if outcomes[at] is None and item.queue.id in current]
        ids = self._keys.take(now, sum(len(item.messages) for _, item in accepted))
        repeats = await self._repeats(tx, now, accepted, ids)
        tally, arrived = Tally(), Arrived()
        await self._append(tx, now, accepted, ids, repeats, tally, arrived)
        await tally.write(tx, self._writer() + WRITER_PUBLISH)
        together, ready, visible_at = len(ids), arrived.told(), arrived.visible_at
        answers = ids if not repeats else [repeats.get(one, one) for one in ids]
        start = 0
        for at, item in accepted:
            end = start + len(item.messages)
            outcomes[at] = Published(tuple(answers[start:end]), together, ready, visible_at)
            start, together, ready, visible_at = end, 0, (), None
        return [Stale() if outcome is None else outcome for outcome in outcomes]

    async def _append(
        self,
        tx: Tx,
        now: int,
        accepted: Sequence[tuple[int, Publish]],
        ids: Sequence[int],
        repeats: Mapping[int, int],
        tally: Tally,
        arrived: Arrived,
    ) -> None:
        """Write messages, each where it waits."""
        plain: list[Row] = []
        others: list[Row] = []
        postponed: list[tuple[Waiting, int | None]] = []
        grouped: list[tuple[Waiting, int | None]] = []
        keys = iter(ids)
        for _, item in accepted:
            arrived.at(item.queue)
            generation, count = item.queue.generation, 0
            for message in item.messages:
                key = next(keys)
                if key in repeats:
                    continue
                row = (key, generation, message.rank, message.payload, message.headers, message.group_id)
                if message.group_key is None and message.visible_at is None:
                    plain.append(row)
                    count += 1
                    continue
                others.append(row)
                narrow = Waiting(key, generation, message.rank, 0, 0, message.group_key)
                (postponed if message.group_key is None else grouped).append((narrow, message.visible_at))
            if count:
                tally.ready(generation, count)
                arrived.ready[generation] += count
        if plain:
            await tx.many("insert_messages", plain)
            await self._show(tx, plain)
        if others:
            await tx.many("insert_messages", others)
            await settle_down(tx, postponed, now, tally, arrived)
            if grouped:
                await line_up(tx, grouped, now, self._keys.next(now), tally, arrived)

    async def _show(self, tx: Tx, rows: Sequence[Row]) -> None:
        if self._db.dialect == "sqlite":
            await tx.fetch("show_plain", first=rows[0][0], last=rows[-1][0])
        else:
            await tx.many("insert_ready", [(row[1], row[2], row[0], 0, 0, None) for row in rows])

    async def _refuse_overfull(
        self, tx: Tx, items: Sequence[Publish], outcomes: list[Published | Stale | Refused | None]
    ) -> None:
        generations = {item.queue.generation for item in items}
        sums = {row[0]: sum(row[1:]) for row in await tx.fetch_in("sum_counts", [(one,) for one in generations])}
        for at, item in enumerate(items):
            depth = sums.get(item.queue.generation, 0) + len(item.messages)
            if item.depth_max is not None and depth > item.depth_max:
                outcomes[at] = LimitExceeded(
                    f"the queue {item.queue.name} holds as many messages as it may, {item.depth_max}",
                    hint="Consume some, or raise MAX_QUEUE_DEPTH.",
                    code="QUEUE_FULL",
                )
            else:
                sums[item.queue.generation] = depth

    async def _repeats(
        self, tx: Tx, now: int, accepted: Sequence[tuple[int, Publish]], ids: Sequence[int]
    ) -> dict[int, int]:
        """Messages whose deduplication id was used a moment ago, by the id they will not get: the id that stands."""
        first: dict[tuple[int, bytes], int] = {}
        repeats: dict[int, int] = {}
        keys = iter(ids)
        for _, item in accepted:
            for message in item.messages:
                message_id = next(keys)
                if message.dedup is not None:
                    standing = first.setdefault((item.queue.id, message.dedup), message_id)
                    if standing != message_id:
                        repeats[message_id] = standing
        if not first:
            return repeats
        rows = sorted((queue_id, key, message_id) for (queue_id, key), message_id in first.items())
        since = now - DEDUP_WINDOW
        new = {row[0] for row in await tx.many("claim_dedup", rows, now=now, since=since)}
        old = [(queue_id, key) for queue_id, key, message_id in rows if message_id not in new]
        if old:
            for queue_id, key, standing in await tx.fetch_in("find_dedup", old):
                repeats[first[queue_id, bytes(key)]] = standing
            repeats = {late: repeats.get(standing, standing) for late, standing in repeats.items()}
        return repeats


def _are_plain(items: Sequence[Publish]) -> bool:
    """Whether all are for one queue as it is, can be had at once, and nothing has to be looked up for them."""
    queue = items[0].queue
    for item in items:
        if item.queue is not queue or item.depth_max is not None:
            return False
        for one in item.messages:
            if one.group_key is not None or one.visible_at is not None or one.dedup is not None:
                return False
    return True


def _columns(ids: Sequence[int], messages: Sequence[NewMessage]) -> list[Sequence[Any]]:
    """The columns of `publish_plain`."""
    return [
        ids,
        [one.rank for one in messages],
        [one.payload for one in messages],
        [one.headers for one in messages],
        [one.group_id for one in messages],
    ]


def size_of(messages: Sequence[NewMessage]) -> int:
    """Bytes of payload, for the bound of a fold."""
    return sum(len(message.payload) for message in messages)
