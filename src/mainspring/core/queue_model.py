"""Queues and messages, as data. Instants and durations are milliseconds; `None` means "not set"."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.core.errors import Refused
from mainspring.core.idempotency import Once

QueueType = Literal["standard", "fifo"]
DeadReason = Literal["max_retries", "rejected"]
Verb = Literal["ack", "nack", "release", "extend"]


class Queue(msgspec.Struct, frozen=True):
    """A queue's settings.

    `generation` is what its messages carry; a purge replaces it. `version` grows with every change. `last_resort`: made
    for dead letters, has none of its own. `holds_dead`: dead letters of others have come here. `dead_letters`: the name
    of the queue that was named for its dead letters; without one they go to `<name>.dlq`.
    """

    id: int
    project: str
    name: str
    type: QueueType
    dead_letter_id: int | None
    last_resort: bool
    holds_dead: bool
    max_retries: int
    retention_ms: int
    visibility_ms: int
    enable_priority: bool
    paused_at: int | None
    generation: int
    version: int
    created_at: int
    updated_at: int
    dead_letters: str | None = None


class QueueSettings(msgspec.Struct, frozen=True):
    """What a queue is created with, every value decided. `dead_letters`: the name of a queue, None for its own."""

    type: QueueType
    dead_letters: str | None
    max_retries: int
    retention_ms: int
    visibility_ms: int
    enable_priority: bool


class NewQueue(msgspec.Struct, frozen=True):
    """A queue that is to exist: made with these settings, or there already with equal ones."""

    project: str
    name: str
    settings: QueueSettings
    once: Once | None = None


class QueueEdit(msgspec.Struct, frozen=True):
    """A change of one queue, valid only while its version is still `queue.version`.

    `settings`: the new ones; `paused_at`: whether it hands out messages; `purge`: everything in it goes; `delete`: so
    does the queue.
    """

    queue: Queue
    settings: QueueSettings
    paused_at: int | None
    purge: bool = False
    delete: bool = False
    once: Once | None = None


class Edited(msgspec.Struct, frozen=True):
    """A queue after a change, and how many messages a purge removed."""

    queue: Queue
    purged: int = 0


class QueueStats(msgspec.Struct, frozen=True):
    """How many messages are where. `oldest_at`: when the oldest available one was published."""

    available: int
    delayed: int
    in_flight: int
    dead: int
    oldest_at: int | None


class NewMessage(msgspec.Struct, frozen=True):
    """A message to be published. `rank` 0 is the highest priority; `group_key` hashes the group, `dedup` the
    deduplication id; `visible_at`: not before then."""

    payload: bytes
    rank: int
    headers: bytes | None = None
    visible_at: int | None = None
    group_id: str | None = None
    group_key: int | None = None
    dedup: bytes | None = None


class Publish(msgspec.Struct, frozen=True):
    """Messages for one queue, all or none. `depth_max`: the queue may not hold more."""

    queue: Queue
    messages: tuple[NewMessage, ...]
    depth_max: int | None = None
    once: Once | None = None


class Published(msgspec.Struct, frozen=True):
    """The ids of what was published, in order. The rest speaks of all that was written together, and one says it for
    all: `together`, how many messages; `ready`, how many can be had now, by queue id; `visible_at`, when the first of
    the others can."""

    ids: tuple[int, ...]
    together: int = 0
    ready: tuple[tuple[int, int], ...] = ()
    visible_at: int | None = None


class Receive(msgspec.Struct, frozen=True):
    """A wish for messages. `holder` may settle them without a receipt; `receive_id` makes the wish repeatable."""

    queue: Queue
    limit: int
    lease_ms: int
    holder: int
    receive_id: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A message as it is handed out. `token` proves the lease; `attempt` counts the leases, this one included."""

    id: int
    payload: bytes
    headers: bytes | None
    group_id: str | None
    rank: int
    attempt: int
    failures: int
    token: int
    lease_until: int | None


class Settle(msgspec.Struct, frozen=True):
    """What becomes of leased messages: (id, token) each, token None for "whatever I hold".

    `ack`: done. `nack`: failed; visible again at `visible_at` unless that was once too often, or a dead letter at once
    when `requeue` is False. `release`: given back, not counted. `extend`: mine until `visible_at`.
    `max_retries` and `dead_letter_id` stand in for the queue's.
    """

    queue: Queue
    verb: Verb
    parts: tuple[tuple[int, int | None], ...]
    holder: int
    visible_at: int = 0
    requeue: bool = True
    max_retries: int | None = None
    dead_letter_id: int | None = None
    once: Once | None = None


class Settled(msgspec.Struct, frozen=True):
    """What became of one message: `dead` when it is a dead letter now; `lease_until` after an extension."""

    id: int
    dead: bool = False
    lease_until: int | None = None


class Settlement(msgspec.Struct, frozen=True):
    """What became of each part of a `Settle`, in order, and what others may want to know of it."""

    parts: tuple[Settled | Refused, ...]
    ready: tuple[tuple[int, int], ...] = ()
    visible_at: int | None = None
    dead: int = 0


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that has failed for good."""

    id: int
    source: str
    dead_at: int
    reason: DeadReason
    attempt: int
    failures: int
    payload: bytes
    headers: bytes | None
    group_id: str | None


class Redrive(msgspec.Struct, frozen=True):
    """Dead letters to be sent back to where they came from: of one source, or all in one queue, oldest first.

    `done` have gone already, and count for the answer.
    """

    queue: Queue
    by_source: bool
    message_id: int | None = None
    since: int = 0
    limit: int = 0
    done: int = 0
    once: Once | None = None


class Redriven(msgspec.Struct, frozen=True):
    """How many went back; how many can be had now, by queue id."""

    count: int
    ready: tuple[tuple[int, int], ...] = ()


class Turned(msgspec.Struct, frozen=True):
    """What one look at the clock did: leases that ended, messages that became visible, dead letters; by queue id the
    number of messages that can be had now; when the next thing happens; whether there was more to do."""

    expired: int
    surfaced: int
    dead: tuple[tuple[str, str, int], ...]
    ready: tuple[tuple[int, int], ...]
    next_at: int | None
    more: bool
