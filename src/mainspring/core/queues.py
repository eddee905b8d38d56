"""Queues: create, change, empty, remove, count. The same for every door."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.core import limits
from mainspring.core.changes import Stale
from mainspring.core.errors import Conflict, Invalid, NotFound
from mainspring.core.idempotency import Once, Replay
from mainspring.core.limits import DAY, SECOND
from mainspring.core.model import Page
from mainspring.core.ports import Core
from mainspring.core.queue_model import Edited, NewQueue, Queue, QueueEdit, QueueSettings, QueueStats, QueueType
from mainspring.core.queue_names import check_name, is_name

_TRIES = 10

T = TypeVar("T")


class QueueDraft(msgspec.Struct, frozen=True):
    """A queue's settings as somebody asks for them; UNSET means "as it is", None "the default"."""

    type: QueueType | None | UnsetType = UNSET
    dead_letters: str | None | UnsetType = UNSET
    max_retries: int | None | UnsetType = UNSET
    retention_days: float | None | UnsetType = UNSET
    visibility_seconds: float | None | UnsetType = UNSET
    enable_priority: bool | None | UnsetType = UNSET


def settings_of(draft: QueueDraft, base: QueueSettings | None = None) -> QueueSettings:
    """The draft over `base`, or over the defaults. Raises `Invalid` naming the field."""
    old = base or DEFAULTS
    kind = _chosen(draft.type, old.type, DEFAULTS.type)
    made = QueueSettings(
        type=kind,
        dead_letters=_chosen(draft.dead_letters, old.dead_letters, None),
        max_retries=_bounded(
            _chosen(draft.max_retries, old.max_retries, DEFAULTS.max_retries),
            0,
            limits.QUEUE_RETRIES_MAX,
            "max_retries",
        ),
        retention_ms=_spanned(
            draft.retention_days,
            old.retention_ms,
            DEFAULTS.retention_ms,
            DAY,
            limits.MESSAGE_RETENTION_DAYS_MAX,
            "message_retention_days",
        ),
        visibility_ms=_spanned(
            draft.visibility_seconds,
            old.visibility_ms,
            DEFAULTS.visibility_ms,
            SECOND,
            limits.VISIBILITY_S_MAX,
            "visibility_timeout_default",
        ),
        enable_priority=_chosen(
            draft.enable_priority, old.enable_priority if base else kind == "standard", kind == "standard"
        ),
    )
    if made.type == "fifo" and made.enable_priority:
        raise Invalid(
            "a FIFO queue has no priorities",
            hint="Leave enable_priority out, or make the type standard.",
            field="enable_priority",
        )
    if made.dead_letters is not None:
        check_name(made.dead_letters, "dead_letter_queue")
    return made


DEFAULTS = QueueSettings(
    type="standard",
    dead_letters=None,
    max_retries=limits.QUEUE_RETRIES_DEFAULT,
    retention_ms=limits.MESSAGE_RETENTION_DAYS_DEFAULT * DAY,
    visibility_ms=limits.VISIBILITY_S_DEFAULT * SECOND,
    enable_priority=True,
)


# A queue with the defaults, as far as messages are concerned with it.
_PLAIN = Queue(
    id=0,
    project="",
    name="",
    type=DEFAULTS.type,
    dead_letter_id=None,
    last_resort=False,
    holds_dead=False,
    max_retries=DEFAULTS.max_retries,
    retention_ms=DEFAULTS.retention_ms,
    visibility_ms=DEFAULTS.visibility_ms,
    enable_priority=DEFAULTS.enable_priority,
    paused_at=None,
    generation=0,
    version=0,
    created_at=0,
    updated_at=0,
)


def settings_now(queue: Queue) -> QueueSettings:
    """The settings that a queue has."""
    return QueueSettings(
        type=queue.type,
        dead_letters=queue.dead_letters,
        max_retries=queue.max_retries,
        retention_ms=queue.retention_ms,
        visibility_ms=queue.visibility_ms,
        enable_priority=queue.enable_priority,
    )


async def create(core: Core, project: str, name: str, draft: QueueDraft, once: Once | None) -> Queue | Replay:
    """Make a queue; one that is there with equal settings is the answer too. Raises `Conflict`, `Invalid`."""
    check_name(name, "name")
    settings = settings_of(draft)
    _not_itself(name, settings)
    return await core.store.create_queue(NewQueue(project, name, settings, once))


async def named(core: Core, project: str, name: str, *, fresh: bool = True) -> Queue:
    """The queue of this name. Not `fresh`: as it is remembered, for what the store checks again. Raises `NotFound`."""
    queue = await core.store.queues.named(project, name, fresh=fresh) if is_name(name) else None
    if queue is None:
        raise _missing(name)
    return queue


async def ensured(core: Core, project: str, name: str, vet: Callable[[Queue], object] | None = None) -> Queue:
    """The queue of this name, made with the defaults when there is none. Raises `Invalid`, `NotFound` (where queues are
    not made by being used), and what `vet` raises of the queue that would be made."""
    check_name(name)
    queue = await core.store.queues.named(project, name)
    if queue is not None:
        return queue
    if not core.queue_rules.auto_create:
        raise _missing(name)
    if vet is not None:
        vet(_PLAIN)
    try:
        made = await core.store.create_queue(NewQueue(project, name, DEFAULTS))
    except Conflict:
        return await named(core, project, name)
    assert isinstance(made, Queue)
    return made


async def page(core: Core, project: str, page: Page) -> list[Queue]:
    """Newest first."""
    return await core.store.queues.page(project, page)


async def stats(core: Core, now: int, project: str, name: str) -> tuple[Queue, QueueStats]:
    """How many messages are where, exactly. Raises `NotFound`."""
    queue = await named(core, project, name)
    return queue, await core.store.queues.stats(now, queue)


async def update(
    core: Core, now: int, project: str, name: str, draft: QueueDraft, once: Once | None
) -> Edited | Replay:
    """Change settings; they hold from the next lease and the next failure on. Raises `NotFound`, `Invalid`."""

    def edit(queue: Queue) -> QueueEdit:
        if draft.type not in (UNSET, None, queue.type):
            raise Conflict(
                f"{name} is a {queue.type} queue, and stays one",
                hint="Create another queue of the other type.",
                field="type",
            )
        settings = settings_of(msgspec.structs.replace(draft, type=UNSET), settings_now(queue))
        _not_itself(name, settings)
        return QueueEdit(queue, settings, queue.paused_at, once=once)

    return await _edit(core, project, name, edit)


async def pause(core: Core, now: int, project: str, name: str, once: Once | None, *, paused: bool) -> Edited | Replay:
    """Hand out nothing until resumed; publishing goes on. Raises `NotFound`."""

    def edit(queue: Queue) -> QueueEdit:
        return QueueEdit(queue, settings_now(queue), (queue.paused_at or now) if paused else None, once=once)

    edited = await _edit(core, project, name, edit)
    if isinstance(edited, Edited) and not paused:
        core.wakeup.messages(edited.queue.id, limits.CONSUME_MAX)
    return edited


async def purge(core: Core, project: str, name: str, once: Once | None) -> Edited | Replay:
    """Remove every message that is in the queue now: waiting, delayed and leased. Its dead letters stay."""

    def edit(queue: Queue) -> QueueEdit:
        return QueueEdit(queue, settings_now(queue), queue.paused_at, purge=True, once=once)

    return await _edit(core, project, name, edit)


async def delete(core: Core, project: str, name: str, once: Once | None) -> Edited | Replay | None:
    """Remove a queue with its messages; None when this project had deleted it already. Raises `NotFound`, `Conflict`
    (code QUEUE_IN_USE) while it is named for the dead letters of another."""

    def edit(queue: Queue) -> QueueEdit:
        return QueueEdit(queue, settings_now(queue), queue.paused_at, purge=True, delete=True, once=once)

    try:
        return await _edit(core, project, name, edit)
    except NotFound:
        if is_name(name) and await core.store.queues.was_deleted(project, name):
            return None
        raise


async def _edit(core: Core, project: str, name: str, edit: Callable[[Queue], QueueEdit]) -> Edited | Replay:
    for _ in range(_TRIES):
        edited = await core.store.edit_queue(edit(await named(core, project, name)))
        if not isinstance(edited, Stale):
            return edited
    raise Conflict("the queue was changed again and again meanwhile", hint="Try again.")


def _not_itself(name: str, settings: QueueSettings) -> None:
    if settings.dead_letters == name:
        raise Invalid(
            "a queue cannot be its own dead-letter queue", hint="Name another one.", field="dead_letter_queue"
        )


def _missing(name: str) -> NotFound:
    return NotFound(
        f"there is no queue {name[: limits.QUEUE_NAME_CHARS_MAX]}",
        hint="Create it, or list the queues to see their names.",
    )


def _chosen(value: T | None | UnsetType, old: T, default: T) -> T:
    if isinstance(value, UnsetType):
        return old
    return default if value is None else value


def _bounded(value: float, least: float, most: float, field: str) -> int:
    if not least <= value <= most:
        raise Invalid(f"{field} is {value:g}", hint=f"Give {least:g} to {most:g}.", field=field)
    return int(value)


def _spanned(value: float | None | UnsetType, old_ms: int, default_ms: int, unit: int, most: int, field: str) -> int:
    """A span of time given in `unit`s of ms, at least one of them."""
    if isinstance(value, UnsetType):
        return old_ms
    if value is None:
        return default_ms
    _bounded(value, 1, most, field)
    return round(value * unit)
