"""What callers get about queues and messages, with all the names by which clients of this API read it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.core.queue_model import DeadReason, QueueType
from mainspring.doors.rest.results import Instant, Json

MessageHeaders = Annotated[dict[str, str], Meta(description="As they were published.")]


class QueueRecord(msgspec.Struct, frozen=True, kw_only=True):
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
    created_at: Instant
    updated_at: Instant


class QueuePage(msgspec.Struct, frozen=True):
    """Queues, newest first."""

    items: list[QueueRecord]
    next_cursor: str | None


class QueueDeleted(msgspec.Struct, frozen=True):
    """The queue is gone; also when it already was."""

    queue: str
    name: str
    deleted: bool


class QueuePurged(msgspec.Struct, frozen=True):
    """The queue is empty; `purged` messages went."""

    queue: str
    name: str
    purged: int


class QueueCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages are where, exactly. `dlq`: dead letters that come from this queue."""

    queue: str
    name: str
    available: int
    delayed: int
    in_flight: int
    dlq: int
    oldest_age_seconds: Annotated[float | None, Meta(description="Since the oldest available one was published.")]


class Published(msgspec.Struct, frozen=True):
    """What was published; `message_id` and `id` are equal."""

    message_id: str
    id: str
    queue: str


class PublishedBatch(msgspec.Struct, frozen=True):
    """What was published, in the order of the request."""

    message_ids: list[str]
    queue: str


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A message; `message_id` and `id` are equal, and so are `group_id` and `message_group_id`.

    `attempt` counts how often it was handed out, this time included.
    """

    message_id: str
    id: str
    queue: str
    payload: Json
    receipt: Annotated[str | None, Meta(description="Proves the lease; null where there is none.")]
    attempt: int
    priority: int
    group_id: str | None
    message_group_id: str | None
    headers: MessageHeaders | None
    published_at: Instant
    visible_until: Annotated[Instant | None, Meta(description="The end of the lease.")]


class Messages(msgspec.Struct, frozen=True):
    """Messages, the highest priority first and then the oldest."""

    messages: list[MessageRecord]
    queue: str


class DeadLetterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter: the message, where it came from, and why it is one."""

    message_id: str
    id: str
    queue: str
    source_queue: str
    payload: Json
    attempt: int
    failures: int
    reason: DeadReason
    group_id: str | None
    message_group_id: str | None
    headers: MessageHeaders | None
    published_at: Instant
    dead_lettered_at: Instant


class DeadLetterPage(msgspec.Struct, frozen=True):
    """Dead letters, newest first."""

    items: list[DeadLetterRecord]
    next_cursor: str | None


class Redriven(msgspec.Struct, frozen=True):
    """How many dead letters went back to where they came from."""

    queue: str
    name: str
    redriven: int


class Acked(msgspec.Struct, frozen=True):
    """The message is done with."""

    message_id: str
    id: str
    queue: str
    acked: bool


class Nacked(msgspec.Struct, frozen=True):
    """The failure is counted; `requeued` is false when the message is a dead letter now."""

    message_id: str
    id: str
    queue: str
    nacked: bool
    requeued: bool


class Released(msgspec.Struct, frozen=True):
    """The message was given back, and no failure was counted."""

    message_id: str
    id: str
    queue: str
    released: bool


class Extended(msgspec.Struct, frozen=True):
    """The lease goes on until `visible_until`."""

    message_id: str
    id: str
    queue: str
    extended: bool
    visible_until: Instant | None


class NotAcked(msgspec.Struct, frozen=True):
    """Why a message of a batch was not acknowledged."""

    code: str
    message: str
    hint: str


class AckedOne(msgspec.Struct, frozen=True):
    """What became of one message of a batch."""

    message_id: str
    id: str
    acked: bool
    error: NotAcked | None


class AckedBatch(msgspec.Struct, frozen=True):
    """What became of each message, in the order of the request; `acked` is true when all of them are done with."""

    queue: str
    acked: bool
    results: list[AckedOne]
