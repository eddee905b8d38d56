"""Signatures of outbound requests: what a receiver checks to know that a call is ours. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import assert_never

from mainspring.core.errors import Invalid
from mainspring.core.model import SignatureStyle

ENCODED_PREFIX = "whsec_"
ENCODED_BYTES_MIN = 24
ENCODED_BYTES_MAX = 64
PLAIN_BYTES_MAX = 256
TOLERANCE_S = 300


def secret_key(secret: str) -> bytes:
    """The HMAC key that a secret stands for.

    `whsec_` and base64 of 24-64 bytes (Standard Webhooks 1.0.0, "Signature scheme") is decoded; any other text is its
    UTF-8 bytes, 1-256 of them. Raises `Invalid` naming `secret`; the message never repeats it.
    """
    if secret.startswith(ENCODED_PREFIX):
        return _decoded(secret.removeprefix(ENCODED_PREFIX))
    try:
        key = secret.encode()
    except UnicodeEncodeError:
        raise Invalid("secret is not valid text", hint="Leave unpaired surrogates out.", field="secret") from None
    if not 1 <= len(key) <= PLAIN_BYTES_MAX:
        raise Invalid(
            f"secret has {len(key)} bytes, of 1 to {PLAIN_BYTES_MAX}", hint="Choose another secret.", field="secret"
        )
    return key


def _decoded(encoded: str) -> bytes:
    hint = f"Encode {ENCODED_BYTES_MIN} to {ENCODED_BYTES_MAX} random bytes, or drop the {ENCODED_PREFIX} prefix."
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(f"secret is not base64 after {ENCODED_PREFIX}", hint=hint, field="secret") from None
    if not ENCODED_BYTES_MIN <= len(key) <= ENCODED_BYTES_MAX:
        raise Invalid(f"secret decodes to {len(key)} bytes", hint=hint, field="secret")
    return key


def signature_headers(
    *, secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes, style: SignatureStyle
) -> list[tuple[str, str]]:
    """The signature headers of one attempt; none without a secret.

    `secrets`: newest first; several while a rotation's grace lasts. `timestamp_s`: Unix seconds of this attempt, so
    a late retry is signed afresh. `webhook-signature` is Standard Webhooks 1.0.0 (`v1`, one entry per secret);
    `X-Infrai-Signature` is bare hex HMAC-SHA256 by the newest secret, over `body` or `<timestamp>.<body>`.
    Raises `Invalid` for a secret that is no key.
    """
    if not secrets:
        return []
    assert "." not in message_id, "the signed content is split at its dots"
    timestamp = str(timestamp_s)
    keys = [secret_key(secret) for secret in secrets]
    match style:
        case "body":
            covered = body
        case "timestamp.body":
            covered = b"%b.%b" % (timestamp.encode(), body)
        case _:
            assert_never(style)
    return [
        ("webhook-signature", " ".join(_standard(key, message_id, timestamp, body) for key in keys)),
        ("X-Infrai-Timestamp", timestamp),
        ("X-Infrai-Signature", hmac.digest(keys[0], covered, "sha256").hex()),
    ]


def verify(
    *, secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes, signature: str, now_s: int
) -> bool:
    """Whether a `webhook-signature` header holds a `v1` signature by any of `secrets`, made within 5 minutes of now.

    Every pair is compared, each in constant time, whichever matches. Source: Standard Webhooks 1.0.0.
    """
    timestamp = str(timestamp_s)
    expected = [_standard(secret_key(secret), message_id, timestamp, body).encode() for secret in secrets]
    presented = [entry.encode(errors="replace") for entry in signature.split(" ") if entry.startswith("v1,")]
    matches = [hmac.compare_digest(mine, theirs) for mine in expected for theirs in presented]
    return any(matches) and abs(now_s - timestamp_s) <= TOLERANCE_S


def _standard(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = b"%b.%b.%b" % (message_id.encode(), timestamp.encode(), body)
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
