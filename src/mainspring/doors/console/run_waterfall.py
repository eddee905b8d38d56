"""The attempts of a run or a delivery on one axis of time: how long each waited, when its first byte went, its end."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.core.limits import RESPONSE_KEPT_BYTES
from mainspring.core.model import Attempt

# The axis is so many units long; no bar is shorter than can be seen.
WIDTH = 1_000
_BAR_MIN = 4


class Bar(msgspec.Struct, frozen=True):
    """One stretch on the axis. `tone`: a class of the style sheet."""

    x: int
    width: int
    tone: str


class Step(msgspec.Struct, frozen=True):
    """One attempt. Durations in ms, None where it did not come so far; `under_way`: it has not ended."""

    number: int
    began_at: int
    ended_at: int | None
    waited: int
    to_first_byte: int | None
    to_end: int | None
    total: int | None
    status: int | None
    body: bytes | None
    error: str | None
    bars: tuple[Bar, ...]

    @property
    def under_way(self) -> bool:
        return self.ended_at is None

    @property
    def cut(self) -> bool:
        """Whether the response may have been longer than what is kept of it."""
        return self.body is not None and len(self.body) >= RESPONSE_KEPT_BYTES


class Waterfall(msgspec.Struct, frozen=True):
    """All attempts, and the axis in ms: where it begins, how long it is."""

    steps: tuple[Step, ...]
    begins_at: int
    span: int


def waterfall(due_at: int, ended: Sequence[Attempt], under_way: tuple[int, int] | None, now: int) -> Waterfall | None:
    """The attempts in order, the first of which was due at `due_at`. `under_way`: number and beginning of the one in
    flight. None when none has begun."""
    rows = [(one.attempt, one.started_at, one) for one in ended]
    last = [(*under_way, None)] if under_way is not None and under_way[0] not in {row[0] for row in rows} else []
    every: list[tuple[int, int, Attempt | None]] = [*rows, *last]
    if not every:
        return None
    begin = min(due_at, every[0][1])
    end = max(now if one is None else one.ended_at for _, _, one in every)
    span = max(1, end - begin)
    steps, waits_from = [], begin
    for number, started_at, one in every:
        steps.append(_step(number, started_at, one, waits_from, (begin, span, now)))
        waits_from = started_at if one is None else one.ended_at
    return Waterfall(tuple(steps), begin, span)


def _step(number: int, started_at: int, one: Attempt | None, waits_from: int, axis: tuple[int, int, int]) -> Step:
    begin, span, now = axis
    until = now if one is None else one.ended_at
    sent_at = None if one is None else one.sent_at
    tone = "busy" if one is None else "bad" if one.error is not None else "good"

    def bar(since: int, to: int, colour: str) -> Bar:
        width = max(_BAR_MIN, (to - since) * WIDTH // span)
        return Bar(min(WIDTH - width, (since - begin) * WIDTH // span), width, colour)

    bars = [bar(waits_from, started_at, "idle")] if started_at > waits_from else []
    if sent_at is None:
        bars.append(bar(started_at, until, tone))
    else:
        bars += [bar(started_at, sent_at, "warn")] if sent_at > started_at else []
        bars.append(bar(sent_at, until, tone))
    return Step(
        number=number,
        began_at=started_at,
        ended_at=None if one is None else one.ended_at,
        waited=max(0, started_at - waits_from),
        to_first_byte=None if sent_at is None else sent_at - started_at,
        to_end=None if one is None else one.ended_at - (sent_at or started_at),
        total=None if one is None else one.ended_at - started_at,
        status=None if one is None else one.status,
        body=None if one is None else one.body,
        error=None if one is None else one.error,
        bars=tuple(bars),
    )
