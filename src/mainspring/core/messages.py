"""Messages: publish, consume, settle, peek. The same for every door."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from mainspring.core import ids, queues
from mainspring.core.changes import Stale
from mainspring.core.errors import Conflict, Invalid, Refused, TooLarge
from mainspring.core.events import MessagesPublished, MessagesReceived, MessagesSettled, QueueDeadLettered
from mainspring.core.headers import checked_headers
from mainspring.core.idempotency import Once, Replay
from mainspring.core.limits import (
    BATCH_MESSAGES_MAX,
    CONSUME_DEFAULT,
    CONSUME_MAX,
    DEDUP_CHARS_MAX,
    DELAY_S_MAX,
    GROUP_CHARS_MAX,
    PAYLOAD_BYTES_MAX,
    PRIORITY_MAX,
    RECEIVE_ID_CHARS_MAX,
    SECOND,
    VISIBILITY_S_MAX,
    WAIT_S_MAX,
)
from mainspring.core.ports import Core, HungUp
from mainspring.core.queue_model import (
    Message,
    NewMessage,
    Publish,
    Published,
    Queue,
    Receive,
    Settle,
    Settlement,
    Verb,
)

_RECEIPT = "rcp"
_TRIES = 10
_LOWEST = PRIORITY_MAX
_LETTERS = 13
_NO_TOKEN = -2


class Ask(msgspec.Struct, frozen=True):
    """A wish for messages as somebody expresses it; `visibility_seconds` None: as the queue says."""

    max_messages: int = CONSUME_DEFAULT
    visibility_seconds: float | None = None
    wait_seconds: float = 0
    receive_id: str | None = None


class Told(msgspec.Struct, frozen=True):
    """A message that somebody settles, with the receipt if there is one."""

    message_id: str
    receipt: str | None = None


class How(msgspec.Struct, frozen=True):
    """The particulars of settling: `seconds` of delay or of lease, and the `field` in which they were given."""

    seconds: float | None = None
    field: str = "delay_seconds"
    requeue: bool = True


class MessageDraft(msgspec.Struct, frozen=True):
    """A message as somebody asks for it to be published."""

    payload: bytes
    delay_seconds: float = 0
    priority: int = 0
    group_id: str | None = None
    dedup_id: str | None = None
    headers: dict[str, str] | None = None


def new_message(draft: MessageDraft, queue: Queue, now: int, field: str = "") -> NewMessage:
    """The message as the store takes it. Raises `Invalid` or `TooLarge` naming the field, under `field` in a batch."""
    if len(draft.payload) > PAYLOAD_BYTES_MAX:
        raise TooLarge(
            f"{field}payload has {len(draft.payload)} bytes",
            hint=f"At most {PAYLOAD_BYTES_MAX} are kept: publish a reference to the data.",
            field=f"{field}payload",
        )
    if not 0 <= draft.delay_seconds <= DELAY_S_MAX:
        raise Invalid(
            f"{field}delay_seconds is {draft.delay_seconds:g}",
            hint=f"Give 0 to {DELAY_S_MAX} seconds.",
            field=f"{field}delay_seconds",
        )
    if not 0 <= draft.priority <= PRIORITY_MAX:
        raise Invalid(
            f"{field}priority is {draft.priority}",
            hint=f"Give 0 to {PRIORITY_MAX}; the higher comes first.",
            field=f"{field}priority",
        )
    delay = round(draft.delay_seconds * SECOND)
    if delay >= queue.retention_ms:
        raise Invalid(
            f"{field}delay_seconds is longer than the queue keeps messages",
            hint="Delay it less, or raise message_retention_days of the queue.",
            field=f"{field}delay_seconds",
        )
    group_id = _text(draft.group_id, GROUP_CHARS_MAX, f"{field}message_group_id")
    dedup_id = _text(draft.dedup_id, DEDUP_CHARS_MAX, f"{field}deduplication_id")
    fifo = queue.type == "fifo"
    return NewMessage(
        payload=draft.payload,
        rank=_LOWEST - draft.priority if queue.enable_priority else _LOWEST,
        headers=_headers(draft.headers, field) if draft.headers else None,
        visible_at=now + delay if delay else None,
        group_id=group_id,
        group_key=group_key_of(group_id or "") if fifo else None,
        dedup=None if dedup_id is None else hashlib.blake2b(dedup_id.encode(), digest_size=16).digest(),
    )


def _headers(headers: dict[str, str], field: str) -> bytes:
    try:
        return msgspec.json.encode(dict(checked_headers(headers)))
    except Invalid as wrong:
        raise Invalid(f"{field}headers: {wrong.message}", hint=wrong.hint, field=f"{field}{wrong.field}") from None


def group_key_of(group_id: str) -> int:
    """63 bits of the group's hash. Two groups that collide only wait for each other."""
    return int.from_bytes(hashlib.blake2b(group_id.encode(), digest_size=8).digest()) >> 1


async def publish(
    core: Core, now: int, project: str, name: str, drafts: Sequence[MessageDraft], once: Once | None, *, batch: bool
) -> Published | Replay:
    """Publish to a queue, all or nothing; a queue nobody has made is made. Raises `Invalid`, `TooLarge`,
    `LimitExceeded` (the queue is full), `NotFound`."""
    if len(drafts) > BATCH_MESSAGES_MAX:
        raise Invalid(
            f"{len(drafts)} messages in one batch",
            hint=f"Publish at most {BATCH_MESSAGES_MAX} at once.",
            field="messages",
        )

    def made_for(queue: Queue) -> tuple[NewMessage, ...]:
        if not batch:
            return (new_message(drafts[0], queue, now),)
        return tuple([new_message(draft, queue, now, f"messages.{at}.") for at, draft in enumerate(drafts)])

    for _ in range(_TRIES):
        queue = core.store.queues.remembered(project, name)
        if queue is None:
            # What is refused does not even make a queue.
            queue = await queues.ensured(core, project, name, made_for)
        published = await core.store.publish(Publish(queue, made_for(queue), core.queue_rules.depth_max, once))
        if isinstance(published, Stale):
            continue
        # The first of those that were written together speaks for all of them.
        if isinstance(published, Published) and published.together:
            tell(core, published.ready, published.visible_at)
            core.emit(MessagesPublished(messages=published.together))
        return published
    raise _too_busy()


async def consume(
    core: Core, now: int, project: str, name: str, ask: Ask, holder: int, hung_up: HungUp | None = None
) -> tuple[Queue, list[Message]]:
    """Lease messages; when there are none, wait for the first. A queue nobody has made is made.

    `hung_up` returns when the caller has gone: then there are no messages for it. Raises `Invalid`, `NotFound` (where
    queues are not made by being used), `LimitExceeded` (too many wait under this holder).
    """
    _check_ask(ask)
    queue = await queues.ensured(core, project, name)
    with core.arrivals.listen(queue.id, round(ask.wait_seconds * SECOND), holder, hung_up) as arrivals:
        while True:
            lease_ms = queue.visibility_ms if ask.visibility_seconds is None else round(ask.visibility_seconds * SECOND)
            found = await core.store.receive(Receive(queue, ask.max_messages, lease_ms, holder, ask.receive_id))
            if isinstance(found, Stale):
                queue = await queues.ensured(core, project, name)
                arrivals.move(queue.id)
                continue
            if found and arrivals.gone:
                await _give_back(core, queue, found, holder)
                return queue, []
            if found:
                core.emit(MessagesReceived(messages=len(found)))
                core.wakeup.tide(found[0].lease_until or now + lease_ms)
                return queue, found
            if not await arrivals.heard():
                return queue, []


async def _give_back(core: Core, queue: Queue, found: Sequence[Message], holder: int) -> None:
    """For whoever comes next: these were leased for somebody who had gone by then."""
    parts = tuple((message.id, message.token) for message in found)
    settled = await core.store.settle(Settle(queue, "release", parts, holder))
    if isinstance(settled, Settlement):
        tell(core, settled.ready, settled.visible_at)


async def settle(
    core: Core,
    now: int,
    project: str,
    name: str,
    verb: Verb,
    told: Sequence[Told],
    holder: int,
    how: How,
    once: Once | None,
) -> Settlement | Replay:
    """Settle leased messages. A part that is refused leaves the others as they are. Raises `NotFound`, `Invalid`."""
    _check_how(how)
    parts = tuple((_message_key(one.message_id), _token(one)) for one in told)
    for _ in range(_TRIES):
        queue = await queues.named(core, project, name, fresh=False)
        after = queue.visibility_ms if how.seconds is None and verb == "extend" else round((how.seconds or 0) * SECOND)
        settled = await core.store.settle(
            Settle(queue, verb, parts, holder, visible_at=now + after, requeue=how.requeue, once=once)
        )
        if isinstance(settled, Stale):
            continue
        if isinstance(settled, Settlement):
            tell_settled(core, queue, verb, settled)
        return settled
    raise _too_busy()


async def peek(core: Core, project: str, name: str, limit: int) -> tuple[Queue, list[Message]]:
    """The messages that would be handed out next, without taking them. Raises `NotFound`."""
    queue = await queues.named(core, project, name)
    return queue, await core.store.messages.peek(queue, limit)


def tell_settled(core: Core, queue: Queue, verb: Verb, settled: Settlement) -> None:
    """What follows from a settlement: others wake up, and what has happened is said."""
    tell(core, settled.ready, settled.visible_at)
    core.emit(MessagesSettled(verb=verb, messages=sum(not isinstance(part, Refused) for part in settled.parts)))
    if settled.dead:
        core.emit(QueueDeadLettered(project=queue.project, queue=queue.name, messages=settled.dead))


def receipt_of(message: Message) -> str:
    """What proves that the caller holds the lease of this message."""
    return ids.text(_RECEIPT, message.id) + ids.text("", message.token)[1:]


def _token(told: Told) -> int | None:
    """The token in a receipt; one that no lease has when it is not the receipt of this message."""
    if told.receipt is None:
        return None
    mine, letters = told.receipt[:-_LETTERS], told.receipt[-_LETTERS:]
    token = ids.key_of("", "_" + letters) if mine == f"{_RECEIPT}_{told.message_id.removeprefix('msg_')}" else None
    return _NO_TOKEN if token is None else token


def _message_key(public: str) -> int:
    key = ids.key_of("msg", public)
    return -1 if key is None else key


def tell(core: Core, ready: tuple[tuple[int, int], ...], visible_at: int | None = None) -> None:
    """Wake whoever waits for what can be had now, and the tide for what can be had later."""
    for queue_id, count in ready:
        core.wakeup.messages(queue_id, count)
    if visible_at is not None:
        core.wakeup.tide(visible_at)


def _check_ask(ask: Ask) -> None:
    if not 1 <= ask.max_messages <= CONSUME_MAX:
        raise Invalid(f"max_messages is {ask.max_messages}", hint=f"Give 1 to {CONSUME_MAX}.", field="max_messages")
    if not 0 <= ask.wait_seconds <= WAIT_S_MAX:
        raise Invalid(f"wait_seconds is {ask.wait_seconds:g}", hint=f"Give 0 to {WAIT_S_MAX}.", field="wait_seconds")
    if ask.visibility_seconds is not None:
        _check_visibility(ask.visibility_seconds)
    _text(ask.receive_id, RECEIVE_ID_CHARS_MAX, "receive_attempt_id")


def _check_visibility(seconds: float) -> None:
    if not 1 <= seconds <= VISIBILITY_S_MAX:
        raise Invalid(
            f"visibility_timeout is {seconds:g}",
            hint=f"Give 1 to {VISIBILITY_S_MAX} seconds.",
            field="visibility_timeout",
        )


def _check_how(how: How) -> None:
    if how.field == "visibility_timeout" and how.seconds is not None:
        _check_visibility(how.seconds)
    elif how.seconds is not None and not 0 <= how.seconds <= DELAY_S_MAX:
        raise Invalid(f"{how.field} is {how.seconds:g}", hint=f"Give 0 to {DELAY_S_MAX} seconds.", field=how.field)


def _text(value: str | None, chars_max: int, field: str) -> str | None:
    if value is not None and (not 0 < len(value) <= chars_max or "\x00" in value):
        raise Invalid(
            f"{field} has {len(value)} characters, or a NUL among them",
            hint=f"Use 1 to {chars_max} characters without NUL.",
            field=field,
        )
    return value


def _too_busy() -> Conflict:
    return Conflict("the queue was changed again and again meanwhile", hint="Try again.")
