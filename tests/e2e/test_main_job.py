"""The main job on real input: a cron job made over HTTP fires on time, is signed, retried and recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from standardwebhooks import Webhook

from e2e.harness import ServerProcess, Target, wait_for


def test_a_job_of_only_an_expression_and_a_target_is_read_back_by_job_id(running: ServerProcess) -> None:
    made = running.call("POST", "/v1/cron/create", {"cron_expr": "0 9 * * 1", "task": "https://example.com/weekly"})
    job = running.call("GET", f"/v1/cron/get/{made['job_id']}")
    assert job["id"] == job["cron_id"] == job["job_id"] == made["job_id"]
    assert job["next_run_at"].endswith("T09:00:00.000Z")


def test_a_job_fires_each_second_and_each_run_is_recorded(running: ServerProcess, target: Target) -> None:
    body = {"cron_expr": "* * * * * *", "task": target.url + "/tick", "payload": {"n": 1, "text": "ü"}}
    made = running.call("POST", "/v1/cron/create", body)
    wait_for("three calls", lambda: len(target.on("/tick")) >= 3)
    running.call("POST", f"/v1/cron/pause/{made['id']}")
    method, _, headers, sent = target.on("/tick")[0]
    assert method == "POST"
    assert json.loads(sent) == body["payload"]
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("Mainspring/")
    runs = running.call("GET", f"/v1/cron/runs/list/{made['id']}")["items"]
    first = runs[-1]
    assert first["run_id"] == headers["x-mainspring-run-id"] == headers["idempotency-key"] == headers["webhook-id"]
    assert first["scheduled_for"] == headers["x-mainspring-scheduled-for"]
    detail = running.call("GET", f"/v1/cron/runs/get/{made['id']}/{first['run_id']}")
    assert detail["state"] == "succeeded"
    assert detail["response_status"] == 200
    assert detail["response_body"] == detail["output"] == "ok"
    assert len(detail["attempts"]) == 1
    due = [datetime.fromisoformat(run["scheduled_for"]) for run in reversed(runs)]
    assert [later - earlier for earlier, later in pairwise(due)] == [timedelta(seconds=1)] * (len(due) - 1)


def test_a_signed_call_verifies_with_an_independent_library(running: ServerProcess, target: Target) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = {"run_at": "2020-01-01T00:00:00Z", "task": target.url + "/signed", "secret": secret, "payload": {"a": 1}}
    running.call("POST", "/v1/cron/create", body)
    _, _, headers, sent = wait_for("the call", lambda: target.on("/signed"))[0]
    assert Webhook(secret).verify(sent, headers) == {"a": 1}


def test_a_failing_job_is_retried_and_its_failure_webhook_called_once(running: ServerProcess, target: Target) -> None:
    target.answers["/bad"] = 500
    made = running.call(
        "POST",
        "/v1/cron/create",
        {
            "run_at": datetime.now(UTC).isoformat(),
            "task": target.url + "/bad",
            "retry_delays": [0.2, 0.3],
            "on_failure_webhook": target.url + "/alarm",
        },
    )
    wait_for("the alarm", lambda: target.on("/alarm"))
    attempts = target.on("/bad")
    assert [each[2]["x-mainspring-attempt"] for each in attempts] == ["1", "2", "3"]
    assert len({each[2]["idempotency-key"] for each in attempts}) == 1
    [run] = running.call("GET", f"/v1/cron/runs/list/{made['id']}")["items"]
    assert run["state"] == "failed"
    detail = running.call("GET", f"/v1/cron/runs/get/{made['id']}/{run['run_id']}")
    assert [each["response_status"] for each in detail["attempts"]] == [500, 500, 500]
    alarm = json.loads(target.on("/alarm")[0][3])
    assert alarm["type"] == "cron.run.failed"
    assert alarm["data"]["run_id"] == run["run_id"]
    assert len(target.on("/alarm")) == 1


def test_a_one_shot_task_fires_once_and_says_so(running: ServerProcess, target: Target) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1)
    task = running.call(
        "POST", "/v1/scheduling/task/schedule", {"task": target.url + "/once", "run_at": at.isoformat()}
    )
    assert task["state"] == "scheduled"

    def state() -> bool:
        return bool(running.call("GET", f"/v1/scheduling/task/get/{task['task_id']}")["state"] == "succeeded")

    wait_for("the task to succeed", state)
    assert len(target.on("/once")) == 1
    runs = running.call("GET", "/v1/scheduling/run/list")["items"]
    assert any(run["scheduled_for"] == task["run_at"] for run in runs)
