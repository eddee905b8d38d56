"""`/worker-route/…`: requests that scripts answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from doors.jsonrpc.scripting import Scripted, scripted
from mainspring.core.limits import SCRIPT_ROUTE_BYTES_MAX

SHOW = """export default { async onRoute(request, env, ctx) {
    return new Response(JSON.stringify({ method: request.method, url: request.url, env,
        path: new URL(request.url).pathname, headers: Object.fromEntries(request.headers),
        text: await request.text(), as: ctx.runType }),
        { status: 201, headers: { 'content-type': 'application/json; charset=utf-8', 'x-own': 'dropped', etag: '"1"',
                                  'access-control-allow-origin': '*', 'set-cookie': 'a=b', 'content-length': '3' } });
} }"""


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Scripted]:
    async with scripted(tmp_path) as started:
        await started.create("show", SHOW, route_name="demo_route", env={"E": 1})
        yield started


async def test_a_script_answers_a_request(server: Scripted) -> None:
    for prefix in ("/worker-route", "/nodeget/worker-route"):
        sent = {"X-Mine": "yes", "NG-Connecting-IP": "6.6.6.6", "Content-Type": "text/plain"}
        path = f"{prefix}/demo_route/hello/there?x=1&y=%20"
        answer = await server.live.post(path, raw="grüße".encode(), headers=sent, key=None)
        assert answer.status == 201
        shown = answer.json
        assert shown["method"] == "POST"
        assert shown["url"] == server.live.url + path
        assert shown["path"] == f"{prefix}/demo_route/hello/there"
        assert shown["text"] == "grüße"
        assert (shown["env"], shown["as"]) == ({"E": 1}, "onRoute")
        assert shown["headers"]["x-mine"] == "yes"
        assert shown["headers"]["ng-connecting-ip"] == "127.0.0.1"


async def test_only_some_headers_are_passed_on_and_pages_are_strangers(server: Scripted) -> None:
    headers = (await server.live.get("/worker-route/demo_route", key=None)).headers
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["etag"] == '"1"'
    assert headers["access-control-allow-origin"] == "*"
    assert "x-own" not in headers
    assert "set-cookie" not in headers
    assert headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in headers["content-security-policy"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_every_method_is_for_the_script(server: Scripted, method: str) -> None:
    answer = await server.live.call(method, "/worker-route/demo_route/", key=None)
    assert answer.status == 201
    assert answer.raw == b"" if method == "HEAD" else answer.json["method"] == method


@pytest.mark.parametrize("path", ["/worker-route/none", "/worker-route/", "/worker-route", "/worker-route/a%2Fb/c"])
async def test_unknown_routes_are_not_found(server: Scripted, path: str) -> None:
    answer = await server.live.get(path, key=None)
    assert (answer.status, answer.raw) == (404, b"No js_worker bound to this route_name")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("export default { onRoute() { throw new Error('no'); } }", b"Error: no"),
        ("export default { onRoute() { return 'text'; } }", b"did not return a Response"),
        ("export default { onCall() {} }", b"exports no onRoute"),
        ("export default { onRoute() { for (;;); } }", b"ran longer than 300 ms"),
    ],
)
async def test_a_failure_is_500_with_the_reason(server: Scripted, source: str, said: bytes) -> None:
    await server.create("bad", source, route_name="bad", max_run_time=300)
    answer = await server.live.get("/worker-route/bad", key=None)
    assert answer.status == 500
    assert answer.raw.startswith(b"JavaScript runtime execution failed: ")
    assert said in answer.raw


async def test_statuses_without_a_body(server: Scripted) -> None:
    await server.create(
        "empty", "export default { onRoute: () => new Response(null, { status: 204 }) }", route_name="e"
    )
    answer = await server.live.get("/worker-route/e", key=None)
    assert (answer.status, answer.raw) == (204, b"")


async def test_bytes_pass_through_unchanged(server: Scripted) -> None:
    source = "export default { onRoute: async (r) => new Response(await r.arrayBuffer(), { headers: r.headers }) }"
    await server.create("echo", source, route_name="echo")
    body = bytes(range(256)) * 100
    answer = await server.live.post("/worker-route/echo", raw=body, headers={"Content-Type": "a/b"}, key=None)
    assert (answer.status, answer.raw, answer.headers["content-type"]) == (200, body, "a/b")


async def test_a_body_over_the_limit_is_refused(server: Scripted) -> None:
    body = b"x" * (SCRIPT_ROUTE_BYTES_MAX + 1)
    answer = await server.live.post("/worker-route/demo_route", raw=body, headers={"Content-Type": "a/b"}, key=None)
    assert answer.status == 413


async def test_routes_are_not_on_record(server: Scripted) -> None:
    assert (await server.live.get("/worker-route/demo_route", key=None)).status == 201
    assert await server.results() == []


async def test_whoever_hangs_up_ends_the_script(server: Scripted) -> None:
    await server.create("endless", "export default { onRoute() { for (;;); } }", route_name="endless")
    asking = asyncio.create_task(server.live.get("/worker-route/endless", key=None))
    sandbox: Any = server.live.core.sandbox
    while not sandbox.active():
        await asyncio.sleep(0.01)
    asking.cancel()
    while sandbox.active():
        await asyncio.sleep(0.01)
    assert (await server.live.get("/worker-route/demo_route", key=None)).status == 201


async def test_a_route_can_be_run_as_a_call(server: Scripted) -> None:
    given = {"method": "PUT", "url": "http://x.y/z", "headers": {"a": "b"}, "body": "aGk="}
    number = (await server.ask("js-worker_run", js_script_name="show", run_type="route", params=given))["id"]
    await server.work()
    [ended] = await server.results({"id": number})
    assert ended["result"]["status"] == 201
    assert json.dumps(ended["result"]["headers"]).count("x-own") == 1
