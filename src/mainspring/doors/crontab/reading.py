"""From the bytes of a request to its items and their values. Pure.

Clients of this API send what their languages give them: names in any case, numbers as texts, zero and "" for what they
do not mean to say. One bad item does not spoil the others, so each is read by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from mainspring.core.limits import CRONTAB_ITEMS_MAX

SYSTEM, DONE, PARAMETER, TYPE, START_TIME, CALLBACK, IDENTITY = range(-1, 6)
NUMBER_MAX = 2**53 - 1

_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_any = msgspec.json.Decoder(Any)
_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,16})\s*", re.ASCII)

Item = Mapping[str, Raw]


class Wrong(Exception):
    """What is wrong with a request or with one item: a code of the protocol and a sentence."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def request_of(body: bytes) -> tuple[list[Raw], Item]:
    """The items of `task_list`, and the other members of the request. Raises `Wrong`."""
    try:
        str(body, "utf-8")
        members = item_of(Raw(body))
    except UnicodeDecodeError:
        raise Wrong(PARAMETER, "the body is not UTF-8") from None
    except Wrong:
        raise Wrong(PARAMETER, 'the body is not a JSON object like {"task_list": [...]}') from None
    listed = members.get("task_list", Raw(b"null"))
    try:
        items = [] if bytes(listed) == b"null" else _list.decode(listed)
    except (msgspec.DecodeError, RecursionError):
        raise Wrong(PARAMETER, "task_list is not a list") from None
    if len(items) > CRONTAB_ITEMS_MAX:
        raise Wrong(PARAMETER, f"task_list has {len(items)} items; send at most {CRONTAB_ITEMS_MAX} at a time")
    return items, members


def item_of(raw: Raw) -> Item:
    """The members of one object, their names in lower case; of a repeated one the last counts. Raises `Wrong`."""
    try:
        return {name.lower(): value for name, value in _object.decode(raw).items()}
    except (msgspec.DecodeError, RecursionError):
        raise Wrong(PARAMETER, "the item is not a JSON object") from None


def text_of(item: Item, name: str, code: int = PARAMETER) -> str | None:
    """A text; None for null and the empty one. Numbers are taken as they are written. Raises `Wrong`."""
    value = _value(item, name, code)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str | None):
        raise Wrong(code, f"{name} is not a text")
    if value and "\x00" in value:
        raise Wrong(code, f"{name} holds a NUL character")
    return value or None


def number_of(item: Item, name: str, code: int = PARAMETER) -> int | None:
    """A whole number below 2^53, also one written as a text; None for null, 0 and the empty text. Raises `Wrong`."""
    value = _value(item, name, code)
    if isinstance(value, str):
        found = _WHOLE.fullmatch(value)
        if found is None and value.strip():
            raise Wrong(code, f"{name} is not a whole number")
        value = int(found[1]) if found else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | None):
        raise Wrong(code, f"{name} is not a whole number")
    if value is not None and abs(value) > NUMBER_MAX:
        raise Wrong(code, f"{name} is out of range")
    return value or None


def body_of(item: Item) -> bytes | None:
    """The callback's body: the text as it is; of anything else that is no text, its JSON. Raises `Wrong`."""
    raw = bytes(item.get("body", b"null"))
    if raw.startswith(b'"'):
        value = _value(item, "body", CALLBACK)
        return value.encode() or None
    return None if raw == b"null" else raw


def _value(item: Item, name: str, code: int) -> Any:
    raw = item.get(name)
    try:
        return None if raw is None else _any.decode(raw)
    except (msgspec.DecodeError, RecursionError, OverflowError, ValueError):
        raise Wrong(code, f"{name} is not a value that can be read") from None
