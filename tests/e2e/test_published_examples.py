"""The calls people copy: a stand-alone program with only address and key changed, and every curl line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import KEY, ServerProcess, call

PROGRAM = Path(__file__).parent / "programs" / "tour.py"

# Method, path and body as published; ID and RUN_ID stand for real ones.
CURL = r"""
curl -X POST @/create -d '{"cron_expr": "0 9 * * 1", "task_type": "http_url", "task_url": "https://api.acme.com/weekly"}'
curl -X GET @/list
curl -X GET @/get/ID
curl -X PATCH @/update/ID -d '{}'
curl -X POST @/pause/ID -d '{"cron_id": "..."}'
curl -X POST @/resume/ID -d '{"cron_id": "..."}'
curl -X POST @/trigger/ID -d '{"job_id": "cron_01HX..."}'
curl -X GET @/runs/list/ID
curl -X GET @/runs/get/ID/RUN_ID
curl -X GET @/retention/get/ID
curl -X PUT @/retention/set/ID -d '{"retention_days": 0}'
curl -X DELETE @/delete/ID
"""


# QUEUE stands for a real name; "..." is a placeholder, and for a message it stands for one that was just consumed.
QUEUE_CURL = r"""
curl -X POST @/create -d '{"name": "..."}'
curl -X POST @/publish -d '{"queue": "orders", "payload": {"order_id": "o_123"}, "priority": 5}'
curl -X GET @/get/QUEUE
curl -X GET @/list
curl -X PATCH @/update/QUEUE -d '{}'
curl -X GET @/stats/QUEUE
curl -X POST @/publish_batch -d '{"queue": "...", "messages": []}'
curl -X POST @/consume -d '{"queue": "..."}'
curl -X POST @/ack -d '{"queue": "...", "message_id": "..."}'
curl -X POST @/nack -d '{"queue": "...", "message_id": "..."}'
curl -X GET @/dlq/list/QUEUE
curl -X POST @/dlq/redrive/QUEUE -d '{"queue": "orders", "max_messages": 100}'
curl -X POST @/push_subscribe/QUEUE -d '{"queue": "orders", "forward_to": "https://api.acme.com/order-handler"}'
curl -X POST @/purge/QUEUE -d '{"queue": "..."}'
curl -X DELETE @/delete/QUEUE
"""


def test_the_stand_alone_program_runs_with_only_address_and_key_changed(running: ServerProcess) -> None:
    environment = {**os.environ, "INFRAI_API_KEY": KEY, "INFRAI_BASE_URL": running.url}
    done = subprocess.run([sys.executable, str(PROGRAM)], env=environment, capture_output=True, text=True, check=True)
    created, runs, listed = [json.loads(part) for part in done.stdout.split("\x1e") if part.strip()]
    assert created["ok"]
    assert runs["data"]["items"] == []
    assert created["data"]["cron_id"] in [item["cron_id"] for item in listed["data"]["items"]]


@pytest.mark.parametrize("family", ["/v1/cron", "/v1/scheduling/cron"])
def test_every_published_curl_line_answers_as_its_page_says(running: ServerProcess, family: str) -> None:
    ids = {"ID": "", "RUN_ID": ""}
    fields = {
        "create": {"cron_id", "name", "schedule", "url", "enabled", "next_run_at"},
        "list": {"items"},
        "get": {"cron_id", "name", "cron_expr", "task", "timezone", "enabled", "next_run_at"},
        "update": {"cron_id", "name", "cron_expr", "task", "timezone", "enabled", "next_run_at"},
        "pause": {"cron_id", "enabled"},
        "resume": {"cron_id", "enabled", "next_run_at"},
        "trigger": {"run_id", "cron_id", "state", "started_at"},
        "runs/list": {"items"},
        "runs/get": {"run_id", "cron_id", "state", "started_at"},
        "retention/get": {"cron_id", "retention_days"},
        "retention/set": {"cron_id", "retention_days"},
        "delete": {"cron_id", "deleted"},
    }
    for line in CURL.strip().splitlines():
        words = shlex.split(line)
        method, path = words[2], words[3].removeprefix("@")
        for name, value in sorted(ids.items(), reverse=True):
            path = path.replace("/" + name, "/" + value)
        body = json.loads(words[5]) if "-d" in words else None
        status, answer = call(running.url, method, family + path, body)
        assert status == 200, (line, answer)
        data: dict[str, Any] = answer["data"]
        verb = next(verb for verb in sorted(fields, key=len, reverse=True) if path.strip("/").startswith(verb))
        assert fields[verb] <= set(data), line
        if verb == "create":
            ids["ID"] = data["cron_id"]
        elif verb == "trigger":
            ids["RUN_ID"] = data["run_id"]


def test_the_published_task_and_run_lines_answer_as_their_page_says(running: ServerProcess) -> None:
    body = {"task": "https://api.acme.com/once", "run_at": "2099-01-01T00:00:00Z"}
    task = running.call("POST", "/v1/scheduling/task/schedule", body)
    assert {"task_id", "task", "run_at", "state"} <= set(task)
    assert "items" in running.call("GET", "/v1/scheduling/run/list")


def test_the_oldest_paths_create_and_list(running: ServerProcess) -> None:
    body = {"name": "digest", "cron_expr": "0 9 * * *", "task": "https://api.acme.com/digest"}
    made = running.call("POST", "/v1/scheduling/cron", body)
    assert made["cron_id"] in [item["id"] for item in running.call("GET", "/v1/scheduling/cron")["items"]]


@pytest.mark.parametrize("family", ["/v1/queue", "/v1/scheduling/queue"])
def test_every_published_line_about_queues_answers_as_its_page_says(running: ServerProcess, family: str) -> None:
    fields = {
        "create": {"queue", "type", "max_retries", "visibility_timeout_default"},
        "publish": {"message_id"},
        "get": {"queue", "type", "max_retries", "visibility_timeout_default"},
        "list": {"items"},
        "update": {"queue", "max_retries", "visibility_timeout_default"},
        "stats": {"queue", "available", "in_flight", "dlq"},
        "publish_batch": {"message_ids"},
        "consume": {"messages"},
        "ack": {"message_id", "acked"},
        "nack": {"message_id", "nacked", "requeued"},
        "dlq": {"items"},
        "dlq/redrive": {"queue", "redriven"},
        "push_subscribe": {"subscription_id", "queue", "url"},
        "purge": {"queue", "purged"},
        "delete": {"queue", "deleted"},
    }
    for line in QUEUE_CURL.strip().splitlines():
        words = shlex.split(line)
        method, path = words[2], words[3].removeprefix("@").replace("QUEUE", "orders")
        body = json.loads(words[5]) if "-d" in words else None
        if path in ("/ack", "/nack"):
            assert call(running.url, method, family + path, body)[0] == 404
            running.call("POST", f"{family}/publish", {"queue": "...", "payload": 1})
            [message] = running.call("POST", f"{family}/consume", {"queue": "..."})["messages"]
            body["message_id"] = message["message_id"]
        status, answer = call(running.url, method, family + path, body)
        assert status == 200, (line, answer)
        verb = path.strip("/").removesuffix("/orders").removesuffix("/list") or "list"
        assert fields[verb] <= set(answer["data"]), line


def test_what_clients_really_send_about_queues_works(running: ServerProcess) -> None:
    """Queues that nobody made, or made at every start; texts as payloads; one key for every consume; a redrive by the
    dead-letter queue's own name."""
    for _ in range(2):
        running.call("POST", "/v1/queue/create", {"name": "digests", "dead_letter_queue": "digests-review"})
    running.call("POST", "/v1/queue/publish_batch", {"queue": "digests", "messages": [{"body": '{"user": 7}'}]})
    for queue in ("default", "work-order-photo-cleanup"):
        sent = {"queue": queue, "payload": json.dumps({"id": 1})}
        public = running.call("POST", "/v1/queue/publish", sent)["message_id"]
        [message] = running.call("POST", "/v1/queue/consume", {"queue": queue, "max_messages": 25})["messages"]
        assert (message["message_id"], json.loads(message["payload"])) == (public, {"id": 1})
    for _ in range(2):
        ask = {"queue": "digests", "max_messages": 5, "visibility_timeout": 60}
        found = running.call("POST", "/v1/queue/consume", ask, Idempotency_Key="consume-worker")["messages"]
        for message in found:
            told = {"queue": "digests", "message_id": message["message_id"], "requeue": False}
            assert running.call("POST", "/v1/queue/nack", told, Idempotency_Key="nack")["requeued"] is False
    assert running.call("POST", "/v1/queue/dlq/redrive/digests-review", {})["redriven"] == 1
    assert running.call("GET", "/v1/queue/stats/digests")["available"] == 1


def test_a_job_may_name_what_is_to_be_done_and_it_is_a_queue(running: ServerProcess) -> None:
    body = {"cron_expr": "0 9 * * *", "task": "send-daily-digest", "name": "daily-digest", "payload": {"a": 1}}
    job = running.call("POST", "/v1/scheduling/cron", body)
    running.call("POST", f"/v1/cron/trigger/{job['cron_id']}", {})
    ask = {"queue": "send-daily-digest", "wait_seconds": 20}
    [message] = running.call("POST", "/v1/queue/consume", ask)["messages"]
    assert message["payload"] == {"a": 1}
