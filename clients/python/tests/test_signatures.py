"""Signatures: against the independent package, against plain HMAC, and of calls that a real server made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from mainspring_client import BadSignature, Client, check_signature, verify_webhook
from mainspring_client.signatures import Scheme

if TYPE_CHECKING:
    from conftest import Peer

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = '{"type":"order.paid","data":{"é":1}}'.encode()
NOW = 1_700_000_000


def standard(secret: str = SECRET, at: int = NOW, body: bytes = BODY) -> dict[str, str]:
    signature = Webhook(secret).sign("msg_1", datetime.fromtimestamp(at, UTC), body.decode())
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(at), "Webhook-Signature": signature}


def bare(secret: bytes, covered: bytes, at: int = NOW) -> dict[str, str]:
    signature = hmac.new(secret, covered, hashlib.sha256).hexdigest()
    return {"X-Infrai-Timestamp": str(at), "X-Infrai-Signature": signature}


def is_ours(headers: dict[str, str], *secrets: str, body: bytes = BODY, scheme: Scheme = "standard") -> bool:
    try:
        check_signature(body, headers, *secrets, scheme=scheme, now=NOW)
    except BadSignature:
        return False
    return True


def test_what_the_independent_package_signs_is_taken() -> None:
    assert is_ours(standard(), SECRET)
    check_signature(BODY.decode(), standard(), SECRET, now=NOW)


@pytest.mark.parametrize("changed", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_nothing_may_be_changed_or_missing(changed: str) -> None:
    headers = standard()
    assert not is_ours({**headers, changed: headers[changed][:-1] + "7"}, SECRET)
    assert not is_ours({**headers, changed: ""}, SECRET)
    assert not is_ours({name: value for name, value in headers.items() if name != changed}, SECRET)
    assert not is_ours(headers, SECRET, body=BODY + b" ")


@pytest.mark.parametrize("shift", [-301, 301])
def test_old_and_coming_signatures_are_refused(shift: int) -> None:
    assert not is_ours(standard(at=NOW + shift), SECRET)
    assert is_ours(standard(at=NOW + shift // 301 * 300), SECRET)


def test_any_of_several_secrets_and_signatures_will_do() -> None:
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    assert is_ours(standard(), other, SECRET)
    assert not is_ours(standard(), other)
    both = {**standard(), "Webhook-Signature": f"v1a,zzz {standard(other)['Webhook-Signature']} "}
    both["Webhook-Signature"] += standard()["Webhook-Signature"]
    assert is_ours(both, SECRET)


def test_the_bare_style_over_the_body() -> None:
    headers = bare(b"plain secret", BODY)
    assert is_ours(headers, "plain secret", scheme="body")
    assert is_ours(
        {**headers, "X-Infrai-Signature": "sha256=" + headers["X-Infrai-Signature"]}, "plain secret", scheme="body"
    )
    assert not is_ours(headers, "another", scheme="body")
    assert not is_ours(headers, "plain secret", scheme="timestamp.body")
    assert not is_ours(headers, "plain secret")


@pytest.mark.parametrize(("at", "good"), [(NOW, True), (NOW - 300, True), (NOW - 301, False)])
def test_the_bare_style_over_time_and_body(at: int, good: bool) -> None:
    headers = bare(b"plain secret", b"%d.%b" % (at, BODY), at)
    assert is_ours(headers, "plain secret", scheme="timestamp.body") is good
    assert not is_ours({**headers, "X-Infrai-Timestamp": str(NOW + 1)}, "plain secret", scheme="timestamp.body")


def test_garbage_is_refused_not_stumbled_over() -> None:
    for value in ("", "v1,", "v1,ü", "v1,AA== v1,", "\x00", "٣"):
        assert not is_ours({**standard(), "Webhook-Signature": value}, SECRET)
        assert not is_ours({**standard(), "Webhook-Timestamp": value}, SECRET)
        assert not is_ours({**bare(b"s", BODY), "X-Infrai-Signature": value}, "s", scheme="body")


@pytest.mark.parametrize("secrets", [(), ("",), ("whsec_***",)])
def test_a_secret_that_is_none_is_the_caller_s_mistake(secrets: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="secret"):
        check_signature(BODY, standard(), *secrets, now=NOW)


@pytest.mark.parametrize("style", ["body", "timestamp.body"])
def test_what_a_server_sends_is_taken(client: Client, peer: Peer, until: Callable[..., Any], style: Any) -> None:
    at = datetime.fromtimestamp(time.time(), UTC)
    client.task.schedule(peer.url, at, payload={"é": 1}, secret=SECRET, signature_style=style)
    until("the call", lambda: peer.seen)
    [seen] = peer.seen
    assert verify_webhook(seen.body, seen.headers, SECRET) == {"é": 1}
    assert verify_webhook(seen.body, seen.headers, SECRET, scheme=style) == {"é": 1}
    with pytest.raises(BadSignature):
        verify_webhook(seen.body, seen.headers, SECRET[:-5] + "AAAA=", scheme=style)
