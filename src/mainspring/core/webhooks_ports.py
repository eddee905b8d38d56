"""What the core needs of a store for webhooks, as protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from mainspring.core.changes import Stale
from mainspring.core.idempotency import Replay
from mainspring.core.model import Page
from mainspring.core.webhooks_model import (
    Cancelling,
    Delivery,
    DeliveryFilter,
    DeliveryPage,
    DeliveryWithAttempts,
    DisabledEndpoint,
    Emission,
    Emitted,
    EndpointChange,
    EndpointEntry,
    NewDelivery,
    NewEndpoint,
    Outgoing,
    Replayed,
    Replaying,
)


class EndpointSlice(Protocol):
    """Endpoints, as `store/webhooks_endpoints.py` keeps them."""

    async def get(self, project: str, endpoint_id: int) -> EndpointEntry | None: ...

    async def was_deleted(self, project: str, endpoint_id: int) -> bool: ...

    async def page(self, project: str, page: Page) -> list[EndpointEntry]: ...


class DeliverySlice(Protocol):
    """Deliveries, as `store/webhooks.py` keeps them."""

    def next_turn(self, now: int) -> int: ...

    def switched_off(self) -> list[DisabledEndpoint]: ...

    async def outgoing(self, run_ids: Sequence[int]) -> dict[int, Outgoing]: ...

    async def get(self, project: str, delivery_id: int) -> DeliveryWithAttempts | None: ...

    async def page(self, asked: DeliveryPage) -> list[Delivery]: ...

    async def count(self, project: str, wanted: DeliveryFilter) -> int: ...

    async def prune(self, now: int, days: int) -> int: ...


class WebhookSlice(Protocol):
    """Webhooks, as `store/webhooks_store.py` puts them together: reads by noun, and writes that are folded."""

    @property
    def endpoints(self) -> EndpointSlice: ...

    @property
    def deliveries(self) -> DeliverySlice: ...

    @property
    def register(self) -> Callable[[NewEndpoint], Awaitable[EndpointEntry | Replay]]: ...

    @property
    def change(self) -> Callable[[EndpointChange], Awaitable[EndpointEntry | Replay | Stale]]: ...

    @property
    def send(self) -> Callable[[NewDelivery], Awaitable[Delivery | Replay]]: ...

    @property
    def emit(self) -> Callable[[Emission], Awaitable[Emitted | Replay]]: ...

    @property
    def replay(self) -> Callable[[Replaying], Awaitable[Replayed | Replay]]: ...

    @property
    def cancel(self) -> Callable[[Cancelling], Awaitable[Delivery | Replay]]: ...
