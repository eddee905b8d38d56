"""One operation of the API, and the request that asks for it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
_PARAMETER = re.compile(r"\{(\w+)\}")


class _Null:
    """Stands for JSON's null, where None means that a field is left out."""

    def __repr__(self) -> str:
        return "NULL"


NULL: Any = _Null()
"""Give this to reset a field to its default: `client.cron.update(id, max_runs=NULL)`. None leaves a field as it is."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """What a caller can do; `T` is the type of the result.

    `path`: its `{parameters}` are named as the method's arguments are. `idempotent`: the same key has one effect, so a
    request may be repeated. `nullable`: arguments for which None is a value. `attempt_id`: the name of the argument by
    which a repeat is known where keys mean nothing. `waits`: the name of the argument with the seconds that the server
    may take its time. `public`: needs no key. `bare`: the answer is the result, without the envelope.
    """

    id: str
    method: Method
    path: str
    idempotent: bool = False
    nullable: tuple[str, ...] = ()
    attempt_id: str | None = None
    waits: str | None = None
    public: bool = False
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What goes over the wire, but for the address and the API key. `target`: path and query, escaped.

    `wait_seconds`: how long the server may wait before it answers, on purpose.
    """

    method: Method
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: float = 0.0
    bare: bool = False


def build(operation: Operation[Any], given: Mapping[str, Any], key: str | None) -> Request:
    """The request for an operation with these arguments; those that are None are left out.

    `key`: names this call, so that repeats of it have one effect; an `idempotency_key` among the arguments wins.
    Raises `TypeError` for an argument that JSON does not know, `ValueError` for one that it cannot express.
    """
    fields = {
        name: value
        for name, value in given.items()
        if name != "self" and (_is_given(value) or name in operation.nullable)
    }
    names = _PARAMETER.findall(operation.path)
    target = _PARAMETER.sub(lambda found: _segment(fields.get(found[1], ""), found[1]), operation.path)
    chosen = fields.pop("idempotency_key", key)
    for name in names:
        del fields[name]
    if operation.attempt_id is not None and key is not None:
        fields.setdefault(operation.attempt_id, key)
    headers = {"Idempotency-Key": chosen} if operation.idempotent and chosen else {}
    wait = float(fields.get(operation.waits, 0)) if operation.waits else 0.0
    if operation.method == "GET":
        query = urlencode([(name, _text(value)) for name, value in fields.items()])
        return Request("GET", f"{target}?{query}" if query else target, bare=operation.bare)
    body = encode({name: _field(name, value) for name, value in fields.items()}) if fields else None
    if body is not None:
        headers["Content-Type"] = "application/json"
    return Request(operation.method, target, body, headers, wait, operation.bare)


def encode(value: Any) -> bytes:
    """JSON, as short as it can be. NaN and unpaired surrogates are no JSON: `ValueError`."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_null).encode()


def _null(value: object) -> None:
    if value is not NULL:
        raise TypeError(f"{type(value).__name__} is not JSON")


def _is_given(value: object) -> bool:
    return value is not None and value is not ...


def _segment(value: object, name: str) -> str:
    """One segment of a path. Dots alone would walk up the path, so they are escaped too."""
    text = str(value)
    if not text:
        raise ValueError(f"{name} is empty")
    escaped = quote(text, safe="")
    return escaped.replace(".", "%2E") if not text.strip(".") else escaped


def _field(name: str, value: Any) -> Any:
    # A payload is the caller's own: JSON, and nothing that would come back as something else.
    return _instant(value) if isinstance(value, datetime) and name != "payload" else value


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return _instant(value)
        case _:
            return str(value)


def _instant(value: datetime) -> str:
    """ISO-8601 with its offset. A time without one means different instants to different readers: `ValueError`."""
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone; say datetime(…, tzinfo=UTC)")
    return value.isoformat()
