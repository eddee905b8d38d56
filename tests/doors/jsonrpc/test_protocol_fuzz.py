"""Whatever is sent, the answer is a result or a documented error; which one, a second reading of the rules says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainspring.core.limits import RPC_BATCH_MAX
from mainspring.doors.jsonrpc import protocol
from mainspring.doors.jsonrpc.errors import RpcError, invalid_params
from mainspring.doors.jsonrpc.parameters import bind
from mainspring.doors.jsonrpc.protocol import Batch, Fault, Notification, Request

CODES = {-32700, -32600, -32602, -32007, -32010}


class Params(msgspec.Struct, frozen=True):
    some_token: str
    count: int = 1
    anything: msgspec.Raw = msgspec.Raw(b"null")


def answer_to(body: bytes) -> tuple[bytes, bool]:
    """What a door makes of a body, its one method giving its parameters back; and whether it was unreadable."""
    said = protocol.read(body)
    if isinstance(said, Batch):
        return protocol.batched([one for raw in said.entries if (one := single(protocol.read_entry(raw)))]), False
    return single(said), isinstance(said, Fault) and said.unreadable


def single(said: protocol.Single) -> bytes:
    match said:
        case Notification():
            return b""
        case Fault(id=number, error=error):
            return protocol.failed(number, error)
        case Request(id=number, params=params):
            try:
                return protocol.succeeded(number, bind(Params, params))
            except RpcError as error:
                return protocol.failed(number, error)


def check(answer: bytes) -> None:
    """One whole answer, or several."""
    if not answer:
        return
    found = json.loads(answer)
    for one in found if isinstance(found, list) else [found]:
        assert one["jsonrpc"] == "2.0"
        assert set(one) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
        assert one["id"] is None or isinstance(one["id"], int | str)
        if "error" in one:
            assert one["error"]["code"] in CODES
            assert set(one["error"]) <= {"code", "message", "data"}
    if isinstance(found, list):
        assert found


floats = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | floats | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
ids = st.one_of(
    st.integers(-5, 2**65),
    st.text(),
    st.none(),
    floats,
    st.booleans(),
    st.just([]),
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2.0, None]),
        "id": ids,
        "method": st.one_of(st.text(), json_values),
        "params": json_values
        | st.fixed_dictionaries({}, optional={"some_token": st.text(), "someToken": json_values, "count": json_values}),
        "more": json_values,
    },
)


def wanted(request: Any, *, in_batch: bool) -> Any:
    """(id, code) of the answer, code None for a result or what depends on the parameters; () for none. The rules again,
    by the book."""
    if not isinstance(request, dict):
        return (None, -32600) if in_batch else (None, -32700)
    number = request.get("id", ...)
    readable = number is None or isinstance(number, str)
    readable = readable or (type(number) is int and 0 <= number < 2**64)
    if request.get("jsonrpc") == "2.0" and isinstance(request.get("method"), str):
        return (number, None) if readable else ()
    if readable:
        return (number, -32600)
    return (None, -32600) if in_batch else (None, -32700)


def fits(answer: Any, expected: Any) -> bool:
    number, code = expected
    got = answer.get("error", {}).get("code")
    return answer["id"] == number and (got in (None, -32602) if code is None else got == code)


@settings(max_examples=400, deadline=None)
@given(requests)
@example({"jsonrpc": "2.0", "id": 1.0, "method": "x"})
@example({"jsonrpc": "2.0", "id": 2**64, "method": "x"})
def test_one_request_is_answered_by_the_rules(request: dict[str, Any]) -> None:
    answer, unreadable = answer_to(json.dumps(request).encode())
    assert not unreadable
    check(answer)
    expected = wanted(request, in_batch=False)
    assert answer == b"" if expected == () else fits(json.loads(answer), expected)


@settings(max_examples=200, deadline=None)
@given(st.lists(requests | json_values, max_size=12))
def test_a_batch_is_answered_by_the_rules(entries: list[Any]) -> None:
    answer, _ = answer_to(json.dumps(entries).encode())
    check(answer)
    if not entries:
        assert fits(json.loads(answer), (None, -32600))
        return
    expected = [one for entry in entries if (one := wanted(entry, in_batch=True)) != ()]
    found = json.loads(answer) if answer else []
    assert len(found) == len(expected)
    assert all(fits(one, code) for one, code in zip(found, expected, strict=True))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"")
@example(b"{")
@example(b"[[[[")
@example(b'{"jsonrpc":"2.0","id":"\\ud800","method":"x","params":{"some_token":"a"}}')
@example(b'{"jsonrpc":"2.0","id":1,"method":"x","params":["\xed\xa0\x80"]}')
@example(b" " * 127 + b"{}")
@example(b"\x0c{}")
def test_any_bytes_are_answered(body: bytes) -> None:
    answer, unreadable = answer_to(body)
    check(answer)
    begins = body[:128].lstrip(b" \t\n\r\x0c")[:1]
    assert unreadable is (begins not in (b"{", b"["))


@pytest.mark.parametrize("depth", [50, 1_000, 100_000, 3_000_000])
@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_no_danger(depth: int, pair: tuple[bytes, bytes]) -> None:
    opening, closing = pair
    depth = min(depth, 10_000_000 // len(opening + closing))
    nested = opening * depth + (b"" if opening == b"[" else b"1") + closing * depth
    check(answer_to(nested)[0])
    check(answer_to(opening * depth)[0])
    inside = b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"some_token":"a","anything":%b}}' % nested
    if len(inside) <= 10 * 1024 * 1024:
        check(answer_to(inside)[0])


def test_a_batch_may_be_long_but_not_endless() -> None:
    entry = b'{"jsonrpc":"2.0","id":7,"method":"x","params":["a"]}'
    answer, _ = answer_to(b"[" + b",".join([entry] * 5_000) + b"]")
    assert [one["id"] for one in json.loads(answer)] == [7] * 5_000
    answer, _ = answer_to(b"[" + b"1," * RPC_BATCH_MAX + b"1]")
    assert json.loads(answer)["error"]["code"] == -32010


def bound(text: str) -> Any:
    return bind(Params, msgspec.Raw(text.encode())).some_token


@pytest.mark.parametrize(
    ("given", "token"),
    [
        ('{"some_token":"a"}', "a"),
        ('{"someToken":"a","unknown":1}', "a"),
        ('{"some_token":"a","count":null}', "a"),
        ('["a"]', "a"),
        ('["a",null,{},"more"]', "a"),
    ],
)
def test_parameters_come_by_name_and_by_position(given: str, token: str) -> None:
    assert bound(given) == token


@pytest.mark.parametrize(
    ("given", "data"),
    [
        ("{}", "missing field `some_token`"),
        ("[]", "No more params"),
        ('["a","b"]', "invalid parameter `count`: Expected `int`, got `str`"),
        ('{"some_token":5}', "invalid parameter `some_token`: Expected `str`, got `int`"),
        ('{"some_token":null}', "invalid parameter `some_token`: Expected `str`, got `null`"),
        ("5", "params are neither an object nor an array"),
        ('"text"', "params are neither an object nor an array"),
    ],
)
def test_wrong_parameters_say_what_is_wrong(given: str, data: str) -> None:
    with pytest.raises(RpcError) as refused:
        bound(given)
    assert (refused.value.code, refused.value.message, refused.value.data) == (-32602, "Invalid params", data)
    assert refused.value.encoded == invalid_params(data).encoded


def test_an_answer_that_is_too_big_becomes_an_error() -> None:
    big = "x" * (100 * 1024 * 1024 + 1)
    assert json.loads(protocol.succeeded(b"1", big))["error"]["code"] == -32008
    half = protocol.succeeded(b"1", big[: 60 * 1024 * 1024])
    assert json.loads(protocol.batched([half, half]))["error"]["code"] == -32011
