"""What callers get and give: queues and messages. At run time a result is a plain dict, with `_metadata` besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Required, TypedDict

from mainspring_client.records import Answer, Page
from mainspring_client.values import Json, PushFormat, QueueType, SignatureStyle


class NewMessage(TypedDict, total=False):
    """A message of a batch; `payload` is what it needs."""

    payload: Required[Json]
    delay_seconds: float | None
    priority: int | None
    message_group_id: str | None
    deduplication_id: str | None
    headers: Mapping[str, str] | None


class Leased(TypedDict, total=False):
    """A leased message of a batch."""

    message_id: Required[str]
    receipt: str | None


class QueueRecord(Answer):
    """A queue; `queue` and `name` are equal. `dead_letter_queue` is null when dead letters go to `<name>.dlq`."""

    queue: str
    name: str
    type: QueueType
    dead_letter_queue: str | None
    max_retries: int
    message_retention_days: float
    visibility_timeout_default: float
    enable_priority: bool
    paused: bool
    created_at: str
    updated_at: str


class QueuePage(Page[QueueRecord]):
    """Queues, newest first."""


class QueueDeleted(Answer):
    """The queue is gone; also when it already was."""

    queue: str
    name: str
    deleted: bool


class QueuePurged(Answer):
    """The queue is empty; `purged` messages went."""

    queue: str
    name: str
    purged: int


class QueueCounts(Answer):
    """How many messages are where, exactly. `dlq`: dead letters that come from this queue."""

    queue: str
    name: str
    available: int
    delayed: int
    in_flight: int
    dlq: int
    oldest_age_seconds: float | None


class Published(Answer):
    """What was published; `message_id` and `id` are equal."""

    message_id: str
    id: str
    queue: str


class PublishedBatch(Answer):
    """What was published, in the order of the request."""

    message_ids: list[str]
    queue: str


class MessageRecord(TypedDict):
    """A message; `message_id` and `id` are equal, and so are `group_id` and `message_group_id`.

    `attempt` counts how often it was handed out, this time included.
    """

    message_id: str
    id: str
    queue: str
    payload: Json
    receipt: str | None
    attempt: int
    priority: int
    group_id: str | None
    message_group_id: str | None
    headers: dict[str, str] | None
    published_at: str
    visible_until: str | None


class Messages(Answer):
    """Messages, the highest priority first and then the oldest."""

    messages: list[MessageRecord]
    queue: str


class Acked(Answer):
    """The message is done with."""

    message_id: str
    id: str
    queue: str
    acked: bool


class NotAcked(TypedDict):
    """Why a message of a batch was not acknowledged."""

    code: str
    message: str
    hint: str


class AckedOne(TypedDict):
    """What became of one message of a batch."""

    message_id: str
    id: str
    acked: bool
    error: NotAcked | None


class AckedBatch(Answer):
    """What became of each message, in the order of the request; `acked` is true when all of them are done with."""

    queue: str
    acked: bool
    results: list[AckedOne]


class Nacked(Answer):
    """The failure is counted; `requeued` is false when the message is a dead letter now."""

    message_id: str
    id: str
    queue: str
    nacked: bool
    requeued: bool


class Released(Answer):
    """The message was given back, and no failure was counted."""

    message_id: str
    id: str
    queue: str
    released: bool


class Extended(Answer):
    """The lease goes on until `visible_until`."""

    message_id: str
    id: str
    queue: str
    extended: bool
    visible_until: str | None


class DeadLetterRecord(TypedDict):
    """A dead letter: the message, where it came from, and why it is one."""

    message_id: str
    id: str
    queue: str
    source_queue: str
    payload: Json
    attempt: int
    failures: int
    reason: Literal["max_retries", "rejected"]
    group_id: str | None
    message_group_id: str | None
    headers: dict[str, str] | None
    published_at: str
    dead_lettered_at: str


class DeadLetterPage(Page[DeadLetterRecord]):
    """Dead letters, newest first."""


class Redriven(Answer):
    """How many dead letters went back to where they came from."""

    queue: str
    name: str
    redriven: int


class PushSubscription(Answer):
    """A push subscription; `subscription_id` and `id` are equal, and so are `url` and `forward_to`.

    `resting`: nothing is posted until `resting_until`, because the target asked for it or has failed again and again
    (`failures_in_a_row`). Null in `max_retries`, `dead_letter_queue`, `visibility_timeout`: as the queue says.
    """

    subscription_id: str
    id: str
    queue: str
    url: str
    forward_to: str
    state: Literal["active", "ended", "resting"]
    format: PushFormat
    signature_style: SignatureStyle
    signed: bool
    headers: dict[str, str] | None
    max_retries: int | None
    dead_letter_queue: str | None
    visibility_timeout: float | None
    timeout_seconds: float
    max_concurrency: int
    failures_in_a_row: int
    resting_until: str | None
    created_at: str
    updated_at: str
    ended_at: str | None
    ended_reason: str | None


class PushSubscriptionPage(Page[PushSubscription]):
    """The subscriptions of a queue, newest first; those that have ended too, for 30 days."""


class PushUnsubscribed(Answer):
    """The subscription is over; also when it already was."""

    subscription_id: str
    id: str
    queue: str
    deleted: bool


class PushRecord(TypedDict):
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
    outcome: Literal["acked", "lost", "nacked", "released"]
    response_status: int | None
    response_body: str | None
    error: str | None
    started_at: str
    sent_at: str | None
    finished_at: str


class PushPage(Page[PushRecord]):
    """Pushes, newest first; kept for 30 days, and the newest 10,000 of a queue."""
