"""The OpenAPI 3.1 document, made from the table of operations. `python -m mainspring.doors.rest.openapi` prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby

from mainspring import __version__
from mainspring.doors.rest.answers import MEANING, STATUS
from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.operations import OPERATIONS
from mainspring.doors.rest.schemas import KEY, KEY_SAID, Json, Schemas

_REF = "#/components/schemas/{name}"
# What an operation makes is what others need: the prefix of their ids, and the parameter.
_MAKERS = {
    "cron.create": ("cron.", "id"),
    "task.schedule": ("task.", "id"),
    "account.keys.create": ("account.keys.", "id"),
    "queue.create": ("queue.", "queue"),
}


_RATE_HEADERS: Json = {
    f"RateLimit-{name}": {"description": said, "schema": {"type": "integer", "minimum": 0}}
    for name, said in (
        ("Limit", "Requests that the key may make, where that is bounded."),
        ("Remaining", "How many of them are left."),
        ("Reset", "Seconds until all of them are there again."),
    )
}


def document(root_path: str = "") -> Json:
    """The whole document; `root_path` is the prefix under which a proxy serves it."""
    schemas = Schemas(OPERATIONS, _REF)
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        for number, path in enumerate(operation.paths):
            paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, path, number, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mainspring",
            "version": __version__,
            "description": "Cron jobs, one-shot tasks, runs and queues over HTTP. Every answer has the same envelope.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": root_path or "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(operation) for operation in OPERATIONS)],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A project key."}},
            "schemas": {**schemas.by_name, **_envelope_schemas()},
            "responses": {name: shown for row in OPERATIONS for _, name, shown in _refusals(row)},
        },
    }


def _envelope_schemas() -> dict[str, Json]:
    metadata = {
        "type": "object",
        "properties": {
            "request_id": {"type": "string", "format": "uuid", "description": "UUID v7; also in X-Request-Id."},
            "latency_ms": {"type": "integer", "minimum": 0},
            "cost_usd": {"const": 0},
            "vendor": {"const": "mainspring"},
            "cache_hit": {"const": False},
            "warnings": {"type": "array", "items": {"type": "string"}, "description": "What was ignored."},
        },
        "required": ["request_id", "latency_ms", "cost_usd", "vendor", "cache_hit"],
    }
    failure = {
        "type": "object",
        "properties": {
            "code": {"enum": sorted(STATUS, key=lambda code: (STATUS[code], code))},
            "message": {"type": "string", "description": "What happened."},
            "hint": {"type": "string", "description": "What to do about it."},
            "field": {"type": "string", "description": "The input at fault."},
            "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
        },
        "required": ["code", "message", "hint", "retryable"],
    }
    refusal = {
        "type": "object",
        "properties": {
            "ok": {"const": False},
            "data": {"type": "null"},
            "error": {"$ref": _REF.format(name="Failure")},
            "metadata": {"$ref": _REF.format(name="Metadata")},
        },
        "required": ["ok", "data", "error", "metadata"],
    }
    return {"Failure": failure, "Metadata": metadata, "Refusal": refusal}


def _tag(operation: Operation) -> str:
    return operation.id.partition(".")[0]


def _operation(operation: Operation, path: str, number: int, schemas: Schemas) -> Json:
    shown: Json = {
        "operationId": operation.id if number == 0 else f"{operation.id}.{number + 1}",
        "tags": [_tag(operation)],
        "summary": operation.summary,
        "description": _description(operation, number),
    }
    parameters = list(_parameters(operation, schemas))
    if parameters:
        shown["parameters"] = parameters
    if operation.public:
        shown["security"] = []
    if operation.reads_body:
        shown["requestBody"] = {
            "required": bool(operation.needs),
            "content": {"application/json": {"schema": schemas.body(operation)}},
        }
    refused = {status: {"$ref": f"#/components/responses/{name}"} for status, name, _ in _refusals(operation)}
    shown["responses"] = {"200": _success(operation, schemas), **refused}
    return shown


def _description(operation: Operation, number: int) -> str:
    lines = []
    if operation.scopes:
        lines.append(f"Needs a key with the scope {' or '.join(f'`{name}`' for name in operation.scopes)}.")
    if operation.dev:
        lines.append("On a development server only; elsewhere 404.")
    if number:
        lines.append(f"The same as `{operation.method} {operation.paths[0]}`.")
    else:
        lines += [f"Also `{operation.method} {path}`." for path in operation.paths[1:]]
    return " ".join(lines)


def _parameters(operation: Operation, schemas: Schemas) -> Iterator[Json]:
    for name, schema in schemas.path(operation).items():
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    aliases: Mapping[str, tuple[str, ...]] = getattr(operation.query, "aliases", {})
    for name, schema in schemas.query(operation).items():
        shown = {"name": name, "in": "query", "required": (name,) in operation.needs, "schema": schema}
        others = " and ".join(f"`{other}`" for other in aliases.get(name, ()))
        yield shown | ({"description": f"Also understood as {others}."} if others else {})
    if operation.idempotent:
        yield {"name": "Idempotency-Key", "in": "header", "description": KEY_SAID, "schema": KEY}


def _success(operation: Operation, schemas: Schemas) -> Json:
    headers: Json = {"X-Request-Id": {"schema": {"type": "string", "format": "uuid"}}}
    if operation.idempotent:
        headers["Idempotency-Replayed"] = {
            "description": "`true` when this is the first answer again.",
            "schema": {"const": "true"},
        }
    enveloped = {
        "type": "object",
        "properties": {
            "ok": {"const": True},
            "data": schemas.result(operation),
            "error": {"type": "null"},
            "metadata": {"$ref": _REF.format(name="Metadata")},
        },
        "required": ["ok", "data", "error", "metadata"],
    }
    schema = schemas.result(operation) if operation.bare else enveloped
    shown: Json = {"description": "Done", "headers": headers, "content": {"application/json": {"schema": schema}}}
    links = dict(_links(operation))
    return shown | {"links": links} if links else shown


def _links(operation: Operation) -> Iterator[tuple[str, Json]]:
    """Where the id in the answer is of use."""
    made = "$response.body#/data/"
    prefix, name = _MAKERS.get(operation.id, (None, ""))
    for other in OPERATIONS:
        if prefix is not None and other.id.startswith(prefix) and other.parameters == (name,):
            yield other.id, {"operationId": other.id, "parameters": {name: f"{made}{name}"}}
        if operation.id == "cron.trigger" and other.id == "cron.runs.get":
            ids = {"id": f"{made}cron_id", "run_id": f"{made}run_id"}
            yield other.id, {"operationId": other.id, "parameters": ids}


def _refusals(operation: Operation) -> Iterator[tuple[str, str, Json]]:
    """HTTP status, name and content of every refusal; equal ones have equal names."""
    for status, group in groupby(operation.codes, key=lambda code: STATUS[code]):
        codes = list(group)
        only = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
        schema = {"allOf": [{"$ref": _REF.format(name="Refusal")}, only]}
        shown: Json = {"description": MEANING[status], "content": {"application/json": {"schema": schema}}}
        if status in (429, 503):
            seconds = {"type": "integer", "minimum": 1}
            shown["headers"] = {"Retry-After": {"description": "Seconds.", "schema": seconds}}
        if status == 429:
            shown["headers"] |= _RATE_HEADERS
        yield str(status), ".".join(code.lower() for code in codes), shown


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
