from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from mainspring.core.errors import Invalid
from mainspring.core.ids import KEY_MAX
from mainspring.core.limits import JSON_DEPTH_MAX
from mainspring.doors.rest.cursors import Listing, cursor_of, keys_of
from mainspring.doors.rest.operations import OPERATIONS
from mainspring.doors.rest.reading import Shape, fingerprint, members_of
from mainspring.doors.rest.requests import CronFields

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=5)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(objects, st.booleans(), st.integers(0, 3) | st.none())
def test_any_object_is_read_member_by_member(value: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert {name: json.loads(bytes(raw)) for name, raw in members_of(text.encode()).items()} == value


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,\\ud8019eE+-.ntfalsrue \n', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_as_the_standard_says(body: bytes) -> None:
    def refuse(_: str) -> None:
        raise ValueError

    try:
        expected = json.loads(body.decode(), parse_constant=refuse) if body else {}
        json.dumps(expected, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        with pytest.raises(Invalid) as refused:
            members_of(body)
        assert refused.value.code == "INVALID_JSON"
        return
    if isinstance(expected, dict):
        assert {name: json.loads(bytes(raw)) for name, raw in members_of(body).items()} == expected
    else:
        with pytest.raises(Invalid) as refused:
            members_of(body)
        assert refused.value.code == "VALIDATION_FAILED"


@given(
    st.recursive(
        st.sampled_from(["[", '"]"', "\\"]),
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(st.just("{["), inner, min_size=1),
        max_leaves=80,
    ),
    st.integers(JSON_DEPTH_MAX - 5, JSON_DEPTH_MAX + 2),
)
def test_depth_is_counted_exactly(inner: Any, wrapped: int) -> None:
    value: Any = inner
    for _ in range(wrapped):
        value = [value]
    body = json.dumps({"a": value}).encode()
    if depth_of({"a": value}) <= JSON_DEPTH_MAX:
        assert set(members_of(body)) == {"a"}
    else:
        with pytest.raises(Invalid, match="64 levels"):
            members_of(body)


@given(objects, st.randoms())
def test_a_fingerprint_knows_no_order_spacing_or_escapes(value: dict[str, Any], random: Any) -> None:
    def shuffled(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: shuffled(part[name]) for name in random.sample(list(part), len(part))}
        return [shuffled(item) for item in part] if isinstance(part, list) else part

    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    other = json.dumps(shuffled(value), indent=1)
    assert fingerprint(members_of(plain.encode())) == fingerprint(members_of(other.encode()))


@given(objects, objects)
def test_different_objects_have_different_fingerprints(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    prints = [fingerprint(members_of(json.dumps(value).encode())) for value in (one, other)]
    assert (prints[0] == prints[1]) is same or one == other


def test_numbers_beyond_every_type_have_fingerprints_too() -> None:
    big = "1" * 5000
    one, same, other = (
        fingerprint(members_of(f'{{"a":{a},{space}"b":{b}}}'.encode()))
        for a, b, space in ((big, "1e999", ""), (big, "1e999", "  "), (big + "1", "1e999", ""))
    )
    assert one == same != other


@given(st.sampled_from(Listing), st.lists(st.integers(0, KEY_MAX), min_size=1, max_size=3))
def test_a_cursor_holds_what_was_put_in(listing: Listing, keys: list[int]) -> None:
    cursor = cursor_of(listing, *keys)
    assert keys_of(listing, cursor, len(keys)) == tuple(keys)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    for other in Listing:
        if other != listing:
            with pytest.raises(Invalid):
                keys_of(other, cursor, len(keys))


@given(st.sampled_from(Listing), st.text(max_size=40), st.integers(1, 2))
def test_any_text_is_a_cursor_or_refused(listing: Listing, text: str, count: int) -> None:
    keys: tuple[int, ...] | None = None
    with contextlib.suppress(Invalid):
        keys = keys_of(listing, text, count)
    assert keys is None or cursor_of(listing, *keys) == text


@pytest.mark.parametrize(
    "struct", sorted({each for row in OPERATIONS for each in (row.body, row.query)}, key=lambda struct: struct.__name__)
)
def test_every_alias_is_one_of_a_field_and_of_one_only(struct: type[msgspec.Struct]) -> None:
    aliases = getattr(struct, "aliases", {})
    names = list(struct.__struct_fields__)
    assert set(aliases) <= set(names)
    others = [other for group in aliases.values() for other in group]
    assert len(set(others + names)) == len(others) + len(names)


def read(text: str) -> tuple[CronFields, list[str]]:
    return Shape(CronFields).from_members(members_of(text.encode()), frozenset())


def test_absent_null_and_given_are_three_things() -> None:
    fields, _ = read('{"retry": null, "timezone": "UTC"}')
    assert (fields.retry, fields.timezone, fields.name) == (None, "UTC", UNSET)


def test_equal_spellings_agree_and_null_beside_a_value_gives_way() -> None:
    for text in ('{"retry": 3, "retries": 3}', '{"retry": null, "retries": 3}', '{"retries": 3, "retry": null}',
                 '{"retry": 3.0}'):  # fmt: skip
        assert read(text)[0].retry == 3
    with pytest.raises(Invalid, match="contradicts"):
        read('{"task": "a", "url": "a", "task_url": "b"}')


def test_long_names_are_cut_in_warnings() -> None:
    _, unknown = read(json.dumps({"x" * 5000: 1, "expect": {"y" * 5000: 1}}))
    assert [len(name) for name in unknown] == [64, 64]
