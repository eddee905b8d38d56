from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from doors.live import Live, serving
from mainspring.core.tokens import SCOPES
from mainspring.doors.rest.answers import RETRYABLE, STATUS
from mainspring.doors.rest.openapi import document
from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.operations import OPERATIONS

SPEC = Path(__file__).parents[2] / "spec" / "openapi.json"
BY_ID = {operation.id: operation for operation in OPERATIONS}


def test_every_operation_stands_once() -> None:
    assert len(BY_ID) == len(OPERATIONS)
    ways = [(operation.method, path) for operation in OPERATIONS for path in operation.paths]
    assert len(set(ways)) == len(ways)


def test_every_operation_on_cron_jobs_and_queues_is_under_both_prefixes() -> None:
    for operation in OPERATIONS:
        noun = operation.id.partition(".")[0]
        if noun in ("cron", "queue"):
            rest = operation.paths[0].removeprefix(f"/v1/{noun}/")
            assert operation.paths[:2] == (f"/v1/{noun}/{rest}", f"/v1/scheduling/{noun}/{rest}")


def test_the_table_says_only_what_exists() -> None:
    for operation in OPERATIONS:
        assert set(operation.scopes) <= set(SCOPES)
        assert set(operation.codes) <= set(STATUS)
        once = operation.method != "GET" and not operation.dev and operation.id != "queue.consume"
        assert operation.idempotent is once
        for group in operation.needs:
            source = operation.body if operation.reads_body else operation.query
            assert set(group) <= set(source.__struct_fields__)
    assert set(STATUS) > RETRYABLE


@pytest.mark.parametrize("way", [f"{op.method} {path}" for op in OPERATIONS for path in op.paths if not op.dev])
async def test_every_path_of_the_table_leads_to_its_operation_and_asks_for_a_key(live: Live, way: str) -> None:
    method, path = way.split(" ")
    path = re.sub(r"\{[a-z_]+\}", "nothing", path)
    answer = await live.call(method, path)
    assert answer.status not in (405, 415, 500)
    [operation] = [op for op in OPERATIONS if any(f"{op.method} {p}" == way for p in op.paths)]
    assert live.observed[-1][0] == operation.id
    if answer.status == 404:
        assert "path" not in answer.error["message"]
    without = await live.call(method, path, key=None)
    assert (without.status == 401) is not operation.public
    if operation.scopes:
        others = [scope for scope in SCOPES if scope not in (*operation.scopes, "admin")]
        assert (await live.call(method, path, key=await live.key(*others))).code == (403, "FORBIDDEN")
    for scope in operation.scopes:
        assert (await live.call(method, path, key=await live.key(scope))).status == answer.status


async def test_admin_may_do_everything(live: Live) -> None:
    admin = await live.key("admin")
    job = await live.cron()
    for path in ("/v1/cron/list", f"/v1/cron/get/{job['id']}", "/v1/scheduling/run/list", "/v1/account/keys/list"):
        assert (await live.get(path, key=admin)).status == 200


def test_the_document_in_the_repository_is_the_one_that_is_made() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "mainspring.doors.rest.openapi"], capture_output=True, text=True, check=True
    )
    assert made.stderr == ""
    assert SPEC.read_text("utf-8") == made.stdout, "run `make spec`"


def resolved(schema: Any) -> Any:
    while "$ref" in schema:
        whole: Any = document()
        for part in schema["$ref"].removeprefix("#/").split("/"):
            whole = whole[part]
        schema = whole
    return schema


def test_the_document_says_what_the_table_says() -> None:
    made = document()
    assert made["openapi"] == "3.1.0"
    ids = [method["operationId"] for path in made["paths"].values() for method in path.values()]
    assert len(set(ids)) == len(ids) == sum(len(operation.paths) for operation in OPERATIONS)
    for operation in OPERATIONS:
        for path in operation.paths:
            shown = made["paths"][path][operation.method.lower()]
            assert set(shown["responses"]) == {"200", *(str(STATUS[code]) for code in operation.codes)}
            names = [item["name"] for item in shown.get("parameters", ()) if item["in"] == "path"]
            assert names == re.findall(r"\{([a-z_]+)\}", path)
    assert json.loads(json.dumps(made)) == made


def test_the_document_lists_every_spelling_of_a_field() -> None:
    fields = document()["components"]["schemas"]["CronFields"]["properties"]
    for name, other in [("cron_expr", "schedule"), ("task", "url"), ("task", "task_url"), ("task", "http_url"),
                        ("retry", "retries"), ("run_at", "at")]:  # fmt: skip
        assert fields[other]["x-alias-of"] == name
        assert fields[other]["anyOf"] == fields[name]["anyOf"]
    assert fields["retry"]["anyOf"][0]["maximum"] == 10
    assert fields["timeout_seconds"]["anyOf"][0]["maximum"] == 900


def test_every_reference_in_the_document_leads_somewhere() -> None:
    made = document()
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(made))):
        assert resolved({"$ref": reference})


def results_of(operation: Operation) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(operation.result)}


async def test_a_result_has_all_the_fields_that_are_documented_and_no_others(tmp_path: Path) -> None:
    async with serving(tmp_path, dev=True) as live:
        job = await live.cron(task=f"{live.url}/dev/echo")
        run = (await live.post(f"/v1/cron/trigger/{job['id']}")).data
        await live.work()
        body = {"task": "https://example.com/", "run_at": "2100-01-01T00:00:00Z"}
        task = (await live.post("/v1/scheduling/task/schedule", body)).data
        key = (await live.post("/v1/account/keys/create", {"name": "x"})).data
        values = {"cron": job["id"], "run": run["run_id"], "task": task["id"], "account": key["id"]}
        bodies: dict[str, Any] = {
            "cron.create": {"cron_expr": "* * * * *", "task": "https://example.com/"},
            "task.schedule": body,
            "account.keys.create": {"name": "x"},
        }
        await live.call("PATCH", f"/v1/cron/update/{job['id']}", {"overlap_policy": "allow"})
        last = ("cron.delete", "task.cancel", "account.keys.revoke")
        for operation in sorted(OPERATIONS, key=lambda one: one.id in last):
            if operation.id.startswith(("queue.", "webhook.", "account.webhooks.")):
                continue
            path = operation.paths[0].replace("{run_id}", values["run"])
            path = path.replace("{id}", values[operation.id.partition(".")[0]] if "{id}" in path else "")
            query = "?cron_expr=*+*+*+*+*" if operation.id == "cron.preview" else ""
            path = path.replace("{capability}", "cron.create")
            answer = await live.call(operation.method, path + query, bodies.get(operation.id))
            data = answer.json if operation.bare else answer.data
            assert set(data) == results_of(operation), operation.id
            msgspec.json.decode(json.dumps(data), type=operation.result)


async def test_so_have_those_of_queues(live: Live) -> None:
    url = "http://127.0.0.1:9/"
    subscribed = (await live.post("/v1/queue/push_subscribe/idle", {"url": url})).data["subscription_id"]
    bodies: dict[str, Any] = {
        "queue.create": {"name": "q"},
        "queue.publish": {"queue": "q", "payload": 1},
        "queue.publish_batch": {"queue": "q", "messages": [{"payload": 1}]},
        "queue.consume": {"queue": "q"},
        "queue.push_subscribe": {"url": url},
    }
    last = ("queue.push_unsubscribe", "queue.delete")
    for operation in sorted(OPERATIONS, key=lambda one: (one.id.startswith("queue.dlq"), one.id in last)):
        if not operation.id.startswith("queue."):
            continue
        await live.post("/v1/queue/publish", {"queue": "q", "payload": 1, "headers": {"A": "b"}})
        body = bodies.get(operation.id)
        if operation.body.__struct_fields__[:3] == ("queue", "message_id", "receipt"):
            [message] = (await live.post("/v1/queue/consume", {"queue": "q", "max_messages": 1})).data["messages"]
            body = {"queue": "q", "message_id": message["id"]}
        elif operation.id == "queue.ack_batch":
            body = {"queue": "q", "message_ids": ["msg_0000000000000"]}
        elif operation.id == "queue.dlq.list":
            [message] = (await live.post("/v1/queue/consume", {"queue": "q", "max_messages": 1})).data["messages"]
            await live.post("/v1/queue/nack", {"queue": "q", "message_id": message["id"], "requeue": False})
        queue = "idle" if "push" in operation.id else "q"
        path = operation.paths[0].replace("{queue}", queue).replace("{subscription_id}", subscribed)
        answer = await live.call(operation.method, path, body)
        assert set(answer.data) == results_of(operation), operation.id
        msgspec.json.decode(json.dumps(answer.data), type=operation.result)
