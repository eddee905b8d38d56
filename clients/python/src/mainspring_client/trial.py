"""One call from its first attempt to its end: how long each may take, and whether another follows. Pure."""

from __future__ import annotations

from mainspring_client.errors import DeadlineExceeded, MainspringError, NoAnswer
from mainspring_client.operation import Request
from mainspring_client.retrying import Patience, is_worth_a_retry, pause_before


class Trial:
    """Counts the attempts of a call. Times are seconds of one monotonic clock."""

    def __init__(self, patience: Patience, request: Request, now: float) -> None:
        self._retries = patience.retries
        self._silence = patience.timeout_seconds + request.wait_seconds
        self._deadline = now + patience.deadline_seconds + request.wait_seconds
        self.attempt = 1

    def silence(self, now: float) -> float:
        """Seconds without a sign of life after which the attempt has failed; never past the deadline."""
        return max(0.001, min(self._silence, self._deadline - now))

    def remaining(self, now: float) -> float:
        """Seconds until the deadline."""
        return self._deadline - now

    def unanswered(self, now: float, said: str) -> NoAnswer:
        """The failure of an attempt that got no whole answer."""
        return DeadlineExceeded(f"out of time: {said}") if now >= self._deadline else NoAnswer(said)

    def pause(self, failure: MainspringError, now: float, chance: float) -> float | None:
        """Seconds until the next attempt; None when this failure is the call's."""
        if self.attempt > self._retries or not is_worth_a_retry(failure):
            return None
        pause = pause_before(self.attempt, failure, chance)
        if now + pause >= self._deadline:
            return None
        self.attempt += 1
        return pause
