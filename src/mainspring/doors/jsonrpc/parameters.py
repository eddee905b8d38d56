"""Parameters, given by name or by position, as the struct of their method. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from msgspec import NODEFAULT, Raw

from mainspring.doors.jsonrpc.errors import RpcError, invalid_params

_members = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


class Field(msgspec.Struct, frozen=True):
    """One parameter and how its JSON is read."""

    name: str
    decoder: msgspec.json.Decoder[Any]
    required: bool


class Shape(msgspec.Struct, frozen=True):
    """The parameters of a method in their order, and by both spellings of their names."""

    fields: tuple[Field, ...]
    by_name: dict[str, int]


@cache
def shape_of(params: type[msgspec.Struct]) -> Shape:
    """How the parameters of a struct are given: in the order of its fields, or as `snake_case` or `camelCase`."""
    fields = []
    by_name: dict[str, int] = {}
    for at, one in enumerate(msgspec.structs.fields(params)):
        required = one.default is NODEFAULT and one.default_factory is NODEFAULT
        fields.append(Field(one.name, msgspec.json.Decoder(one.type), required))
        by_name[one.name] = by_name[_camel(one.name)] = at
    return Shape(tuple(fields), by_name)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def bind(params: type[msgspec.Struct], given: Raw | None) -> Any:
    """The parameters of a call. Unknown ones are ignored; one that may be absent may be null. Raises `RpcError`."""
    shape = shape_of(params)
    values: dict[str, Any] = {}
    for at, raw in _given(shape, given).items():
        field = shape.fields[at]
        if bytes(raw) == b"null" and not field.required:
            continue
        values[field.name] = _value(field, raw)
    for field in shape.fields:
        if field.required and field.name not in values:
            by_position = given is not None and bytes(given)[:1] == b"["
            raise invalid_params("No more params" if by_position else f"missing field `{field.name}`")
    return params(**values)


def _given(shape: Shape, given: Raw | None) -> dict[int, Raw]:
    """What was given, by the places of the parameters."""
    if given is None:
        return {}
    try:
        match bytes(given)[:1]:
            case b"[":
                return dict(enumerate(_list.decode(given)[: len(shape.fields)]))
            case b"{":
                members = _members.decode(given)
                return {shape.by_name[name]: raw for name, raw in members.items() if name in shape.by_name}
            case _:
                raise invalid_params("params are neither an object nor an array")
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unreadable(error) from None


def _value(field: Field, raw: Raw) -> Any:
    try:
        return field.decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_params(f"invalid parameter `{field.name}`: {_said(error)}") from None


def _unreadable(error: Exception) -> RpcError:
    return invalid_params(f"params cannot be read: {_said(error)}")


def _said(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
