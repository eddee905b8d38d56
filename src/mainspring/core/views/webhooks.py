"""What the screens about webhooks ask of the store."""

from __future__ import annotations

from typing import Protocol

import msgspec

from mainspring.core.model import RunState
from mainspring.core.webhooks_model import STATE_OF, DeliveryFilter, DeliveryState, EndpointState


class LastDelivery(msgspec.Struct, frozen=True):
    """The newest delivery to an endpoint. `at`: its last attempt."""

    id: int
    run_state: RunState
    at: int | None
    status: int | None
    error: str | None

    @property
    def state(self) -> DeliveryState:
        return STATE_OF[self.run_state]


class EndpointRow(msgspec.Struct, frozen=True):
    """An endpoint as the list shows it. `rate_milli`: attempts per 1,000 s; `active`: deliveries under way."""

    id: int
    url: str
    events: tuple[str, ...]
    description: str
    state: EndpointState
    disabled_because: str | None
    failing_since: int | None
    resting_until: int
    streak: int
    active: int
    max_concurrency: int
    rate_milli: int | None
    ordered: bool
    last: LastDelivery | None


class EndpointRows(msgspec.Struct, frozen=True):
    """One page; `following`: where the next one begins."""

    rows: tuple[EndpointRow, ...]
    following: int | None


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery as lists show it. `due_at`: when it may be tried again."""

    id: int
    endpoint_id: int | None
    event: str | None
    replay_of: int | None
    url: str
    run_state: RunState
    attempt: int
    due_at: int | None
    attempted_at: int | None
    finished_at: int | None
    status: int | None
    error: str | None

    @property
    def state(self) -> DeliveryState:
        return STATE_OF[self.run_state]


class DeliveryRows(msgspec.Struct, frozen=True):
    """One page. `following`: where the next one begins, if there may be more; `short`: it is not full, for as many
    deliveries were looked at as may be."""

    rows: tuple[DeliveryRow, ...]
    following: int | None
    short: bool


class Count(msgspec.Struct, frozen=True):
    """How many there are; `exact`: not only at least so many."""

    number: int
    exact: bool


class WebhookViews(Protocol):
    """Reads about webhooks, as `store/views/webhooks.py` makes them."""

    async def endpoints(
        self, project: str, now: int, state: EndpointState | None, text: str, before: int | None, limit: int
    ) -> EndpointRows:
        """Newest first, those with the text in their URL or description."""
        ...

    async def deliveries(self, project: str, wanted: DeliveryFilter, before: int | None, limit: int) -> DeliveryRows:
        """Newest first."""
        ...

    async def replayable(self, project: str, wanted: DeliveryFilter) -> Count:
        """How many deliveries of one endpoint a replay of these would send, as far as 10,000 of them tell."""
        ...
