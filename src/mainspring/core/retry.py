"""(target, attempt, outcome, dice) -> try again at an instant, or stop. Pure."""

from __future__ import annotations

from mainspring.core.limits import (
    BACKOFF_FACTOR,
    BACKOFF_FIRST,
    BACKOFF_MAX,
    DELIVERY_DELAYS,
    JITTER,
    RETRY_AFTER_MAX,
)
from mainspring.core.model import Target


def backoff(failures: int) -> int:
    """The delay (ms) after the n-th failed attempt: 5 s x 3^(n-1), at most 900 s."""
    assert failures >= 1
    delay = BACKOFF_FIRST
    for _ in range(min(failures - 1, 10)):
        delay = min(BACKOFF_MAX, delay * BACKOFF_FACTOR)
    return delay


def next_attempt_at(target: Target, attempt: int, now: int, retry_after_ms: int | None, dice: float) -> int | None:
    """When to try again after attempt number `attempt` failed, or None when the retries are used up.

    An explicit list of delays is kept to the millisecond; the exponential default gets +-10 % jitter from `dice`
    (0 <= dice < 1). `Retry-After` is honoured up to an hour and never shortens the delay.
    """
    if attempt > target.retry:
        return None
    return now + _at_least(_delay(target, attempt, backoff(attempt), dice), retry_after_ms)


def next_delivery_at(target: Target, attempt: int, now: int, retry_after_ms: int | None, dice: float) -> int | None:
    """The same for a webhook delivery, whose default delays are the list of Standard Webhooks 1.0.0 ("Delivery
    attempts"), each with +-10 % jitter; the last one is repeated. `attempt` counts those that cost a retry."""
    if attempt > target.retry:
        return None
    listed = DELIVERY_DELAYS[min(attempt, len(DELIVERY_DELAYS)) - 1]
    return now + _at_least(_delay(target, attempt, listed, dice), retry_after_ms)


def _delay(target: Target, attempt: int, default: int, dice: float) -> int:
    """The delay of the target's own list, else the default with its jitter."""
    listed = target.retry_delays_ms
    if listed is not None:
        return listed[min(attempt, len(listed)) - 1] if listed else 0
    return round(default * (1 - JITTER + 2 * JITTER * dice))


def _at_least(delay: int, retry_after_ms: int | None) -> int:
    return delay if retry_after_ms is None else max(delay, min(retry_after_ms, RETRY_AFTER_MAX))
