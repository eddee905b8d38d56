from __future__ import annotations

import pytest

from mainspring.core.errors import Invalid
from mainspring.core.headers import checked_headers, outbound_headers
from mainspring.core.signing import signature_headers

AT = 1_763_629_200_123  # 2025-11-20T09:00:00.123Z


def assembled(
    *custom: tuple[str, str], secrets: tuple[str, ...] = (), webhook_id: str | None = None, key: str | None = None
) -> tuple[tuple[str, str], ...]:
    return outbound_headers(
        version="1.2.3",
        run_id="run_1",
        attempt=2,
        scheduled_for=AT,
        now=AT + 9_000,
        body=b'{"a":1}',
        custom=custom,
        secrets=secrets,
        webhook_id=webhook_id,
        idempotency_key=key,
    )


def test_every_attempt_says_who_calls_and_for_which_run() -> None:
    assert dict(assembled()) == {
        "User-Agent": "Mainspring/1.2.3",
        "Content-Type": "application/json",
        "Idempotency-Key": "run_1",
        "X-Mainspring-Run-Id": "run_1",
        "X-Mainspring-Attempt": "2",
        "X-Mainspring-Scheduled-For": "2025-11-20T09:00:00.123Z",
        "webhook-id": "run_1",
        "webhook-timestamp": "1763629209",
    }


def test_a_message_is_known_by_its_own_id_and_signed_with_it() -> None:
    headers = dict(assembled(secrets=("s",), webhook_id="msg_7", key="msg_7"))
    assert headers["webhook-id"] == headers["Idempotency-Key"] == "msg_7"
    assert headers["X-Mainspring-Run-Id"] == "run_1"
    signature = signature_headers(
        secrets=["s"], message_id="msg_7", timestamp_s=1_763_629_209, body=b'{"a":1}', style="body"
    )
    assert dict(signature).items() <= headers.items()
    assert headers["X-Infrai-Timestamp"] == headers["webhook-timestamp"]


def test_custom_headers_are_added_and_replace_ours_in_any_case() -> None:
    headers = assembled(("user-agent", "me/1"), ("CONTENT-TYPE", "text/xml"), ("X-Shop", "7"))
    names = [name.lower() for name, _ in headers]
    assert len(names) == len(set(names))
    assert {("user-agent", "me/1"), ("CONTENT-TYPE", "text/xml"), ("X-Shop", "7")} <= set(headers)


def test_a_custom_header_never_replaces_what_receivers_rely_on() -> None:
    forged = (("x-infrai-signature", "forged"), ("Webhook-Id", "forged"), ("x-mainspring-attempt", "forged"))
    headers = assembled(*forged, secrets=("s",))
    assert "forged" not in dict(headers).values()
    assert len(headers) == len({name.lower() for name, _ in headers})


def test_without_a_secret_a_foreign_signature_header_passes() -> None:
    assert ("X-Infrai-Signature", "theirs") in assembled(("X-Infrai-Signature", "theirs"))


def test_good_headers_come_back_as_they_will_be_sent() -> None:
    given = {"Authorization": "Bearer x y", "Cookie": " a=b; c=d\t", "X_!#$%&'*+.^`|~9": "", "X-Tab": "a\tb"}
    assert checked_headers(given) == (
        ("Authorization", "Bearer x y"),
        ("Cookie", "a=b; c=d"),
        ("X_!#$%&'*+.^`|~9", ""),
        ("X-Tab", "a\tb"),
    )


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect",
     "Proxy-Authorization", "proxy-connection", "webhook-id", "Webhook-Signature", "X-Mainspring-Run-Id",
     "x-mainspring-anything", "HTTP2-Settings", "", " ", "X A", "X:A", "X-Ä", "X\r\nA", "X\x00", "(x)"],
)  # fmt: skip
def test_a_name_that_is_ours_or_no_name_is_refused_by_name(name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        checked_headers({"X-Fine": "1", name: "1"})
    assert refusal.value.field == "headers." + ascii(name)[1:-1]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00b", "\x7f", "naïve", "\ud800"])
def test_a_value_that_could_break_out_of_its_line_is_refused(value: str) -> None:
    with pytest.raises(Invalid) as refusal:
        checked_headers({"X-A": value})
    assert refusal.value.field == "headers.X-A"


def test_the_same_header_in_two_spellings_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        checked_headers({"X-A": "1", "x-a": "2"})
    assert refusal.value.field == "headers.x-a"


def test_count_and_size_are_bounded() -> None:
    assert len(checked_headers({f"X-{n}": "1" for n in range(50)})) == 50
    assert checked_headers({"X-A": "v" * (8192 - 3)})
    for headers in ({f"X-{n}": "1" for n in range(51)}, {"X-A": "v" * (8192 - 2)}):
        with pytest.raises(Invalid) as refusal:
            checked_headers(headers)
        assert refusal.value.field == "headers"
