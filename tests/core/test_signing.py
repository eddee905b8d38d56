from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core.errors import Invalid
from mainspring.core.model import SignatureStyle
from mainspring.core.signing import secret_key, signature_headers, verify

NOW_S = int(datetime.now(UTC).timestamp())  # the independent verifier reads the clock itself
ENCODED = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def signed(*secrets: str, body: bytes = b"{}", style: SignatureStyle = "body", at: int = NOW_S) -> dict[str, str]:
    return dict(signature_headers(secrets=secrets, message_id="run_1", timestamp_s=at, body=body, style=style))


def test_the_published_vector_of_standard_webhooks_comes_out() -> None:
    headers = signature_headers(
        secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s=1614265330,
        body=b'{"test": 2432232314}',
        style="body",
    )
    assert dict(headers)["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(), st.one_of(st.just(ENCODED), st.text(min_size=1, max_size=60).filter(lambda s: "whsec_" not in s)))
def test_an_independent_library_accepts_every_signature(body: bytes, secret: str) -> None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.hex()
    verifier = standardwebhooks.Webhook(secret if secret == ENCODED else secret.encode())
    headers = {
        **signed(secret, body=text.encode()),
        "webhook-id": "run_1",
        "webhook-timestamp": str(NOW_S),
    }
    verifier.verify(text, headers, json_parse=False)


def test_during_a_rotation_receivers_with_either_secret_accept_and_the_newest_comes_first() -> None:
    body = json.dumps({"a": 1})
    headers = {**signed("new", "old", body=body.encode()), "webhook-id": "run_1", "webhook-timestamp": str(NOW_S)}
    for secret in ("new", "old"):
        standardwebhooks.Webhook(secret.encode()).verify(body, headers)
    first, second = headers["webhook-signature"].split(" ")
    assert first == signed("new", body=body.encode())["webhook-signature"]
    assert second == signed("old", body=body.encode())["webhook-signature"]


@pytest.mark.parametrize(("style", "covered"), [("body", b"payload"), ("timestamp.body", b"1700000000.payload")])
def test_the_plain_signature_is_bare_hex_by_the_newest_secret(style: SignatureStyle, covered: bytes) -> None:
    headers = signed("new", "old", body=b"payload", style=style, at=1_700_000_000)
    assert headers["X-Infrai-Signature"] == hmac.new(b"new", covered, hashlib.sha256).hexdigest()
    assert headers["X-Infrai-Timestamp"] == "1700000000"


def test_without_a_secret_nothing_is_signed() -> None:
    assert signed() == {}


@pytest.mark.parametrize("size", [24, 32, 64])
def test_an_encoded_secret_is_its_decoded_bytes(size: int) -> None:
    key = bytes(range(size))
    assert secret_key("whsec_" + base64.b64encode(key).decode()) == key


@pytest.mark.parametrize(("secret", "key"), [("x", b"x"), ("s3cret!", b"s3cret!"), ("é" * 128, "é".encode() * 128)])
def test_any_other_secret_is_its_utf8_bytes(secret: str, key: bytes) -> None:
    assert secret_key(secret) == key


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "a" * 257,
        "é" * 129,
        "\ud800",
        "whsec_",
        "whsec_k@pvtqz wxj",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_" + base64.b64encode(bytes(32)).decode().rstrip("="),
        "whsec_" + base64.b64encode(bytes(32)).decode() + "\n",
        "whsec_" + "é" * 32,
    ],
)
def test_a_secret_that_is_no_key_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(Invalid) as refusal:
        secret_key(secret)
    assert refusal.value.field == "secret"
    said = refusal.value.message + refusal.value.hint
    assert len(secret) < 8 or secret.removeprefix("whsec_") not in said


def check(signature: str, *, secrets: tuple[str, ...] = ("k",), body: bytes = b"b", now_s: int = NOW_S) -> bool:
    return verify(secrets=secrets, message_id="run_1", timestamp_s=NOW_S, body=body, signature=signature, now_s=now_s)


def test_verify_accepts_any_current_secret_and_any_listed_signature() -> None:
    signature = signed("k", body=b"b")["webhook-signature"]
    assert check(signature)
    assert check("v1,AAAA v1a,xyz " + signature)
    assert check(signature, secrets=("other", "k"))


def test_verify_refuses_another_secret_body_or_form() -> None:
    signature = signed("k", body=b"b")["webhook-signature"]
    assert not check(signature, secrets=("other",))
    assert not check(signature, body=b"B")
    assert not check(signature.replace("v1,", "v2,"))
    assert not check(signature[:-1])
    assert not check("v1,é")
    assert not check("")


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_verify_refuses_what_was_signed_more_than_five_minutes_away(age: int, fresh: bool) -> None:
    assert check(signed("k", body=b"b")["webhook-signature"], now_s=NOW_S + age) is fresh
