"""Bodies that are kept as a JSON object and sent url-encoded. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec

from mainspring.core.errors import Invalid

CONTENT_TYPE = "application/x-www-form-urlencoded"

_fields = msgspec.json.Decoder(dict[str, Any])


def check_form(payload: bytes) -> None:
    """Raises `Invalid` unless the payload is a JSON object."""
    try:
        _fields.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        raise Invalid(
            "payload is not a JSON object, so it cannot be sent as a form",
            hint='Send an object like {"name": "value"}.',
            field="payload",
        ) from None


def form_of(payload: bytes) -> bytes:
    """The object as `application/x-www-form-urlencoded` (URL Standard section 5), its members in their order.

    Texts as they are, numbers and booleans as JSON writes them, null as nothing; a list gives its name once for each of
    its values, and an object inside is sent as its JSON.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in _fields.decode(payload).items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, _text(each)) for each in values]
    return urlencode(pairs).encode()


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()
