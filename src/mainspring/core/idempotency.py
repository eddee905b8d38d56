"""The same request twice has one effect: what a write carries with it, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mainspring.core.audit import Note
from mainspring.core.errors import Invalid
from mainspring.core.limits import IDEMPOTENCY_KEY_CHARS_MAX


class Once(msgspec.Struct, frozen=True):
    """An idempotency key with what must agree. Scope: project + operation (with the path's id) + key, for 24 h.

    `answer` renders the result in the form to be replayed; the store keeps it in the transaction of the effect, and
    what the audit log says of it (`note`). A write that is only noted has an empty key (see `noted`).
    """

    project: str
    operation: str
    key: str
    body_hash: bytes
    answer: Callable[[Any], Answer]
    note: Note | None = None


class Answer(msgspec.Struct, frozen=True):
    """The rendered result; `bare` is the form without secrets, used when the secret's window is over."""

    full: bytes
    bare: bytes | None = None


def noted(note: Note) -> Once:
    """For a write without an idempotency key of which the audit log is to know."""
    return Once(note.project, note.operation, "", b"", _no_answer, note)


def _no_answer(_: object) -> Answer:
    return Answer(b"")


class Replay(msgspec.Struct, frozen=True):
    """The stored answer to an earlier request with this key and this body."""

    answer: bytes


def mismatch(field: str = "idempotency_key") -> Invalid:
    """The refusal for a known key with another body."""
    return Invalid(
        "this idempotency key was used with a different request",
        hint="Send the same body again, or use a new key for a new request.",
        field=field,
        code="IDEMPOTENCY_MISMATCH",
    )


def check_key(key: str) -> str:
    """The key itself. Raises `Invalid` unless it has 1-512 characters."""
    if not 0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX:
        raise Invalid(
            f"idempotency_key has {len(key)} characters",
            hint=f"Use 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters.",
            field="idempotency_key",
        )
    return key
