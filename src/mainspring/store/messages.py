"""Messages in the store: lease, settle, look. Calls of one kind share a transaction."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence

from mainspring.core.changes import Stale
from mainspring.core.errors import LeaseLost, NotFound, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KeySource
from mainspring.core.limits import CONSUME_BYTES_MAX
from mainspring.core.queue_model import (
    Message,
    Queue,
    Receive,
    Settle,
    Settled,
    Settlement,
)
from mainspring.store.burials import bury
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.once import apply_once
from mainspring.store.queues import QueueStore
from mainspring.store.waiting import (
    WRITER_CLAIM,
    WRITER_SETTLE,
    Arrived,
    Tally,
    Waiting,
    move_up,
    settle_down,
)

_NO_TOKEN = -1
_TOKEN_BITS = 62


class MessageStore:
    """One method, one transaction. `writer` is the first of this node's counters."""

    def __init__(
        self,
        db: Db,
        keys: KeySource,
        queues: QueueStore,
        writer: Callable[[], int],
        dice: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._db = db
        self._keys = keys
        self._queues = queues
        self._writer = writer
        self._dice = dice

    @again_after_collisions
    async def receive(self, now: int, items: Sequence[Receive]) -> Sequence[list[Message] | Stale]:
        """Lease messages, the highest priority first and then the oldest. An empty list when there are none."""
        async with self._db.transaction() as tx:
            return await self.receive_in(tx, now, items)

    async def receive_in(self, tx: Tx, now: int, items: Sequence[Receive]) -> list[list[Message] | Stale]:
        """Lease messages as a part of what the transaction does."""
        current = await self._queues.current(tx, [item.queue for item in items])
        answers: list[list[Message] | Stale] = [[] if item.queue.id in current else Stale() for item in items]
        first = _firsts(items)
        again = await self._received(tx, now, items, first)
        asking = [
            at
            for at, item in enumerate(items)
            if item.queue.id in current and item.queue.paused_at is None and at not in again and at not in first
        ]
        for at, messages in again.items():
            if items[at].queue.id in current:
                answers[at] = messages
        if asking:
            await self._lease(tx, now, items, asking, answers)
        for at, earlier in first.items():
            if items[at].queue == items[earlier].queue:
                answers[at] = answers[earlier]
        return answers

    async def _lease(
        self, tx: Tx, now: int, items: Sequence[Receive], asking: Sequence[int], answers: list[list[Message] | Stale]
    ) -> None:
        wanted: dict[int, int] = {}
        for at in asking:
            generation = items[at].queue.generation
            wanted[generation] = wanted.get(generation, 0) + items[at].limit
        taken: dict[int, list[Waiting]] = {generation: [] for generation in wanted}
        for row in await tx.each("take_ready", sorted(wanted.items())):
            taken[row[1]].append(Waiting(*row))
        if not any(taken.values()):
            return
        for rows in taken.values():
            rows.sort(key=lambda row: (row.rank, row.id), reverse=True)
        contents = {
            row[0]: row[1:]
            for row in await tx.fetch_in("read_messages", [(row.id,) for rows in taken.values() for row in rows])
        }
        leases: list[Row] = []
        receives: list[Row] = []
        tally = Tally()
        for at in asking:
            item = items[at]
            rows, size, token = taken[item.queue.generation], 0, self._dice(_TOKEN_BITS)
            lease_until = now + item.lease_ms
            mine: list[Message] = []
            while rows and len(mine) < item.limit:
                row = rows[-1]
                payload, headers, group_id = contents[row.id]
                size += len(payload)
                if mine and size > CONSUME_BYTES_MAX:
                    break
                rows.pop()
                attempt = row.attempt + 1
                mine.append(
                    Message(row.id, payload, headers, group_id, row.rank, attempt, row.failures, token, lease_until)
                )
                leases.append(
                    (
                        row.id,
                        row.generation,
                        row.rank,
                        attempt,
                        row.failures,
                        row.group_key,
                        token,
                        item.holder,
                        lease_until,
                    )
                )
            answers[at] = mine
            tally.leased(item.queue.generation, len(mine))
            tally.ready(item.queue.generation, -len(mine))
            if item.receive_id is not None and mine:
                told = json.dumps([message.id for message in mine])
                receives.append((item.queue.id, item.holder, item.receive_id, token, told, lease_until))
        await tx.many("insert_leased", leases, now=now)
        # What was taken and is more than an answer holds stays where it was.
        left = [row for rows in taken.values() for row in rows]
        await tx.many("insert_ready", [(r.generation, r.rank, r.id, r.attempt, r.failures, r.group_key) for r in left])
        await tx.many("insert_receives", receives)
        await tally.write(tx, self._writer() + WRITER_CLAIM)

    async def _received(
        self, tx: Tx, now: int, items: Sequence[Receive], repeats: dict[int, int]
    ) -> dict[int, list[Message]]:
        """What was handed out under the same receive id, as far as it is still leased."""
        asked = {
            (i.queue.id, i.holder, i.receive_id): at
            for at, i in enumerate(items)
            if i.receive_id is not None and at not in repeats
        }
        if not asked:
            return {}
        await tx.hold("hold_receives", sorted(asked))
        answers: dict[int, list[Message]] = {}
        for queue_id, holder, key, token, told in await tx.fetch_in("find_receives", list(asked), now=now):
            at, ids = asked[queue_id, holder, key], json.loads(told)
            held = await tx.fetch_in("still_leased", [(one, token) for one in ids], now=now)
            leases = {row[0]: row for row in held if row[1] == items[at].queue.generation}
            contents = {row[0]: row for row in await tx.fetch_in("read_messages", [(one,) for one in leases])}
            answers[at] = []
            for one in ids:
                if one in contents:
                    _, payload, headers, group_id = contents[one]
                    _, _, rank, attempt, failures, _, until = leases[one]
                    answers[at].append(Message(one, payload, headers, group_id, rank, attempt, failures, token, until))
        return answers

    @again_after_collisions
    async def settle(self, now: int, items: Sequence[Settle]) -> Sequence[Settlement | Stale | Replay | Refused]:
        """End or extend leases, each by who holds it. Parts that are refused leave the others as they are."""
        async with self._db.transaction() as tx:

            async def apply(fresh: Sequence[Settle]) -> list[Settlement | Stale | Refused]:
                return await self.settle_in(tx, now, fresh)

            return await apply_once(tx, now, items, lambda item: item.once, apply)

    async def settle_in(self, tx: Tx, now: int, items: Sequence[Settle]) -> list[Settlement | Stale | Refused]:
        """End or extend leases as a part of what the transaction does."""
        current = await self._queues.current(tx, [item.queue for item in items])
        valid = [item for item in items if item.queue.id in current]
        tally, arrived = Tally(), Arrived()
        extended = await self._extend(tx, now, [item for item in valid if item.verb == "extend"])
        ending = [item for item in valid if item.verb != "extend"]
        asked = sorted({_fence(item, part) for item in ending for part in item.parts})
        ended = await tx.many("take_leased", asked, now=now)
        taken = {row[0]: Waiting(*row[:6]) for row in ended}
        leases = {row[0]: (row[1], *row[6:]) for row in ended}
        for row in taken.values():
            tally.leased(row.generation, -1)
        # Each message is settled by the first that named it rightly.
        owners: dict[int, Settle] = {}
        for item in ending:
            for part in item.parts:
                if _holds(item, part, leases):
                    owners.setdefault(part[0], item)
        dead = await self._end(tx, now, taken, owners, tally, arrived)
        await tally.write(tx, self._writer() + WRITER_SETTLE)
        known = await self._known(tx, valid, {**leases, **extended}, owners)
        for item in valid:
            arrived.at(item.queue)
        ready, visible_at = arrived.told(), arrived.visible_at
        outcomes: list[Settlement | Stale | Refused] = []
        for item in items:
            if item.queue.id not in current:
                outcomes.append(Stale())
                continue
            parts: list[Settled | Refused] = []
            for message_id, token in item.parts:
                if item.verb == "extend" and _holds(item, (message_id, token), extended):
                    parts.append(Settled(message_id, lease_until=extended[message_id][3]))
                elif owners.get(message_id) is item and _holds(item, (message_id, token), leases):
                    parts.append(Settled(message_id, dead=message_id in dead))
                    del owners[message_id]
                else:
                    parts.append(_refusal(known.get(message_id) == item.queue.generation))
            if item.once is not None and len(parts) == 1 and isinstance(parts[0], Refused):
                # Nothing changed, so no answer is kept: the same request may succeed later.
                outcomes.append(parts[0])
                continue
            outcomes.append(
                Settlement(
                    tuple(parts),
                    ready,
                    visible_at,
                    sum(isinstance(part, Settled) and part.dead for part in parts),
                )
            )
            ready, visible_at = (), None
        return outcomes

    async def _extend(self, tx: Tx, now: int, items: Sequence[Settle]) -> dict[int, tuple[int, ...]]:
        rows = sorted((*_fence(item, part), item.visible_at) for item in items for part in item.parts)
        return {row[0]: row[1:] for row in await tx.many("extend_leased", rows, now=now)}

    async def _end(
        self,
        tx: Tx,
        now: int,
        taken: dict[int, Waiting],
        owners: dict[int, Settle],
        tally: Tally,
        arrived: Arrived,
    ) -> set[int]:
        """Do with messages whose leases are over what their holders said; returns those that are dead letters now."""
        done: list[Waiting] = []
        back: list[tuple[Waiting, int | None]] = []
        failed: dict[tuple[int, int | None], tuple[Queue, list[tuple[Waiting, str]]]] = {}
        for message_id, item in owners.items():
            row = taken[message_id]
            if item.verb == "ack":
                done.append(row)
                continue
            counted = row._replace(failures=row.failures + 1) if item.verb == "nack" else row
            limit = item.queue.max_retries if item.max_retries is None else item.max_retries
            if item.verb == "nack" and (not item.requeue or counted.failures > limit):
                reason = "max_retries" if item.requeue else "rejected"
                key = item.queue.id, item.dead_letter_id
                failed.setdefault(key, (item.queue, []))[1].append((counted, reason))
            back.append((counted, item.visible_at))
        dead: set[int] = set()
        for (_, dead_letter_id), (queue, rows) in sorted(failed.items(), key=lambda one: one[0][0]):
            dead |= await bury(tx, self._queues, self._keys, now, queue, rows, tally, arrived, dead_letter_id)
        if done:
            await tx.many("delete_messages", sorted((row.id,) for row in done))
            buried = [(row.id,) for row in done if owners[row.id].queue.holds_dead]
            await tx.many("delete_dead", buried)
        await settle_down(tx, [one for one in back if one[0].id not in dead], now, tally, arrived)
        gone = [*done, *(taken[one] for one in dead)]
        await move_up(tx, gone, now, tally, arrived)
        return dead

    async def _known(
        self, tx: Tx, items: Sequence[Settle], leases: dict[int, tuple[int, ...]], owners: dict[int, Settle]
    ) -> dict[int, int]:
        """The generations of messages that were named but not held: there, but in somebody else's hands."""
        lost = {
            part[0]
            for item in items
            for part in item.parts
            if not _holds(item, part, leases) or owners.get(part[0], item) is not item
        }
        return dict(await tx.fetch_in("find_messages", [(one,) for one in sorted(lost)])) if lost else {}

    async def peek(self, queue: Queue, limit: int) -> list[Message]:
        """What would be handed out next."""
        found = await self._db.scan("peek_ready", generation=queue.generation, limit=limit)
        return [Message(*(*row, _NO_TOKEN, None)) for row in found]


def _fence(item: Settle, part: tuple[int, int | None]) -> tuple[int, int, int, int]:
    message_id, token = part
    return message_id, item.queue.generation, _NO_TOKEN if token is None else token, item.holder


def _firsts(items: Sequence[Receive]) -> dict[int, int]:
    """Which of the wishes repeat an earlier one among them, and which one that is."""
    first: dict[tuple[int, int, str], int] = {}
    repeats: dict[int, int] = {}
    for at, item in enumerate(items):
        if item.receive_id is not None:
            earlier = first.setdefault((item.queue.id, item.holder, item.receive_id), at)
            if earlier != at:
                repeats[at] = earlier
    return repeats


def _holds(item: Settle, part: tuple[int, int | None], leases: dict[int, tuple[int, ...]]) -> bool:
    """Whether a part names one of these leases (generation, token, holder, …) rightly: others in the transaction may
    name the same message."""
    generation, token, holder = leases.get(part[0], (None, None, None))[:3]
    return generation == item.queue.generation and (token == part[1] if part[1] is not None else holder == item.holder)


def _refusal(there: bool) -> Refused:
    if there:
        return LeaseLost("the lease of this message is over, or somebody else's", hint="Consume it again.")
    return NotFound("there is no such message in this queue", hint="It may have been acknowledged already.")
