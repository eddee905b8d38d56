"""The OpenRPC 1.3 document, made from the table of methods. `python -m mainspring.doors.jsonrpc.openrpc` prints it."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from mainspring import __version__
from mainspring.doors.jsonrpc.errors import KINDS
from mainspring.doors.jsonrpc.method import Method
from mainspring.doors.jsonrpc.methods import METHODS

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
    shown, schemas = msgspec.json.schema_components(
        [kind for row in METHODS for kind in (row.params, row.result)], ref_template=_REF
    )
    params, results = shown[0::2], shown[1::2]
    names = [one["$ref"].rpartition("/")[2] for one in params]
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "Mainspring",
            "version": __version__,
            "description": "Crontabs, tokens and keys over JSON-RPC 2.0: POST, or a WebSocket, on any path.",
            "license": {"name": "MIT"},
        },
        "servers": [{"name": "this server", "url": root_path or "/"}],
        "methods": [
            _method(row, schemas[name], result) for row, name, result in zip(METHODS, names, results, strict=True)
        ],
        "components": {
            "schemas": dict(sorted((name, one) for name, one in schemas.items() if name not in names)),
            "errors": {_name(code, message): {"code": code, "message": message} for code, message in _errors()},
        },
    }


def _method(row: Method, schema: Json, result: Json) -> Json:
    required = set(schema.get("required", ()))
    return {
        "name": row.name,
        "summary": row.summary,
        "paramStructure": "either",
        "params": [
            {"name": name, "required": name in required, "schema": one}
            for name, one in schema.get("properties", {}).items()
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
