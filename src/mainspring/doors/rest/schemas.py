"""JSON Schema of what operations take and give, made from their structs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mainspring.core.limits import IDEMPOTENCY_KEY_CHARS_MAX
from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.queue_requests import QueueName
from mainspring.doors.rest.reading import items_of
from mainspring.doors.rest.requests import Nothing

Json = dict[str, Any]

KEY: Json = {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX}
KEY_SAID = "The same key with the same body has one effect for 24 hours, and gets the first answer again."

# Path parameters that are no ids.
_NAMES: dict[str, Json] = {"queue": msgspec.json.schema(QueueName)}


class Schemas:
    """The schemas of a table of operations. `ref`: how one refers to another, with `{name}` in it."""

    def __init__(self, operations: Sequence[Operation], ref: str) -> None:
        self.ref = ref
        self.by_name = _by_name(operations, ref)

    def result(self, operation: Operation) -> Json:
        """What it gives."""
        return {"$ref": self.ref.format(name=operation.result.__name__)}

    def body(self, operation: Operation) -> Json:
        """What it reads."""
        whole = {"$ref": self.ref.format(name=operation.body.__name__)}
        needed = list(self.needed(operation))
        return {"allOf": [whole, *needed]} if needed else whole

    def needed(self, operation: Operation) -> Iterator[Json]:
        """Which fields of the body have to be there."""
        if operation.reads_body:
            properties = self.by_name[operation.body.__name__]["properties"]
            yield from _all_of(operation.needs, operation.body, properties)

    def path(self, operation: Operation) -> dict[str, Json]:
        """The parameters of the path."""
        return {name: _NAMES.get(name, {"type": "string", "minLength": 1}) for name in operation.parameters}

    def query(self, operation: Operation) -> dict[str, Json]:
        """The parameters of the query."""
        if operation.query is Nothing:
            return {}
        found: dict[str, Json] = self.by_name[operation.query.__name__]["properties"]
        return found


def _by_name(operations: Sequence[Operation], ref: str) -> dict[str, Json]:
    kinds = {kind for row in operations for kind in (row.body, row.query, row.result)}
    _, schemas = msgspec.json.schema_components(sorted(kinds, key=lambda kind: kind.__name__), ref_template=ref)
    found: dict[str, Json] = dict(sorted(schemas.items()))
    bodies = {row.body for row in operations}
    keyed = {row.body for row in operations if row.idempotent}
    items = {item for one in bodies for item in items_of(one)}
    for body in {*bodies, *items}:
        schema = found[body.__name__]
        properties = _with_aliases(schema.setdefault("properties", {}), getattr(body, "aliases", {}))
        if body in keyed:
            properties["idempotency_key"] = {"description": KEY_SAID, "anyOf": [KEY, {"type": "null"}]}
        schema["properties"] = properties
        if body in items:
            schema["allOf"] = list(_all_of(getattr(body, "needs", ()), body, properties))
    return found


def _with_aliases(properties: Mapping[str, Json], aliases: Mapping[str, tuple[str, ...]]) -> dict[str, Json]:
    shown = dict(properties)
    for name, others in aliases.items():
        shown |= {
            other: {**properties[name], "description": f"Another name of `{name}`.", "x-alias-of": name}
            for other in others
        }
    return shown


def _all_of(needs: tuple[tuple[str, ...], ...], body: type, properties: Mapping[str, Json]) -> Iterator[Json]:
    for names in needs:
        yield {"anyOf": list(_one_of(names, getattr(body, "aliases", {}), properties))}


def _one_of(
    names: tuple[str, ...], aliases: Mapping[str, tuple[str, ...]], properties: Mapping[str, Json]
) -> Iterator[Json]:
    """One of these fields under one of its names, and not null where that is no value of it."""
    for name in names:
        kinds = [part["type"] for part in properties[name].get("anyOf", ()) if part.get("type", "null") != "null"]
        for spelling in (name, *aliases.get(name, ())):
            yield {"required": [spelling]} | ({"properties": {spelling: {"type": kinds[0]}}} if kinds else {})
