"""Push subscriptions: make, list, end, and what was posted. The same for every door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from mainspring.core import limits, queues, signing
from mainspring.core.changes import Stale
from mainspring.core.drafts import HIDDEN
from mainspring.core.errors import Conflict, Invalid, NotFound
from mainspring.core.events import SubscriptionEnded
from mainspring.core.expectations import bounded
from mainspring.core.headers import checked_headers
from mainspring.core.idempotency import Once, Replay
from mainspring.core.limits import SECOND
from mainspring.core.model import Page, SignatureStyle
from mainspring.core.ports import Core, TargetCheck, Vault
from mainspring.core.push_model import (
    LoggedPush,
    NewSubscription,
    PushFormat,
    Subscription,
    SubscriptionSettings,
    Unsubscribe,
)
from mainspring.core.pushes import HEADERS_PURPOSE, SECRET_PURPOSE
from mainspring.core.queue_model import Queue
from mainspring.core.queue_names import check_name

_TRIES = 10

T = TypeVar("T")


class SubscriptionDraft(msgspec.Struct, frozen=True):
    """A subscription as somebody asks for it; None means "the default"."""

    url: str | None
    secret: str | None = None
    headers: Mapping[str, str] | None = None
    signature_style: SignatureStyle | None = None
    format: PushFormat | None = None
    max_retries: int | None = None
    dead_letters: str | None = None
    visibility_seconds: float | None = None
    timeout_seconds: float | None = None
    max_concurrency: int | None = None


def settings_of(vault: Vault, targets: TargetCheck, draft: SubscriptionDraft) -> SubscriptionSettings:
    """The settings that a draft means, with what is secret sealed. Raises `Invalid` naming the field."""
    if draft.url is None:
        raise Invalid("url is missing", hint="Give the http(s) URL to which messages are posted.", field="url")
    url = targets.check(draft.url, "url")
    if draft.secret is not None:
        signing.secret_key(draft.secret)
    if draft.max_retries is not None:
        bounded(draft.max_retries, 0, limits.QUEUE_RETRIES_MAX, "max_retries")
    if draft.dead_letters is not None:
        check_name(draft.dead_letters, "dead_letter_queue")
    if draft.visibility_seconds is not None:
        bounded(draft.visibility_seconds, 1, limits.VISIBILITY_S_MAX, "visibility_timeout")
    timeout = _or(draft.timeout_seconds, limits.PUSH_TIMEOUT_S_DEFAULT)
    bounded(timeout, 1, limits.TIMEOUT_S_MAX, "timeout_seconds")
    concurrency = _or(draft.max_concurrency, limits.PUSH_CONCURRENCY_DEFAULT)
    bounded(concurrency, 1, limits.PUSH_CONCURRENCY_MAX, "max_concurrency")
    visibility = draft.visibility_seconds
    return SubscriptionSettings(
        url=url,
        secret=None if draft.secret is None else vault.seal(draft.secret.encode(), SECRET_PURPOSE),
        headers=_sealed_headers(vault, draft.headers),
        signature_style=_or(draft.signature_style, "body"),
        format=_or(draft.format, "message"),
        max_retries=draft.max_retries,
        dead_letters=draft.dead_letters,
        visibility_ms=None if visibility is None else round(visibility * SECOND),
        timeout_ms=round(timeout * SECOND),
        max_concurrency=concurrency,
    )


async def subscribe(
    core: Core, project: str, name: str, draft: SubscriptionDraft, once: Once | None
) -> Subscription | Replay:
    """Push a queue's messages to a URL from now on; a queue nobody has made is made.

    The same URL again is the same subscription, with the settings of the last call. Raises `Invalid`, `Conflict`.
    """
    settings = settings_of(core.vault, core.targets, draft)
    if draft.dead_letters == name:
        raise Invalid(
            "a queue cannot be its own dead-letter queue", hint="Name another one.", field="dead_letter_queue"
        )
    for _ in range(_TRIES):
        queue = await queues.ensured(core, project, name)
        made = await core.store.subscribe(NewSubscription(queue, settings, once))
        if isinstance(made, Stale):
            continue
        if isinstance(made, Subscription):
            core.wakeup.subscriptions()
        return made
    raise Conflict("the queue was changed again and again meanwhile", hint="Try again.")


async def unsubscribe(
    core: Core, project: str, name: str, subscription_id: int, once: Once | None
) -> Subscription | Replay:
    """Push no more; what is under way ends. One that has ended is the answer too. Raises `NotFound`."""
    queue = await queues.named(core, project, name)
    found = await core.store.subscriptions.get(queue, subscription_id)
    ended = await core.store.unsubscribe(Unsubscribe(queue, subscription_id, once))
    if isinstance(ended, Subscription) and found is not None and found.ended_at is None:
        core.wakeup.subscriptions()
        tell_ended(core, queue, ended)
    return ended


async def page(core: Core, project: str, name: str, page: Page) -> list[Subscription]:
    """A queue's subscriptions, newest first; those that have ended too, for 30 days. Raises `NotFound`."""
    queue = await queues.named(core, project, name)
    return await core.store.subscriptions.page(queue, page)


async def log(
    core: Core, project: str, name: str, page: Page, *, subscription_id: int | None = None
) -> list[LoggedPush]:
    """What was posted of a queue's messages, newest first; of one subscription if asked. Raises `NotFound`."""
    queue = await queues.named(core, project, name)
    if subscription_id is not None and await core.store.subscriptions.get(queue, subscription_id) is None:
        raise no_such_subscription()
    return await core.store.pushes.page(queue, page, subscription_id=subscription_id)


def tell_ended(core: Core, queue: Queue, ended: Subscription) -> None:
    """Say that a subscription is over, and why."""
    core.emit(
        SubscriptionEnded(
            project=queue.project,
            queue=queue.name,
            subscription_id=ended.id,
            reason=ended.ended_because or "",
        )
    )


def no_such_subscription() -> NotFound:
    """The refusal for an id that is none of this queue's."""
    return NotFound("there is no such subscription", hint="List the queue's subscriptions to see their ids.")


def _sealed_headers(vault: Vault, headers: Mapping[str, str] | None) -> bytes | None:
    if not headers:
        return None
    checked = dict(checked_headers(headers))
    for name, value in checked.items():
        if name.lower() == "idempotency-key":
            raise Invalid(f"header {name} cannot be set", hint="It is the id of the message.", field=f"headers.{name}")
        if value == HIDDEN:
            raise Invalid(f"header {name} is {HIDDEN}", hint="Send its value.", field=f"headers.{name}")
    return vault.seal(msgspec.json.encode(checked), HEADERS_PURPOSE)


def _or(given: T | None, default: T) -> T:
    return default if given is None else given
