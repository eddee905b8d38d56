"""What callers may send about queues and messages, with the bounds of each field and the other names it goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, Raw

from mainspring.core import limits
from mainspring.doors.rest.requests import Given, HeaderMap, InstantText


def _said(description: str, **schema: object) -> Meta:
    return Meta(description=description, extra_json_schema=schema or None)


QueueName = Annotated[
    str,
    Meta(min_length=1, max_length=limits.QUEUE_NAME_CHARS_MAX, pattern="^[A-Za-z0-9._:-]+$"),
    _said("The name of a queue.", format="queue-name"),
]
MessageId = Annotated[str, Meta(min_length=1, max_length=100), _said("The message.", format="message-id")]
Receipt = Annotated[
    str,
    Meta(min_length=1, max_length=100),
    _said("Of the lease, as it came with the message. Without one, this key must hold the lease.", format="receipt"),
]
MessagePayload = Annotated[Raw, _said("Any JSON up to 256 KiB; it comes back byte for byte.")]
Delay = Annotated[float, Meta(ge=0, le=limits.DELAY_S_MAX), _said("Seconds until it may be consumed.", default=0)]
Priority = Annotated[
    int, Meta(ge=0, le=limits.PRIORITY_MAX), _said("The higher comes first; in order of age within one.", default=0)
]
GroupId = Annotated[
    str,
    Meta(min_length=1, max_length=limits.GROUP_CHARS_MAX, pattern=r"^[^\x00]*$"),
    _said("On a FIFO queue: messages of one group come one after the other. None given: one group for all of them."),
]
DedupId = Annotated[
    str,
    Meta(min_length=1, max_length=limits.DEDUP_CHARS_MAX, pattern=r"^[^\x00]*$"),
    _said("The same id within 5 minutes publishes nothing and answers the first message's id."),
]
MessageHeaders = Annotated[HeaderMap, _said("Handed out with the message as they are.")]
Visibility = Annotated[
    float,
    Meta(ge=1, le=limits.VISIBILITY_S_MAX),
    _said("Seconds for which the messages are yours; the queue's own when left out."),
]
Retries = Annotated[
    int,
    Meta(ge=0, le=limits.QUEUE_RETRIES_MAX),
    _said("Failures after which a message comes back; the next one makes it a dead letter."),
]
KeptDays = Annotated[
    float, Meta(ge=1, le=limits.MESSAGE_RETENTION_DAYS_MAX), _said("Days that unconsumed messages are kept.")
]
MessageCount = Annotated[
    int, Meta(ge=1, le=limits.CONSUME_MAX), _said("At most so many.", default=limits.CONSUME_DEFAULT)
]


class QueueUpdateFields(msgspec.Struct, frozen=True, kw_only=True):
    """A queue's settings."""

    type: Annotated[
        Given[Literal["standard", "fifo"]], _said("Set once; `fifo` keeps the order.", default="standard")
    ] = UNSET
    dead_letter_queue: Annotated[
        Given[QueueName],
        _said("Where its dead letters go, made when there is none; `<name>.dlq` when left out."),
    ] = UNSET
    max_retries: Given[Retries] = UNSET
    message_retention_days: Given[KeptDays] = UNSET
    visibility_timeout_default: Annotated[
        Given[Annotated[float, Meta(ge=1, le=limits.VISIBILITY_S_MAX)]],
        _said("Seconds for which a consumed message stays hidden from others.", default=limits.VISIBILITY_S_DEFAULT),
    ] = UNSET
    enable_priority: Annotated[
        Given[bool], _said("Whether `priority` counts; true on standard queues, impossible on FIFO.")
    ] = UNSET


class QueueFields(QueueUpdateFields, frozen=True, kw_only=True):
    """A queue to be made."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"name": ("queue",)}

    name: Given[QueueName] = UNSET


class MessageFields(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be published."""

    needs: ClassVar[tuple[tuple[str, ...], ...]] = (("payload",),)
    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "payload": ("body",),
        "message_group_id": ("group_id",),
        "deduplication_id": ("dedup_id",),
    }

    payload: Given[MessagePayload] = UNSET
    delay_seconds: Given[Delay] = UNSET
    priority: Given[Priority] = UNSET
    message_group_id: Given[GroupId] = UNSET
    deduplication_id: Given[DedupId] = UNSET
    headers: Given[MessageHeaders] = UNSET


class PublishFields(MessageFields, frozen=True, kw_only=True):
    """A message, and the queue that it is for."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {**MessageFields.aliases, "queue": ("name",)}

    queue: Given[QueueName] = UNSET


class PublishBatchFields(msgspec.Struct, frozen=True, kw_only=True):
    """Messages for one queue, all or none."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"queue": ("name",)}

    queue: Given[QueueName] = UNSET
    messages: Annotated[
        Given[Annotated[list[MessageFields], Meta(max_length=limits.BATCH_MESSAGES_MAX)]], _said("In this order.")
    ] = UNSET


class ConsumeFields(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for messages. An idempotency key means nothing here."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"queue": ("name",)}

    queue: Given[QueueName] = UNSET
    max_messages: Given[MessageCount] = UNSET
    visibility_timeout: Given[Visibility] = UNSET
    wait_seconds: Annotated[
        Given[Annotated[float, Meta(ge=0, le=limits.WAIT_S_MAX)]],
        _said("Seconds to wait for a first message when there is none.", default=0),
    ] = UNSET
    receive_attempt_id: Annotated[
        Given[Annotated[str, Meta(min_length=1, max_length=limits.RECEIVE_ID_CHARS_MAX, pattern=r"^[^\x00]*$")]],
        _said("The same id within the lease gives the same messages and receipts: for answers that got lost."),
    ] = UNSET


class LeaseFields(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the caller has leased."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"queue": ("name",), "message_id": ("id",)}

    queue: Given[QueueName] = UNSET
    message_id: Given[MessageId] = UNSET
    receipt: Given[Receipt] = UNSET


class NackFields(LeaseFields, frozen=True, kw_only=True):
    """A message with which the caller has failed."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = LeaseFields.aliases

    requeue: Annotated[Given[bool], _said("False: a dead letter at once.", default=True)] = UNSET
    delay_seconds: Given[Delay] = UNSET


class ReleaseFields(LeaseFields, frozen=True, kw_only=True):
    """A message that the caller gives back."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = LeaseFields.aliases

    delay_seconds: Given[Delay] = UNSET


class ExtendFields(LeaseFields, frozen=True, kw_only=True):
    """A message that the caller needs for longer."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = LeaseFields.aliases

    visibility_timeout: Annotated[
        Given[Visibility], _said("Seconds from now; the lease ends 12 hours after its begin at the latest.")
    ] = UNSET


class LeasedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One of several leased messages."""

    needs: ClassVar[tuple[tuple[str, ...], ...]] = (("message_id",),)
    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"message_id": ("id",)}

    message_id: Given[MessageId] = UNSET
    receipt: Given[Receipt] = UNSET


class AckBatchFields(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that are done with: `messages` with receipts, or only their ids."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"queue": ("name",)}

    queue: Given[QueueName] = UNSET
    messages: Annotated[
        Given[Annotated[list[LeasedMessage], Meta(max_length=limits.BATCH_MESSAGES_MAX)]],
        _said("Each with its receipt, if there is one."),
    ] = UNSET
    message_ids: Annotated[
        Given[Annotated[list[MessageId], Meta(max_length=limits.BATCH_MESSAGES_MAX)]],
        _said("Their ids alone; this key must hold the leases."),
    ] = UNSET


class RedriveFields(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters go back: one, or the oldest of those since an instant; all of them when nothing is said."""

    message_id: Given[MessageId] = UNSET
    since: Annotated[Given[InstantText], _said("Only those that have been dead letters since then.")] = UNSET
    max_messages: Annotated[
        Given[Annotated[int, Meta(ge=1, le=limits.REDRIVE_MAX)]], _said("At most so many, the oldest first.")
    ] = UNSET


class PeekQuery(msgspec.Struct, frozen=True):
    """How many to look at."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"max_messages": ("limit",)}

    max_messages: MessageCount = limits.CONSUME_DEFAULT
