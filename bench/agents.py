"""A thousand agents on one node: how soon all have what one tick has for them, and what each of them takes up.

    python -m bench.agents [--json] [--quick]

Agents are sockets in this process that answer every task at once. A crontab goes to all of them every 10 s (every 2 s
with --quick); a tick's time is from the first event to the last one that arrives, and from the instant that was due.
200 of them (20) then also send two reports a second. Memory is the server's, before they connect and after.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from bench.report import emit, summary
from bench.rig import Server

QUICK = "--quick" in sys.argv
AGENTS = 100 if QUICK else 1_000
REPORTING = 20 if QUICK else 200
EVERY_S = 2 if QUICK else 10
TICKS = 3
SUPER = "superkey12345678:secret-of-the-super-token-000000"
DISPATCH_MS_MAX = 1_000
MEMORY_KIB_MAX = 60


class Agent:
    """One socket."""

    def __init__(self, number: int, socket: ClientConnection, arrivals: list[float]) -> None:
        self.uuid = f"00000000-0000-4000-8000-{number:012x}"
        self.socket = socket
        self._arrivals = arrivals
        self._ids = itertools.count(2)
        self.uploaded = 0

    async def call(self, method: str, *params: Any) -> None:
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        await self.socket.send(json.dumps(request))

    async def serve(self) -> None:
        async for frame in self.socket:
            message = json.loads(frame)
            if message.get("method") == "task_register_task":
                self._arrivals.append(time.time())
                event = message["params"]["result"]
                response = {
                    "task_id": event["task_id"],
                    "agent_uuid": self.uuid,
                    "task_token": event["task_token"],
                    "timestamp": int(time.time() * 1000),
                    "success": True,
                    "task_event_result": {"ping": 1.0},
                }
                await self.call("task_upload_task_result", SUPER, response)
            elif isinstance(message.get("result"), dict) and "id" in message["result"]:
                self.uploaded += 1
            elif "error" in message:
                raise AssertionError(message)

    async def report(self, until: float) -> None:
        while time.time() < until:
            data = {"uuid": self.uuid, "time": int(time.time() * 1000), "cpu_usage": 1.5, "used_memory": 10**9}
            await self.call("agent_report_dynamic_summary", SUPER, data)
            await self.call("agent_report_dynamic", SUPER, data | {"cpu": {"per_core": [{"id": 1}] * 4}})
            await asyncio.sleep(1)


def resident_kib(server: Server) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


async def crontab(socket: ClientConnection, method: str, **params: Any) -> None:
    await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"token": SUPER, **params}}))
    answer = json.loads(await socket.recv())
    assert "result" in answer, answer


async def ticks(arrivals: list[float]) -> tuple[list[float], list[float]]:
    """ms from first to last arrival, and from the instant that was due to the last one, for each tick."""
    spans, late = [], []
    for _ in range(TICKS):
        arrivals.clear()
        async with asyncio.timeout(6 * EVERY_S):
            while len(arrivals) < AGENTS:
                await asyncio.sleep(0.01)
        due = arrivals[0] // EVERY_S * EVERY_S
        spans.append((arrivals[-1] - arrivals[0]) * 1000)
        late.append((arrivals[-1] - due) * 1000)
    return spans, late


async def measure(server: Server) -> dict[str, Any]:
    url = server.url.replace("http", "ws") + "/"
    before = resident_kib(server)
    arrivals: list[float] = []
    agents, serving = [], []
    for number in range(AGENTS):
        agent = Agent(number, await connect(url, compression=None, ping_interval=None), arrivals)
        await agent.call("task_register_task", SUPER, agent.uuid)
        await agent.socket.recv()
        agents.append(agent)
        serving.append(asyncio.create_task(agent.serve()))
    each = (resident_kib(server) - before) / AGENTS
    print(f"  {AGENTS} agents connected: {each:.1f} KiB each (goal {MEMORY_KIB_MAX})", flush=True)
    control = await connect(url, compression=None)
    job = {"agent": [[agent.uuid for agent in agents], {"task": {"ping": "127.0.0.1"}}]}
    await crontab(control, "crontab_create", name="all", cron_expression=f"*/{EVERY_S} * * * * *", cron_type=job)
    figures: dict[str, Any] = {"agents": AGENTS, "kib_each": round(each, 1)}
    for reporting in (0, REPORTING):
        until = time.time() + (TICKS + 1) * EVERY_S
        reports = [asyncio.create_task(agent.report(until)) for agent in agents[:reporting]]
        spans, late = await ticks(arrivals)
        name = f"{reporting} reporting"
        figures[name] = {"span_ms": summary(spans), "after_due_ms": summary(late)}
        print(f"  one tick to all, {name}: {summary(spans)} ms; all have it after {summary(late)} ms", flush=True)
        await asyncio.gather(*reports)
    await crontab(control, "crontab_delete", name="all")
    sent = 2 * TICKS * AGENTS
    async with asyncio.timeout(30):
        while sum(agent.uploaded for agent in agents) < sent:
            await asyncio.sleep(0.05)
    figures["cpu_s"] = round(server.cpu_seconds(), 1)
    for task in serving:
        assert not task.done(), task
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    await asyncio.gather(*(agent.socket.close() for agent in agents), control.close())
    slowest = max(figures[f"{one} reporting"]["span_ms"]["max"] for one in (0, REPORTING))
    held = slowest <= DISPATCH_MS_MAX and each <= MEMORY_KIB_MAX
    print(f"  {'held' if held else 'MISSED'}: slowest tick {slowest} ms of {DISPATCH_MS_MAX}, {each:.1f} KiB each")
    return figures | {"held": held}


def main() -> int:
    data = Path(tempfile.mkdtemp(prefix="mainspring-bench-"))
    server = Server(data)
    try:
        server.start(MAINSPRING_SUPER_TOKEN=SUPER)
        figures = asyncio.run(measure(server))
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)
    emit("agents", figures)
    return 0 if figures["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
