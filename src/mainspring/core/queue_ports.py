"""What the core needs of a store to keep messages, as protocols."""

from __future__ import annotations

from typing import Protocol

from mainspring.core.model import Page
from mainspring.core.queue_model import DeadLetter, Message, Queue, QueueStats, Turned


class QueueSlice(Protocol):
    """Queues, as `store/queues.py` keeps them."""

    def remembered(self, project: str, name: str) -> Queue | None: ...

    async def named(self, project: str, name: str, *, fresh: bool = False) -> Queue | None: ...

    async def page(self, project: str, page: Page) -> list[Queue]: ...

    async def was_deleted(self, project: str, name: str) -> bool: ...

    async def stats(self, now: int, queue: Queue) -> QueueStats: ...


class MessageSlice(Protocol):
    """Messages, as `store/messages.py` keeps them."""

    async def peek(self, queue: Queue, limit: int) -> list[Message]: ...


class DeadLetterSlice(Protocol):
    """Dead letters, as `store/burials.py` keeps them."""

    async def page(self, queue: Queue, page: Page, *, by_source: bool) -> list[DeadLetter]: ...


class TideSlice(Protocol):
    """What time does to messages, as `store/tides.py` does it: each call one bounded step."""

    async def turn(self, now: int) -> Turned: ...

    async def prune(self, now: int) -> int: ...

    async def expire(self, now: int, after: int) -> tuple[int, int]: ...
