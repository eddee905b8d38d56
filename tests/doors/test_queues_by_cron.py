"""Cron jobs and tasks whose target is a queue: each fire publishes once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doors.live import Live, serving
from doors.queueing import Desk, counts, payloads
from mainspring.core import ids
from mainspring.core.changes import Claim
from mainspring.core.limits import MINUTE
from mainspring.core.ports import QueueRules
from mainspring.core.queue_targets import publish

JOB = {"cron_expr": "* * * * *", "task": "reports", "payload": {"kind": "daily"}}


async def runs_of(live: Live, job: dict[str, Any]) -> list[dict[str, Any]]:
    return list((await live.get(f"/v1/cron/runs/list/{job['id']}")).data["items"])


@pytest.mark.parametrize("said", [{}, {"task_type": "queue"}, {"task": None, "url": "reports", "task_type": "queue"}])
async def test_each_fire_publishes_the_payload_once(both: Live, said: dict[str, Any]) -> None:
    job = (await both.post("/v1/cron/create", JOB | said)).data
    assert (job["task"], job["url"], job["task_type"], job["name"]) == ("reports", "reports", "queue", "reports")
    for _ in range(2):
        await both.work(MINUTE)
    found = await Desk(both, "reports").consume()
    assert payloads(found) == [{"kind": "daily"}] * 2
    newest, oldest = await runs_of(both, job)
    assert [oldest["state"], newest["state"], newest["attempt"]] == ["succeeded", "succeeded", 1]
    assert f'{{"message_id":"{found[0]["message_id"]}"}}' == oldest["output"]
    assert newest["lateness_ms"] >= 0


async def test_a_run_that_is_attempted_again_publishes_nothing_more(both: Live) -> None:
    job = (await both.post("/v1/cron/create", JOB)).data
    await both.work(MINUTE)
    [run] = await runs_of(both, job)
    entry = await both.store.schedules.get("default", "cron", key_of("cron", job["id"]))
    assert entry is not None
    claim = Claim(
        run_id=key_of("run", run["run_id"]),
        schedule_id=entry.schedule.id,
        project="default",
        kind="cron",
        trigger="schedule",
        scheduled_for=0,
        target_id=entry.target.id,
        origin=entry.target.origin,
        payload=None,
        attempt=2,
        started_at=0,
    )
    outcome = await publish(both.core, both.clock, claim, entry.target)
    assert (outcome.kind, outcome.error) == ("reply", None)
    assert outcome.body.decode() == run["output"]
    assert await Desk(both, "reports").stats() == counts(available=1)


def key_of(prefix: str, public: str) -> int:
    key = ids.key_of(prefix, public)
    assert key is not None
    return key


async def test_a_fire_wakes_a_waiting_consumer_and_has_a_payload_of_its_own_when_triggered(live: Live) -> None:
    job = (await live.post("/v1/cron/create", JOB | {"payload": None})).data
    for given, published in (({}, {}), ({"payload": [1, 2]}, [1, 2])):
        await live.post(f"/v1/cron/trigger/{job['id']}", given)
        await live.work()
        [message] = await Desk(live, "reports").consume(wait_seconds=5)
        assert message["payload"] == published


async def test_a_task_may_publish_too(live: Live) -> None:
    body = {"task": "reports.daily", "task_type": "queue", "run_at": "2020-01-01T00:00:00Z", "payload": "once"}
    task = (await live.post("/v1/scheduling/task/schedule", body)).data
    assert task["task"] == "reports.daily"
    await live.work()
    assert payloads(await Desk(live, "reports.daily").consume()) == ["once"]
    assert (await live.get(f"/v1/scheduling/task/get/{task['id']}")).data["state"] == "succeeded"


async def test_a_target_changes_between_url_and_queue_and_a_record_sent_back_changes_nothing(live: Live) -> None:
    job = (await live.post("/v1/cron/create", JOB)).data
    path = f"/v1/cron/update/{job['id']}"
    same = (await live.call("PATCH", path, job)).data
    assert same | {"updated_at": 0} == job | {"updated_at": 0}
    assert (await live.call("PATCH", path, {"payload": 1})).data["task"] == "reports"
    there = {"task": "https://example.com/a", "headers": {"A": "b"}}
    url = (await live.call("PATCH", path, there)).data
    assert (url["task_type"], url["task"], url["method"]) == ("http_url", "https://example.com/a", "POST")
    back = (await live.call("PATCH", path, {"task": "other", "task_type": "queue"})).data
    assert (back["task_type"], back["task"], back["headers"], back["payload"]) == ("queue", "other", None, 1)
    refused = await live.call("PATCH", path, {"headers": {"A": "b"}})
    assert (refused.code, refused.error["field"]) == ((422, "VALIDATION_FAILED"), "headers")
    refused = await live.call("PATCH", path, {"task_type": "queue", "task": "no spaces"})
    assert (refused.code, refused.error["field"]) == ((422, "VALIDATION_FAILED"), "task")


async def test_a_full_queue_is_tried_again_and_the_run_fails_in_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path, rules=QueueRules(depth_max=1)) as live:
        await Desk(live, "reports").publish("in the way")
        job = (await live.post("/v1/cron/create", JOB | {"retry_delays": [1]})).data
        await live.post(f"/v1/cron/trigger/{job['id']}")
        await live.work()
        [run] = await runs_of(live, job)
        assert (run["state"], "holds as many messages as it may" in run["error"]) == ("retrying", True)
        await live.work(2000)
        [run] = await runs_of(live, job)
        assert (run["state"], run["attempt"]) == ("failed", 2)
        assert payloads(await Desk(live, "reports").consume()) == ["in the way"]
