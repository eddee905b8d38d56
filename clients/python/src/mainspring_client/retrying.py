"""Whether a failed call is tried again, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring_client.errors import MainspringError, NoAnswer, Refused

RETRIES = 4
TIMEOUT_S = 20.0
DEADLINE_S = 60.0
FIRST_DELAY_S = 0.25
DELAY_S_MAX = 8.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How much a call may take.

    `retries`: attempts after the first. `timeout_seconds`: of silence, within one attempt. `deadline_seconds`: of the
    whole call with its retries and the pauses between them. What a long poll waits on purpose is added to both.
    """

    retries: int = RETRIES
    timeout_seconds: float = TIMEOUT_S
    deadline_seconds: float = DEADLINE_S

    def __post_init__(self) -> None:
        if self.retries < 0 or self.timeout_seconds <= 0 or self.deadline_seconds <= 0:
            raise ValueError("retries is at least 0, and seconds are more than 0")


def is_worth_a_retry(failure: MainspringError) -> bool:
    """No answer, a server in trouble, or a refusal of the moment; never a request that was understood and refused."""
    match failure:
        case NoAnswer():
            return True
        case Refused():
            return failure.retryable and (failure.status in (409, 429) or failure.status >= 500)
        case _:
            return False


def pause_before(attempt: int, failure: MainspringError, chance: float) -> float:
    """Seconds before a retry. `attempt`: the failed one, from 1; `chance`: random, in [0, 1).

    Full jitter (Brooker, "Exponential Backoff And Jitter", 2015): anything from 0 to 0.25 s x 2^n, capped at 8 s. What
    the server asks for by `Retry-After` is waited in full, and the jitter comes on top.
    """
    spread = float(min(DELAY_S_MAX, FIRST_DELAY_S * 2 ** (attempt - 1))) * chance
    asked = failure.retry_after if isinstance(failure, Refused) else None
    return spread + (asked or 0.0)
