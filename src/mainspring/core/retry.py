"""(target, attempt, outcome, dice) -> try again at an instant, or stop. Pure."""

from __future__ import annotations

from mainspring.core.limits import BACKOFF_FACTOR, BACKOFF_FIRST, BACKOFF_MAX, JITTER, RETRY_AFTER_MAX
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
    if target.retry_delays_ms is not None:
        delay = target.retry_delays_ms[min(attempt, len(target.retry_delays_ms)) - 1] if target.retry_delays_ms else 0
    else:
        delay = round(backoff(attempt) * (1 - JITTER + 2 * JITTER * dice))
    if retry_after_ms is not None:
        delay = max(delay, min(retry_after_ms, RETRY_AFTER_MAX))
    return now + delay
