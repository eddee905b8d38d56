"""What callers get about webhooks and endpoints."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.core.model import SignatureStyle
from mainspring.core.webhooks_model import DeliveryState, EndpointState
from mainspring.doors.rest.results import Headers, Instant, Json

DeliveryStatus = Literal["delivered", "failed", "pending"]


class DeliveryAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as writes answer it; `delivery_id` and `id` are equal."""

    delivery_id: str
    id: str
    state: DeliveryState
    url: str
    event: str | None
    endpoint_id: str | None
    replay_of: str | None
    created_at: Instant


class DeliveryRecord(DeliveryAccepted, frozen=True, kw_only=True):
    """A delivery as lists show it. `status` is a coarser `state`; `destination_status` and `response_status` are equal.

    `webhook_id` is the id that its receiver sees: of a replay, that of the first delivery.
    """

    status: DeliveryStatus
    webhook_id: str
    payload: Json
    attempt: int
    attempted_at: Instant | None
    destination_status: int | None
    response_status: int | None
    response_body: str | None
    error: str | None
    next_attempt_at: Instant | None
    finished_at: Instant | None


class DeliveryAttempt(msgspec.Struct, frozen=True):
    """One attempt; `finished_at` is null while it is in flight."""

    attempt: int
    started_at: Instant
    sent_at: Instant | None
    finished_at: Instant | None
    response_status: int | None
    response_body: str | None
    error: str | None


class DeliveryWithAttempts(DeliveryRecord, frozen=True, kw_only=True):
    """A delivery with its attempts, in order."""

    attempts: list[DeliveryAttempt]


class DeliveryAttempts(msgspec.Struct, frozen=True):
    """The attempts of a delivery, in order."""

    delivery_id: str
    state: DeliveryState
    items: list[DeliveryAttempt]


class DeliveryPage(msgspec.Struct, frozen=True):
    """Deliveries, newest first."""

    items: list[DeliveryRecord]
    next_cursor: str | None


class EndpointDeliveries(msgspec.Struct, frozen=True):
    """Deliveries to an endpoint, newest first; `items` and `deliveries` are equal."""

    items: list[DeliveryRecord]
    deliveries: list[DeliveryRecord]
    next_cursor: str | None


class EventEmitted(msgspec.Struct, frozen=True):
    """What became of an event; `event_id` and `id` are equal."""

    event_id: str
    id: str
    event: str
    deliveries: int
    delivery_ids: list[str]


class Replays(msgspec.Struct, frozen=True):
    """What was sent again. `count`: how many match (`dry_run`), or were sent again, as `replayed` says; `more`: others
    match still."""

    dry_run: bool
    count: int
    replayed: int
    more: bool
    delivery_ids: list[str]


class RetryPolicyRecord(msgspec.Struct, frozen=True):
    """How often is tried, and when; `delays` is null for the list of Standard Webhooks."""

    max_attempts: int
    max_retries: int
    delays: list[float] | None


class EndpointRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint; `id`, `endpoint_id` and `webhook_id` are equal.

    `failing`: the last word from there was a failure; `resting`: it has failed again and again, and is left alone until
    `resting_until`; `disabled`: it gets nothing, for the reason that is given.
    """

    id: str
    endpoint_id: str
    webhook_id: str
    url: str
    events: tuple[str, ...]
    description: str
    enabled: bool
    state: EndpointState
    disabled_at: Instant | None
    disabled_reason: str | None
    failing_since: Instant | None
    failures_in_a_row: int
    resting_until: Instant | None
    headers: Headers | None
    signature_style: SignatureStyle
    retry_policy: RetryPolicyRecord
    timeout_seconds: float
    max_concurrency: int
    rate_limit: float | None
    ordered: bool
    previous_secret_valid_until: Instant | None
    created_at: Instant
    updated_at: Instant


class EndpointWithSecret(EndpointRecord, frozen=True, kw_only=True):
    """An endpoint with its new secret, which is shown in this answer only."""

    secret: str | None


class EndpointPage(msgspec.Struct, frozen=True):
    """Endpoints, newest first."""

    items: list[EndpointRecord]
    next_cursor: str | None


class EndpointDeleted(msgspec.Struct, frozen=True):
    """The endpoint is gone; also when it already was."""

    id: str
    endpoint_id: str
    webhook_id: str
    deleted: bool
