"""How many requests a key may make: a bucket of tokens per key, filled at a steady pace."""

from __future__ import annotations

import re

import msgspec

from mainspring.core.errors import Invalid, LimitExceeded
from mainspring.core.limits import HOUR, MINUTE, RATE_MAX, SECOND

_FORM = re.compile(r"([1-9][0-9]{0,8})(?:/([smh]))?")
_WINDOWS = {"s": SECOND, "m": MINUTE, "h": HOUR}
_BUCKETS_MAX = 10_000


class Allowance(msgspec.Struct, frozen=True):
    """So many requests in so many ms, as many of them at once as there are."""

    requests: int
    window_ms: int


class Left(msgspec.Struct, frozen=True):
    """What a key has left. `reset_s`: seconds until all of it is there again, at least 1 when something is missing."""

    limit: int
    remaining: int
    reset_s: int


def parse_rate(text: str) -> Allowance:
    """From `100` or `100/s`, `600/m`, `5000/h`. Raises `Invalid`."""
    found = _FORM.fullmatch(text)
    if found is None or int(found[1]) > RATE_MAX:
        raise Invalid(
            f"RATE_LIMIT cannot be {text[:80]!r}",
            hint=f"Write N, N/s, N/m or N/h with N from 1 to {RATE_MAX}.",
            field="RATE_LIMIT",
        )
    return Allowance(int(found[1]), _WINDOWS[found[2] or "s"])


class Buckets:
    """The buckets of one node. A bucket is one number: the instant at which it is full again.

    Instants are counted in units of 1/requests of a ms, in which a request costs exactly `window_ms` units: all of it
    is whole numbers. (This is the generic cell rate algorithm, ITU-T I.371.)
    """

    def __init__(self, allowance: Allowance) -> None:
        self._requests = allowance.requests
        self._cost = allowance.window_ms
        self._size = allowance.requests * allowance.window_ms
        self._full_at: dict[int, int] = {}

    def take(self, key_id: int, now: int) -> None:
        """One request. Raises `LimitExceeded` saying when there is a token again."""
        at = now * self._requests
        full_at = self._settled(key_id, at)
        wait = full_at + self._cost - at - self._size
        if wait > 0:
            self._full_at[key_id] = full_at
            raise LimitExceeded(
                "this key makes more requests than it may",
                retry_after_s=-(-wait // (self._requests * SECOND)),
                hint="Wait as long as Retry-After says.",
                limit=self._requests,
            )
        if len(self._full_at) >= _BUCKETS_MAX and key_id not in self._full_at:
            self._full_at = {key: full for key, full in self._full_at.items() if full > at}
        self._full_at[key_id] = full_at + self._cost

    def left(self, key_id: int, now: int) -> Left:
        """What the key may still do now."""
        at = now * self._requests
        missing = self._settled(key_id, at) - at
        reset_s = -(-missing // (self._requests * SECOND))
        return Left(self._requests, (self._size - missing) // self._cost, reset_s)

    def _settled(self, key_id: int, at: int) -> int:
        """When the bucket is full: no later than if it were empty now, for the clock may have stepped back."""
        return min(max(self._full_at.get(key_id, at), at), at + self._size)
