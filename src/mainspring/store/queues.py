"""Queues in the store: settings, and what is remembered of them between two looks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from mainspring.core.changes import Stale
from mainspring.core.errors import Conflict, Invalid, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KEY_MAX, KeySource, made_at
from mainspring.core.model import Page
from mainspring.core.queue_model import Edited, NewQueue, Queue, QueueEdit, QueueSettings, QueueStats
from mainspring.core.queue_names import DEAD_LETTER_SUFFIX
from mainspring.core.queues import DEFAULTS, settings_now
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.once import apply_once
from mainspring.store.webhooks_events import Announcer

_REMEMBERED = 10_000


class QueueStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, announcer: Announcer) -> None:
        self.announcer = announcer
        self._db = db
        self._keys = keys
        self._known: OrderedDict[tuple[str, str], Queue] = OrderedDict()

    def remembered(self, project: str, name: str) -> Queue | None:
        """The queue of this name as it was when it was last looked at, if it was. For what asks for the version."""
        return self._known.get((project, name))

    async def named(self, project: str, name: str, *, fresh: bool = False) -> Queue | None:
        """The queue of this name. What is remembered may be old: another node may have changed it, so every change asks
        for the version first, and who only looks asks for a `fresh` one."""
        if not fresh and (known := self._known.get((project, name))) is not None:
            return known
        found = await self._db.read_in("find_queues", [(project, name)])
        return self._remember(queue_of(found[0])) if found else None

    async def current(self, tx: Tx, queues: Iterable[Queue]) -> set[int]:
        """The ids of those queues that are still as they are remembered; the others are forgotten."""
        asked = {queue.id: queue for queue in queues}
        versions: dict[int, int] = dict(await tx.fetch_in("current_versions", [(one,) for one in asked]))
        for queue in asked.values():
            if versions.get(queue.id) != queue.version:
                self.forget(queue)
        return {queue.id for queue in asked.values() if versions.get(queue.id) == queue.version}

    def forget(self, queue: Queue) -> None:
        """Read it anew when it is wanted next."""
        self._known.pop((queue.project, queue.name), None)

    @again_after_collisions
    async def create(self, now: int, items: Sequence[NewQueue]) -> Sequence[Queue | Replay | Refused]:
        """Make queues; those that are there with equal settings are the answer too, others a `Conflict`."""
        async with self._db.transaction() as tx:

            async def make(fresh: Sequence[NewQueue]) -> list[Queue | Refused]:
                return [await self._create(tx, now, item) for item in fresh]

            return await apply_once(tx, now, items, lambda item: item.once, make)

    async def _create(self, tx: Tx, now: int, item: NewQueue) -> Queue | Refused:
        found = await tx.fetch_in("find_queues", [(item.project, item.name)])
        if found:
            queue = queue_of(found[0])
            return queue if settings_now(queue) == item.settings else _taken(item.name)
        dead_letter_id = await self.grave_named(tx, now, item.project, item.settings, item.name)
        if isinstance(dead_letter_id, Refused):
            return dead_letter_id
        await self.insert(tx, now, item.project, item.name, item.settings, dead_letter_id=dead_letter_id)
        queue = queue_of((await tx.fetch_in("find_queues", [(item.project, item.name)]))[0])
        return queue if settings_now(queue) == item.settings else _taken(item.name)

    async def insert(
        self,
        tx: Tx,
        now: int,
        project: str,
        name: str,
        settings: QueueSettings,
        *,
        dead_letter_id: int | None = None,
        last_resort: bool = False,
    ) -> None:
        """Make a queue unless there is one of this name."""
        queue_id, generation = self._keys.take(now, 2)
        row = (
            queue_id,
            project,
            name,
            settings.type,
            dead_letter_id,
            int(last_resort),
            int(last_resort),
            settings.max_retries,
            settings.retention_ms,
            settings.visibility_ms,
            int(settings.enable_priority),
            generation,
            now,
        )
        await tx.many("insert_queues", [row])

    async def grave_named(
        self, tx: Tx, now: int, project: str, settings: QueueSettings, source: str | None = None
    ) -> int | Refused | None:
        """The id of the queue named for dead letters, made when there is none. A refusal for one that cannot be it."""
        name = settings.dead_letters
        if name is None:
            return None
        queue = await self.last_resort(tx, now, project, name, settings.type)
        if queue.type != settings.type:
            return Invalid(
                f"dead_letter_queue {name} is {queue.type}, and the queue is {settings.type}",
                hint="Name one of the same type, or one that does not exist yet.",
                field="dead_letter_queue",
            )
        if (source,) in await tx.fetch("follow_dead_letters", id=queue.id):
            return Invalid(
                f"the dead letters of {name} come back to this queue",
                hint="Name a queue whose dead letters go elsewhere.",
                field="dead_letter_queue",
            )
        return queue.id

    async def last_resort(self, tx: Tx, now: int, project: str, name: str, like: str) -> Queue:
        """The queue of this name, made for dead letters when there is none."""
        found = await tx.fetch_in("find_queues", [(project, name)])
        if not found:
            settings = msgspec.structs.replace(DEFAULTS, type=like, enable_priority=like == "standard")
            await self.insert(tx, now, project, name, settings, last_resort=True)
            found = await tx.fetch_in("find_queues", [(project, name)])
        return queue_of(found[0])

    async def grave_of(self, tx: Tx, now: int, queue: Queue, dead_letter_id: int | None = None) -> Queue | None:
        """Where the dead letters of a queue go: None for a last resort. `dead_letter_id` stands in for the queue's."""
        named = dead_letter_id or queue.dead_letter_id
        if named is not None and (found := await tx.fetch_in("get_queues", [(named,)])):
            return queue_of(found[0])
        if queue.last_resort:
            return None
        return await self.last_resort(tx, now, queue.project, queue.name + DEAD_LETTER_SUFFIX, queue.type)

    @again_after_collisions
    async def edit(self, now: int, items: Sequence[QueueEdit]) -> Sequence[Edited | Stale | Replay | Refused]:
        """Change queues, each only while it is still as it was read."""
        async with self._db.transaction() as tx:

            async def change(fresh: Sequence[QueueEdit]) -> list[Edited | Stale | Refused]:
                await tx.hold("hold_queues", [(one,) for one in sorted({item.queue.id for item in fresh})])
                return [await self._edit(tx, now, item) for item in fresh]

            return await apply_once(tx, now, items, lambda item: item.once, change)

    async def _edit(self, tx: Tx, now: int, item: QueueEdit) -> Edited | Stale | Refused:
        queue, settings = item.queue, item.settings
        if item.delete and (users := await tx.fetch("find_dependents", id=queue.id)):
            return Conflict(
                f"the dead letters of {users[0][0]} go to this queue",
                hint="Name another dead_letter_queue there first.",
                code="QUEUE_IN_USE",
            )
        dead_letter_id = await self.grave_named(tx, now, queue.project, settings, queue.name)
        if isinstance(dead_letter_id, Refused):
            return dead_letter_id
        changed = await tx.fetch(
            "update_queue",
            id=queue.id,
            version=queue.version,
            dead_letter_id=dead_letter_id,
            last_resort=int(queue.last_resort and dead_letter_id is None),
            max_retries=settings.max_retries,
            retention_ms=settings.retention_ms,
            visibility_ms=settings.visibility_ms,
            enable_priority=int(settings.enable_priority),
            paused_at=item.paused_at,
            generation=self._keys.next(now) if item.purge else queue.generation,
            deleted_at=now if item.delete else None,
            now=now,
        )
        self.forget(queue)
        if not changed:
            return Stale()
        purged = 0
        if item.purge:
            [(_, *counts)] = await tx.fetch_in("sum_counts", [(queue.generation,)]) or [(0, 0)]
            purged = sum(counts)
            await tx.fetch("insert_leftover", generation=queue.generation, now=now)
        if item.delete:
            await tx.fetch("end_subscriptions_of", id=queue.id, now=now)
            return Edited(queue, purged)
        [row] = await tx.fetch_in("find_queues", [(queue.project, queue.name)])
        return Edited(queue_of(row), purged)

    async def page(self, project: str, page: Page) -> list[Queue]:
        """Newest first."""
        before = KEY_MAX if page.before is None else page.before[0]
        return [
            queue_of(row)
            for row in await self._db.scan("page_queues", project=project, before=before, limit=page.limit)
        ]

    async def was_deleted(self, project: str, name: str) -> bool:
        return bool(await self._db.read("was_queue_deleted", project=project, name=name))

    async def stats(self, now: int, queue: Queue) -> QueueStats:
        """Exact numbers; what is due at `now` counts as if somebody had looked."""
        fresh = await self._db.read_in("get_queues", [(queue.id,)])
        generation = queue_of(fresh[0]).generation if fresh else queue.generation
        [(_, ready, leased, postponed, blocked)] = await self._db.read_in("sum_counts", [(generation,)]) or [(0,) * 5]
        [(ended, surfaced)] = await self._db.read("count_overdue", generation=generation, now=now)
        [(hidden,)] = await self._db.read("count_blocked_until", generation=generation, now=now)
        [(dead,)] = await self._db.read("count_dead", source_id=queue.id)
        [firsts] = await self._db.read("oldest_available", generation=generation, now=now)
        oldest = min((one for one in firsts if one is not None), default=None)
        return QueueStats(
            available=ready + ended + surfaced + blocked - hidden,
            delayed=postponed - surfaced + hidden,
            in_flight=leased - ended,
            dead=dead,
            oldest_at=None if oldest is None else made_at(oldest),
        )

    def _remember(self, queue: Queue) -> Queue:
        self._known[queue.project, queue.name] = queue
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return queue


def queue_of(row: Row) -> Queue:
    """A queue, from `queue_columns`."""
    flags = bool(row[5]), bool(row[6])
    return Queue(*(*row[:5], *flags, *row[7:10], bool(row[10]), *row[11:]))


def _taken(name: str) -> Conflict:
    return Conflict(f"there is a queue {name} with other settings", hint="Update it, or create one under another name.")
