from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doors.live import Live, serving
from doors.receiving import receiving
from mainspring.core.limits import MINUTE, SECOND


async def replay(live: Live, run_id: str) -> Any:
    return await live.post(f"/v1/scheduling/run/replay/{run_id}")


async def ran(live: Live, job: dict[str, Any], **body: Any) -> dict[str, Any]:
    """A run by hand, to its end."""
    run: dict[str, Any] = (await live.post(f"/v1/cron/trigger/{job['id']}", body)).data
    await live.work()
    return run


async def test_a_replay_goes_where_the_run_went_with_what_it_had(both: Live) -> None:
    async with receiving() as receiver:
        job = await both.cron(task=receiver.url + "/before", payload={"n": 1}, headers={"X-Own": "kept"})
        first = await ran(both, job)
        given = await ran(both, job, payload={"n": 2})
        await both.call("PATCH", f"/v1/cron/update/{job['id']}", {"task": receiver.url + "/after", "payload": {"n": 3}})
        for run in (first, given):
            again = (await replay(both, run["run_id"])).data
            assert (again["trigger"], again["state"], again["cron_id"]) == ("replay", "queued", job["id"])
            assert again["run_id"] != run["run_id"]
            await both.work()
        assert [(one.path, one.body) for one in receiver.posts[2:]] == [
            ("/before", b'{"n": 1}'),
            ("/before", b'{"n": 2}'),
        ]
        assert receiver.posts[2].headers["x-own"] == "kept"
        items = (await both.get(f"/v1/cron/runs/list/{job['id']}")).data["items"]
        assert [item["trigger"] for item in items] == ["replay", "replay", "manual", "manual"]
        assert (await both.get(f"/v1/cron/get/{job['id']}")).data["run_count"] == 0


async def test_a_replay_keeps_to_the_overlap_policy(both: Live) -> None:
    job = await both.cron(overlap_policy="skip", retry=0)
    over = await ran(both, job)
    await both.post(f"/v1/cron/trigger/{job['id']}")
    assert (await replay(both, over["run_id"])).code == (409, "CONFLICT")
    await both.call("PATCH", f"/v1/cron/update/{job['id']}", {"overlap_policy": "queue"})
    assert (await replay(both, over["run_id"])).data["state"] == "queued"
    await both.work()
    states = [one["state"] for one in (await both.get(f"/v1/cron/runs/list/{job['id']}")).data["items"]]
    assert states == ["queued", "failed", "failed"]


async def test_a_run_that_is_not_over_is_not_replayed(live: Live) -> None:
    job = await live.cron(overlap_policy="allow")
    run = (await live.post(f"/v1/cron/trigger/{job['id']}")).data
    refused = await replay(live, run["run_id"])
    assert refused.code == (409, "CONFLICT")
    assert "under way" in refused.error["message"]


async def test_a_run_of_a_deleted_schedule_says_so(both: Live) -> None:
    job = await both.cron(retry=0)
    run = await ran(both, job)
    await both.call("DELETE", f"/v1/cron/delete/{job['id']}")
    refused = await replay(both, run["run_id"])
    assert refused.code == (409, "CONFLICT")
    assert refused.error["message"] == "the schedule of this run was deleted"


async def test_nobody_replays_what_is_not_theirs_or_not_there(live: Live) -> None:
    job = await live.cron(retry=0)
    run = await ran(live, job)
    other = await live.key("cron:write", project="other")
    path = f"/v1/scheduling/run/replay/{run['run_id']}"
    assert (await live.post(path, key=other)).code == (404, "NOT_FOUND")
    assert (await live.post(path, key=await live.key("cron:read"))).code == (403, "FORBIDDEN")
    for nothing in ("run_0000000000000", job["id"], "x"):
        assert (await replay(live, nothing)).code == (404, "NOT_FOUND")


async def test_the_same_request_makes_one_replay(live: Live) -> None:
    job = await live.cron(retry=0, overlap_policy="allow")
    run = await ran(live, job)
    answers = [
        await live.post(f"/v1/scheduling/run/replay/{run['run_id']}", headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]
    assert answers[0].data == answers[1].data
    assert len((await live.get("/v1/scheduling/run/list")).data["items"]) == 2


async def test_a_task_is_replayed_too(live: Live) -> None:
    body = {"task": "http://127.0.0.1:9/hook", "run_at": "2020-05-05T10:00:00Z", "retry": 0}
    task = (await live.post("/v1/scheduling/task/schedule", body)).data
    await live.work()
    [run] = (await live.get(f"/v1/scheduling/run/list?cron_id={task['id']}")).data["items"]
    again = (await replay(live, run["run_id"])).data
    assert (again["task_id"], again["trigger"]) == (task["id"], "replay")


@pytest.mark.parametrize("waits", ["queued", "retrying"])
async def test_what_was_replayed_during_a_pause_is_wanted_in_spite_of_it(both: Live, waits: str) -> None:
    job = await both.cron(retry=1, retry_delays=[1], overlap_policy="allow")
    run = await ran(both, job)
    await both.work(ahead=2 * SECOND)
    await both.post(f"/v1/cron/pause/{job['id']}")
    both.clock.ahead += SECOND
    again = (await replay(both, run["run_id"])).data
    if waits == "queued":
        await both.post(f"/v1/cron/pause/{job['id']}")
    await both.work()
    shown = (await both.get(f"/v1/cron/runs/get/{job['id']}/{again['run_id']}")).data
    assert (shown["state"], shown["attempt"]) == ("retrying", 1)


async def test_a_replay_goes_on_to_an_agent_or_a_queue_as_the_run_did(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        job = await live.cron(task="orders", task_type="queue", payload={"n": 1}, retry=0)
        run = await ran(live, job)
        await replay(live, run["run_id"])
        await live.work(ahead=MINUTE // 60)
        assert (await live.get("/v1/queue/stats/orders")).data["available"] == 2
