from __future__ import annotations

import ast
import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from doors.live import KEY, Live, serving
from mainspring.doors.rest.answers import RETRYABLE, STATUS
from mainspring.doors.rest.examples import FIELDS, examples_of, path_of
from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
NEEDED = {"id", "method", "path", "available", "idempotent", "regions", "vendors", "billing", "summary"}
BY_ID = {operation.id: operation for operation in OPERATIONS}
# What it needs to be dev for.
ANYWHERE = [operation for operation in OPERATIONS if not operation.dev]


async def test_it_is_public_and_bare_and_lists_every_operation(live: Live) -> None:
    answer = await live.get("/v1/discovery", key=None)
    assert answer.status == 200
    assert set(answer.json) == {"version", "generated_at", "capabilities"}
    shown = {one["id"]: one for one in answer.json["capabilities"]}
    assert list(shown) == [operation.id for operation in ANYWHERE]
    for name, one in shown.items():
        assert set(one) == NEEDED
        assert (one["method"], one["path"]) == (BY_ID[name].method, BY_ID[name].paths[0])
        assert one["available"] is True
        assert one["idempotent"] is BY_ID[name].idempotent
        assert one["billing"] == {
            "is_billable": False, "free": True, "unit": "per_request", "price_usd": 0, "currency": "USD",
        }  # fmt: skip
    assert not [name for name in shown if name.startswith("scheduling.")]


async def test_a_development_server_says_that_it_can_be_activated(tmp_path: Path) -> None:
    async with serving(tmp_path, dev=True) as live:
        ids = [one["id"] for one in (await live.get("/v1/discovery", key=None)).json["capabilities"]]
        assert ids == [operation.id for operation in OPERATIONS]
        assert (await live.get("/v1/discovery/activate", key=None)).json["public"] is True


async def test_one_capability_is_described_whole(live: Live) -> None:
    answer = (await live.get("/v1/discovery/queue.publish", key=None)).json
    assert set(answer) == NEEDED | {"paths", "public", "scopes", "parameters", "result", "errors", "examples"}
    assert answer["id"] == "queue.publish"
    assert answer["paths"] == ["/v1/queue/publish", "/v1/scheduling/queue/publish"]
    assert {"queue", "name", "payload", "body", "idempotency_key"} <= set(answer["parameters"]["properties"])
    assert set(answer["result"]["properties"]) >= {"id", "message_id"}
    full = next(error for error in answer["errors"] if error["code"] == "QUEUE_FULL")
    assert (full["status"], full["retryable"]) == (429, True)
    assert (await live.get("/v1/discovery/scheduling.queue.publish", key=None)).json == answer


@pytest.mark.parametrize("name", ["nothing", "activate", "scheduling.", "cron", "CRON.CREATE"])
async def test_what_is_no_capability_is_not_found(live: Live, name: str) -> None:
    assert (await live.get(f"/v1/discovery/{name}", key=None)).code == (404, "NOT_FOUND")


async def test_all_of_them_say_how_they_are_refused_and_their_schemas_are_whole(live: Live) -> None:
    for operation in ANYWHERE:
        answer = (await live.get(f"/v1/discovery/{operation.id}", key=None)).json
        assert answer["errors"]
        for error in answer["errors"]:
            assert error["status"] == STATUS[error["code"]]
            assert error["retryable"] is (error["code"] in RETRYABLE)
            assert error["description"]
        assert [error["code"] for error in answer["errors"]] == list(operation.codes)
        for schema in (answer["parameters"], answer["result"]):
            jsonschema_rs.meta.validate(schema)
            refs = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(schema)))
            assert refs == set(schema.get("$defs", {}))


async def validator(live: Live, operation: Operation) -> jsonschema_rs.Draft202012Validator:
    schema = (await live.get(f"/v1/discovery/{operation.id}", key=None)).json["parameters"]
    return jsonschema_rs.Draft202012Validator(schema)


def given(operation: Operation) -> dict[str, Any]:
    """Everything that the example of an operation gives."""
    return dict(FIELDS.get(operation.id, {})) | dict(zip(operation.parameters, path_of(operation), strict=True))


@pytest.mark.parametrize("operation", ANYWHERE, ids=lambda operation: operation.id)
async def test_every_operation_has_an_example_that_its_own_schema_accepts(live: Live, operation: Operation) -> None:
    schema = await validator(live, operation)
    schema.validate(given(operation))
    known = (await live.get(f"/v1/discovery/{operation.id}", key=None)).json["parameters"]["properties"]
    assert set(given(operation)) <= set(known)
    for group in operation.needs:
        without = {name: value for name, value in given(operation).items() if name not in group}
        assert not schema.is_valid(without), f"{operation.id} does not need {group}"
    for name in operation.parameters:
        assert not schema.is_valid({key: value for key, value in given(operation).items() if key != name})


async def test_every_curl_example_is_understood_as_it_stands(live: Live) -> None:
    """What its ids stand for does not exist, so it is not found; nothing is malformed."""
    environment = os.environ | {"MAINSPRING_URL": live.url, "MAINSPRING_API_KEY": KEY}
    for operation in sorted(ANYWHERE, key=lambda one: one.method == "DELETE"):
        command = (await live.get(f"/v1/discovery/{operation.id}", key=None)).json["examples"]["curl"]
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-c", command + " -s -w '\n%{http_code}'"), env=environment, stdout=asyncio.subprocess.PIPE
        )
        body, _, status = (await shell.communicate())[0].decode().rpartition("\n")
        assert json.loads(body), operation.id
        assert live.observed[-1][0] == operation.id
        assert int(status) in {200, *((404, 409) if "0m3x9k2v7qd4h" in command else ())}, (operation.id, body)


@pytest.mark.parametrize("operation", ANYWHERE, ids=lambda operation: operation.id)
def test_every_python_example_calls_the_method_named_after_the_capability(operation: Operation) -> None:
    tree = ast.parse(examples_of(operation).python)
    [call] = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert ast.unparse(call.func) == f"infra.{operation.id}"
    assert tuple(ast.literal_eval(node) for node in call.args) == path_of(operation)
    named = {str(node.arg): ast.literal_eval(node.value) for node in call.keywords}
    assert named == dict(FIELDS.get(operation.id, {}))


@pytest.mark.parametrize("operation", ANYWHERE, ids=lambda operation: operation.id)
def test_every_typescript_example_hands_over_the_same(operation: Operation) -> None:
    text = examples_of(operation).typescript
    found = re.search(r"await client\.([\w.]+)\((.*)\);\n$", text)
    assert found is not None
    noun = operation.id.partition(".")[0]
    name = re.sub(r"_([a-z])", lambda part: part[1].upper(), operation.id)
    assert found[1] == ("job." if noun in ("cron", "task", "run", "queue", "webhook") else "") + name
    handed = json.loads("[" + re.sub(r"([{,] )(\w+):", r'\1"\2":', found[2]) + "]")
    fields = [dict(FIELDS[operation.id])] if operation.id in FIELDS else []
    assert handed == [*path_of(operation), *fields]
