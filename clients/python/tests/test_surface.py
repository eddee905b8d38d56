"""The client against the API's description: nothing is missing, nothing goes by another name."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mainspring_client
from mainspring_client import AsyncClient, Client, errors, operations, queue_records, records, webhook_records

ROOT = Path(__file__).parents[3]
SPEC: dict[str, Any] = json.loads((ROOT / "spec" / "openapi.json").read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = SPEC["components"]["schemas"]
# The same operation under another path.
APART = re.compile(r"\.\d+$")


def capabilities() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Id → method, canonical path, description."""
    return {
        row["operationId"]: (method.upper(), path, row)
        for path, methods in SPEC["paths"].items()
        for method, row in methods.items()
        if not APART.search(row["operationId"])
    }


CAPABILITIES = capabilities()


def method_of(client: object, capability: str) -> Any:
    for name in capability.split("."):
        client = getattr(client, name)
    return client


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return resolved(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    return resolved(schema["allOf"][0]) if "allOf" in schema else schema


def fields_of(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What may be given beyond the path: names → schemas. Other spellings of a name are left out."""
    found = {each["name"]: each["schema"] for each in row.get("parameters", []) if each["in"] == "query"}
    if "requestBody" in row:
        found |= resolved(row["requestBody"]["content"]["application/json"]["schema"]).get("properties", {})
    return {name: schema for name, schema in found.items() if "x-alias-of" not in schema}


def choices(schema: dict[str, Any]) -> set[str]:
    """The values that a schema chooses from, none when it is open."""
    if "enum" in schema:
        return {each for each in schema["enum"] if each is not None}
    inner = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    return {value for each in inner for value in choices(each)}


def literals(kind: Any) -> Iterator[str]:
    """The values of every Literal in a type."""
    if typing.get_origin(kind) is typing.Literal:
        yield from typing.get_args(kind)
    else:
        for part in typing.get_args(kind):
            yield from literals(part)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_capability_is_a_method_with_all_its_parameters(capability: str) -> None:
    verb, path, row = CAPABILITIES[capability]
    operation = operations.BY_ID[capability]
    names = re.findall(r"\{(\w+)\}", operation.path)
    assert (operation.method, re.sub(r"\{\w+\}", "{}", operation.path)) == (verb, re.sub(r"\{\w+\}", "{}", path))
    for kind in (Client, AsyncClient):
        method = method_of(kind(), capability)
        given = inspect.signature(method).parameters
        assert set(names) <= set(given)
        assert set(fields_of(row)) - set(names) <= set(given), capability
        assert ("idempotency_key" in given) is operation.idempotent
    keyed = any(each["name"] == "Idempotency-Key" for each in row.get("parameters", []))
    assert operation.idempotent is keyed


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_arguments_choose_from_what_the_api_knows(capability: str) -> None:
    hints = typing.get_type_hints(method_of(Client(), capability), include_extras=True)
    for name, schema in fields_of(CAPABILITIES[capability][2]).items():
        if name in hints and set(literals(hints[name])):
            assert set(literals(hints[name])) == choices(schema), name


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_results_are_typed_field_by_field(capability: str) -> None:
    data = CAPABILITIES[capability][2]["responses"]["200"]["content"]["application/json"]["schema"]
    reference = data["$ref"] if operations.BY_ID[capability].bare else data["properties"]["data"]["$ref"]
    if capability == "activate":
        hints = typing.get_type_hints(Client.activate)
    else:
        hints = typing.get_type_hints(method_of(Client(), capability))
    compare(hints["return"], reference)


def compare(kind: Any, reference: str) -> None:
    """The fields of a TypedDict are those of a schema, and so on inside."""
    schema = SCHEMAS[reference.rpartition("/")[2]]
    hints = typing.get_type_hints(kind) if typing.is_typeddict(kind) else {}
    assert set(hints) - {"_metadata"} == set(schema["properties"]), kind
    for name, inner in schema["properties"].items():
        for ref in re.findall(r'"\$ref": "([^"]+)"', json.dumps(inner)):
            named = getattr(records, ref.rpartition("/")[2], None) or getattr(
                queue_records, ref.rpartition("/")[2], getattr(webhook_records, ref.rpartition("/")[2], None)
            )
            assert named is not None, ref
            compare(named, ref)
        if not re.search(r"\$ref", json.dumps(inner)):
            assert set(literals(hints[name])) <= {*choices(inner), *str_const(inner)}, name


def str_const(schema: dict[str, Any]) -> Iterator[str]:
    for each in (schema, *schema.get("anyOf", [])):
        if "const" in each:
            yield each["const"]


def test_every_code_has_a_class_of_its_own() -> None:
    said = set(re.findall(r'"enum": (\[[^]]+\])', json.dumps(SPEC["components"]["responses"])))
    codes = {code for each in said for code in json.loads(each) if code.isupper()}
    assert codes <= set(errors.BY_CODE)
    assert len({*errors.BY_CODE.values()}) == len(errors.BY_CODE)


def test_both_clients_have_the_same_methods() -> None:
    for capability in operations.BY_ID:
        waiting, awaited = method_of(Client(), capability), method_of(AsyncClient(), capability)
        assert inspect.iscoroutinefunction(awaited)
        assert inspect.signature(waiting) == inspect.signature(awaited)


def test_the_awaited_methods_are_written_from_the_others() -> None:
    tool = Path(__file__).parents[1] / "tools" / "twins.py"
    subprocess.run([sys.executable, tool, "--check"], check=True)


def test_what_is_exported_is_sorted_and_there() -> None:
    names = mainspring_client.__all__
    assert all(hasattr(mainspring_client, name) for name in names)
    assert {kind.__name__ for kind in errors.BY_CODE.values()} <= set(names)
