"""The OpenRPC 1.3 document, made from the table of methods. `python -m mainspring.doors.jsonrpc.openrpc` prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from mainspring import __version__
from mainspring.doors.jsonrpc.errors import KINDS
from mainspring.doors.jsonrpc.method import Method
from mainspring.doors.jsonrpc.methods import METHODS
from mainspring.doors.jsonrpc.parameters import shape_of

_REF = "#/components/schemas/{name}"
_PROTOCOL = {
    -32700: "Parse error",
    -32600: "Invalid request",
    -32601: "Method not found",
    -32602: "Invalid params",
    -32603: "Internal error",
}

Json = dict[str, Any]


def document(root_path: str = "") -> Json:
    """The whole document; `root_path` is the prefix under which a proxy serves it."""
    # Of the parameters field by field: a struct has no schema when a default of it is raw JSON.
    fields = [field.type for row in METHODS for field in msgspec.structs.fields(row.params)]
    shown, schemas = msgspec.json.schema_components([*fields, *(row.result for row in METHODS)], ref_template=_REF)
    params, results = iter(shown), shown[len(fields) :]
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "Mainspring",
            "version": __version__,
            "description": "Crontabs, tokens and keys over JSON-RPC 2.0: POST, or a WebSocket, on any path.",
            "license": {"name": "MIT"},
        },
        "servers": [{"name": "this server", "url": root_path or "/"}],
        "methods": [_method(row, params, result) for row, result in zip(METHODS, results, strict=True)],
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "errors": {_name(code, message): {"code": code, "message": message} for code, message in _errors()},
        },
    }


def _method(row: Method, params: Iterator[Json], result: Json) -> Json:
    """One method; the schemas of its parameters are the next of `params`."""
    return {
        "name": row.name,
        "summary": row.summary,
        "paramStructure": "either",
        "params": [
            {"name": field.name, "required": field.required, "schema": next(params)}
            for field in shape_of(row.params).fields
        ],
        "result": {"name": "result", "schema": result},
        "errors": [{"$ref": f"#/components/errors/{_name(code, message)}"} for code, message in _errors()],
        **({} if row.permission is None else {"x-permission": row.permission}),
        **({"x-over-socket": True} if row.over_socket else {}),
    }


def _errors() -> list[tuple[int, str]]:
    return [*_PROTOCOL.items(), *((code, beginning) for code, beginning in KINDS.values())]


def _name(code: int, message: str) -> str:
    return f"{message.rstrip(': ').replace(' ', '')}{abs(code)}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
