"""What callers get and give: webhooks and their endpoints. At run time a result is a plain dict, with `_metadata`."""

from __future__ import annotations

from typing import TypedDict

from mainspring_client.records import Answer, Page
from mainspring_client.values import DeliveryState, Json


class RetryPolicy(TypedDict, total=False):
    """How often an endpoint is tried: in all, or after the first time."""

    max_attempts: int
    max_retries: int


class DeliverySent(Answer):
    """A delivery on its way; `delivery_id` and `id` are equal."""

    delivery_id: str
    id: str
    state: DeliveryState


class Delivery(DeliverySent):
    """A delivery."""

    url: str
    event: str | None
    attempt: int


class DeliveryPage(Page[Delivery]):
    """Deliveries, newest first."""


class DeliveryAttempt(TypedDict):
    """One attempt of a delivery."""

    attempt: int
    started_at: str
    finished_at: str | None
    response_status: int | None
    error: str | None


class DeliveryAttempts(Answer):
    """The attempts of a delivery, in order."""

    items: list[DeliveryAttempt]


class Replayed(Answer):
    """How many deliveries are sent once more, or would be."""

    count: int


class Emitted(Answer):
    """An event, and to how many endpoints it goes."""

    id: str
    event: str


class Endpoint(Answer):
    """Where events go; `events` are its filters."""

    id: str
    url: str
    events: list[str]
    description: str | None


class EndpointCreated(Endpoint):
    """An endpoint with its secret, which is shown once."""

    secret: str | None


class EndpointPage(Page[Endpoint]):
    """Endpoints, newest first."""


class EndpointDeleted(Answer):
    """The endpoint is gone; also when it already was."""

    id: str
    deleted: bool


class LoggedDelivery(TypedDict):
    """What was sent to an endpoint."""

    id: str
    event: str
    status: str
    attempted_at: str | None
    destination_status: int | None
    payload: Json


class DeliveryLog(Page[LoggedDelivery]):
    """What was sent to an endpoint, newest first; `items` and `deliveries` are equal."""

    deliveries: list[LoggedDelivery]
