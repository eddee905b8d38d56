"""Webhook deliveries: send, emit, look, send again, cancel. The same for every door."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.core import limits, runs
from mainspring.core.drafts import Draft, build_target, check_payload
from mainspring.core.errors import Invalid, NotFound
from mainspring.core.expectations import bounded
from mainspring.core.idempotency import Once, Replay
from mainspring.core.model import Attempt, Page, SignatureStyle, Target
from mainspring.core.ports import Core
from mainspring.core.webhooks_events import check_event
from mainspring.core.webhooks_model import (
    Cancelling,
    Delivery,
    DeliveryFilter,
    DeliveryPage,
    DeliveryWithAttempts,
    Emission,
    Emitted,
    NewDelivery,
    Replayed,
    Replaying,
)

EMPTY = b"{}"


class RetryDraft(msgspec.Struct, frozen=True):
    """Retries as somebody asks for them: how many, and after how many seconds each (None: as Standard Webhooks does).

    Neither: the whole list of Standard Webhooks, ten attempts.
    """

    count: int | None = None
    delays: tuple[float, ...] | None = None


class TargetDraft(msgspec.Struct, frozen=True):
    """Where webhooks are sent and how, as somebody describes it. UNSET: as it is; None: the default."""

    url: str | None | UnsetType = UNSET
    secret: str | None | UnsetType = UNSET
    signature_style: SignatureStyle | None | UnsetType = UNSET
    headers: dict[str, str] | None | UnsetType = UNSET
    retry: RetryDraft | None | UnsetType = UNSET
    timeout_seconds: float | None | UnsetType = UNSET


def target_of(core: Core, draft: TargetDraft, old: Target | None) -> Target:
    """The target after the draft; equal to `old` when nothing about it changed. Raises `Invalid`, `TooLarge`."""
    url: str | UnsetType = UNSET
    if isinstance(draft.url, str):
        unchanged = old is not None and draft.url == old.address
        url = draft.url if unchanged else core.targets.check(draft.url, "url")
    elif old is None:
        raise Invalid("url is missing", hint="Give the http(s) URL to send to.", field="url")
    timeout = draft.timeout_seconds
    if timeout is None or (timeout is UNSET and old is None):
        timeout = limits.DELIVERY_TIMEOUT_S_DEFAULT
    made = build_target(
        core.vault,
        core.targets,
        Draft(
            url=url,
            kind="http",
            secret=draft.secret,
            signature_style=draft.signature_style,
            headers=draft.headers,
            timeout_seconds=timeout,
        ),
        old,
    )
    if draft.retry is UNSET and old is not None:
        return made
    count, delays = _retries(draft.retry if isinstance(draft.retry, RetryDraft) else RetryDraft())
    return msgspec.structs.replace(made, retry=count, retry_delays_ms=delays)


def _retries(draft: RetryDraft) -> tuple[int, tuple[int, ...] | None]:
    delays = None
    if draft.delays is not None:
        if len(draft.delays) > limits.DELIVERY_RETRY_MAX:
            raise Invalid(
                f"retry has {len(draft.delays)} delays", hint=f"Use at most {limits.DELIVERY_RETRY_MAX}.", field="retry"
            )
        for delay in draft.delays:
            bounded(delay, 0, limits.RETRY_DELAY_S_MAX, "retry")
        delays = tuple(round(delay * limits.SECOND) for delay in draft.delays)
    if draft.count is not None:
        bounded(draft.count, 0, limits.DELIVERY_RETRY_MAX, "retry")
        return draft.count, delays
    return limits.DELIVERY_RETRY_DEFAULT if delays is None else len(delays), delays


async def send(
    core: Core, project: str, draft: TargetDraft, payload: bytes | None, event: str | None, once: Once | None
) -> Delivery | Replay:
    """Send a payload to a URL, now and until it is taken. Raises `Invalid`, `TooLarge`."""
    body = EMPTY if payload is None else payload
    check_payload(body)
    if event is not None:
        check_event(event)
    target = target_of(core, draft, None)
    made = await core.store.webhooks.send(NewDelivery(project, target, event, body, once))
    core.wakeup.dispatcher()
    return made


async def emit(core: Core, project: str, event: str | None, data: bytes | None, once: Once | None) -> Emitted | Replay:
    """Send an event to every endpoint that listens for it. Raises `Invalid`, `TooLarge`."""
    if event is None:
        raise Invalid("event is missing", hint='Name it, like "order.paid".', field="event")
    data = EMPTY if data is None else data
    check_payload(data)
    made = await core.store.webhooks.emit(Emission(project, check_event(event), data, once=once))
    core.wakeup.dispatcher()
    return made


async def get(core: Core, project: str, delivery_id: int) -> DeliveryWithAttempts:
    """A delivery with its ended attempts, in order. Raises `NotFound`."""
    found = await core.store.webhooks.deliveries.get(project, delivery_id)
    if found is None:
        raise NotFound("there is no such delivery", hint="List the deliveries to see their ids.")
    return DeliveryWithAttempts(found.delivery, _attempts(found))


def _attempts(found: DeliveryWithAttempts) -> tuple[Attempt, ...]:
    run = found.delivery.run
    if not found.attempts and run.attempt == 1 and run.finished_at is not None:
        return (runs.only_attempt(run),)
    return found.attempts


async def page(core: Core, project: str, wanted: DeliveryFilter, page: Page) -> list[Delivery]:
    """Deliveries of a project, newest first."""
    return await core.store.webhooks.deliveries.page(DeliveryPage(project, wanted, page))


async def replay(
    core: Core, project: str, delivery_id: int, once: Once | None, *, new_id: bool = False
) -> Replayed | Replay:
    """Send a delivery that is over once more, under the same id for its receiver or, if asked, one of its own.

    Raises `NotFound`, `Conflict`.
    """
    return await _replay(core, Replaying(project, delivery_id, 1, new_id, once))


async def replay_many(
    core: Core, project: str, wanted: DeliveryFilter, limit: int, once: Once | None, *, new_id: bool = False
) -> Replayed | Replay:
    """Send the oldest `limit` deliveries that match once more; those of endpoints that are disabled are left out."""
    bounded(limit, 1, limits.REPLAY_MAX, "limit")
    return await _replay(core, Replaying(project, wanted, limit, new_id, once))


async def _replay(core: Core, wish: Replaying) -> Replayed | Replay:
    made = await core.store.webhooks.replay(wish)
    core.wakeup.dispatcher()
    return made


async def replayable(core: Core, project: str, wanted: DeliveryFilter) -> int:
    """How many deliveries a replay of these would send."""
    return await core.store.webhooks.deliveries.count(project, wanted)


async def cancel(core: Core, project: str, delivery_id: int, once: Once | None) -> Delivery | Replay:
    """Try a delivery no more; what is being sent ends, and counts if it succeeds. Raises `NotFound`, `Conflict`."""
    return await core.store.webhooks.cancel(Cancelling(project, delivery_id, once))
