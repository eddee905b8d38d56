"""The pages for people: the reference of all operations, and what stands at `/`."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from typing import Any

from mainspring import __version__
from mainspring.doors.rest.answers import STATUS
from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.operations import OPERATIONS

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
h3 { margin: 2.5rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
code { font: 14px/1.4 ui-monospace, monospace; background: var(--soft); padding: .1em .3em; border-radius: 3px; }
table { border-collapse: collapse; width: 100%; font-size: 15px; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--soft); }
nav ul { columns: 3 14rem; padding-left: 1.2rem; }
.method { font-weight: 700; }
"""
_DIGEST = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def reference_page(document: dict[str, Any], root_path: str) -> bytes:
    """Every operation with its fields and errors, from the OpenAPI document; no script, nothing from elsewhere."""
    index = "".join(f'<li><a href="#{row.id}">{row.id}</a></li>' for row in OPERATIONS)
    rows = "".join(_operation(row, document) for row in OPERATIONS)
    return _page(
        "API reference",
        f"<h1>Mainspring API</h1><p>Version {escape(__version__)}. Send the key as "
        "<code>Authorization: Bearer KEY</code>. Every answer is "
        "<code>{&quot;ok&quot;, &quot;data&quot;, &quot;error&quot;, &quot;metadata&quot;}</code>. "
        f'For programs: <a href="{escape(root_path)}/openapi.json">openapi.json</a>.</p>'
        f"<nav><ul>{index}</ul></nav>{rows}",
    )


def _page(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    ).encode()


def _operation(operation: Operation, document: dict[str, Any]) -> str:
    schemas = document["components"]["schemas"]
    paths = "".join(
        f'<p><span class="method">{operation.method}</span> <code>{escape(path)}</code></p>' for path in operation.paths
    )
    shown = document["paths"][operation.paths[0]][operation.method.lower()]
    scopes = " or ".join(f"<code>{escape(name)}</code>" for name in operation.scopes)
    scope = f"<p>Scope: {scopes}</p>" if scopes else ""
    return (
        f'<h3 id="{operation.id}">{operation.id}</h3><p>{escape(operation.summary)}.</p>{paths}{scope}'
        + _parameters(shown.get("parameters", ()))
        + (_fields("Body", schemas[operation.body.__name__]["properties"]) if operation.reads_body else "")
        + _fields("Result", schemas[operation.result.__name__]["properties"])
        + f"<p>Errors: {', '.join(f'{STATUS[code]} <code>{code}</code>' for code in operation.codes)}</p>"
    )


def _parameters(parameters: Any) -> str:
    named = {item["name"]: item["schema"] | {"in": item["in"]} for item in parameters}
    return _fields("Parameters", named) if named else ""


def _fields(title: str, properties: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_type(schema))}</td><td>{escape(_said(schema))}</td></tr>"
        for name, schema in properties.items()
    )
    return f"<table><tr><th>{title}</th><th>Type</th><th></th></tr>{rows}</table>"


def _said(schema: dict[str, Any]) -> str:
    inner = [part.get("description", "") for part in schema.get("anyOf", ())]
    return schema.get("description") or " ".join(filter(None, inner))


def _type(schema: dict[str, Any]) -> str:
    """A type in a few words, with its bounds."""
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    name = str(schema.get("format") or schema.get("type", "any JSON"))
    if schema.get("type") == "array":
        name = f"list of {_type(schema.get('items', {}))}"
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    if high is not None:
        return f"{name}, {low if low is not None else 0:g} to {high:g}"
    return name
