"""Scripts at work: fired by crontabs, calling each other and the server, cut off, taken over by nobody."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from doors.conftest import BACKENDS
from doors.jsonrpc.rig import result
from doors.jsonrpc.scripting import ECHO, Scripted, scripted
from doors.live import SUPER, Clock
from mainspring.core.events import ScriptPrinted
from mainspring.core.limits import DAY, HOUR, LEASE, SCRIPT_SEATS, SECOND
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.janitor import Janitor
from mainspring.loops.scripts import ScriptRunner
from mainspring.outbound.guard import Guard
from mainspring.outbound.sender import HttpSender
from mainspring.store.shared import open_postgres
from postgres import Postgres

CRON = "export default { onCron: (params, env, ctx) => ({ params, env, as: ctx.runType }) }"
HOURLY = "0 0 * * * *"
LOST = "JavaScript runtime execution failed: interrupted"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Scripted]:
    async with scripted(tmp_path) as started:
        yield started


@pytest_asyncio.fixture(params=BACKENDS)
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scripted]:
    clock = Clock()
    store = await BACKENDS[request.param](request, clock)
    async with scripted(tmp_path, clock=clock, store=store) as started:
        yield started


async def fired(server: Scripted, name: str, params: Any = None) -> dict[str, Any]:
    """A crontab for a script, fired once; what it says of that."""
    job = {"server": {"js_worker": [name, params]}}
    await server.ask("crontab_create", name=f"cron_{name}", cron_expression=HOURLY, cron_type=job)
    await server.work(HOUR)
    [found] = await server.ask("crontab-result_query", query={"condition": [{"cron_name": f"cron_{name}"}]})
    return dict(found)


async def test_a_crontab_runs_a_script(both: Scripted) -> None:
    await both.create("demo_nodeget_fetch", CRON, env={"E": 1})
    found = await fired(both, "demo_nodeget_fetch", {"hello": "x"})
    [ended] = await both.results()
    assert found["success"] is True
    assert found["relative_id"] == ended["id"]
    assert found["message"] == f"已触发 JsWorker 定时任务，脚本名：demo_nodeget_fetch，relative_id：{ended['id']}"
    assert ended["run_type"] == "cron"
    assert ended["param"] == {"hello": "x"}
    assert ended["result"] == {"params": {"hello": "x"}, "env": {"E": 1}, "as": "onCron"}
    [crontab] = await both.ask("crontab_get")
    assert crontab["last_run_time"] is not None


async def test_a_script_that_throws_was_triggered_all_the_same(server: Scripted) -> None:
    await server.create("bad", "export default { onCron() { throw new Error('x'); } }")
    found = await fired(server, "bad")
    assert found["success"] is True
    [ended] = await server.results()
    assert "Error: x" in ended["error_message"]


async def test_a_crontab_for_a_script_that_is_missing_says_so(both: Scripted) -> None:
    found = await fired(both, "missing")
    assert (found["success"], found["relative_id"]) == (False, None)
    reason = "Not found in database: js_worker not found: missing"
    assert found["message"] == f"触发 JsWorker 定时任务失败，脚本名：missing，错误：{reason}"
    assert await both.results() == []


async def test_the_runs_of_a_crontab_show_what_became_of_them(server: Scripted) -> None:
    await server.create("demo", CRON)
    await fired(server, "demo", 5)
    [job] = (await server.live.get("/v1/cron/list")).data["items"]
    [run] = (await server.live.get(f"/v1/cron/runs/list/{job['id']}")).data["items"]
    assert (run["state"], run["attempt"]) == ("succeeded", 1)
    assert json.loads(run["response_body"]) == {"params": 5, "env": {}, "as": "onCron"}


async def test_scripts_call_each_other_and_that_is_on_record(both: Scripted) -> None:
    await both.create("outer", "export default { onCall: (p) => inlineCall('inner', { n: p + 1 }) }")
    await both.create(
        "inner", "export default { onInlineCall: (p, env, ctx) => [p, env, ctx.inlineCaller] }", env={"own": True}
    )
    ended = await both.run("outer", 1)
    assert ended["result"] == [{"n": 2}, {"own": True}, "outer"]
    [inner] = await both.results({"run_type": "inline_call"})
    assert (inner["js_worker_name"], inner["param"], inner["result"]) == ("inner", {"n": 2}, ended["result"])
    assert inner["finish_time"] is not None


async def test_errors_of_a_called_script_reach_the_caller(server: Scripted) -> None:
    await server.create(
        "outer", "export default { onCall: (name) => inlineCall(name, null, 0.3).catch((e) => e.message) }"
    )
    await server.create("inner", "export default { onInlineCall() { throw new Error('deep'); } }")
    await server.create("slow", "export default { onInlineCall() { for (;;); } }")
    assert "Error: deep" in (await server.run("outer", "inner"))["result"]
    assert "js_worker not found: none" in (await server.run("outer", "none"))["result"]
    assert "ran longer than 300 ms" in (await server.run("outer", "slow"))["result"]


DOWN = """export default {
    async onCall(n) { return n === 0 ? 0 : 1 + await inlineCall('down', n - 1); },
    async onInlineCall(n) { return n === 0 ? 0 : 1 + await inlineCall('down', n - 1); } }"""


async def test_calls_go_ten_deep_and_no_further(server: Scripted) -> None:
    await server.create("down", DOWN)
    assert (await server.run("down", 10))["result"] == 10
    assert "recursion depth limit reached" in (await server.run("down", 11))["error_message"]


async def test_a_run_cannot_multiply_without_bounds(server: Scripted) -> None:
    wide = """export default { onCall: async () => (await Promise.allSettled(
        Array.from({ length: 40 }, () => inlineCall('wide', null)))).filter((one) => one.status === 'rejected').length,
        onInlineCall: async () => { await Promise.allSettled(
            Array.from({ length: 40 }, () => inlineCall('leaf', null))); return 1; } }"""
    await server.create("wide", wide, max_run_time=20_000)
    await server.create("leaf", "export default { onInlineCall: () => new Promise((r) => setTimeout(r, 50, 1)) }")
    most = 0
    running = asyncio.create_task(server.run("wide"))
    while not running.done():
        most = max(most, sum(count for count, _ in _sandbox(server).active().values()))
        await asyncio.sleep(0.005)
    assert running.result()["error_message"] is None
    assert 4 < most <= 12


def _sandbox(server: Scripted) -> Any:
    return server.live.core.sandbox


async def test_scripts_call_the_server_with_a_token_of_their_own(server: Scripted) -> None:
    source = """export default { async onCall(token) {
        await nodeget('kv_create', { token, namespace: 'n' });
        await nodeget('kv_set_value', { token, namespace: 'n', key: 'k', value: [1] });
        const [one, other] = await nodeget([1, 2].map((id) => (
            { jsonrpc: '2.0', id, method: 'kv_get_value', params: { token, namespace: 'n', key: 'k' } })));
        const nobody = await nodeget('kv_get_value', { token: 'no:body', namespace: 'n', key: 'k' });
        const told = await nodeget({ jsonrpc: '2.0', method: 'nodeget-server_hello' });
        return [one.result, other.id, nobody.error.code, (await nodeget('nothing', {})).error.code, told];
    } }"""
    await server.create("caller", source)
    assert (await server.run("caller", SUPER))["result"] == [[1], 2, 102, -32601, None]


async def test_what_a_script_prints_is_told(server: Scripted) -> None:
    await server.create("loud", "export default { onCall() { console.warn('careful'); return 1; } }")
    await server.run("loud")
    assert ScriptPrinted(script="loud", level="warning", text="careful") in server.live.events


async def test_no_more_run_at_once_than_there_are_seats(server: Scripted) -> None:
    await server.create("slow", "export default { onCall: () => new Promise((r) => setTimeout(r, 60, 1)) }")
    for number in range(SCRIPT_SEATS + 3):
        await server.ask("js-worker_run", js_script_name="slow", params=number)
    await server.runner.step(server.live.clock())
    assert server.runner.in_flight == SCRIPT_SEATS
    await server.runner.drain(60)
    assert len(await server.results("is_running")) == 3
    await server.work()
    assert len(await server.results("is_success")) == SCRIPT_SEATS + 3


async def test_a_deleted_script_does_not_run(server: Scripted) -> None:
    await server.create("gone")
    number = (await server.ask("js-worker_run", js_script_name="gone", params=1))["id"]
    await server.ask("js-worker_delete", name="gone")
    await server.work()
    [ended] = await server.results({"id": number})
    assert ended["error_message"] == "JavaScript runtime execution failed: js_worker not found: gone"


async def test_a_stop_cuts_off_what_does_not_end_and_says_so(server: Scripted) -> None:
    await server.create("endless", "export default { onCall() { for (;;); } }")
    number = (await server.ask("js-worker_run", js_script_name="endless", params=1))["id"]
    await server.runner.step(server.live.clock())
    assert server.runner.in_flight == 1
    server.runner.hasten()
    await server.runner.drain(60)
    [ended] = await server.results({"id": number})
    assert ended["error_message"] == LOST
    assert _sandbox(server).active() == {}


async def crashed(server: Scripted) -> int:
    """A run whose node went in the middle of it; its number."""
    await server.create("endless", "export default { onCall() { for (;;); } }", max_run_time=10_000)
    number: int = (await server.ask("js-worker_run", js_script_name="endless", params=1))["id"]
    lost = ScriptRunner(server.live.core, server.live.clock, lambda: None)
    await lost.step(server.live.clock())
    while not _sandbox(server).active():
        await asyncio.sleep(0.01)
    tasks = [flight.task for flight in lost._flying.values()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return number


async def test_what_was_under_way_when_the_only_node_went_is_over_at_its_next_start(server: Scripted) -> None:
    number = await crashed(server)
    await server.runner.begin(server.live.clock())
    [ended] = await server.results({"id": number}, "is_failure")
    assert ended["error_message"] == LOST


async def test_what_was_under_way_when_a_node_went_is_over_when_its_process_must_be(both: Scripted) -> None:
    number = await crashed(both)
    assert [one["id"] for one in await both.results("is_running")] == [number]
    both.live.clock.ahead += 10_000 + LEASE + SECOND
    [ended] = await both.results({"id": number}, "is_failure")
    assert ended["error_message"] == LOST
    assert ended["finish_time"] is not None
    assert await both.results("is_running") == []


async def test_a_script_that_was_cut_off_is_not_begun_again(both: Scripted) -> None:
    await crashed(both)
    sender = HttpSender(Guard(()), both.live.clock)
    await sender.start()
    both.live.clock.ahead += LEASE + SECOND
    assert await Dispatcher(both.live.core, sender, both.live.clock, lambda: 0.5).rescue(both.live.clock()) == 1
    await sender.close()
    await both.work(SECOND)
    assert len(await both.results()) == 1


async def test_records_go_after_thirty_days(both: Scripted) -> None:
    await both.create("demo")
    await both.run("demo", "old")
    both.live.clock.ahead += 30 * DAY
    await both.run("demo", "new")
    both.live.clock.ahead += DAY
    await Janitor(both.live.core).step(both.live.clock())
    assert [one["param"] for one in await both.results()] == ["new"]


async def test_nodes_share_the_scripts(postgres: Postgres, tmp_path: Path) -> None:
    url, clock = postgres.url(await postgres.blank()), Clock()
    stores = [await open_postgres(url, clock, time.monotonic_ns, clock=clock) for _ in range(2)]
    async with (
        scripted(tmp_path, clock=clock, store=stores[0]) as one,
        scripted(tmp_path, clock=clock, store=stores[1]) as other,
    ):
        await one.create("demo", ECHO)
        for number in range(12):
            await result(one.live, "js-worker_run", token=SUPER, js_script_name="demo", params=number)
        while await one.results("is_running"):
            await asyncio.gather(one.work(), other.work())
        found = await one.results("is_success")
    assert sorted(one["result"]["params"] for one in found) == list(range(12))
