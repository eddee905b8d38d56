"""Cursors: where a listing goes on, opaque to the caller."""

from __future__ import annotations

import base64
import binascii
import struct
from enum import IntEnum

from mainspring.core.errors import Invalid
from mainspring.core.ids import KEY_MAX


class Listing(IntEnum):
    """The listings; a cursor of one means nothing in another. Numbers are part of the wire, never given twice."""

    CRONS = 1
    TASKS = 2
    RUNS = 3
    RUNS_OF_SCHEDULE = 4
    KEYS = 5
    OCCURRENCES = 6
    QUEUES = 7
    DEAD_LETTERS = 8
    SUBSCRIPTIONS = 20
    PUSHES = 21
    DELIVERIES = 30
    ENDPOINTS = 31
    ENDPOINT_DELIVERIES = 32
    AUDIT = 40


def cursor_of(listing: Listing, *keys: int) -> str:
    """The cursor that goes on after the row with these sort keys (each 0 to 2^63 - 1)."""
    packed = struct.pack(f">B{len(keys)}Q", listing, *keys)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def keys_of(listing: Listing, cursor: str, count: int) -> tuple[int, ...]:
    """The sort keys in a cursor. Raises `Invalid` naming `cursor` for anything `cursor_of` did not make."""
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        kind, *keys = struct.unpack(f">B{count}Q", packed)
    except (binascii.Error, ValueError, struct.error):
        raise _foreign() from None
    if kind != listing or any(key > KEY_MAX for key in keys) or cursor_of(listing, *keys) != cursor:
        raise _foreign()
    return tuple(keys)


def _foreign() -> Invalid:
    return Invalid(
        "cursor is not one of this listing",
        hint="Send the next_cursor of the page before, or none for the first page.",
        field="cursor",
    )
