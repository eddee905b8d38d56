"""Headers of outbound requests: what a user may set, and what every attempt carries. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mainspring.core.errors import Invalid
from mainspring.core.instants import iso
from mainspring.core.model import SignatureStyle
from mainspring.core.signing import signature_headers

HEADERS_MAX = 50
HEADER_BYTES_MAX = 8 * 1024

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")

# Framing, routing and hop-by-hop fields (RFC 9110 section 7.6.1, RFC 9112 section 6) belong to the connection.
_RESERVED = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "http2-settings",
    }
)
_RESERVED_PREFIXES = ("proxy-", "webhook-", "x-mainspring-")
_OVERRIDABLE = frozenset({"user-agent", "content-type", "idempotency-key"})


def checked_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Custom headers as they will be sent, white space around values removed.

    At most 50, 8 KiB of names and values together; names are RFC 9110 tokens, values visible ASCII, space and tab.
    Raises `Invalid` naming `headers.<name>`, or `headers` when there are too many.
    """
    if len(headers) > HEADERS_MAX:
        raise Invalid(f"{len(headers)} headers", hint=f"At most {HEADERS_MAX} are sent.", field="headers")
    checked: list[tuple[str, str]] = []
    seen: set[str] = set()
    size = 0
    for name, value in headers.items():
        _check_name(name, seen)
        if not _VALUE.fullmatch(value):
            raise _invalid(name, "has a value that cannot be sent", "Use visible ASCII, space and tab only.")
        checked.append((name, value.strip(" \t")))
        seen.add(name.lower())
        size += len(name) + len(value)
    if size > HEADER_BYTES_MAX:
        raise Invalid(f"headers take {size} bytes", hint=f"At most {HEADER_BYTES_MAX} are sent.", field="headers")
    return tuple(checked)


def _check_name(name: str, seen: set[str]) -> None:
    folded = name.lower()
    if not _TOKEN.fullmatch(name):
        raise _invalid(name, "is not a header name", "Use letters, digits and !#$%&'*+-.^_`|~ only.")
    if folded in _RESERVED or folded.startswith(_RESERVED_PREFIXES):
        raise _invalid(name, "cannot be set", "It is set by the service or belongs to the connection.")
    if folded in seen:
        raise _invalid(name, "is given twice", "Header names are the same in any case; join the values with a comma.")


def _invalid(name: str, what: str, hint: str) -> Invalid:
    shown = ascii(name[:100])[1:-1]
    return Invalid(f"header {shown!r} {what}", hint=hint, field=f"headers.{shown}")


def outbound_headers(
    *,
    version: str,
    run_id: str,
    attempt: int,
    scheduled_for: int,
    now: int,
    body: bytes,
    custom: Sequence[tuple[str, str]] = (),
    secrets: Sequence[str] = (),
    style: SignatureStyle = "body",
    webhook_id: str | None = None,
    idempotency_key: str | None = None,
) -> tuple[tuple[str, str], ...]:
    """Every header of one attempt except those that belong to the connection.

    `scheduled_for` and `now` (of this attempt) are ms UTC; `webhook_id` and `idempotency_key` are the run's id unless
    given. A custom header replaces ours only for User-Agent, Content-Type and Idempotency-Key; the others say what
    the receiver relies on. `secrets`: newest first, none = unsigned. Raises `Invalid` for a secret that is no key.
    """
    message_id = run_id if webhook_id is None else webhook_id
    timestamp_s = now // 1000
    given = {name.lower() for name, _ in custom}
    ours = [
        ("User-Agent", f"Mainspring/{version}"),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", run_id if idempotency_key is None else idempotency_key),
        ("X-Mainspring-Run-Id", run_id),
        ("X-Mainspring-Attempt", str(attempt)),
        ("X-Mainspring-Scheduled-For", iso(scheduled_for)),
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp_s)),
    ]
    if secrets:
        ours += signature_headers(
            secrets=secrets, message_id=message_id, timestamp_s=timestamp_s, body=body, style=style
        )
    if not given:
        return tuple(ours)
    kept = [header for header in ours if header[0].lower() not in given & _OVERRIDABLE]
    names = {name.lower() for name, _ in kept}
    return (*kept, *(header for header in custom if header[0].lower() not in names))
