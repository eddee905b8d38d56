"""The half of a draft that says what is sent where: bounds and defaults of contract section 3."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from mainspring.core.drafts import Draft, build_target, check_payload, opened_headers
from mainspring.core.errors import Invalid, TooLarge
from mainspring.core.limits import PAYLOAD_BYTES_MAX
from mainspring.core.model import Expect, Target
from mainspring.store.vault import SealedVault
from store.making import AnyTarget

URL = "https://api.example/hook"
VAULT = SealedVault("key")


def build(old: Target | None = None, **fields: Any) -> Target:
    if old is None:
        fields.setdefault("url", URL)
    return build_target(VAULT, AnyTarget(), Draft(**fields), old)


def refused(old: Target | None = None, **fields: Any) -> str | None:
    """The field that a refusal names."""
    with pytest.raises(Invalid) as caught:
        build(old, **fields)
    assert caught.value.hint
    return caught.value.field


def test_what_is_not_said_has_its_default() -> None:
    made = build()
    assert made == Target(
        id=0,
        kind="http",
        address=URL,
        origin="https://api.example:443",
        method="POST",
        payload=None,
        headers=None,
        secret=None,
        signature_style="body",
        timeout_ms=300_000,
        retry=3,
        retry_delays_ms=None,
        expect=None,
        on_failure=None,
    )


CHANGED: dict[str, Any] = {
    "method": "PUT",
    "payload": b"[1]",
    "headers": {"X-A": "1"},
    "secret": "s",
    "signature_style": "timestamp.body",
    "timeout_seconds": 1.5,
    "retry": 0,
    "expect": Expect(statuses=(204,)),
    "on_failure": "https://pager.example/",
}


@pytest.mark.parametrize("field", CHANGED)
def test_null_gives_the_default_back_and_silence_keeps_what_is_stored(field: str) -> None:
    plain = build()
    changed = build(plain, **{field: CHANGED[field]})
    assert changed != plain
    assert build(changed) == changed
    assert build(changed, **{field: UNSET}) == changed
    assert build(changed, **{field: None}) == plain


def test_an_edit_that_says_the_same_again_makes_no_new_target() -> None:
    """Sealing is random, so equal secrets and headers keep their sealed form."""
    made = build(**CHANGED)
    assert build(made, url=URL, **CHANGED) is not made
    assert build(made, url=URL, **CHANGED) == made


def test_the_target_is_needed_once_and_kept_from_then_on() -> None:
    assert refused(url=UNSET) == refused(url=None) == "task"
    made = build()
    assert build(made).address == URL
    assert refused(made, url=None) == "task"
    moved = build(made, url="http://other.example:8080/x")
    assert (moved.address, moved.origin) == ("http://other.example:8080/x", "http://other.example:8080")


def test_every_target_is_checked_and_kept_as_it_will_be_dialled() -> None:
    class Rewrites:
        def check(self, url: str, field: str) -> str:
            return f"{url}?{field}"

    made = build_target(VAULT, Rewrites(), Draft(url=URL, on_failure="https://pager.example/"), None)
    assert (made.address, made.on_failure) == (f"{URL}?task", "https://pager.example/?on_failure_webhook")


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "PATCH", "DELETE", "get"])
def test_the_five_methods_in_any_case(method: str) -> None:
    assert build(method=method).method == method.upper()


@pytest.mark.parametrize("method", ["", "HEAD", "OPTIONS", "POST "])
def test_other_methods_are_refused(method: str) -> None:
    assert refused(method=method) == "method"


@pytest.mark.parametrize(("seconds", "ms"), [(1, 1_000), (900, 900_000), (2.5, 2_500), (1.0004, 1_000)])
def test_the_timeout_in_its_bounds(seconds: float, ms: int) -> None:
    assert build(timeout_seconds=seconds).timeout_ms == ms


@pytest.mark.parametrize("seconds", [0, 0.999, 900.001, -1, float("nan"), float("inf")])
def test_the_timeout_out_of_its_bounds(seconds: float) -> None:
    assert refused(timeout_seconds=seconds) == "timeout_seconds"


def test_the_number_of_retries_in_and_out_of_its_bounds() -> None:
    assert [build(retry=count).retry for count in (0, 10)] == [0, 10]
    assert refused(retry=-1) == refused(retry=11) == "retry"


def test_a_list_of_delays_is_also_the_number_of_retries() -> None:
    made = build(retry_delays=(1, 2.5, 0))
    assert (made.retry, made.retry_delays_ms) == (3, (1_000, 2_500, 0))
    assert (build(retry_delays=()).retry, build(retry_delays=(1,) * 50).retry) == (0, 50)


def test_a_list_of_delays_in_its_bounds() -> None:
    assert build(retry_delays=(604_800,)).retry_delays_ms == (604_800_000,)
    assert refused(retry_delays=(1,) * 51) == "retry_delays"
    assert refused(retry_delays=(-0.001,)) == refused(retry_delays=(604_801,)) == "retry_delays"
    assert refused(retry_delays=(float("nan"),)) == "retry_delays"


@pytest.mark.parametrize(
    ("stored", "said", "retry", "delays"),
    [
        ({"retry_delays": (1, 2)}, {"retry": 5}, 5, (1_000, 2_000)),
        ({"retry_delays": (1, 2)}, {"retry": None}, 2, (1_000, 2_000)),
        ({"retry_delays": (1, 2)}, {"retry_delays": (3,)}, 1, (3_000,)),
        ({"retry_delays": (1,) * 50}, {"retry_delays": None}, 3, None),
        ({"retry_delays": (1, 2), "retry": 7}, {"retry_delays": None}, 7, None),
        ({"retry_delays": (1, 2), "retry": 7}, {}, 7, (1_000, 2_000)),
        ({"retry_delays": (1, 2), "retry": 7}, {"retry_delays": (3,)}, 1, (3_000,)),
        ({"retry": 7}, {"retry_delays": None}, 7, None),
        ({"retry": 7}, {"retry": None}, 3, None),
        ({}, {"retry": 2, "retry_delays": (9,)}, 2, (9_000,)),
    ],
)
def test_how_retries_and_delays_change_each_other(
    stored: dict[str, Any], said: dict[str, Any], retry: int, delays: tuple[int, ...] | None
) -> None:
    made = build(build(**stored), **said)
    assert (made.retry, made.retry_delays_ms) == (retry, delays)


def test_a_payload_up_to_256_kib_byte_for_byte() -> None:
    whole = b'"' + b"x" * (PAYLOAD_BYTES_MAX - 2) + b'"'
    assert build(payload=whole).payload == whole
    with pytest.raises(TooLarge) as caught:
        build(payload=whole + b" ")
    assert caught.value.field == "payload"
    with pytest.raises(TooLarge):
        check_payload(whole + b" ")


def test_headers_are_sealed_and_opened_again() -> None:
    made = build(headers={"X-Token": "canary"})
    assert made.headers is not None
    assert b"canary" not in made.headers
    assert opened_headers(VAULT, made) == {"X-Token": "canary"}
    assert opened_headers(VAULT, build()) == {}


def test_stars_keep_the_stored_value_whatever_the_case_of_the_name() -> None:
    made = build(headers={"X-Token": "canary", "X-Other": "2"})
    edited = build(made, headers={"x-token": "***", "X-New": "3"})
    assert opened_headers(VAULT, edited) == {"x-token": "canary", "X-New": "3"}


def test_stars_for_what_is_not_stored_are_refused() -> None:
    assert refused(headers={"X-Token": "***"}) == "headers.X-Token"
    assert refused(build(headers={"X-Other": "1"}), headers={"X-Token": "***"}) == "headers.X-Token"


def test_no_headers_remove_the_stored_ones() -> None:
    assert build(build(headers={"X-Token": "1"}), headers={}).headers is None


def test_a_header_that_may_not_be_set_is_refused() -> None:
    assert refused(headers={"Host": "x"}) == "headers.Host"


def test_a_secret_is_sealed_and_must_be_a_key() -> None:
    made = build(secret="canary")
    assert made.secret is not None
    assert b"canary" not in made.secret
    assert VAULT.unseal(made.secret, "secret") == b"canary"
    assert refused(secret="") == refused(secret="whsec_short") == "secret"


@pytest.mark.parametrize("status", [99, 600])
def test_an_expected_status_is_one_of_http(status: int) -> None:
    assert refused(expect=Expect(statuses=(200, status))) == "expect.status"
    assert build(expect=Expect(statuses=(100, 599))).expect == Expect(statuses=(100, 599))


def test_an_expectation_that_nothing_can_meet_is_refused() -> None:
    assert refused(expect=Expect(statuses=())) == "expect.status"


def test_an_expected_body_is_an_re2_pattern_of_bounded_length() -> None:
    assert build(expect=Expect(body_regexp="a" * 1_000)).expect is not None
    assert refused(expect=Expect(body_regexp="a" * 1_001)) == "expect.body_regexp"
    assert refused(expect=Expect(body_regexp="(")) == "expect.body_regexp"
    assert refused(expect=Expect(body_regexp="(?=look)")) == "expect.body_regexp"
