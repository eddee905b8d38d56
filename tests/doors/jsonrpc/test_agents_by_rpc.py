"""What agents report, and crontabs for agents: each agent gets its run, and each run says what became of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from doors.conftest import BACKENDS
from doors.jsonrpc.rig import ONE, SUPER, TWO, ask, error, result, socket, token
from doors.jsonrpc.test_tasks_by_rpc import gone, live, query, register, upload
from doors.live import Live, serving
from mainspring.loops.scheduler import Scheduler

__all__ = ["live"]
PING = {"task": {"ping": "www.example.com"}}


async def fire(live: Live) -> None:
    """Let the next instant come, and the agents have it."""
    live.clock.ahead += 1_000
    await Scheduler(live.core).step(live.clock())
    live.wakeups.stir_agents()


async def results(live: Live, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        while True:
            rows = await result(live, "crontab-result_query", token=SUPER, query={"condition": []})
            if len(rows) >= count:
                assert len(rows) == count
                return sorted(rows, key=lambda row: (not row["success"], row["id"]))
            await asyncio.sleep(0.02)


async def test_a_crontab_makes_a_task_for_each_agent_and_says_who_was_there(live: Live) -> None:
    made = await result(
        live,
        "crontab_create",
        token=SUPER,
        name="ping_task",
        cron_expression="* * * * * *",
        cron_type={"agent": [[ONE, TWO], PING]},
    )
    async with socket(live) as opened:
        await register(opened)
        await fire(live)
        sent = (await opened.receive_json(timeout=5))["params"]["result"]
        assert sent["task_event_type"] == {"ping": "www.example.com"}
        there, away = await results(live, 2)
        await upload(opened, sent)
    number = sent["task_id"]
    [row] = await query(live)
    assert (row["task_id"], row["cron_source"], row["task_event_result"]) == (number, "ping_task", {"ping": 12.34})
    about = {"cron_id": made["id"], "cron_name": "ping_task"}
    assert there == about | {
        "id": there["id"],
        "run_time": there["run_time"],
        "relative_id": number,
        "success": True,
        "message": f"任务下发成功，Agent：[{ONE}]，relative_id：{number}",
    }
    assert away == about | {
        "id": away["id"],
        "run_time": away["run_time"],
        "relative_id": None,
        "success": False,
        "message": f"任务下发失败，Agent：[{TWO}]，错误：Unable to connect agent: Error sending task event: "
        f"Agent {TWO} is not connected",
    }


async def test_one_that_is_named_twice_gets_two_tasks(live: Live) -> None:
    job = {"agent": [[ONE, ONE], PING]}
    await result(live, "crontab_create", token=SUPER, name="twice", cron_expression="* * * * * *", cron_type=job)
    async with socket(live) as opened:
        await register(opened)
        await fire(live)
        sent = [(await opened.receive_json(timeout=5))["params"]["result"]["task_id"] for _ in range(2)]
        rows = await results(live, 2)
    assert sorted(sent) == sorted(row["relative_id"] for row in rows)
    assert len(set(sent)) == 2


async def test_the_run_of_an_agent_ends_when_the_agent_has_it(live: Live) -> None:
    job = {"agent": [[ONE], PING]}
    await result(live, "crontab_create", token=SUPER, name="one", cron_expression="* * * * * *", cron_type=job)
    async with socket(live) as opened:
        await register(opened)
        await fire(live)
        await results(live, 1)
    await gone(live)
    await fire(live)
    await results(live, 2)
    [cron] = (await live.get("/v1/cron/list")).data["items"]
    assert cron["task"] == "mainspring:agent/ping"
    async with asyncio.timeout(10):
        while True:
            runs = (await live.get(f"/v1/cron/runs/list/{cron['id']}")).data["items"]
            if [run["state"] for run in runs] == ["failed", "succeeded"]:
                break
            await asyncio.sleep(0.02)
    assert runs[0]["error"] == f"Agent {ONE} is not connected"


async def test_the_last_report_of_each_kind_is_kept(live: Live) -> None:
    first = {"uuid": ONE, "time": 10, "cpu": {"cores": 2}, "system": {"os": "x"}}
    assert (await ask(live, "agent_report_static", [SUPER, first]))["result"] == {"status": "buffered"}
    again = await ask(live, "agent_report_static", [SUPER, first | {"time": 20}])
    assert again["result"] == {"status": "skipped", "reason": "duplicate_hash"}
    for name, spelling in (
        ("agent_report_dynamic", "dynamic_monitoring_data"),
        ("agent_report_dynamic_summary", "dynamic_monitoring_summary_data"),
    ):
        for time in (1, 2):
            said = {"uuid": ONE, "time": time, "cpu_usage": time, "ram": {"used": time}}
            assert await result(live, name, token=SUPER, **{spelling: said}) == {"status": "buffered"}
    asked = {"token": SUPER, "uuids": [ONE, TWO], "fields": ["cpu"]}
    assert await result(live, "agent_static_data_multi_last_query", **asked) == [
        {"uuid": ONE, "timestamp": 10, "cpu": {"cores": 2}}
    ]
    assert await result(live, "agent_dynamic_data_multi_last_query", **asked | {"fields": ["ram"]}) == [
        {"uuid": ONE, "timestamp": 2, "ram": {"used": 2}}
    ]
    assert await result(live, "agent_dynamic_summary_multi_last_query", **asked | {"fields": ["cpu_usage"]}) == [
        {"uuid": ONE, "timestamp": 2, "cpu_usage": 2}
    ]
    assert await result(live, "agent_static_data_multi_last_query", **asked | {"uuids": []}) == []


@pytest.mark.parametrize("data", [5, {}, {"uuid": ONE}, {"uuid": "x", "time": 1}, {"uuid": ONE, "time": "now"}, None])
async def test_a_report_is_an_object_with_uuid_and_time(live: Live, data: Any) -> None:
    assert (await error(live, "agent_report_dynamic", token=SUPER, data=data))["code"] == -32602


async def test_reports_need_the_right_for_the_agent(live: Live) -> None:
    held = await token(
        live,
        {
            "scopes": [{"agent_uuid": ONE}],
            "permissions": [{"static_monitoring": "write"}, {"static_monitoring": {"read": "cpu"}}],
        },
    )
    good = {"uuid": ONE, "time": 1, "cpu": 1, "system": 2}
    assert (await result(live, "agent_report_static", token=held, data=good))["status"] == "buffered"
    for name, data in (("agent_report_static", good | {"uuid": TWO}), ("agent_report_dynamic", good)):
        said = await error(live, name, token=held, data=data)
        assert said["code"] == 102
        assert "error_message" in said["data"]
    name, asked = "agent_static_data_multi_last_query", {"token": held, "uuids": [ONE]}
    assert await result(live, name, **asked, fields=["cpu"]) == [{"uuid": ONE, "timestamp": 1, "cpu": 1}]
    assert await result(live, name, **asked, fields=[]) == [{"uuid": ONE, "timestamp": 1}]
    assert (await error(live, name, **asked, fields=["cpu", "system"]))["code"] == 102
    assert (await error(live, name, token=held, uuids=[ONE, TWO], fields=["cpu"]))["code"] == 102


async def test_clean_up_trims_the_tasks_of_an_agent(live: Live) -> None:
    async with socket(live) as opened:
        await register(opened)
        for at in (1_000, 5_000, 9_000):
            await result(live, "task_create_task", token=SUPER, target_uuid=ONE, task_type={"ping": "a"})
            await upload(opened, (await opened.receive_json(timeout=5))["params"]["result"], timestamp=at)
        await result(live, "task_create_task", token=SUPER, target_uuid=ONE, task_type={"ping": "a"})
        await opened.receive_json(timeout=5)
    await result(live, "kv_create", token=SUPER, namespace=ONE)
    value = {"namespace": ONE, "key": "database_limit_task", "value": "4000"}
    await result(live, "kv_set_value", token=SUPER, **value)
    from mainspring.core import clean_up

    assert "task=1" in (await clean_up.clean_up(live.core)).message
    assert [row["timestamp"] for row in await query(live)] == [5_000, 9_000, None]


@pytest_asyncio.fixture
async def nodes(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """Two servers with agents on one PostgreSQL."""
    import time

    from doors.live import Clock
    from mainspring.store.shared import open_postgres

    server, clock = request.getfixturevalue("postgres"), Clock()
    url = server.url(await server.blank())
    async with (
        serving(
            tmp_path, clock=clock, store=await open_postgres(url, clock, time.monotonic_ns, clock=clock), agents=True
        ) as one,
        serving(
            tmp_path, clock=clock, store=await open_postgres(url, clock, time.monotonic_ns, clock=clock), agents=True
        ) as other,
    ):
        yield one, other


async def test_two_agents_on_two_nodes_get_what_either_node_is_asked(nodes: tuple[Live, Live]) -> None:
    here, there = nodes
    assert BACKENDS
    async with socket(here) as first, socket(there) as second:
        await register(first, ONE)
        await register(second, TWO)
        for asked in nodes:
            for opened, uuid in ((first, ONE), (second, TWO)):
                waiting = asyncio.create_task(
                    result(
                        asked,
                        "task_create_task_blocking",
                        token=SUPER,
                        target_uuid=uuid,
                        task_type={"ping": "a"},
                        timeout_ms=9_000,
                    )
                )
                sent = (await opened.receive_json(timeout=5))["params"]["result"]
                await upload(opened, sent, agent_uuid=uuid)
                assert (await waiting)["task_event_result"] == {"ping": 12.34}


async def test_an_agent_that_comes_back_at_another_node_is_there(nodes: tuple[Live, Live]) -> None:
    here, there = nodes
    async with socket(here) as first:
        await register(first)
        async with socket(there) as second:
            await register(second)
            made = await result(here, "task_create_task", token=SUPER, target_uuid=ONE, task_type={"ping": "a"})
            assert (await second.receive_json(timeout=5))["params"]["result"]["task_id"] == made["id"]
            with pytest.raises(TimeoutError):
                await first.receive(timeout=0.05)
