from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from doors.live import Live, serving
from mainspring.core.limits import MINUTE, SECOND

SCHEDULE = "/v1/scheduling/task/schedule"


@pytest_asyncio.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with serving(tmp_path, dev=True) as started:
        yield started


async def test_a_task_runs_once_and_shows_what_became_of_it(live: Live) -> None:
    given = {"url": f"{live.url}/dev/echo", "at": "2020-05-05T10:00:00+02:00", "payload": [1], "retries": 0}
    task = (await live.post(SCHEDULE, given)).data
    assert task["task_id"] == task["id"]
    assert task["task_id"].startswith("task_")
    assert (task["state"], task["run_at"], task["task"]) == ("scheduled", "2020-05-05T08:00:00.000Z", given["url"])
    assert (task["retry"], task["payload"]) == (0, [1])
    path = f"/v1/scheduling/task/get/{task['task_id']}"
    assert (await live.get(path)).data == {**task, "run": None}
    await live.work()
    done = (await live.get(path)).data
    assert done["state"] == done["run"]["state"] == "succeeded"
    assert done["run"]["task_id"] == task["task_id"]
    assert done["run"]["cron_id"] is None
    assert [body for *_, body in live.echoes] == [b"[1]"]
    await live.work(ahead=MINUTE)
    assert len(live.echoes) == 1


async def test_a_task_that_fails_says_so(live: Live) -> None:
    task = (await live.post(SCHEDULE, {"task": f"{live.url}/v1/no", "run_at": "2020-05-05T10:00:00Z", "retry": 1})).data
    path = f"/v1/scheduling/task/get/{task['task_id']}"
    await live.work()
    assert (await live.get(path)).data["state"] == "running"
    await live.work(ahead=10 * SECOND)
    assert (await live.get(path)).data["state"] == "failed"


async def test_a_cancelled_task_never_runs_and_cancelling_again_is_no_error(live: Live) -> None:
    task = (await live.post(SCHEDULE, {"task": f"{live.url}/dev/echo", "run_at": "2020-05-05T10:00:00Z"})).data
    for _ in range(2):
        answer = await live.call("DELETE", f"/v1/scheduling/task/cancel/{task['task_id']}")
        assert answer.data["state"] == "cancelled"
    await live.work()
    assert live.echoes == []


async def test_a_task_that_is_over_is_not_cancelled(live: Live) -> None:
    task = (await live.post(SCHEDULE, {"task": f"{live.url}/dev/echo", "run_at": "2020-05-05T10:00:00Z"})).data
    await live.work()
    assert (await live.call("DELETE", f"/v1/scheduling/task/cancel/{task['task_id']}")).data["state"] == "succeeded"


async def test_tasks_are_listed_apart_from_cron_jobs(live: Live) -> None:
    job = await live.cron()
    made = [
        (await live.post(SCHEDULE, {"task": "https://example.com/", "run_at": "2100-01-01T00:00:00Z"})).data["task_id"]
        for _ in range(3)
    ]
    page = (await live.get("/v1/scheduling/task/list?limit=2")).data
    assert [item["task_id"] for item in page["items"]] == made[:0:-1]
    rest = (await live.get(f"/v1/scheduling/task/list?cursor={page['next_cursor']}")).data
    assert [item["task_id"] for item in rest["items"]] == made[:1]
    assert [item["id"] for item in (await live.get("/v1/cron/list")).data["items"]] == [job["id"]]
    for method, path in [("GET", "task/get"), ("DELETE", "task/cancel")]:
        assert (await live.call(method, f"/v1/scheduling/{path}/{job['id']}")).code == (404, "NOT_FOUND")
    assert (await live.get(f"/v1/cron/get/{made[0]}")).code == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"task": "https://example.com/"}, "run_at"),
        ({"task": "https://example.com/", "run_at": None}, "run_at"),
        ({"run_at": "2030-01-01T00:00:00Z"}, "task"),
        ({"run_at": "2030-13-01T00:00:00Z", "task": "https://example.com/"}, "run_at"),
        ({"run_at": "1969-12-31T23:59:59Z", "task": "https://example.com/"}, "run_at"),
        ({"run_at": "2030-01-01T00:00:00Z", "at": "2031-01-01T00:00:00Z", "task": "https://example.com/"}, "at"),
    ],
)
async def test_what_is_missing_or_wrong_is_named(live: Live, body: dict[str, str], field: str) -> None:
    answer = await live.post(SCHEDULE, body)
    assert (answer.code, answer.error["field"]) == ((422, "VALIDATION_FAILED"), field)


async def test_a_cron_expression_means_nothing_to_a_task(live: Live) -> None:
    body = {"task": "https://example.com/", "run_at": "2030-01-01T00:00:00Z", "cron_expr": "* * * * *"}
    assert (await live.post(SCHEDULE, body)).warnings == ["unknown field: cron_expr"]
