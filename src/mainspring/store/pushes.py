"""Pushes in the store: messages leased for subscriptions, and what became of them.

A push is a lease like any other, held by the subscription, so another node counts it and its end is the same end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from mainspring.core.changes import Stale
from mainspring.core.ids import KEY_MAX, KeySource
from mainspring.core.limits import DAY, PRUNE_BATCH, PUSH_LOG_DAYS, PUSH_LOG_ROWS, PUSH_STREAK_MAX
from mainspring.core.model import Page
from mainspring.core.push_model import LoggedPush, Push, Pushed, PushOutcome, PushResult, PushVerb, Subscription
from mainspring.core.pushes import troubled
from mainspring.core.queue_model import Queue, Receive, Settle, Settled, Settlement
from mainspring.store.db import Collided, Db, Tx, again_after_collisions
from mainspring.store.messages import MessageStore
from mainspring.store.queues import queue_of
from mainspring.store.subscriptions import subscription_of

_OUTCOMES: dict[PushVerb, PushOutcome] = {"ack": "acked", "nack": "nacked", "release": "released"}
_QUEUES_AT_ONCE = 5


class PushStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, messages: MessageStore) -> None:
        self._db = db
        self._keys = keys
        self._messages = messages
        self._turns = 0

    async def wanted(self, now: int, queue_ids: Collection[int] | None) -> list[int]:
        """The ids of subscriptions that could push something now: of these queues, or (None) of all."""
        where = {"now": now, "streak_max": PUSH_STREAK_MAX}
        if queue_ids is None:
            return [row[0] for row in await self._db.read("push_wanted", **where)]
        asked = [(one,) for one in queue_ids]
        return [row[0] for row in await self._db.read_in("push_wanted_in", asked, **where)] if asked else []

    @again_after_collisions
    async def claim(self, now: int, subscription_ids: Sequence[int], limit: int) -> list[Push]:
        """Lease messages for subscriptions, each up to what it may still have in flight over all nodes, turn about, and
        `limit` in all."""
        async with self._db.transaction() as tx:
            held = await self._hold(tx, subscription_ids)
            able = [one for one in held if one.state(now) == "active"]
            queues = {queue.id: queue for queue in await self._queues(tx, {one.queue_id for one in able})}
            able = [one for one in able if one.queue_id in queues]
            if not able:
                return []
            counted = await tx.fetch_in("count_in_flight", [(one.holder,) for one in able], now=now)
            busy: dict[int, int] = dict(counted)
            places = self._in_turn([(one, one.room - busy[one.holder]) for one in able], limit)
            wishes = [
                Receive(queues[one.queue_id], 1, one.lease_ms(queues[one.queue_id]), one.holder) for one in places
            ]
            found = await self._messages.receive_in(tx, now, wishes)
        return [
            Push(one, queues[one.queue_id], message)
            for one, messages in zip(places, found, strict=True)
            if not isinstance(messages, Stale)
            for message in messages
        ]

    def _in_turn(self, rooms: Sequence[tuple[Subscription, int]], limit: int) -> list[Subscription]:
        """Who may have the next message, and the next, so that subscriptions of one queue share what there is."""
        self._turns += 1
        first = self._turns % len(rooms)
        order = [*rooms[first:], *rooms[:first]]
        most = max(room for _, room in order)
        places = [one for turn in range(max(most, 0)) for one, room in order if room > turn]
        return places[:limit]

    @again_after_collisions
    async def finish(self, now: int, results: Sequence[PushResult]) -> Pushed:
        """Settle what was pushed, log it, and note how the targets are doing, all in one."""
        async with self._db.transaction() as tx:
            queues = {queue.id: queue for queue in await self._queues(tx, {one.push.queue.id for one in results})}
            settling = [one for one in results if one.push.queue.id in queues]
            settled = await self._messages.settle_in(tx, now, [_settle(one, queues) for one in settling])
            done: dict[int, Settlement] = {}
            for result, settlement in zip(settling, settled, strict=True):
                if isinstance(settlement, Stale):
                    raise Collided
                assert isinstance(settlement, Settlement)
                done[id(result)] = settlement
            outcomes = tuple(_outcome(one, done.get(id(one))) for one in results)
            await self._let_go(tx, results, outcomes)
            await self._log(tx, now, results, outcomes)
            ended = await self._note(tx, now, results)
        dead: Counter[tuple[str, str]] = Counter()
        for result in settling:
            dead[result.push.queue.project, result.push.queue.name] += done[id(result)].dead
        return Pushed(
            outcomes=outcomes,
            ready=tuple(one for settlement in done.values() for one in settlement.ready),
            visible_at=min((one.visible_at for one in done.values() if one.visible_at is not None), default=None),
            dead=tuple((*queue, count) for queue, count in dead.items() if count),
            ended=tuple(ended),
        )

    async def _let_go(self, tx: Tx, results: Sequence[PushResult], outcomes: Sequence[PushOutcome]) -> None:
        pairs = zip(results, outcomes, strict=True)
        lost = sorted({(one.push.message.id, one.push.message.token) for one, outcome in pairs if outcome == "lost"})
        if lost and (purged := await tx.many("drop_purged_leases", lost)):
            await tx.many("delete_messages", sorted(purged))

    async def _log(self, tx: Tx, now: int, results: Sequence[PushResult], outcomes: Sequence[PushOutcome]) -> None:
        keys = self._keys.take(now, len(results))
        rows = [
            (
                key,
                one.push.subscription.id,
                one.push.queue.id,
                one.push.message.id,
                one.push.message.attempt,
                one.started_at,
                one.sent_at,
                one.ended_at,
                outcome,
                one.status,
                one.body,
                one.error,
            )
            for key, one, outcome in zip(keys, results, outcomes, strict=True)
        ]
        await tx.many("insert_pushes", rows)

    async def _note(self, tx: Tx, now: int, results: Sequence[PushResult]) -> list[Subscription]:
        """Write how the targets are doing; the subscriptions that have ended by it."""
        by_subscription: dict[int, list[PushResult]] = {}
        for result in results:
            by_subscription.setdefault(result.push.subscription.id, []).append(result)
        well = [(one,) for one, ended in by_subscription.items() if all(result.verb == "ack" for result in ended)]
        if well:
            await tx.many("calm_subscriptions", sorted(well))
        others = sorted(one for one in by_subscription if (one,) not in well)
        before = await self._hold(tx, others) if others else []
        after = [troubled(one, by_subscription[one.id], now) for one in before]
        rows = [(one.id, one.streak, one.resting_until, one.ended_at, one.ended_because) for one in after]
        await tx.many("trouble_subscriptions", rows)
        return [new for old, new in zip(before, after, strict=True) if old.ended_at != new.ended_at]

    async def _hold(self, tx: Tx, ids: Sequence[int]) -> list[Subscription]:
        """Keep other nodes from claiming for these subscriptions, and from judging their targets."""
        found = await tx.fetch_in("take_subscriptions", [(one,) for one in ids])
        return list({row[0]: subscription_of(row) for row in found}.values())

    async def _queues(self, tx: Tx, ids: set[int]) -> list[Queue]:
        return [queue_of(row) for row in await tx.fetch_in("get_queues", [(one,) for one in sorted(ids)])]

    async def page(self, queue: Queue, page: Page, *, subscription_id: int | None) -> list[LoggedPush]:
        """Newest first: of a queue, or of one of its subscriptions."""
        where = {
            "queue_id": queue.id,
            "before": KEY_MAX if page.before is None else page.before[0],
            "limit": page.limit,
        }
        if subscription_id is None:
            found = await self._db.scan("page_pushes", **where)
        else:
            found = await self._db.scan("page_pushes_of", **where, subscription_id=subscription_id)
        return [LoggedPush(*row) for row in found]

    @again_after_collisions
    async def prune(self, now: int, after: int) -> tuple[int, int]:
        """Remove what is older than 30 days, and what the next few queues above id `after` have beyond their newest
        10,000; how many went, and the id to go on from: 0 when all queues have been seen."""
        queues = [row[0] for row in await self._db.scan("pushed_queues", after=after, limit=_QUEUES_AT_ONCE)]
        surplus = []
        for queue_id in queues:
            for (newest,) in await self._db.scan("find_surplus_push", queue_id=queue_id, keep=PUSH_LOG_ROWS):
                surplus.append((queue_id, newest))
        async with self._db.transaction() as tx:
            before = now - PUSH_LOG_DAYS * DAY
            removed = len(await tx.fetch("prune_pushes", before=before, limit=PRUNE_BATCH))
            for queue_id, newest in surplus:
                gone = await tx.fetch("prune_surplus_pushes", queue_id=queue_id, newest=newest, limit=PRUNE_BATCH)
                removed += len(gone)
        if surplus:
            return removed, after or -1
        return removed, queues[-1] if len(queues) == _QUEUES_AT_ONCE else 0


def _settle(result: PushResult, queues: dict[int, Queue]) -> Settle:
    push = result.push
    return Settle(
        queues[push.queue.id],
        result.verb,
        ((push.message.id, push.message.token),),
        push.subscription.holder,
        visible_at=result.visible_at,
        max_retries=push.subscription.settings.max_retries,
        dead_letter_id=push.subscription.dead_letter_id,
    )


def _outcome(result: PushResult, settlement: Settlement | None) -> PushOutcome:
    if settlement is None or not isinstance(settlement.parts[0], Settled):
        return "lost"
    return _OUTCOMES[result.verb]
