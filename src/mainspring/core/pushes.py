"""Pushes: what is posted, and what becomes of a message and its target when the request has ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from mainspring import __version__
from mainspring.core import ids, limits, retry
from mainspring.core.headers import outbound_headers
from mainspring.core.instants import iso
from mainspring.core.limits import PUSH_REST_FIRST, PUSH_REST_MAX, PUSH_STREAK_MAX, SECOND
from mainspring.core.ports import Outcome, Request, Vault
from mainspring.core.push_model import Push, PushResult, Subscription

HEADERS_PURPOSE = "push headers"
SECRET_PURPOSE = "push secret"
UNANSWERED = "stopped before it was answered"
_KEY_HEADER = "idempotency-key"
_LATE = "held up until its lease was nearly over; not sent"


class _Body(msgspec.Struct, frozen=True):
    """The body of a push; `message_id` and `id` are equal."""

    message_id: str
    id: str
    queue: str
    payload: Raw
    attempt: int
    published_at: str


def request(vault: Vault, push: Push, now: int) -> Request:
    """The request of one push, signed with its own timestamp.

    The message's headers go with it; the subscription's come before them, and the idempotency key is the message's.
    """
    settings, message = push.subscription.settings, push.message
    public, published_at = ids.text("msg", message.id), ids.made_at(message.id)
    body = message.payload
    if settings.format == "message":
        whole = _Body(public, public, push.queue.name, Raw(message.payload), message.attempt, iso(published_at))
        body = msgspec.json.encode(whole)
    headers = outbound_headers(
        version=__version__,
        run_id=public,
        attempt=message.attempt,
        scheduled_for=published_at,
        now=now,
        body=body,
        custom=_custom(vault, push),
        secrets=() if settings.secret is None else (vault.unseal(settings.secret, SECRET_PURPOSE).decode(),),
        style=settings.signature_style,
    )
    return Request("POST", settings.url, headers, body, settings.timeout_ms)


def _custom(vault: Vault, push: Push) -> tuple[tuple[str, str], ...]:
    kept = opened_headers(vault, push.subscription)
    names = {name.lower() for name in kept} | {_KEY_HEADER}
    if push.message.headers is not None:
        own = msgspec.json.decode(push.message.headers, type=dict[str, str])
        kept |= {name: value for name, value in own.items() if name.lower() not in names}
    return tuple((name, value) for name, value in kept.items() if name.lower() != _KEY_HEADER)


def opened_headers(vault: Vault, subscription: Subscription) -> dict[str, str]:
    """The subscription's headers in clear."""
    if subscription.settings.headers is None:
        return {}
    plain = vault.unseal(subscription.settings.headers, HEADERS_PURPOSE)
    return msgspec.json.decode(plain, type=dict[str, str])


def fits(push: Push, now: int) -> bool:
    """Whether a request that begins now is over before its lease, however slow the target is."""
    lease_until = push.message.lease_until
    return lease_until is not None and now + push.subscription.settings.timeout_ms < lease_until


def after(push: Push, outcome: Outcome, started_at: int, dice: float) -> PushResult:
    """What follows from the end of a request. `dice` (0 <= dice < 1) is the jitter.

    2xx: done. 429 and 503 that say when to come back: given back until then, not counted, and nothing is sent to the
    target meanwhile. 410: given back, and the subscription ends. All else has failed, redirects too: counted, and
    tried again after 5 s x 3^failures, at most 900 s, or later if the target says so.
    """
    now, status = outcome.ended_at, outcome.status if outcome.kind == "reply" else None
    result = PushResult(
        push=push,
        verb="ack",
        visible_at=now,
        started_at=started_at,
        sent_at=outcome.sent_at,
        ended_at=now,
        status=outcome.status,
        body=outcome.body[: limits.RESPONSE_KEPT_BYTES] or None,
        dice=dice,
    )
    if status is not None and 200 <= status < 300:
        return result
    change = msgspec.structs.replace
    error = outcome.error or (outcome.kind if status is None else f"HTTP status {status}")
    if status == 410:
        return change(result, verb="release", error=error, gone=True)
    asked = outcome.retry_after_ms
    if status in (429, 503) and asked is not None:
        until = now + min(max(asked, SECOND), limits.RETRY_AFTER_MAX)
        return change(result, verb="release", error=error, visible_at=until, rest_until=until)
    wait = max(jittered(retry.backoff(push.message.failures + 1), dice), min(asked or 0, limits.RETRY_AFTER_MAX))
    return change(result, verb="nack", error=error, visible_at=now + wait, failed=True)


def given_back(push: Push, now: int, error: str = _LATE) -> PushResult:
    """A message that was not posted, or not to the end: given back at once, and not counted."""
    return PushResult(push, "release", now, started_at=now, sent_at=None, ended_at=now, error=error)


def jittered(delay: int, dice: float) -> int:
    """The delay with its +-10 %."""
    return round(delay * (1 - limits.JITTER + 2 * limits.JITTER * dice))


def troubled(subscription: Subscription, results: Sequence[PushResult], now: int) -> Subscription:
    """The subscription after results that ended together, not all of them successes.

    A success ends a row of failures. After 5 failures in a row nothing is claimed for 5 s; then a single message is the
    probe, and each one that fails doubles the rest, up to 5 minutes. What was in flight when a rest began does not
    lengthen it.
    """
    streak, until = subscription.streak, max((result.rest_until for result in results), default=0)
    failed = [result for result in results if result.failed]
    if any(result.verb == "ack" for result in results):
        streak = 0
    elif failed and subscription.resting_until <= now:
        streak = streak + 1 if streak >= PUSH_STREAK_MAX else min(streak + len(failed), PUSH_STREAK_MAX)
        if streak >= PUSH_STREAK_MAX:
            rest = min(PUSH_REST_FIRST << min(streak - PUSH_STREAK_MAX, 10), PUSH_REST_MAX)
            until = max(until, now + jittered(rest, failed[0].dice))
    gone = subscription.ended_at is None and any(result.gone for result in results)
    return msgspec.structs.replace(
        subscription,
        streak=streak,
        resting_until=max(subscription.resting_until, until),
        ended_at=now if gone else subscription.ended_at,
        ended_because="the target answered 410: it is gone" if gone else subscription.ended_because,
    )
