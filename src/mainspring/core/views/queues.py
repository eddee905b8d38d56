"""What the screens about queues ask of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from mainspring.core.queue_model import DeadReason, Queue, QueueType

QueueOrder = Literal["newest", "name", "depth"]
MessageState = Literal["available", "behind", "delayed", "in_flight"]

# Dead letters of one queue are counted up to here in a list, and up to there on a page of its own. (Measured: a list of
# 50 queues with 2,000 each took 140 ms on PostgreSQL when it counted 1,000 of each.)
DEAD_COUNTED_IN_LISTS = 500
DEAD_COUNTED = 10_000
# Delayed and leased messages of all queues lie in one index each, by instant: so many are looked at for one page.
WINDOW = 20_000


class QueueWish(msgspec.Struct, frozen=True):
    """Which queues, in which order, and after which row: its depth (messages that it holds), id and name.

    `search`: a part of the name, in any case; `holding`: only those with messages; `dead`: only those from which dead
    letters come; `paused`: only those that hand out nothing.
    """

    order: QueueOrder = "depth"
    search: str = ""
    holding: bool = False
    dead: bool = False
    paused: bool = False
    after: tuple[int, int, str] | None = None
    limit: int = 50


class QueueRow(msgspec.Struct, frozen=True):
    """One queue with its numbers. `depth` orders by: all that it holds; `dead`: dead letters that come from it, counted
    up to the bound of the call; `oldest_at`: when the oldest available message was published; `pushes`: subscriptions.
    """

    id: int
    name: str
    type: QueueType
    paused: bool
    holds_dead: bool
    available: int
    delayed: int
    in_flight: int
    depth: int
    dead: int
    oldest_at: int | None
    pushes: int


class MessageRow(msgspec.Struct, frozen=True):
    """One waiting message. `payload` may be its beginning only, `size` is that of the whole, in bytes.

    `place` and `id` are where the list goes on. `until`: when it becomes visible, or when its lease ends.
    """

    state: MessageState
    place: int
    id: int
    size: int
    payload: bytes
    headers: bytes | None
    group_id: str | None
    rank: int
    attempt: int
    failures: int
    until: int | None


class MessagePage(msgspec.Struct, frozen=True):
    """Messages in the order in which they will be had; `following`: where to go on, None at the end."""

    rows: Sequence[MessageRow]
    following: tuple[int, int] | None


class DeadRow(msgspec.Struct, frozen=True):
    """One dead letter. `queue`: where it waits; `leased`: somebody has it; `error`, `status`: how its last push ended,
    if it was pushed."""

    id: int
    source: str
    queue: str
    dead_at: int
    reason: DeadReason
    attempt: int
    failures: int
    size: int
    payload: bytes
    headers: bytes | None
    group_id: str | None
    leased: bool
    error: str | None
    status: int | None


class QueueViews(Protocol):
    """Reads about queues, as `store/views/queues.py` makes them."""

    async def page(self, now: int, project: str, wish: QueueWish) -> list[QueueRow]: ...

    async def one(self, now: int, queue: Queue) -> QueueRow: ...

    async def messages(
        self, queue: Queue, state: MessageState, after: tuple[int, int] | None, limit: int, payload_most: int
    ) -> MessagePage: ...

    async def message(self, queue: Queue, message_id: int, payload_most: int) -> MessageRow | None: ...

    async def dead_letters(
        self, queue: Queue, before: tuple[int, int] | None, limit: int, payload_most: int, *, by_source: bool
    ) -> list[DeadRow]: ...

    async def all_dead_letters(
        self, project: str, before: tuple[int, int] | None, limit: int, payload_most: int
    ) -> list[DeadRow]: ...

    async def dead_letter(self, queue: Queue, message_id: int, payload_most: int) -> DeadRow | None: ...

    async def pushing(self, now: int, queue: Queue) -> dict[int, int]: ...

    async def dependents(self, queue: Queue, limit: int) -> list[str]: ...
