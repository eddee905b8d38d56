from __future__ import annotations

import asyncio
import json
from html import unescape
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from doors.console.visitor import Visitor
from doors.jsonrpc.rig import ONE, SUPER, TWO, result, socket
from doors.jsonrpc.test_tasks_by_rpc import live, register, upload
from doors.live import Live
from mainspring.doors.console.agent_reports import figures_of, groups_of

__all__ = ["live"]
PAGE = f"/console/agents/{ONE}"


@pytest_asyncio.fixture
async def visitor(live: Live) -> Visitor:
    """Signed in with every scope, to a server with agents, on each database."""
    somebody = Visitor(live)
    assert (await somebody.sign_in()).status == 303
    return somebody


async def report(live: Live, kind: str, uuid: str = ONE, **said: Any) -> None:
    data = {"uuid": uuid, "time": live.clock(), **said}
    await result(live, f"agent_report_{kind}", token=SUPER, data=data)
    assert live.core.agents is not None
    await live.core.agents.flush()


async def ask(visitor: Visitor, opened: aiohttp.ClientWebSocketResponse, **fields: str) -> Any:
    """Send the form of a new task; what arrives at the agent."""
    answer = await visitor.submit(PAGE, f"{PAGE}/tasks", **fields)
    assert (answer.status, answer.headers["location"]) == (303, PAGE), answer.raw
    return (await opened.receive_json(timeout=10))["params"]["result"]


async def gone(live: Live) -> None:
    """Until the server has noticed that the agent left."""
    async with asyncio.timeout(10):
        while await live.core.store.agents.is_there(live.clock(), ONE):
            live.wakeups.stir_agents()
            await asyncio.sleep(0.02)


async def test_without_agents_the_page_says_how_to_connect_one(visitor: Visitor) -> None:
    page = unescape(await visitor.page("/console/agents"))
    assert "No agent has connected yet" in page
    assert f"mainspring agent --server ws://127.0.0.1:{visitor.live.port}/ --token-file token" in page
    assert "/console/settings/tokens?for=agent" in page


async def test_agents_are_listed_with_what_they_last_said(visitor: Visitor, live: Live) -> None:
    await report(live, "dynamic_summary", cpu_usage=12.6, used_memory=1 << 30, total_memory=4 << 30, load_one=0.5)
    await report(live, "dynamic_summary", TWO, cpu_usage=3)
    async with socket(live) as opened:
        await register(opened)
        sent = await ask(visitor, opened, kind="version")
        await upload(opened, sent, task_event_result={"version": {"cargo_version": "9.8.7"}}, timestamp=live.clock())
        page = await visitor.page("/console/agents")
        assert "1 of 2 agents are online" in page
        for text in ("CPU 13 %", "Memory 1.0 GiB / 4.0 GiB", "Load 0.50", "9.8.7", "node 0"):
            assert text in page
        online = await visitor.page("/console/agents?state=online")
        offline = await visitor.page("/console/agents?state=offline")
        assert (f"agent-{ONE}" in online, f"agent-{TWO}" in online) == (True, False)
        assert (f"agent-{ONE}" in offline, f"agent-{TWO}" in offline) == (False, True)
    await gone(live)
    assert f"agent-{ONE}" in await visitor.page("/console/agents?state=offline")


async def test_agents_are_searched_and_paged(visitor: Visitor, live: Live) -> None:
    uuids = [f"00000000-0000-0000-0000-{number:012x}" for number in range(60)]
    for uuid in uuids:
        await result(live, "agent_report_dynamic_summary", token=SUPER, data={"uuid": uuid, "time": 1})
    assert live.core.agents is not None
    await live.core.agents.flush()
    first = await visitor.page("/console/agents")
    assert f"agent-{uuids[49]}" in first
    assert f"agent-{uuids[50]}" not in first
    assert f"cursor={uuids[49]}" in first
    second = await visitor.page(f"/console/agents?cursor={uuids[49]}")
    assert f"agent-{uuids[50]}" in second
    assert f"agent-{uuids[49]}" not in second
    found = await visitor.page("/console/agents?q=00003B")
    assert f"agent-{uuids[59]}" in found
    assert f"agent-{uuids[58]}" not in found
    assert "No agent fits" in await visitor.page("/console/agents?q=%25")


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({"kind": "ping", "target": " example.com "}, {"ping": "example.com"}),
        ({"kind": "tcp_ping", "target": "a:443"}, {"tcp_ping": "a:443"}),
        ({"kind": "http_ping", "target": "https://a.example"}, {"http_ping": "https://a.example/"}),
        (
            {
                "kind": "http_request",
                "url": "http://a.example/x",
                "method": "POST",
                "headers": "A: 1\nB: x:y",
                "body": "b",
            },
            {
                "http_request": {
                    "url": "http://a.example/x",
                    "method": "POST",
                    "headers": {"A": "1", "B": "x:y"},
                    "body": "b",
                    "body_base64": None,
                    "ip": None,
                }
            },
        ),
        ({"kind": "execute", "cmd": "ls", "args": "-1\n/a b"}, {"execute": {"cmd": "ls", "args": ["-1", "/a b"]}}),
        (
            {"kind": "dns", "domain": "a.example", "record_types": "A, mx"},
            {"dns": {"domain": "a.example", "record_types": ["a", "mx"], "dns_server": None}},
        ),
        ({"kind": "ip"}, "ip"),
        ({"kind": "read_config"}, "read_config"),
        ({"kind": "other", "json": '{"edit_config": "x"}'}, {"edit_config": "x"}),
    ],
)
async def test_a_task_goes_to_its_agent_and_its_result_is_shown(
    visitor: Visitor, live: Live, fields: dict[str, str], task: Any
) -> None:
    async with socket(live) as opened:
        await register(opened)
        sent = await ask(visitor, opened, **fields)
        assert sent["task_event_type"] == task
        assert "is on its way to the agent" in await visitor.told(PAGE)
        running = await visitor.page(f"{PAGE}?state=running")
        assert f'id="task-{sent["task_id"]}"' in running
        await upload(opened, sent, task_event_result={"said": "<b>"}, timestamp=live.clock())
    kind = task if isinstance(task, str) else next(iter(task))
    page = await visitor.page(f"{PAGE}?state=succeeded&kind={kind}")
    assert f'id="task-{sent["task_id"]}"' in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert f'id="task-{sent["task_id"]}"' not in await visitor.page(f"{PAGE}?state=failed")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "ping", "target": ""}, "target"),
        ({"kind": "http_ping", "target": "nothing"}, "target"),
        ({"kind": "execute", "cmd": "  "}, "cmd"),
        ({"kind": "http_request", "url": "http://a.example", "headers": "nothing"}, "headers"),
        ({"kind": "dns", "domain": "a", "record_types": "zzz"}, "domain"),
        ({"kind": "other", "json": "{"}, "json"),
        ({"kind": "reboot"}, "kind"),
    ],
)
async def test_a_bad_task_is_shown_again_with_its_fault(
    visitor: Visitor, live: Live, fields: dict[str, str], field: str
) -> None:
    await report(live, "dynamic_summary")
    answer = await visitor.submit(PAGE, f"{PAGE}/tasks", **fields)
    assert answer.status == 422
    page = answer.raw.decode()
    assert f'id="fault-{field}"' in page
    for typed in filter(str.strip, fields.values()):
        assert typed in unescape(page) or field == "kind"
    assert "It was asked for nothing yet." in page


async def test_an_agent_that_is_away_gets_no_task(visitor: Visitor, live: Live) -> None:
    await report(live, "dynamic_summary")
    await visitor.submit(PAGE, f"{PAGE}/tasks", kind="ping", target="example.com")
    assert "the agent is not connected" in await visitor.told(PAGE)
    assert "It was asked for nothing yet." in await visitor.page(PAGE)


async def test_an_agent_shows_its_machine_its_rights_and_its_schedules(visitor: Visitor, live: Live) -> None:
    await report(live, "static", cpu={"cores": 8, "per_core": [{"brand": "EPYC <1>"}]}, system={"name": "Debian"})
    await report(live, "dynamic", ram={"total_memory": 8 << 30}, disk=[{"name": "/dev/vda"}])
    job = {"agent": [[ONE], {"task": {"ping": "example.com"}}]}
    made = {"token": SUPER, "name": "watch <it>", "cron_expression": "0 0 1 1 * *", "cron_type": job}
    await result(live, "crontab_create", **made)
    crons = (await live.get("/v1/cron/list")).data["items"]
    async with socket(live) as opened:
        await register(opened)
        sent = await ask(visitor, opened, kind="read_config")
        config = 'agent_uuid = "x"\n[[server]]\ntoken = "k:s"\nallow_task = true\nallow_task_type = ["ping", "dns"]\n'
        await upload(opened, sent, task_event_result={"read_config": config}, timestamp=live.clock())
    page = await visitor.page(PAGE)
    for text in ("per_core 1 brand", "EPYC &lt;1&gt;", "Debian", "8.0 GiB", "/dev/vda", "dns, ping"):
        assert text in page
    assert f'href="/console/schedules/{crons[0]["id"]}">watch &lt;it&gt;</a>' in page


async def test_only_admins_of_the_first_project_see_agents(live: Live) -> None:
    await report(live, "dynamic_summary")
    for secret in (await live.key("cron:read", "cron:write"), await live.key("admin", project="other")):
        visitor = Visitor(live)
        await visitor.sign_in(secret)
        for path in ("/console/agents", PAGE):
            answer = await visitor.get(path)
            assert answer.status == 403
            assert f"agent-{ONE}" not in answer.raw.decode()


@pytest.mark.parametrize("path", [f"/console/agents/{TWO}", "/console/agents/none", "/console/agents/%00"])
async def test_there_is_no_page_for_an_agent_that_is_not_known(visitor: Visitor, path: str) -> None:
    assert (await visitor.get(path)).status == 404


def test_reports_of_any_shape_become_tables() -> None:
    odd = {"uuid": "x", "time": 1, "a": None, "b": [1, [2, {"c": True}]], "uptime": 90, "used_memory": 2048, "d": {}}
    groups = groups_of(json.dumps(odd))
    assert [(group.name, dict(group.values)) for group in groups] == [
        ("", {"a": "–", "uptime": "1 min 30 s", "used_memory": "2.0 KiB"}),
        ("b", {"1": "1", "2 1": "2", "2 2 c": "true"}),
        ("d", {"": "–"}),
    ]
    assert groups_of("[]") == groups_of("nothing") == []
    assert sum(len(group.values) for group in groups_of(json.dumps({"a": list(range(5_000))}))) == 500
    assert groups_of(json.dumps({"a": json.loads("[" * 100 + "]" * 100)}))
    assert figures_of(None) == figures_of('"x"') == figures_of('{"cpu_usage": "x", "total_memory": 0}') == ()
    [disk] = figures_of('{"total_space": 100, "available_space": 25}')
    assert (disk.label, disk.share) == ("Disk", 75)
