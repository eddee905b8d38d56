"""What the core needs of a store to push messages, as protocols."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from mainspring.core.model import Page
from mainspring.core.push_model import LoggedPush, Push, Pushed, PushResult, Subscription
from mainspring.core.queue_model import Queue


class SubscriptionSlice(Protocol):
    """Push subscriptions, as `store/subscriptions.py` keeps them."""

    async def get(self, queue: Queue, subscription_id: int) -> Subscription | None: ...

    async def page(self, queue: Queue, page: Page) -> list[Subscription]: ...

    async def queues(self) -> set[int]: ...

    async def prune(self, now: int) -> int: ...


class PushSlice(Protocol):
    """Pushes, as `store/pushes.py` takes and ends them."""

    async def wanted(self, now: int, queue_ids: Collection[int] | None) -> list[int]: ...

    async def claim(self, now: int, subscription_ids: Sequence[int], limit: int) -> list[Push]: ...

    async def finish(self, now: int, results: Sequence[PushResult]) -> Pushed: ...

    async def page(self, queue: Queue, page: Page, *, subscription_id: int | None) -> list[LoggedPush]: ...

    async def prune(self, now: int, after: int) -> tuple[int, int]: ...
