"""Webhooks in the store, put together: slices by noun, and the folds of their writes."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.core.changes import Stale
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KeySource
from mainspring.core.webhooks_model import (
    Cancelling,
    Delivery,
    Emission,
    Emitted,
    EndpointChange,
    EndpointEntry,
    NewDelivery,
    NewEndpoint,
    Replayed,
    Replaying,
)
from mainspring.store.db import Db
from mainspring.store.fold import Fold
from mainspring.store.horizon import Horizon
from mainspring.store.webhooks import DeliveryStore
from mainspring.store.webhooks_endpoints import EndpointStore
from mainspring.store.webhooks_events import Announcer
from mainspring.store.webhooks_gates import Gates


class WebhookStore:
    """What other slices need (`gates`, `announcer`), and what the core does."""

    def __init__(self, db: Db, keys: KeySource, horizon: Horizon, clock: Callable[[], int]) -> None:
        self.gates = Gates(keys.next, horizon)
        self.announcer = Announcer(db, keys, self.gates)
        self.deliveries = DeliveryStore(db, keys, horizon, self.gates, self.announcer)
        self.endpoints = EndpointStore(db, keys, horizon, self.gates, self.announcer)
        self.register: Fold[NewEndpoint, EndpointEntry | Replay] = Fold(
            lambda items: self.endpoints.register(clock(), items)
        )
        self.change: Fold[EndpointChange, EndpointEntry | Replay | Stale] = Fold(
            lambda items: self.endpoints.change(clock(), items)
        )
        self.send: Fold[NewDelivery, Delivery | Replay] = Fold(
            lambda items: self.deliveries.send(clock(), items), lambda item: len(item.payload)
        )
        self.emit: Fold[Emission, Emitted | Replay] = Fold(
            lambda items: self.deliveries.emit(clock(), items), lambda item: len(item.data)
        )
        self.replay: Fold[Replaying, Replayed | Replay] = Fold(lambda items: self.deliveries.replay(clock(), items))
        self.cancel: Fold[Cancelling, Delivery | Replay] = Fold(lambda items: self.deliveries.cancel(clock(), items))
