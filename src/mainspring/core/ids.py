"""Row keys: 63-bit integers in time order, and the text in which they are shown.

41 bits of milliseconds since 2020-01-01 (until 2089), 10 bits of node, 12 bits of counter; never backwards, also
when the clock steps back, so a key made later is always the larger one on its node.
"""

from __future__ import annotations

EPOCH = 1_577_836_800_000
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_LENGTH = 13
_COUNTER_BITS = 12
_NODE_BITS = 10
KEY_MAX = (1 << 63) - 1


class KeySource:
    """Makes row keys for one node (0-1023). `floor` is the largest key already in the store."""

    def __init__(self, node: int = 0, floor: int = 0) -> None:
        assert 0 <= node < 1 << _NODE_BITS
        self._node = node << _COUNTER_BITS
        self._tick = floor >> (_NODE_BITS + _COUNTER_BITS)
        self._counter = (1 << _COUNTER_BITS) - 1

    def next(self, now: int) -> int:
        """The next row key at `now` (ms)."""
        tick = now - EPOCH
        if tick > self._tick:
            self._tick = tick
            self._counter = 0
        elif self._counter < (1 << _COUNTER_BITS) - 1:
            self._counter += 1
        else:
            self._tick += 1
            self._counter = 0
        return self._tick << (_NODE_BITS + _COUNTER_BITS) | self._node | self._counter

    def renumber(self, node: int) -> None:
        """Go on as another node."""
        assert 0 <= node < 1 << _NODE_BITS
        self._node = node << _COUNTER_BITS

    def take(self, now: int, count: int) -> list[int]:
        """`count` row keys in ascending order."""
        keys = [self.next(now)] if count else []
        while len(keys) < count:
            room = min(count - len(keys), (1 << _COUNTER_BITS) - 1 - self._counter)
            self._counter += room
            keys.extend(range(keys[-1] + 1, keys[-1] + 1 + room))
            if len(keys) < count:
                keys.append(self.next(now))
        return keys


def made_at(key: int) -> int:
    """The instant (ms) at which the key was made, by its node's clock."""
    return (key >> (_NODE_BITS + _COUNTER_BITS)) + EPOCH


def text(prefix: str, key: int) -> str:
    """The public id: the prefix and 13 Crockford base-32 letters, which sort as the keys do."""
    return (
        f"{prefix}_{_PAIRS[key >> 55]}{_PAIRS[key >> 45 & 1023]}{_PAIRS[key >> 35 & 1023]}{_PAIRS[key >> 25 & 1023]}"
        f"{_PAIRS[key >> 15 & 1023]}{_PAIRS[key >> 5 & 1023]}{_ALPHABET[key & 31]}"
    )


def key_of(prefix: str, public: str) -> int | None:
    """The row key of a public id, or None when it is not one of this prefix."""
    head, _, tail = public.partition("_")
    # What is left of a text without its letters is what does not belong there.
    if head != prefix or len(tail) != _LENGTH or tail.strip(_ALPHABET):
        return None
    key = int(tail.translate(_DIGITS), 32)
    return key if key <= KEY_MAX else None


def floor_of(instant: int) -> int:
    """The smallest row key that can have been made at `instant` (ms) or later; for instants after 2089 the largest."""
    return min(KEY_MAX, max(0, instant - EPOCH) << (_NODE_BITS + _COUNTER_BITS))
