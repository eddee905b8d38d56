"""From bytes to request structs: JSON that really is JSON, names and aliases, and errors that name the field."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, UnsetType

from mainspring.core.errors import Invalid
from mainspring.core.limits import JSON_DEPTH_MAX

S = TypeVar("S", bound=msgspec.Struct)

# What a path parameter already says; clients repeat it in the body.
SAID_BY_PATH = frozenset({"id", "cron_id", "job_id", "queue", "task_id", "key_id", "run_id", "subscription_id"})
WARNINGS_MAX = 20
_SHOWN_CHARS = 64

_members = msgspec.json.Decoder(dict[str, Raw])
_NO_FIELDS: frozenset[str] = frozenset()
_NO_NAMES: tuple[str, ...] = ()
_anything = msgspec.json.Decoder(Raw)
_values = msgspec.json.Decoder(Any)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE = bytes.maketrans(b"{}", b"[]")
_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def members_of(body: bytes) -> dict[str, Raw]:
    """The members of a JSON object, each as its own bytes; an empty body is an empty object.

    Of duplicate names the last wins. Raises `Invalid` with code INVALID_JSON for anything that RFC 8259 in UTF-8 does
    not allow (NaN, lone surrogates, more than 64 levels), `Invalid` for JSON that is no object.
    """
    if not body:
        return {}
    try:
        str(body, "utf-8")
        if body.count(b"[") + body.count(b"{") > JSON_DEPTH_MAX:
            _anything.decode(body)
            _check_depth(body)
        return _members.decode(body)
    except msgspec.ValidationError:
        pass
    except UnicodeDecodeError as error:
        raise _not_json(f"byte {error.start} is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise _not_json(str(error).removeprefix("JSON is malformed: ")) from None
    except RecursionError:
        raise _too_deep() from None
    try:
        _anything.decode(body)
    except msgspec.DecodeError as error:
        raise _not_json(str(error).removeprefix("JSON is malformed: ")) from None
    raise Invalid("the body is not a JSON object", hint='Send an object like {"name": "value"}, or no body at all.')


def _check_depth(body: bytes) -> None:
    """Peel off the innermost brackets, a level a time: what is left after 64 levels is too deep. The body is JSON.

    What is between quotes goes first; a pattern for strings took 20 times as long, and most of what a batch costs.
    """
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(unescaped.split(b'"')[::2]).translate(_SQUARE, _NOT_BRACKETS)
    for _ in range(JSON_DEPTH_MAX):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
    raise _too_deep()


def _too_deep() -> Invalid:
    return _not_json(f"it is nested more than {JSON_DEPTH_MAX} levels deep")


def _not_json(reason: str) -> Invalid:
    return Invalid(f"the body is not JSON: {reason}", hint="Send one JSON object in UTF-8.", code="INVALID_JSON")


def fingerprint(members: Mapping[str, Raw]) -> bytes:
    """SHA-256 of the members as canonical JSON: the same whatever their order, spacing and escapes."""
    plain = b"{" + b",".join(msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in members.items()) + b"}"
    try:
        canonical = msgspec.json.encode(_values.decode(plain), order="sorted")
    except (msgspec.DecodeError, OverflowError):
        # Numbers beyond every type: compared as they are written.
        canonical = json.dumps(json.loads(plain, parse_int=str, parse_float=str), sort_keys=True).encode()
    return sha256(canonical).digest()


def text_of(name: str, raw: Raw) -> str | None:
    """The text of one member, None for `null`. Raises `Invalid` naming it."""
    value: str | None = _text.decode(name, raw)[0]
    return value


class Shape(Generic[S]):
    """How one struct is read, from a JSON object or from a query string, under every name of its fields."""

    def __init__(self, struct: type[S]) -> None:
        self.struct = struct
        self.aliases: Mapping[str, tuple[str, ...]] = getattr(struct, "aliases", {})
        self._fields: dict[str, _Field] = {}
        for name, hint in get_type_hints(struct, include_extras=True).items():
            if name not in struct.__struct_fields__:
                continue
            field = _Field(name, _without_absence(hint))
            for spelling in (name, *self.aliases.get(name, ())):
                self._fields[spelling] = field

    def from_members(self, members: Mapping[str, Raw], ignored: frozenset[str]) -> tuple[S, list[str]]:
        """The struct and the names that mean nothing here. Raises `Invalid` naming the field as it was sent."""
        values: dict[str, Any] = {}
        unknown: list[str] = []
        for name, raw in members.items():
            field = self._fields.get(name)
            if field is None:
                if name not in ignored:
                    unknown.append(name[:_SHOWN_CHARS])
                continue
            value, strangers = field.decode(name, raw)
            if strangers:
                unknown += strangers
            if field.name in values:
                self._settle(values, field.name, name, value)
            else:
                values[field.name] = value
        return self.struct(**values), unknown

    def from_query(self, query: bytes) -> S:
        """The struct of a query string; of a repeated name the last counts, unknown ones are ignored."""
        values: dict[str, Any] = {}
        for name, text in dict(query_pairs(query)).items():
            field = self._fields.get(name)
            if field is not None:
                self._settle(values, field.name, name, field.convert(name, text))
        return self.struct(**values)

    def _settle(self, values: dict[str, Any], canonical: str, name: str, value: Any) -> None:
        earlier = values.get(canonical)
        if earlier is None:
            values[canonical] = value
        elif value is not None and value != earlier:
            others = ", ".join((canonical, *self.aliases.get(canonical, ())))
            raise Invalid(
                f"{name} contradicts another spelling of {canonical}", hint=f"Give only one of {others}.", field=name
            )

    def each(self, name: str, members: list[dict[str, Raw]]) -> tuple[list[S], list[str]]:
        """The structs of a list, as `from_members`; `name` is that of the list."""
        made: list[S] = []
        unknown: list[str] = []
        for at, one in enumerate(members):
            try:
                item, strangers = self.from_members(one, _NO_FIELDS)
            except Invalid as wrong:
                raise Invalid(
                    f"{name}.{at}.{wrong.message}", hint=wrong.hint, field=f"{name}.{at}.{wrong.field}"
                ) from None
            made.append(item)
            unknown += [f"{name}.{at}.{stranger}" for stranger in strangers]
        return made, unknown


def items_of(struct: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The structs of which a request struct holds lists."""
    hints = get_type_hints(struct, include_extras=True)
    listed = [_listed(_without_absence(hint)) for name, hint in hints.items() if name in struct.__struct_fields__]
    return [item for item in listed if item is not None]


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query string; what is not UTF-8 becomes U+FFFD."""
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _listed(kind: Any) -> type[msgspec.Struct] | None:
    """The struct of which this type is a list, if it is one."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is list and _is_struct(get_args(kind)[0]):
        item: type[msgspec.Struct] = get_args(kind)[0]
        return item
    return None


def _with_items(kind: Any, item: Any) -> Any:
    """The same type of list, with the same bounds, of something else."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        return Annotated[(_with_items(inner, item), *notes)]
    return list[item]


class _Field:
    """One field of a struct and its own decoder."""

    def __init__(self, name: str, kind: Any) -> None:
        self.name = name
        self._kind = kind
        plain = kind
        while get_origin(plain) is Annotated:
            plain = get_args(plain)[0]
        self._raw = plain is Raw
        listed = _listed(kind)
        self._items = None if listed is None else Shape(listed)
        if listed is not None:
            self._kind = kind = _with_items(kind, dict[str, Raw])
        self._known = frozenset(plain.__struct_fields__) if _is_struct(plain) else None
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any if self._raw else kind)

    def decode(self, name: str, raw: Raw) -> tuple[Any, Sequence[str]]:
        """The value (None for `null`), and the unknown names inside it."""
        text = bytes(raw)
        if text == b"null":
            return None, _NO_NAMES
        if self._raw:
            return text, _NO_NAMES
        try:
            value = self._decoder.decode(text)
        except msgspec.ValidationError as error:
            value = self._lenient(name, text, _wrong(name, str(error)))
        if self._items is not None:
            return self._items.each(name, value)
        if self._known is None:
            return value, _NO_NAMES
        return value, [f"{name}.{inner}"[:_SHOWN_CHARS] for inner in _members.decode(text) if inner not in self._known]

    def _lenient(self, name: str, text: bytes, wrong: Invalid) -> Any:
        """The value of what is not of its type as it is written."""
        try:
            return msgspec.convert(_with_whole_numbers(_values.decode(text)), self._kind)
        except msgspec.ValidationError:
            raise wrong from None

    def convert(self, name: str, text: str) -> Any:
        try:
            return msgspec.convert(text, self._kind, strict=False)
        except msgspec.ValidationError as error:
            raise _wrong(name, str(error)) from None


def _with_whole_numbers(value: Any) -> Any:
    """The value with 3 for 3.0: JSON Schema counts both as the same integer, and some clients write it so."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_with_whole_numbers(item) for item in value]
        case dict():
            return {name: _with_whole_numbers(item) for name, item in value.items()}
        case _:
            return value


def _wrong(name: str, reason: str) -> Invalid:
    """`Invalid` from what msgspec says, whose texts name types and bounds but never a value that could be secret."""
    place = _PLACE.search(reason)
    if place is not None:
        reason = reason[: place.start()]
        name += place["path"].partition("[...]")[0]
    reason = reason.replace("`", "")
    return Invalid(
        f"{name} is not valid: {reason[:1].lower()}{reason[1:]}",
        hint="The types and bounds of all fields are listed under /docs.",
        field=name,
    )


def _without_absence(hint: Any) -> Any:
    """The type of a field when it is there: without None and UNSET."""
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        return Annotated[(_without_absence(inner), *notes)]
    if get_origin(hint) in (Union, types.UnionType):
        present = [kind for kind in get_args(hint) if kind not in (types.NoneType, UnsetType)]
        return Union[tuple(present)]  # noqa: UP007  # the members are known at run time only
    return hint


_text = _Field("idempotency_key", str)
