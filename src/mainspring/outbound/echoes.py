"""What a target repeats of a request: values of custom headers are secrets, and a reply is kept and shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

HIDDEN = b"***"
# Shorter ones are words that a reply may hold by chance, and no secret that lasts.
_CHARS_MIN = 8
_OURS = frozenset({"user-agent", "content-type", "idempotency-key", "accept", "accept-encoding"})
_OURS_PREFIXES = ("x-mainspring-", "x-infrai-", "webhook-")


def without_echoes(body: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    """The body with `***` in place of what it repeats of custom headers, also where it was cut off within one.

    Found is the value as it was sent, and without its first word (`Bearer`); not what was encoded or split on the way.
    """
    if len(body) < _CHARS_MIN:
        return body
    for secret in _secrets(headers):
        body = body.replace(secret, HIDDEN)
        for length in range(min(len(secret) - 1, len(body)), _CHARS_MIN - 1, -1):
            if body.endswith(secret[:length]):
                body = body[:-length] + HIDDEN
                break
    return body


def _secrets(headers: Sequence[tuple[str, str]]) -> Iterator[bytes]:
    """Longest first of each header, so that nothing is left of the rest of it."""
    for name, value in headers:
        folded = name.lower()
        if len(value) < _CHARS_MIN or folded in _OURS or folded.startswith(_OURS_PREFIXES):
            continue
        whole = value.encode()
        yield whole
        rest = whole.partition(b" ")[2]
        if len(rest) >= _CHARS_MIN:
            yield rest
