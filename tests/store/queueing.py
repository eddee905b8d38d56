"""A hand on queues for tests: publish, consume, settle through the use cases, at the instants of the test's clock."""

from __future__ import annotations

from typing import Any

from mainspring.core import dead_letters, ids, messages, queues
from mainspring.core.dead_letters import Pick
from mainspring.core.idempotency import Once, Replay
from mainspring.core.messages import Ask, How, MessageDraft, Told
from mainspring.core.model import Page
from mainspring.core.queue_model import (
    DeadLetter,
    Edited,
    Message,
    Published,
    Queue,
    QueueStats,
    Redriven,
    Settled,
    Settlement,
    Verb,
)
from mainspring.core.queues import QueueDraft
from mainspring.store.store import Store
from store.making import PROJECT, Bench, Clock

HOLDER = 7


class Hand:
    """One caller. `holder` is the credential, `clock` what the store was opened with."""

    def __init__(self, store: Store, clock: Clock, *, holder: int = HOLDER, project: str = PROJECT) -> None:
        self.bench = Bench(store)
        self.core = self.bench.core
        self.clock = clock
        self.holder = holder
        self.project = project

    async def make(self, name: str = "q", once: Once | None = None, **draft: Any) -> Queue:
        made = await queues.create(self.core, self.project, name, QueueDraft(**draft), once)
        assert isinstance(made, Queue)
        return made

    async def publish(self, *payloads: bytes, queue: str = "q", once: Once | None = None, **draft: Any) -> list[int]:
        drafts = [MessageDraft(payload, **draft) for payload in payloads]
        done = await messages.publish(self.core, self.clock(), self.project, queue, drafts, once, batch=True)
        assert isinstance(done, Published)
        return list(done.ids)

    async def consume(self, limit: int = 10, queue: str = "q", **ask: Any) -> list[Message]:
        _, found = await messages.consume(
            self.core, self.clock(), self.project, queue, Ask(max_messages=limit, **ask), self.holder
        )
        return found

    async def settle(
        self,
        verb: Verb,
        *told: Message | int,
        queue: str = "q",
        receipts: bool = True,
        once: Once | None = None,
        **how: Any,
    ) -> list[Settled | Exception]:
        parts = [
            Told(ids.text("msg", one.id), messages.receipt_of(one) if receipts else None)
            if isinstance(one, Message)
            else Told(ids.text("msg", one))
            for one in told
        ]
        done = await messages.settle(
            self.core, self.clock(), self.project, queue, verb, parts, self.holder, How(**how), once
        )
        assert isinstance(done, Settlement)
        return list(done.parts)

    async def ack(self, *told: Message | int, **more: Any) -> list[Settled | Exception]:
        return await self.settle("ack", *told, **more)

    async def nack(self, *told: Message | int, **more: Any) -> list[Settled | Exception]:
        return await self.settle("nack", *told, **more)

    async def turn(self) -> None:
        """Let time do what is due by now."""
        while (await self.core.store.tides.turn(self.clock())).more:
            pass

    async def later(self, ms: int) -> None:
        """That much later, with what is due by then done."""
        self.clock.advance(ms)
        await self.turn()

    async def stats(self, queue: str = "q") -> QueueStats:
        return (await queues.stats(self.core, self.clock(), self.project, queue))[1]

    async def dead(self, queue: str = "q") -> list[DeadLetter]:
        return (await dead_letters.page(self.core, self.project, queue, Page(limit=500)))[1]

    async def redrive(self, queue: str = "q", once: Once | None = None, **pick: Any) -> int:
        _, done = await dead_letters.redrive(self.core, self.clock(), self.project, queue, Pick(**pick), once)
        assert isinstance(done, Redriven)
        return done.count

    async def purge(self, queue: str = "q") -> int:
        done = await queues.purge(self.core, self.project, queue, None)
        assert isinstance(done, Edited)
        return done.purged


def payloads(found: list[Message]) -> list[bytes]:
    """What was handed out, in order."""
    return [one.payload for one in found]


def replay(result: object) -> bytes:
    assert isinstance(result, Replay)
    return result.answer
