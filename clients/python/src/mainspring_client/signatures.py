"""Whether a call that claims to come from a Mainspring server does."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, assert_never

from mainspring_client import clock
from mainspring_client.errors import BadSignature

Scheme = Literal["standard", "body", "timestamp.body"]
TOLERANCE_S = 300.0
_ENCODED = "whsec_"


class Headers(Protocol):
    """The headers of a request, as any framework has them."""

    def items(self) -> Iterable[tuple[str, str]]: ...


def verify_webhook(
    body: bytes | str,
    headers: Headers,
    *secrets: str,
    scheme: Scheme = "standard",
    tolerance_seconds: float = TOLERANCE_S,
) -> Any:
    """The JSON of a webhook, once its signature has been checked (`check_signature` says how)."""
    check_signature(body, headers, *secrets, scheme=scheme, tolerance_seconds=tolerance_seconds)
    return json.loads(body)


def check_signature(
    body: bytes | str,
    headers: Headers,
    *secrets: str,
    scheme: Scheme = "standard",
    tolerance_seconds: float = TOLERANCE_S,
    now: float | None = None,
) -> None:
    """Raise `BadSignature` unless one of `secrets` signed `body`, within the tolerance of now.

    `body`: as it was received, not as it was parsed and written again. `headers`: in any case. Several secrets: those
    in force while one replaces another. `scheme`: `standard` is Standard Webhooks 1.0.0 (`webhook-signature`, v1);
    `timestamp.body` and `body` are the two styles of `X-Infrai-Signature`. The last does not cover the time, so whoever
    has seen such a call can repeat it for ever: remember the `webhook-id` of those you have handled. `now`: Unix
    seconds, the machine's own when left out. Every comparison is in constant time. Raises `ValueError` for a secret
    that is none.
    """
    if not secrets:
        raise ValueError("a secret is needed")
    content = body.encode() if isinstance(body, str) else body
    given = {name.lower(): value for name, value in headers.items()}
    keys = [_key(secret) for secret in secrets]
    at = clock.wall() if now is None else now
    timestamp: str | None
    match scheme:
        case "standard":
            message_id = _header(given, "webhook-id")
            timestamp = _timestamp(given, "webhook-timestamp")
            covered = b"%b.%b.%b" % (message_id.encode(), timestamp.encode(), content)
            presented = [one[3:] for one in _header(given, "webhook-signature").split(" ") if one.startswith("v1,")]
            expected = [base64.b64encode(_mac(key, covered)).decode() for key in keys]
        case "timestamp.body" | "body":
            timestamp = None if scheme == "body" else _timestamp(given, "x-infrai-timestamp")
            covered = content if timestamp is None else b"%b.%b" % (timestamp.encode(), content)
            presented = [_header(given, "x-infrai-signature").removeprefix("sha256=").lower()]
            expected = [_mac(key, covered).hex() for key in keys]
        case _:
            assert_never(scheme)
    pairs = [(mine.encode(), theirs.encode(errors="replace")) for mine in expected for theirs in presented]
    if not any([hmac.compare_digest(mine, theirs) for mine, theirs in pairs]):  # noqa: C419  # every pair is compared
        raise BadSignature("none of the secrets made this signature")
    if timestamp is not None and abs(at - int(timestamp)) > tolerance_seconds:
        raise BadSignature(f"signed {at - int(timestamp):.0f} s ago, of at most {tolerance_seconds:.0f}")


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise BadSignature(f"no {name} header")
    return value


def _timestamp(headers: Mapping[str, str], name: str) -> str:
    value = _header(headers, name)
    if not (value.isascii() and value.isdigit() and len(value) <= 16):
        raise BadSignature(f"{name} is not a time in Unix seconds")
    return value


def _mac(key: bytes, covered: bytes) -> bytes:
    return hmac.digest(key, covered, "sha256")


def _key(secret: str) -> bytes:
    """`whsec_` and base64, or any other text, which is its UTF-8 bytes."""
    if not secret.startswith(_ENCODED):
        if not secret:
            raise ValueError("a secret is empty")
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a secret is not base64 after whsec_") from None
