from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from doors.hooking import send
from doors.live import Live, serving
from mainspring.core.instants import iso, parse_iso
from mainspring.core.limits import DAY, MINUTE, SECOND


@pytest_asyncio.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with serving(tmp_path, dev=True) as started:
        yield started


async def test_a_run_is_shown_from_acceptance_to_its_end(live: Live) -> None:
    job = await live.cron(task=f"{live.url}/dev/echo", payload={"n": 1})
    queued = (await live.post(f"/v1/cron/trigger/{job['id']}")).data
    assert queued["state"] == "queued"
    assert queued["finished_at"] is queued["response_status"] is queued["lateness_ms"] is None
    assert (await live.get(f"/v1/cron/runs/get/{job['id']}/{queued['run_id']}")).data["attempts"] == []
    await live.work()
    assert live.echoes[0][3] == b'{"n": 1}'
    run = (await live.get(f"/v1/cron/runs/get/{job['id']}/{queued['run_id']}")).data
    assert (run["state"], run["attempt"], run["response_status"], run["error"]) == ("succeeded", 1, 200, None)
    assert '"method":"POST"' in run["response_body"]
    assert run["output"] == run["response_body"]
    [attempt] = run.pop("attempts")
    assert attempt["attempt"] == 1
    assert attempt["finished_at"] == run["finished_at"]
    assert attempt["response_body"] == run["response_body"]
    assert run["lateness_ms"] == parse_iso(attempt["sent_at"], "") - parse_iso(run["scheduled_for"], "")
    assert (await live.get(f"/v1/cron/runs/list/{job['id']}")).data == {"items": [run], "next_cursor": None}
    assert (await live.get("/v1/scheduling/run/list")).data["items"] == [run]
    record = (await live.get(f"/v1/cron/get/{job['id']}")).data
    assert (record["last_state"], record["run_count"]) == ("succeeded", 0)
    assert record["last_run_at"] is not None


async def test_a_failed_run_says_why_and_lists_its_attempts(live: Live) -> None:
    job = await live.cron(task=f"{live.url}/docs/nowhere", retry=1, retry_delays=[1])
    run_id = (await live.post(f"/v1/cron/trigger/{job['id']}")).data["run_id"]
    path = f"/v1/cron/runs/get/{job['id']}/{run_id}"
    await live.work()
    waiting = (await live.get(path)).data
    assert (waiting["state"], waiting["attempt"], waiting["finished_at"]) == ("retrying", 1, None)
    assert len(waiting["attempts"]) == 1
    await live.work(ahead=2 * SECOND)
    failed = (await live.get(path)).data
    assert (failed["state"], failed["attempt"], failed["error"]) == ("failed", 2, "HTTP status 404")
    assert [attempt["response_status"] for attempt in failed["attempts"]] == [404, 404]
    assert [item["run_id"] for item in (await live.get("/v1/scheduling/run/list?state=failed")).data["items"]] == [
        run_id
    ]
    assert (await live.get("/v1/scheduling/run/list?state=succeeded")).data["items"] == []


async def test_a_run_of_another_job_or_none_is_not_found(live: Live) -> None:
    one, other = await live.cron(), await live.cron()
    run_id = (await live.post(f"/v1/cron/trigger/{one['id']}")).data["run_id"]
    for path in (f"{other['id']}/{run_id}", f"{one['id']}/run_0000000000000", f"{one['id']}/x", f"x/{run_id}",
                 f"{one['id']}/{one['id']}"):  # fmt: skip
        assert (await live.get(f"/v1/cron/runs/get/{path}")).code == (404, "NOT_FOUND")
    assert (await live.get("/v1/cron/runs/list/x")).code == (404, "NOT_FOUND")


async def test_a_run_is_found_by_its_id_alone(live: Live) -> None:
    job = await live.cron(task=f"{live.url}/docs/nowhere", retry=1, retry_delays=[1])
    run_id = (await live.post(f"/v1/cron/trigger/{job['id']}")).data["run_id"]
    await live.work()
    await live.work(ahead=2 * SECOND)
    run = (await live.get(f"/v1/scheduling/run/get/{run_id}")).data
    assert [attempt["attempt"] for attempt in run["attempts"]] == [1, 2]
    assert run == (await live.get(f"/v1/cron/runs/get/{job['id']}/{run_id}")).data
    given = {"task": f"{live.url}/dev/echo", "run_at": "2020-05-05T10:00:00Z"}
    task = (await live.post("/v1/scheduling/task/schedule", given)).data
    await live.work()
    [listed] = (await live.get(f"/v1/scheduling/run/list?cron_id={task['id']}")).data["items"]
    found = (await live.get(f"/v1/scheduling/run/get/{listed['run_id']}")).data
    assert (found["task_id"], len(found.pop("attempts"))) == (task["id"], 1)
    assert found == listed


async def test_what_is_no_run_of_a_cron_job_or_task_of_the_caller_is_not_found(live: Live) -> None:
    job = await live.cron()
    run_id = (await live.post(f"/v1/cron/trigger/{job['id']}")).data["run_id"]
    path = f"/v1/scheduling/run/get/{run_id}"
    assert (await live.get(path, key=await live.key("cron:read", project="other"))).code == (404, "NOT_FOUND")
    assert (await live.get(path, key=await live.key("cron:write"))).code == (403, "FORBIDDEN")
    delivery = await send(live, f"{live.url}/dev/echo")
    for nothing in (delivery, delivery.replace("dlv_", "run_"), "run_0000000000000", job["id"], "x"):
        assert (await live.get(f"/v1/scheduling/run/get/{nothing}")).code == (404, "NOT_FOUND")


async def test_runs_go_page_by_page_newest_first(live: Live) -> None:
    job = await live.cron(overlap_policy="allow")
    made = [(await live.post(f"/v1/cron/trigger/{job['id']}")).data["run_id"] for _ in range(5)]
    of_project = "/v1/scheduling/run/list?"
    paths = [f"/v1/cron/runs/list/{job['id']}?", of_project]
    paths += [f"{of_project}{name}={job['id']}&" for name in ("cron_id", "job_id")]
    for path in paths:
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await live.get(f"{path}limit=2&cursor={cursor}")).data
            seen += [item["run_id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert seen == made[::-1]


async def test_run_list_filters(live: Live) -> None:
    one, other = await live.cron(), await live.cron()
    task = (
        await live.post("/v1/scheduling/task/schedule", {"task": f"{live.url}/dev/echo", "run_at": "2020-01-01T00:00Z"})
    ).data
    before = iso(live.clock())
    await live.post(f"/v1/cron/trigger/{one['id']}")
    live.clock.ahead += MINUTE // 2
    between = iso(live.clock())
    await live.post(f"/v1/cron/trigger/{other['id']}")
    await live.work()
    after = iso(live.clock() + DAY)

    async def listed(query: str) -> list[tuple[str | None, str | None]]:
        items = (await live.get(f"/v1/scheduling/run/list?{query}")).data["items"]
        return [(item["cron_id"], item["task_id"]) for item in items]

    first, second, third = (one["id"], None), (other["id"], None), (None, task["task_id"])
    everything = await listed("")
    assert set(everything) >= {first, second, third}
    assert await listed(f"until={between}") == [first]
    assert first not in await listed(f"since={between}")
    assert await listed(f"since={before}&until={between}") == [first]
    assert await listed(f"cron_id={one['id']}&until={between}") == [first]
    assert await listed(f"cron_id={one['id']}&since={after}") == []
    assert await listed(f"cron_id={task['task_id']}") == [third]
    assert await listed(f"task_id={task['task_id']}") == [third]
    for query, field in [("since=yesterday", "since"), ("until=x", "until"), ("state=done", "state")]:
        answer = await live.get(f"/v1/scheduling/run/list?{query}")
        assert (answer.code, answer.error["field"]) == ((422, "VALIDATION_FAILED"), field)
    assert (await live.get("/v1/scheduling/run/list?cron_id=cron_0000000000000")).code == (404, "NOT_FOUND")


async def test_the_ledger_has_one_entry_per_due_instant(live: Live) -> None:
    job = await live.cron(cron_expr="* * * * *", catchup="latest", catchup_window_seconds=DAY // 1000)
    await live.work(ahead=MINUTE)
    await live.work(ahead=5 * MINUTE)
    await live.post(f"/v1/cron/trigger/{job['id']}")
    items = (await live.get(f"/v1/cron/occurrences/list/{job['id']}")).data["items"]
    outcomes = [(item["outcome"], item["count"], item["reason"]) for item in items]
    assert ("caught_up", 1, None) in outcomes or ("ran", 1, None) in outcomes
    missed = [item for item in items if item["outcome"] == "missed"]
    assert missed
    assert missed[0]["reason"] == "not_running"
    assert missed[0]["run_id"] is None
    ran = [item for item in items if item["run_id"] is not None]
    for item in ran:
        run = (await live.get(f"/v1/cron/runs/get/{job['id']}/{item['run_id']}")).data
        assert run["scheduled_for"] == item["scheduled_for"] == item["from"] == item["to"]
        assert run["trigger"] in ("schedule", "catchup")
    covered = sum(item["count"] for item in items)
    first, last = items[-1]["scheduled_for"], items[0]["to"]
    assert covered == (parse_iso(last, "") - parse_iso(first, "")) // MINUTE + 1
    assert [item["scheduled_for"] for item in items] == sorted((i["scheduled_for"] for i in items), reverse=True)


async def test_the_ledger_goes_page_by_page_and_stays_while_it_grows(live: Live) -> None:
    job = await live.cron(cron_expr="* * * * *", catchup="skip", overlap_policy="allow")
    for minutes in (0, 3, 0, 2, 0):
        await live.work(ahead=minutes * MINUTE + MINUTE - live.clock() % MINUTE)
    path = f"/v1/cron/occurrences/list/{job['id']}"
    whole = (await live.get(path)).data["items"]
    assert [(item["outcome"], item["count"]) for item in whole] == [
        ("ran", 1), ("ran", 1), ("missed", 2), ("ran", 1), ("ran", 1), ("missed", 3), ("ran", 1),
    ]  # fmt: skip
    seen: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await live.get(f"{path}?limit=2&cursor={cursor}")).data
        seen += page["items"]
        cursor = page["next_cursor"]
        await live.work(ahead=MINUTE)
    assert seen == whole


async def test_a_response_that_is_not_text_is_shown_as_far_as_it_is_and_4_kib_of_it(live: Live) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"a\xff\x00" * 3000)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as target:
        job = await live.cron(task=f"http://127.0.0.1:{target.sockets[0].getsockname()[1]}/")
        run_id = (await live.post(f"/v1/cron/trigger/{job['id']}")).data["run_id"]
        await live.work()
    run = (await live.get(f"/v1/cron/runs/get/{job['id']}/{run_id}")).data
    assert run["response_body"] == ("a\ufffd\x00" * 1366)[:4096]
