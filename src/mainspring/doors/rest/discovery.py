"""What this server can do, for programs that look before they call: bare answers, made from the table of operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec

from mainspring.core.errors import NotFound
from mainspring.core.instants import iso
from mainspring.doors.rest.answers import MEANING, RETRYABLE, STATUS
from mainspring.doors.rest.calls import Call
from mainspring.doors.rest.examples import Examples, examples_of
from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.requests import Nothing
from mainspring.doors.rest.results import Instant
from mainspring.doors.rest.schemas import Json, Schemas

_DEFS = "#/$defs/"
_OLD_PREFIX = "scheduling."


class Billing(msgspec.Struct, frozen=True):
    """Nothing costs anything."""

    is_billable: bool
    free: bool
    unit: Literal["per_request"]
    price_usd: Literal[0]
    currency: Literal["USD"]


_FREE = Billing(is_billable=False, free=True, unit="per_request", price_usd=0, currency="USD")


class CapabilitySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `idempotent`: the same idempotency key has one effect."""

    id: str
    method: str
    path: str
    summary: str
    idempotent: bool
    available: bool
    regions: tuple[str, ...]
    vendors: tuple[str, ...]
    billing: Billing


class Discovered(msgspec.Struct, frozen=True):
    """Everything that this server can do."""

    version: Literal["v1"]
    generated_at: Instant
    capabilities: list[CapabilitySummary]


class ErrorCase(msgspec.Struct, frozen=True):
    """A way in which an operation may be refused. `retryable`: the same request may succeed later."""

    code: str
    status: int
    retryable: bool
    description: str


class Capability(CapabilitySummary, frozen=True, kw_only=True):
    """One operation whole. `parameters`: of path, query and body together, and `result`: as JSON Schema."""

    paths: tuple[str, ...]
    public: bool
    scopes: tuple[str, ...]
    parameters: dict[str, Any]
    result: dict[str, Any]
    errors: list[ErrorCase]
    examples: Examples


class Discovery:
    """The two operations. `operations`: the table, which they are in themselves."""

    def __init__(self, operations: Callable[[], Sequence[Operation]]) -> None:
        self._operations = operations

    @cached_property
    def _by_id(self) -> dict[str, tuple[Operation, Capability]]:
        operations = self._operations()
        schemas = Schemas(operations, _DEFS + "{name}")
        return {row.id: (row, _capability(row, schemas)) for row in operations}

    async def index(self, call: Call[Nothing, Nothing]) -> Discovered:
        """All of them, in short."""
        shown = [_summary(row) for row, _ in self._by_id.values() if not row.dev or call.primary_key is not None]
        return Discovered("v1", iso(call.now), shown)

    async def one(self, call: Call[Nothing, Nothing]) -> Capability:
        """One of them, by its id. Raises `NotFound`."""
        found = self._by_id.get(call.path[0].removeprefix(_OLD_PREFIX))
        if found is None or (found[0].dev and call.primary_key is None):
            raise NotFound("there is no such capability", hint="GET /v1/discovery lists them.")
        return found[1]


def _summary(row: Operation) -> CapabilitySummary:
    return CapabilitySummary(**_short(row))


def _short(row: Operation) -> dict[str, Any]:
    return {
        "id": row.id,
        "method": row.method,
        "path": row.paths[0],
        "summary": row.summary,
        "idempotent": row.idempotent,
        "available": True,
        "regions": (),
        "vendors": ("mainspring",),
        "billing": _FREE,
    }


def _capability(row: Operation, schemas: Schemas) -> Capability:
    return Capability(
        **_short(row),
        paths=row.paths,
        public=row.public,
        scopes=row.scopes,
        parameters=_with_definitions(_parameters(row, schemas), schemas),
        result=_with_definitions(schemas.by_name[row.result.__name__], schemas),
        errors=[ErrorCase(code, STATUS[code], code in RETRYABLE, MEANING[STATUS[code]]) for code in row.codes],
        examples=examples_of(row),
    )


def _parameters(row: Operation, schemas: Schemas) -> Json:
    """One object with what may be given in the path, in the query and in the body."""
    body = schemas.by_name[row.body.__name__]["properties"] if row.reads_body else {}
    path, query = schemas.path(row), schemas.query(row)
    asked = [names[0] for names in row.needs if not row.reads_body]
    shown: Json = {"type": "object", "properties": {**body, **query, **path}, "required": [*path, *asked]}
    needed = list(schemas.needed(row))
    return shown | ({"allOf": needed} if needed else {})


def _with_definitions(schema: Json, schemas: Schemas) -> Json:
    """The schema with every other that it refers to."""
    found: dict[str, Json] = {}
    waiting: list[Any] = [schema]
    while waiting:
        match waiting.pop():
            case dict() as inner:
                waiting += inner.values()
                name = str(inner.get("$ref", "")).removeprefix(_DEFS)
                if name and name not in found:
                    found[name] = schemas.by_name[name]
                    waiting.append(found[name])
            case list() as items:
                waiting += items
            case _:
                pass
    return schema | ({"$defs": found} if found else {})
