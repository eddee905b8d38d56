"""Push subscriptions in the store: made, changed, ended."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mainspring.core.changes import Stale
from mainspring.core.errors import Conflict, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KEY_MAX, KeySource
from mainspring.core.limits import DAY, PRUNE_BATCH, PUSH_LOG_DAYS, SUBSCRIPTIONS_MAX
from mainspring.core.model import Page
from mainspring.core.push_model import NewSubscription, Subscription, SubscriptionSettings, Unsubscribe
from mainspring.core.queue_model import Queue
from mainspring.core.queues import settings_now
from mainspring.core.subscriptions import no_such_subscription
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.once import apply_once
from mainspring.store.queues import QueueStore, queue_of

UNSUBSCRIBED = "unsubscribed"


class SubscriptionStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, queues: QueueStore) -> None:
        self._db = db
        self._keys = keys
        self._queues = queues

    @again_after_collisions
    async def subscribe(
        self, now: int, items: Sequence[NewSubscription]
    ) -> Sequence[Subscription | Stale | Replay | Refused]:
        """Make subscriptions, or change those that are there for the same URL. Whoever deletes a queue waits, or is
        waited for."""
        async with self._db.transaction() as tx:

            async def make(fresh: Sequence[NewSubscription]) -> list[Subscription | Stale | Refused]:
                ids = [(one,) for one in sorted({item.queue.id for item in fresh})]
                await tx.hold("hold_queues", ids)
                queues = {queue.id: queue for queue in map(queue_of, await tx.fetch_in("get_queues", ids))}
                made: list[Subscription | Stale | Refused] = []
                for item in fresh:
                    queue = queues.get(item.queue.id)
                    if queue is None:
                        self._queues.forget(item.queue)
                    made.append(Stale() if queue is None else await self._subscribe(tx, now, queue, item.settings))
                return made

            return await apply_once(tx, now, items, lambda item: item.once, make)

    async def _subscribe(
        self, tx: Tx, now: int, queue: Queue, settings: SubscriptionSettings
    ) -> Subscription | Refused:
        wanted = replace(settings_now(queue), dead_letters=settings.dead_letters)
        dead_letter_id = await self._queues.grave_named(tx, now, queue.project, wanted, queue.name)
        if isinstance(dead_letter_id, Refused):
            return dead_letter_id
        where = {"queue_id": queue.id, "url": settings.url}
        if not await tx.fetch("find_subscription_by_url", **where):
            [(count,)] = await tx.fetch("count_subscriptions", queue_id=queue.id)
            if count >= SUBSCRIPTIONS_MAX:
                return Conflict(
                    f"the queue {queue.name} has {count} subscriptions", hint="End one that is not needed any more."
                )
        row = (
            self._keys.next(now),
            queue.project,
            queue.id,
            settings.url,
            settings.secret,
            settings.headers,
            settings.signature_style,
            settings.format,
            settings.max_retries,
            dead_letter_id,
            settings.visibility_ms,
            settings.timeout_ms,
            settings.max_concurrency,
        )
        await tx.many("put_subscriptions", [row], now=now)
        [found] = await tx.fetch("find_subscription_by_url", **where)
        return subscription_of(found)

    @again_after_collisions
    async def unsubscribe(self, now: int, items: Sequence[Unsubscribe]) -> Sequence[Subscription | Replay | Refused]:
        """End subscriptions; those that have ended stay as they are."""
        async with self._db.transaction() as tx:

            async def end(fresh: Sequence[Unsubscribe]) -> list[Subscription | Refused]:
                asked = sorted({(item.queue.id, item.subscription_id) for item in fresh})
                await tx.many("end_subscriptions", asked, now=now, reason=UNSUBSCRIBED)
                found = {one.id: one for one in map(subscription_of, await tx.fetch_in("find_subscriptions", asked))}
                ended: list[Subscription | Refused] = []
                for item in fresh:
                    one = found.get(item.subscription_id)
                    there = one is not None and one.queue_id == item.queue.id
                    ended.append(one if one is not None and there else no_such_subscription())
                return ended

            return await apply_once(tx, now, items, lambda item: item.once, end)

    async def get(self, queue: Queue, subscription_id: int) -> Subscription | None:
        """One of a queue's, also one that has ended."""
        found = await self._db.read_in("find_subscriptions", [(queue.id, subscription_id)])
        return subscription_of(found[0]) if found else None

    async def page(self, queue: Queue, page: Page) -> list[Subscription]:
        """Newest first, those that have ended too."""
        before = KEY_MAX if page.before is None else page.before[0]
        found = await self._db.scan("page_subscriptions", queue_id=queue.id, before=before, limit=page.limit)
        return [subscription_of(row) for row in found]

    async def queues(self) -> set[int]:
        """The ids of all queues that have subscriptions."""
        return {row[0] for row in await self._db.read("subscribed_queues")}

    @again_after_collisions
    async def prune(self, now: int) -> int:
        """Remove one batch of those that ended 30 days ago; how many."""
        async with self._db.transaction() as tx:
            before = now - PUSH_LOG_DAYS * DAY
            return len(await tx.fetch("prune_subscriptions", before=before, limit=PRUNE_BATCH))


def subscription_of(row: Row) -> Subscription:
    """A subscription, from `subscription_columns`."""
    number, queue_id, *settings = row[:12]
    return Subscription(number, queue_id, SubscriptionSettings(*settings), *row[12:])
