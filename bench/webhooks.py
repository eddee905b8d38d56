"""Webhooks: how many deliveries one core makes, and what ten thousand failing endpoints cost a healthy one.

    python -m bench.webhooks [--json] [--quick] [PART …]     rate, healthy

`rate`: an event for 500 endpoints, again and again, signed, to a local sink; beside a bare loop that posts the same
bodies with the same HTTP library from the same core. `healthy`: an event for one endpoint every 20 ms, the time from
the call to its arrival, alone and while 10,000 other endpoints of the same project refuse connections.

The server is pinned to one core, the sink and this side to the other. Every attempt is on disk before it goes out.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import Any

import aiohttp
import uvloop

from bench.report import emit, percentile
from bench.rig import SERVER_CORE, Server, Sink, gather, pinned, rig, wait_until_quiet

QUICK = "--quick" in sys.argv
PARTS = ("rate", "healthy")
ENDPOINTS = 500
EVENTS = 4 if QUICK else 20
FAILING = 1_000 if QUICK else 10_000
PROBES = 250 if QUICK else 1_000
ROUNDS = 1 if QUICK else 3
GAP_S = 0.02
GOAL_RATE = 0.4
GOAL_P99 = 1.2
REFUSING = "http://127.0.0.1:9/hook"
_BARE = """
import asyncio, sys, time, aiohttp, uvloop
url, count = sys.argv[1], int(sys.argv[2])
body = b'{"id":"evt_0","type":"x","event":"x","data":"' + b"x" * 200 + b'"}'
async def main():
    async with aiohttp.ClientSession() as session:
        left = iter(range(count))
        async def work():
            for _ in left:
                async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as reply:
                    await reply.read()
        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(32)))
        print(count / (time.perf_counter() - began), flush=True)
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""


async def call(session: aiohttp.ClientSession, server: Server, path: str, body: dict[str, Any]) -> Any:
    async with session.post(server.url + path, json=body, headers=server.headers) as reply:
        answer = await reply.json()
        assert reply.status == 200, answer
        return answer["data"]


async def register(session: aiohttp.ClientSession, server: Server, url: str, event: str) -> None:
    body = {"url": url, "events": [event], "max_concurrency": 100}
    await call(session, server, "/v1/account/webhooks/register", body)


async def arrived(sink: Sink, count: int, patience: float = 120) -> list[tuple[str, float | None, float]]:
    """All calls, once there are so many."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        calls = await asyncio.to_thread(sink.calls)
        if len(calls) >= count:
            return calls
        await asyncio.sleep(0.2)
    raise TimeoutError(f"{len(calls)} of {count} arrived")


def bare_rate(sink: Sink, count: int) -> float:
    """Posts a second of a loop that does nothing else, on the server's core."""
    process = pinned(SERVER_CORE, sys.executable, "-c", _BARE, sink.url, str(count))
    assert process.stdout is not None
    rate = float(process.stdout.readline())
    process.wait()
    return rate


async def rate() -> dict[str, Any]:
    shares = []
    for _ in range(ROUNDS):
        wait_until_quiet()
        with rig() as (server, sink):
            bare = bare_rate(sink, ENDPOINTS * EVENTS)
            sink.reset()
            async with aiohttp.ClientSession() as session:
                await gather(32, [register(session, server, sink.url, "x") for _ in range(ENDPOINTS)])
                for _ in range(2):
                    await call(session, server, "/v1/webhook/emit", {"event": "x", "payload": "x" * 200})
                await arrived(sink, 2 * ENDPOINTS)
                sink.reset()
                began = time.time() * 1000
                for _ in range(EVENTS):
                    await call(session, server, "/v1/webhook/emit", {"event": "x", "payload": "x" * 200})
                calls = await arrived(sink, ENDPOINTS * EVENTS)
            reached = len(calls) / (max(at for _, _, at in calls) - began) * 1000
        shares.append(reached / bare)
        print(f"  {reached:,.0f} deliveries/s, bare loop {bare:,.0f}/s: {reached / bare:.2f}", flush=True)
    return {"share": round(statistics.median(shares), 3), "goal": GOAL_RATE}


async def one_by_one(session: aiohttp.ClientSession, server: Server, sink: Sink) -> list[float]:
    """Time (ms) from each call to its arrival."""
    sink.reset()
    began: dict[str, float] = {}
    for _ in range(PROBES):
        at = time.time() * 1000
        made = await call(session, server, "/v1/webhook/emit", {"event": "good", "payload": "x" * 200})
        began[made["delivery_ids"][0]] = at
        await asyncio.sleep(max(0.0, GAP_S - (time.time() - at / 1000)))
    calls = await arrived(sink, PROBES)
    return [at - began[key] for key, _, at in calls if key in began]


async def healthy() -> dict[str, Any]:
    ratios = []
    for _ in range(ROUNDS):
        wait_until_quiet()
        with rig() as (server, sink):
            async with aiohttp.ClientSession() as session:
                await register(session, server, sink.url, "good")
                await one_by_one(session, server, sink)
                alone = await one_by_one(session, server, sink)
                await gather(32, [register(session, server, REFUSING, "bad") for _ in range(FAILING)])
                for _ in range(3):
                    await call(session, server, "/v1/webhook/emit", {"event": "bad", "payload": "x" * 200})
                await one_by_one(session, server, sink)
                beside = await one_by_one(session, server, sink)
        ratio = percentile(beside, 0.99) / percentile(alone, 0.99)
        ratios.append(ratio)
        print(
            f"  p50 {percentile(alone, 0.5):.1f} ms alone, {percentile(beside, 0.5):.1f} beside {FAILING:,} that fail; "
            f"p99 {percentile(alone, 0.99):.1f} and {percentile(beside, 0.99):.1f}: {ratio:.2f} x",
            flush=True,
        )
    return {"p99_ratio": round(statistics.median(ratios), 3), "goal": GOAL_P99}


async def main() -> int:
    chosen = [part for part in PARTS if part in sys.argv] or list(PARTS)
    figures: dict[str, Any] = {}
    if "rate" in chosen:
        figures["rate"] = await rate()
    if "healthy" in chosen:
        figures["healthy"] = await healthy()
    emit("webhooks", figures)
    missed = ("rate" in figures and figures["rate"]["share"] < GOAL_RATE) or (
        "healthy" in figures and figures["healthy"]["p99_ratio"] > GOAL_P99
    )
    print("a goal was missed" if missed else "goals reached")
    return int(missed)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
