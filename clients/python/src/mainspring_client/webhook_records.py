"""What callers get and give: webhooks and their endpoints. At run time a result is a plain dict, with `_metadata`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from mainspring_client.records import Answer, Page
from mainspring_client.values import DeliveryState, DeliveryStatus, Json, SignatureStyle


class RetryPolicy(TypedDict, total=False):
    """How often to try, in all or after the first time, and the seconds before each retry."""

    max_attempts: int | None
    max_retries: int | None
    delays: Sequence[float] | None


class DeliveryAccepted(Answer):
    """A delivery as writes answer it; `delivery_id` and `id` are equal."""

    delivery_id: str
    id: str
    state: DeliveryState
    url: str
    event: str | None
    endpoint_id: str | None
    replay_of: str | None
    created_at: str


class DeliveryRecord(DeliveryAccepted):
    """A delivery as lists show it. `status` is a coarser `state`; `destination_status` and `response_status` are equal.

    `webhook_id` is the id that its receiver sees: of a replay, that of the first delivery.
    """

    status: DeliveryStatus
    webhook_id: str
    payload: Json
    attempt: int
    attempted_at: str | None
    destination_status: int | None
    response_status: int | None
    response_body: str | None
    error: str | None
    next_attempt_at: str | None
    finished_at: str | None


class DeliveryAttempt(TypedDict):
    """One attempt; `finished_at` is null while it is in flight."""

    attempt: int
    started_at: str
    sent_at: str | None
    finished_at: str | None
    response_status: int | None
    response_body: str | None
    error: str | None


class DeliveryWithAttempts(DeliveryRecord):
    """A delivery with its attempts, in order."""

    attempts: list[DeliveryAttempt]


class DeliveryAttempts(Answer):
    """The attempts of a delivery, in order."""

    delivery_id: str
    state: DeliveryState
    items: list[DeliveryAttempt]


class DeliveryPage(Page[DeliveryRecord]):
    """Deliveries, newest first."""


class EventEmitted(Answer):
    """What became of an event; `event_id` and `id` are equal."""

    event_id: str
    id: str
    event: str
    deliveries: int
    delivery_ids: list[str]


class Replays(Answer):
    """What was sent again. `count`: how many match (`dry_run`), or were sent again, as `replayed` says; `more`: others
    match still.
    """

    dry_run: bool
    count: int
    replayed: int
    more: bool
    delivery_ids: list[str]


class RetryPolicyRecord(TypedDict):
    """How often is tried, and when; `delays` is null for the list of Standard Webhooks."""

    max_attempts: int
    max_retries: int
    delays: list[float] | None


class EndpointRecord(Answer):
    """An endpoint; `id`, `endpoint_id` and `webhook_id` are equal.

    `failing`: the last word from there was a failure; `resting`: it has failed again and again, and is left alone until
    `resting_until`; `disabled`: it gets nothing, for the reason that is given.
    """

    id: str
    endpoint_id: str
    webhook_id: str
    url: str
    events: list[str]
    description: str
    enabled: bool
    state: Literal["active", "disabled", "failing", "resting"]
    disabled_at: str | None
    disabled_reason: str | None
    failing_since: str | None
    failures_in_a_row: int
    resting_until: str | None
    headers: dict[str, str] | None
    signature_style: SignatureStyle
    retry_policy: RetryPolicyRecord
    timeout_seconds: float
    max_concurrency: int
    rate_limit: float | None
    ordered: bool
    previous_secret_valid_until: str | None
    created_at: str
    updated_at: str


class EndpointWithSecret(EndpointRecord):
    """An endpoint with its new secret, which is shown in this answer only."""

    secret: str | None


class EndpointPage(Page[EndpointRecord]):
    """Endpoints, newest first."""


class EndpointDeleted(Answer):
    """The endpoint is gone; also when it already was."""

    id: str
    endpoint_id: str
    webhook_id: str
    deleted: bool


class EndpointDeliveries(Answer):
    """Deliveries to an endpoint, newest first; `items` and `deliveries` are equal."""

    items: list[DeliveryRecord]
    deliveries: list[DeliveryRecord]
    next_cursor: str | None
