"""Messages over REST: publish, consume, settle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mainspring.core import ids, messages
from mainspring.core.errors import Invalid, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import made_at
from mainspring.core.instants import iso
from mainspring.core.limits import BATCH_MESSAGES_MAX, CONSUME_DEFAULT, PRIORITY_MAX
from mainspring.core.messages import Ask, How, MessageDraft, Told
from mainspring.core.queue_model import Message, Settled, Settlement, Verb
from mainspring.core.queue_model import Published as Done
from mainspring.doors.rest.calls import Call, answered
from mainspring.doors.rest.queue_requests import (
    AckBatchFields,
    ConsumeFields,
    ExtendFields,
    LeaseFields,
    MessageFields,
    NackFields,
    PeekQuery,
    PublishBatchFields,
    PublishFields,
    ReleaseFields,
)
from mainspring.doors.rest.queue_results import (
    Acked,
    AckedBatch,
    AckedOne,
    Extended,
    MessageRecord,
    Messages,
    Nacked,
    NotAcked,
    Published,
    PublishedBatch,
    Released,
)
from mainspring.doors.rest.queues import queue_named
from mainspring.doors.rest.requests import Nothing

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)
L = TypeVar("L", bound=LeaseFields)
_headers = msgspec.json.Decoder(dict[str, str])


def _given(value: T | None | UnsetType, default: T) -> T:
    return default if value is None or isinstance(value, UnsetType) else value


def _text(value: str | None | UnsetType) -> str | None:
    return value if isinstance(value, str) else None


def _draft(body: MessageFields, field: str = "") -> MessageDraft:
    payload: object = body.payload
    if payload is UNSET:
        raise Invalid(f"{field}payload is missing", hint="Give any JSON value.", field=f"{field}payload")
    return MessageDraft(
        # `null` is JSON like any other.
        payload=payload if isinstance(payload, bytes) else b"null",
        delay_seconds=_given(body.delay_seconds, 0.0),
        priority=_given(body.priority, 0),
        group_id=_text(body.message_group_id),
        dedup_id=_text(body.deduplication_id),
        headers=_given(body.headers, {}),
    )


async def publish(call: Call[PublishFields, Nothing]) -> Published | Replay:
    """Put one message on a queue."""
    name = queue_named(call.body.queue)

    def render(done: Done) -> Published:
        public = ids.text("msg", done.ids[0])
        return Published(message_id=public, id=public, queue=name)

    draft = _draft(call.body)
    done = await messages.publish(call.core, call.now, call.project, name, [draft], call.once(render), batch=False)
    return answered(done, render)


async def publish_batch(call: Call[PublishBatchFields, Nothing]) -> PublishedBatch | Replay:
    """Put messages on a queue, all of them or none."""
    name, items = queue_named(call.body.queue), call.body.messages
    if not isinstance(items, list):
        raise Invalid("messages is missing", hint='Give a list like [{"payload": 1}].', field="messages")

    def render(done: Done) -> PublishedBatch:
        return PublishedBatch([ids.text("msg", one) for one in done.ids], name)

    drafts = [_draft(item, f"messages.{at}.") for at, item in enumerate(items)]
    done = await messages.publish(call.core, call.now, call.project, name, drafts, call.once(render), batch=True)
    return answered(done, render)


async def consume(call: Call[ConsumeFields, Nothing]) -> Messages:
    """Lease messages."""
    body = call.body
    ask = Ask(
        max_messages=_given(body.max_messages, CONSUME_DEFAULT),
        visibility_seconds=body.visibility_timeout if isinstance(body.visibility_timeout, float) else None,
        wait_seconds=_given(body.wait_seconds, 0.0),
        receive_id=_text(body.receive_attempt_id),
    )
    name, holder = queue_named(body.queue), call.principal.key_id
    hung_up = call.hung_up if ask.wait_seconds > 0 else None
    queue, found = await messages.consume(call.core, call.now, call.project, name, ask, holder, hung_up)
    return _handed_out(queue.name, found)


async def peek(call: Call[Nothing, PeekQuery]) -> Messages:
    """What would be handed out next."""
    queue, found = await messages.peek(call.core, call.project, call.path[0], call.query.max_messages)
    return _handed_out(queue.name, found)


def _handed_out(queue: str, found: Sequence[Message]) -> Messages:
    # Messages of one batch share their instants.
    shown: dict[int, str] = {}

    def instant(at: int) -> str:
        return shown.get(at) or shown.setdefault(at, iso(at))

    records = []
    for message in found:
        public, until = ids.text("msg", message.id), message.lease_until
        records.append(
            MessageRecord(
                message_id=public,
                id=public,
                queue=queue,
                payload=Raw(message.payload),
                receipt=None if until is None else messages.receipt_of(message),
                attempt=message.attempt,
                priority=PRIORITY_MAX - message.rank,
                group_id=message.group_id,
                message_group_id=message.group_id,
                headers=headers_of(message.headers),
                published_at=instant(made_at(message.id)),
                visible_until=None if until is None else instant(until),
            )
        )
    return Messages(records, queue)


def headers_of(kept: bytes | None) -> dict[str, str] | None:
    """The headers of a message, as it was published with."""
    return None if kept is None else _headers.decode(kept)


async def ack(call: Call[LeaseFields, Nothing]) -> Acked | Replay:
    """The message is done with."""
    return await _settle(call, "ack", How(), lambda public, _: Acked(public, public, _queue(call), acked=True))


async def nack(call: Call[NackFields, Nothing]) -> Nacked | Replay:
    """The caller has failed with the message."""
    how = How(seconds=_given(call.body.delay_seconds, 0.0), requeue=_given(call.body.requeue, True))

    def render(public: str, settled: Settled) -> Nacked:
        return Nacked(public, public, _queue(call), nacked=True, requeued=not settled.dead)

    return await _settle(call, "nack", how, render)


async def release(call: Call[ReleaseFields, Nothing]) -> Released | Replay:
    """The message is for somebody else."""
    how = How(seconds=_given(call.body.delay_seconds, 0.0))
    return await _settle(call, "release", how, lambda public, _: Released(public, public, _queue(call), released=True))


async def extend(call: Call[ExtendFields, Nothing]) -> Extended | Replay:
    """The caller needs longer."""
    seconds = call.body.visibility_timeout
    how = How(seconds=seconds if isinstance(seconds, float) else None, field="visibility_timeout")

    def render(public: str, settled: Settled) -> Extended:
        until = None if settled.lease_until is None else iso(settled.lease_until)
        return Extended(public, public, _queue(call), extended=True, visible_until=until)

    return await _settle(call, "extend", how, render)


def _queue(call: Call[L, Nothing]) -> str:
    return queue_named(call.body.queue)


async def _settle(call: Call[L, Nothing], verb: Verb, how: How, render: Callable[[str, Settled], R]) -> R | Replay:
    """Settle the one message of the body. Raises what it is refused for."""
    name, message_id = _queue(call), call.body.message_id
    if not isinstance(message_id, str):
        raise Invalid("message_id is missing", hint="Give the message_id of a consumed message.", field="message_id")

    def answer(done: Settlement) -> R:
        [part] = done.parts
        if isinstance(part, Refused):
            raise part
        return render(message_id, part)

    told = [Told(message_id, _text(call.body.receipt))]
    done = await messages.settle(
        call.core, call.now, call.project, name, verb, told, call.principal.key_id, how, call.once(answer)
    )
    return answered(done, answer)


async def ack_batch(call: Call[AckBatchFields, Nothing]) -> AckedBatch | Replay:
    """Messages that are done with; what is refused leaves the others as they are."""
    name, listed, named = queue_named(call.body.queue), call.body.messages, call.body.message_ids
    if not isinstance(listed, list) and not isinstance(named, list):
        raise Invalid(
            "messages is missing", hint='Give a list like [{"message_id": …, "receipt": …}].', field="messages"
        )
    told = [Told(_id_of(one.message_id, at), _text(one.receipt)) for at, one in enumerate(_given(listed, []))]
    told += [Told(one) for one in _given(named, [])]
    if len(told) > BATCH_MESSAGES_MAX:
        raise Invalid(
            f"{len(told)} messages in one batch", hint=f"At most {BATCH_MESSAGES_MAX} at once.", field="messages"
        )

    def render(done: Settlement) -> AckedBatch:
        results = [_acked_one(one.message_id, part) for one, part in zip(told, done.parts, strict=True)]
        return AckedBatch(name, all(one.acked for one in results), results)

    done = await messages.settle(
        call.core, call.now, call.project, name, "ack", told, call.principal.key_id, How(), call.once(render)
    )
    return answered(done, render)


def _id_of(message_id: str | None | UnsetType, at: int) -> str:
    if not isinstance(message_id, str):
        field = f"messages.{at}.message_id"
        raise Invalid(f"{field} is missing", hint="Give the message_id of a consumed message.", field=field)
    return message_id


def _acked_one(public: str, part: Settled | Refused) -> AckedOne:
    error = NotAcked(part.code, part.message, part.hint) if isinstance(part, Refused) else None
    return AckedOne(public, public, error is None, error)
