"""A server with something of everything in it, and the address of every page about it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from doors.jsonrpc.rig import ONE, SUPER, result
from doors.live import Live
from mainspring.core import ids
from mainspring.core.agents_model import Ended, NewTask
from mainspring.core.script_results_model import NewScriptResult
from mainspring.core.scripts_model import Script
from mainspring.doors.console.nouns import PAGES
from mainspring.doors.console.routing import Method

QUEUE = "orders.eu:1"
SCRIPT = "export default { onCall() {} }"


class Stored(msgspec.Struct, frozen=True):
    """What stands in a page's path → what to put there. `foreign`: addresses that are no part of the console; `token`:
    the key of a token."""

    examples: dict[str, str]
    foreign: frozenset[str]
    token: str

    def pages(self, method: Method = "GET") -> list[str]:
        """The address of every page, below the root path. A page that has no example here fails the test."""
        found = []
        for page in PAGES:
            if page.method == method:
                path = page.path
                for prefix, value in self.examples.items():
                    head, _, name = prefix.rpartition("/")
                    if path.startswith(f"{head}/{name}"):
                        path = f"{head}/{value}" + path.removeprefix(f"{head}/{name}")
                assert "{" not in path, f"no example for {page.path}"
                found.append(f"/console{path.rstrip('/')}")
        return found


@asynccontextmanager
async def refusing(body: str) -> AsyncIterator[str]:
    """A target that answers everything with 500 and this body; its URL."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=500, text=body, content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def fill(live: Live, said: str = "plain", name: str = "plain") -> Stored:
    """Make one of each, with `said` wherever any text may stand and `name` where a name may; both are tried by all
    their ways of being shown: sent, refused, failed, answered."""
    async with refusing(said[:2_000]) as url:
        target = f"{url}/hook?q={quote(name)}"
        examples = await _schedules(live, target, said, name)
        examples |= await _queues(live, target, said, name)
        examples |= await _webhooks(live, target, said, name)
        await live.work(61_000)
        runs = (await live.get("/v1/scheduling/run/list")).data["items"]
        examples["/runs/{id}"] = next(one["run_id"] for one in runs if one["attempt"] and one.get("cron_id"))
    token = await _token(live, name)
    examples |= await _others(live, said, name)
    return Stored(examples, frozenset({target}), token)


async def _raw(live: Live, path: str, **body: Any) -> Any:
    """A call with its letters as they are, not as `\\u…`."""
    raw = json.dumps(body, ensure_ascii=False).encode()
    return (await live.post(path, raw=raw, headers={"Content-Type": "application/json"})).data


async def _schedules(live: Live, target: str, said: str, name: str) -> dict[str, str]:
    fields = {"payload": {"said": said, name: 1}, "name": name, "headers": {"X-Said": _of_header(said)}, "retry": 0}
    cron = await _raw(live, "/v1/cron/create", cron_expr="* * * * *", task=target, expected_body="never", **fields)
    await _raw(live, f"/v1/cron/trigger/{cron['id']}")
    await _raw(live, "/v1/cron/create", cron_expr="* * * * *", task=QUEUE, task_type="queue", payload=said, name=name)
    await _raw(live, "/v1/scheduling/task/schedule", run_at="2199-01-01", task=target, **fields)
    return {"/schedules/{id}": cron["id"], "/overview/run/{id}": cron["id"]}


async def _queues(live: Live, target: str, said: str, name: str) -> dict[str, str]:
    await _raw(live, "/v1/queue/create", name=QUEUE, max_retries=0)
    for _ in range(3):
        await _raw(
            live,
            "/v1/queue/publish",
            queue=QUEUE,
            payload={"said": said, name: [said]},
            headers={"X-Said": _of_header(name)},
        )
    await _raw(live, "/v1/queue/publish", queue=QUEUE, payload=said, delay_seconds=3_600)
    [taken] = (await _raw(live, "/v1/queue/consume", queue=QUEUE, max_messages=1))["messages"]
    [held] = (await _raw(live, "/v1/queue/consume", queue=QUEUE, max_messages=1, visibility_timeout=40_000))["messages"]
    await _raw(
        live,
        "/v1/queue/nack",
        queue=QUEUE,
        message_id=taken["message_id"],
        receipt=taken["receipt"],
        requeue=False,
    )
    await _raw(live, f"/v1/queue/push_subscribe/{QUEUE}", url=target, headers={"X-Said": _of_header(said)})
    return {
        "/queues/{name}": quote(QUEUE, safe=""),
        f"/queues/{quote(QUEUE, safe='')}/messages/{{id}}": held["message_id"],
    }


async def _webhooks(live: Live, target: str, said: str, name: str) -> dict[str, str]:
    made = await _raw(
        live,
        "/v1/account/webhooks/register",
        url=target,
        description=name,
        headers={"X-Said": _of_header(said)},
    )
    sent = await _raw(live, "/v1/webhook/emit", event="order.paid", payload={"said": said, name: 1})
    await _raw(live, "/v1/webhook/send", url=target, payload=said)
    return {"/webhooks/deliveries/{id}": sent["delivery_ids"][0], "/webhooks/{id}": made["id"]}


async def _others(live: Live, said: str, name: str) -> dict[str, str]:
    report = {"uuid": ONE, "time": 1, "system": {name: said, "list": [said]}, said[:100]: said}
    for kind in ("static", "dynamic", "dynamic_summary"):
        await result(live, f"agent_report_{kind}", token=SUPER, data=report)
    assert live.core.agents is not None
    await live.core.agents.flush()
    job = {"agent": [[ONE], {"task": {"execute": {"cmd": said, "args": [name]}}}]}
    made = {
        "token": SUPER,
        "name": _printable(f"of agents {name}")[:255],
        "cron_expression": "0 0 1 1 * *",
        "cron_type": job,
    }
    await result(live, "crontab_create", **made)
    await _task(live, said)
    key = ids.key_of("key", (await _raw(live, "/v1/account/keys/create", name=name, scopes=["cron:read"]))["id"])
    assert key is not None
    script = await _script(live, said, name)
    return {
        "/agents/{uuid}": ONE,
        "/scripts/-/results/{number}": str(script),
        "/scripts/{name:path}": quote(_printable(name), safe=""),
        "/settings/keys/{id}": ids.text("key", key),
    }


async def _task(live: Live, said: str) -> None:
    """What an agent was asked and what it said, though none is connected."""
    task = json.dumps({"execute": {"cmd": said, "args": []}})
    item = NewTask("default", ONE, "token12345", "execute", task, "mainspring:agent/execute", b"{}")
    for error, answer in ((said, None), (None, json.dumps({"execute": said}, ensure_ascii=False))):
        number = await live.store.agents.create(live.clock(), item)
        await live.store.end_task(Ended(number, live.clock(), error is None, error, answer))


async def _token(live: Live, name: str) -> str:
    limits = [{"scopes": [{"kv_namespace": name}], "permissions": [{"kv": {"read": name}}]}]
    made = await result(live, "token_create", father_token=SUPER, token_creation={"token_limit": limits})
    return str(made["key"])


async def _script(live: Live, said: str, name: str) -> int:
    """Stored as if it had been checked: nothing here runs scripts."""
    now, called = live.clock(), _printable(name)
    source = f"/* {said} */ {SCRIPT}".encode()
    script = Script(0, 0, called, said, source, "way", None, None, None, None, None, now, now)
    made = await live.store.scripts.create(now, script)
    param = json.dumps(said, ensure_ascii=False).encode()
    number = 0
    for answer, error in ((param, None), (None, said)):
        item = NewScriptResult(made.number, called, "call", now, param, ends_by=now + 1)
        number = await live.store.script_results.begin_inline(item)
        await live.store.script_results.finish(number, now, answer, error)
    return number


def _printable(name: str) -> str:
    """Names of scripts have no control characters."""
    return "".join(one for one in name if one.isprintable() or ord(one) >= 0x200B)


def _of_header(said: str) -> str:
    """What may stand in a header."""
    return "".join(one for one in said if " " <= one <= "~")[:200].strip() or "x"
