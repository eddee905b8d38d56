"""Push subscriptions over REST."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UnsetType

from mainspring.core import ids, pushes, subscriptions
from mainspring.core.drafts import HIDDEN
from mainspring.core.idempotency import Replay
from mainspring.core.instants import iso
from mainspring.core.limits import SECOND
from mainspring.core.ports import Vault
from mainspring.core.push_model import LoggedPush, Subscription
from mainspring.core.subscriptions import SubscriptionDraft
from mainspring.doors.rest.calls import Call, answered, cut, instant_or_none, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.push_requests import PushesQuery, PushFields
from mainspring.doors.rest.push_results import (
    PushPage,
    PushRecord,
    PushSubscription,
    PushSubscriptionPage,
    PushUnsubscribed,
)
from mainspring.doors.rest.requests import Nothing, PageQuery

T = TypeVar("T")


def _record(vault: Vault, now: int, queue: str, one: Subscription) -> PushSubscription:
    settings, public = one.settings, ids.text("sub", one.id)
    return PushSubscription(
        subscription_id=public,
        id=public,
        queue=queue,
        url=settings.url,
        forward_to=settings.url,
        state=one.state(now),
        format=settings.format,
        signature_style=settings.signature_style,
        signed=settings.secret is not None,
        headers=None if settings.headers is None else dict.fromkeys(pushes.opened_headers(vault, one), HIDDEN),
        max_retries=settings.max_retries,
        dead_letter_queue=settings.dead_letters,
        visibility_timeout=None if settings.visibility_ms is None else _seconds(settings.visibility_ms),
        timeout_seconds=_seconds(settings.timeout_ms),
        max_concurrency=settings.max_concurrency,
        failures_in_a_row=one.streak,
        resting_until=iso(one.resting_until) if one.state(now) == "resting" else None,
        created_at=iso(one.created_at),
        updated_at=iso(one.updated_at),
        ended_at=instant_or_none(one.ended_at),
        ended_reason=one.ended_because,
    )


def _seconds(ms: int) -> float:
    """Whole seconds without a fraction, as they were given."""
    return ms // SECOND if ms % SECOND == 0 else ms / SECOND


def _given(value: T | None | UnsetType) -> T | None:
    return None if isinstance(value, UnsetType) else value


async def subscribe(call: Call[PushFields, Nothing]) -> PushSubscription | Replay:
    """Push a queue's messages to a URL."""
    name, body = call.path[0], call.body

    def render(one: Subscription) -> PushSubscription:
        return _record(call.core.vault, call.now, name, one)

    draft = SubscriptionDraft(
        url=_given(body.url),
        secret=_given(body.secret),
        headers=_given(body.headers),
        signature_style=_given(body.signature_style),
        format=_given(body.format),
        max_retries=_given(body.max_retries),
        dead_letters=_given(body.dead_letter_queue),
        visibility_seconds=_given(body.visibility_timeout),
        timeout_seconds=_given(body.timeout_seconds),
        max_concurrency=_given(body.max_concurrency),
    )
    return answered(await subscriptions.subscribe(call.core, call.project, name, draft, call.once(render)), render)


async def page(call: Call[Nothing, PageQuery]) -> PushSubscriptionPage:
    """A queue's subscriptions, newest first."""
    name = call.path[0]
    found = await subscriptions.page(call.core, call.project, name, page_of(call.query, Listing.SUBSCRIPTIONS, 1))
    rows, following = cut(found, call.query, Listing.SUBSCRIPTIONS, lambda one: (one.id,))
    return PushSubscriptionPage([_record(call.core.vault, call.now, name, one) for one in rows], following)


async def unsubscribe(call: Call[Nothing, Nothing]) -> PushUnsubscribed | Replay:
    """Push no more; once more is no error."""
    name, public = call.path

    def render(_: object) -> PushUnsubscribed:
        return PushUnsubscribed(subscription_id=public, id=public, queue=name, deleted=True)

    ended = await subscriptions.unsubscribe(call.core, call.project, name, row_key("sub", public), call.once(render))
    return answered(ended, render)


def _push_record(queue: str, push: LoggedPush) -> PushRecord:
    public = ids.text("dlv", push.id)
    return PushRecord(
        id=public,
        delivery_id=public,
        subscription_id=ids.text("sub", push.subscription_id),
        message_id=ids.text("msg", push.message_id),
        queue=queue,
        attempt=push.attempt,
        outcome=push.outcome,
        response_status=push.status,
        response_body=None if push.body is None else push.body.decode("utf-8", "replace"),
        error=push.error,
        started_at=iso(push.started_at),
        sent_at=instant_or_none(push.sent_at),
        finished_at=iso(push.ended_at),
    )


async def log(call: Call[Nothing, PushesQuery]) -> PushPage:
    """What was posted of a queue's messages, newest first."""
    name, query = call.path[0], call.query
    of = None if isinstance(query.subscription_id, UnsetType) else row_key("sub", query.subscription_id)
    found = await subscriptions.log(
        call.core, call.project, name, page_of(query, Listing.PUSHES, 1), subscription_id=of
    )
    rows, following = cut(found, query, Listing.PUSHES, lambda push: (push.id,))
    return PushPage([_push_record(name, push) for push in rows], following)
