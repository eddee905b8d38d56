"""Time zones: by IANA name, and as stretches of constant offset that integers can be looked up in."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from io import BytesIO
from pkgutil import get_data
from zoneinfo import ZoneInfo

from mainspring.core.cron.errors import CronError

Stretch = tuple[int, int, int, int, int]
"""(start, end, offset, floor, calm): the offset (seconds east) of the UTC seconds start..end-1.

`floor` is the last local second that the clock showed before `start`: local time restarts above it after a gap and at
or below it after a repetition. `calm` is `start`, but two days later after a change that is not by whole hours on the
hour (see `uneven.py`). Neighbouring stretches may have the same offset.
"""

DAY_S = 86_400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOREVER = 1 << 62
_BLOCK_BITS = 25  # 388 days; with the probes below, filling a block takes some 50 µs
_PROBE_S = 1 << 18  # 3 days: no zone of tzdata has kept an offset for less than 6.9 days (a test watches)
_MAX_BLOCKS = 64


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(_tzdata("zones").decode("ascii").split())


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name, from the tzdata package (never the machine's own copy); raises CronError."""
    if name not in _names():
        shown = name if len(name) <= 64 else name[:64] + "…"
        raise CronError(f'there is no time zone "{shown}"; use an IANA name like Europe/Berlin or UTC', 0)
    return ZoneInfo.from_file(BytesIO(_tzdata(f"zoneinfo/{name}")), key=name)


def _tzdata(path: str) -> bytes:
    data = get_data("tzdata", path)
    assert data is not None, "the loader of the tzdata package hands out its files"
    return data


class Offsets:
    """The stretches of one zone, found by asking the zone itself and kept by block of 388 days."""

    __slots__ = ("_blocks", "_tz", "last")

    def __init__(self, tz: ZoneInfo | None) -> None:
        self._tz = tz
        self._blocks: dict[int, tuple[list[int], list[Stretch]]] = {}
        constant = timedelta() if tz is None else time(tzinfo=tz).utcoffset()
        # An empty stretch, or for a zone that never changes the only one there is.
        self.last: Stretch = (
            (0, 0, 0, 0, 0) if constant is None else (-_FOREVER, _FOREVER, _seconds(constant), -_FOREVER, -_FOREVER)
        )

    def at(self, t: int) -> Stretch:
        """The stretch that holds UTC second `t`; `t` within the years 1 to 9999."""
        stretch = self.last
        if stretch[0] <= t < stretch[1]:
            return stretch
        number = t >> _BLOCK_BITS
        block = self._blocks.get(number)
        if block is None:
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.clear()
            block = self._blocks[number] = self._fill(number << _BLOCK_BITS)
        # Kept in a name of its own: another thread may move `last` on meanwhile.
        self.last = stretch = block[1][bisect_right(block[0], t) - 1]
        return stretch

    def _fill(self, start: int) -> tuple[list[int], list[Stretch]]:
        end = start + (1 << _BLOCK_BITS)
        changes = [start]
        offsets = [self._offset(start)]
        for probe in range(start + _PROBE_S, end + 1, _PROBE_S):
            if self._offset(probe - 1) != offsets[-1]:
                changes.append(self._change(max(start, probe - 1 - _PROBE_S), probe - 1, offsets[-1]))
                offsets.append(self._offset(changes[-1]))
        stretches = []
        before = self._offset(start - 1)
        for at, until, offset in zip(changes, [*changes[1:], end], offsets, strict=True):
            uneven = (offset - before) % 3600 or (offset != before and (at + before) % 3600)
            stretches.append((at, until, offset, at + before - 1, at + 2 * DAY_S if uneven else at))
            before = offset
        return changes, stretches

    def _change(self, low: int, high: int, offset: int) -> int:
        """The first second after `low` (which has `offset`) and up to `high` (which has not) with another offset."""
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == offset:
                low = middle
            else:
                high = middle
        return high

    def _offset(self, t: int) -> int:
        delta = (_EPOCH + timedelta(seconds=t)).astimezone(self._tz).utcoffset()
        assert delta is not None
        return _seconds(delta)


def _seconds(delta: timedelta) -> int:
    return delta.days * DAY_S + delta.seconds


UTC_OFFSETS = Offsets(None)


@lru_cache(maxsize=1024)
def offsets_of(tz: ZoneInfo) -> Offsets:
    """The stretches of a zone; shared by all who ask."""
    return Offsets(tz)
