"""Queues over REST: their settings and their numbers."""

from __future__ import annotations

from typing import Any

from msgspec import UnsetType

from mainspring.core import queues
from mainspring.core.errors import Invalid
from mainspring.core.idempotency import Replay
from mainspring.core.instants import iso
from mainspring.core.limits import DAY, SECOND
from mainspring.core.queue_model import Edited, Queue
from mainspring.core.queues import QueueDraft
from mainspring.doors.rest.calls import Call, answered, cut, page_of
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.queue_requests import QueueFields, QueueUpdateFields
from mainspring.doors.rest.queue_results import QueueCounts, QueueDeleted, QueuePage, QueuePurged, QueueRecord
from mainspring.doors.rest.requests import Nothing, PageQuery


def queue_record(queue: Queue) -> QueueRecord:
    """A queue as it is shown."""
    return QueueRecord(
        queue=queue.name,
        name=queue.name,
        type=queue.type,
        dead_letter_queue=queue.dead_letters,
        max_retries=queue.max_retries,
        message_retention_days=_in(DAY, queue.retention_ms),
        visibility_timeout_default=_in(SECOND, queue.visibility_ms),
        enable_priority=queue.enable_priority,
        paused=queue.paused_at is not None,
        created_at=iso(queue.created_at),
        updated_at=iso(queue.updated_at),
    )


def _in(unit: int, ms: int) -> float:
    """Whole units without a fraction, as they were given."""
    return ms // unit if ms % unit == 0 else ms / unit


def queue_named(name: str | None | UnsetType, field: str = "queue") -> str:
    """The name in a body. Raises `Invalid` when there is none."""
    if not isinstance(name, str):
        raise Invalid(f"{field} is missing", hint="Give the name of the queue.", field=field)
    return name


def _draft(body: QueueUpdateFields) -> QueueDraft:
    return QueueDraft(
        type=body.type,
        dead_letters=body.dead_letter_queue,
        max_retries=body.max_retries,
        retention_days=body.message_retention_days,
        visibility_seconds=body.visibility_timeout_default,
        enable_priority=body.enable_priority,
    )


def _edited(done: Edited) -> QueueRecord:
    return queue_record(done.queue)


async def create(call: Call[QueueFields, Nothing]) -> QueueRecord | Replay:
    """Make a queue; one that is there with equal settings is as good as new."""
    name = queue_named(call.body.name, "name")
    made = await queues.create(call.core, call.project, name, _draft(call.body), call.once(queue_record))
    return answered(made, queue_record)


async def page(call: Call[Nothing, PageQuery]) -> QueuePage:
    """Queues, newest first."""
    found = await queues.page(call.core, call.project, page_of(call.query, Listing.QUEUES, 1))
    rows, following = cut(found, call.query, Listing.QUEUES, lambda queue: (queue.id,))
    return QueuePage([queue_record(queue) for queue in rows], following)


async def get(call: Call[Nothing, Nothing]) -> QueueRecord:
    """One queue."""
    return queue_record(await queues.named(call.core, call.project, call.path[0]))


async def update(call: Call[QueueUpdateFields, Nothing]) -> QueueRecord | Replay:
    """Change what the body names."""
    done = await queues.update(call.core, call.now, call.project, call.path[0], _draft(call.body), call.once(_edited))
    return answered(done, _edited)


async def delete(call: Call[Nothing, Nothing]) -> QueueDeleted | Replay:
    """Remove a queue and what is in it; once more is no error."""
    name = call.path[0]

    def render(_: Any) -> QueueDeleted:
        return QueueDeleted(queue=name, name=name, deleted=True)

    done = await queues.delete(call.core, call.project, name, call.once(render))
    return answered(await call.recall() if done is None else done, render)


async def purge(call: Call[Nothing, Nothing]) -> QueuePurged | Replay:
    """Remove what is in a queue."""

    def render(done: Edited) -> QueuePurged:
        return QueuePurged(queue=done.queue.name, name=done.queue.name, purged=done.purged)

    return answered(await queues.purge(call.core, call.project, call.path[0], call.once(render)), render)


async def pause(call: Call[Nothing, Nothing]) -> QueueRecord | Replay:
    """Hand out nothing until resumed."""
    return await _pause(call, paused=True)


async def resume(call: Call[Nothing, Nothing]) -> QueueRecord | Replay:
    """Hand out messages again."""
    return await _pause(call, paused=False)


async def _pause(call: Call[Nothing, Nothing], *, paused: bool) -> QueueRecord | Replay:
    done = await queues.pause(call.core, call.now, call.project, call.path[0], call.once(_edited), paused=paused)
    return answered(done, _edited)


async def stats(call: Call[Nothing, Nothing]) -> QueueCounts:
    """How many messages are where."""
    queue, found = await queues.stats(call.core, call.now, call.project, call.path[0])
    age = None if found.oldest_at is None else max(0, call.now - found.oldest_at) / SECOND
    return QueueCounts(
        queue=queue.name,
        name=queue.name,
        available=found.available,
        delayed=found.delayed,
        in_flight=found.in_flight,
        dlq=found.dead,
        oldest_age_seconds=age,
    )
