"""What callers get about push subscriptions."""

from __future__ import annotations

import msgspec

from mainspring.core.model import SignatureStyle
from mainspring.core.push_model import PushFormat, PushOutcome, SubscriptionState
from mainspring.doors.rest.results import Headers, Instant


class PushSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A push subscription; `subscription_id` and `id` are equal, and so are `url` and `forward_to`.

    `resting`: nothing is posted until `resting_until`, because the target asked for it or has failed again and again
    (`failures_in_a_row`). Null in `max_retries`, `dead_letter_queue`, `visibility_timeout`: as the queue says.
    """

    subscription_id: str
    id: str
    queue: str
    url: str
    forward_to: str
    state: SubscriptionState
    format: PushFormat
    signature_style: SignatureStyle
    signed: bool
    headers: Headers | None
    max_retries: int | None
    dead_letter_queue: str | None
    visibility_timeout: float | None
    timeout_seconds: float
    max_concurrency: int
    failures_in_a_row: int
    resting_until: Instant | None
    created_at: Instant
    updated_at: Instant
    ended_at: Instant | None
    ended_reason: str | None


class PushSubscriptionPage(msgspec.Struct, frozen=True):
    """The subscriptions of a queue, newest first; those that have ended too, for 30 days."""

    items: list[PushSubscription]
    next_cursor: str | None


class PushUnsubscribed(msgspec.Struct, frozen=True):
    """The subscription is over; also when it already was."""

    subscription_id: str
    id: str
    queue: str
    deleted: bool


class PushRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One push that has ended.

    `outcome`: `acked`, `nacked` (counted as a failure), `released` (given back, not counted), or `lost`: the message
    was no longer its own when the answer came.
    """

    id: str
    delivery_id: str
    subscription_id: str
    message_id: str
    queue: str
    attempt: int
    outcome: PushOutcome
    response_status: int | None
    response_body: str | None
    error: str | None
    started_at: Instant
    sent_at: Instant | None
    finished_at: Instant


class PushPage(msgspec.Struct, frozen=True):
    """Pushes, newest first; kept for 30 days, and the newest 10,000 of a queue."""

    items: list[PushRecord]
    next_cursor: str | None
