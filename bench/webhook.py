"""Webhooks: how many deliveries one core makes, and what ten thousand failing endpoints cost a healthy one.

    python -m bench.webhook [--json] [--quick] [PART …]     rate, celery, healthy

`rate`: an event for 500 endpoints, again and again, signed, to a local sink; beside a bare loop that posts the same
bodies with the same HTTP library from the same core. Compared are deliveries per second of the server's CPU time, which
others on the machine hardly touch; by the clock they are printed as well. `celery`: the same requests as tasks of
Celery on Redis (bench/webhook_celery.py), which has both cores. `healthy`: what others that fail, or hang, cost the
deliveries to a target that works (bench/webhook_isolation.py).

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

from bench import webhook_celery, webhook_isolation
from bench.report import emit
from bench.rig import SERVER_CORE, Sink, gather, pinned, rig, wait_until_quiet
from bench.webhook_calls import QUICK, arrived, call, register

PARTS = ("rate", "celery", "healthy")
ENDPOINTS = 500
EVENTS = 4 if QUICK else 20
ROUNDS = 1 if QUICK else 3
GOAL_RATE = 0.4
GOAL_P99 = 1.2
_BARE = """
import asyncio, resource, sys, time, aiohttp, uvloop
url, count = sys.argv[1], int(sys.argv[2])
body = b'{"id":"evt_0","type":"x","event":"x","data":"' + b"x" * 200 + b'"}'
def spent():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
async def main():
    async with aiohttp.ClientSession() as session:
        left = iter(range(count))
        async def work():
            for _ in left:
                async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as reply:
                    await reply.read()
        began, cpu = time.perf_counter(), spent()
        await asyncio.gather(*(work() for _ in range(32)))
        print(count / (time.perf_counter() - began), count / (spent() - cpu), flush=True)
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""


def bare_rate(sink: Sink, count: int) -> tuple[float, float]:
    """Posts of a loop that does nothing else, on the server's core: per second, and per second of its CPU time."""
    process = pinned(SERVER_CORE, sys.executable, "-c", _BARE, sink.url, str(count))
    assert process.stdout is not None
    clock, cpu = process.stdout.readline().split()
    process.wait()
    return float(clock), float(cpu)


async def rate() -> dict[str, Any]:
    rates, shares = [], []
    for _ in range(ROUNDS):
        wait_until_quiet(30)
        with rig() as (server, sink):
            bare, bare_cpu = bare_rate(sink, ENDPOINTS * EVENTS)
            async with aiohttp.ClientSession() as session:
                await gather(32, [register(session, server, sink.url, "x") for _ in range(ENDPOINTS)])
                for _ in range(2):
                    await call(session, server, "/v1/webhook/emit", {"event": "x", "payload": "x" * 200})
                await arrived(sink, (2 + EVENTS) * ENDPOINTS)
                sink.reset()
                began, cpu = time.time() * 1000, server.cpu_seconds()
                for _ in range(EVENTS):
                    await call(session, server, "/v1/webhook/emit", {"event": "x", "payload": "x" * 200})
                calls = await arrived(sink, ENDPOINTS * EVENTS)
                cpu = server.cpu_seconds() - cpu
        reached = len(calls) / (max(at for _, _, at in calls) - began) * 1000
        rates.append(reached)
        shares.append(len(calls) / cpu / bare_cpu)
        print(
            f"  {reached:,.0f} deliveries/s, bare loop {bare:,.0f}/s: {reached / bare:.2f}; per second of CPU "
            f"{len(calls) / cpu:,.0f} and {bare_cpu:,.0f}: {shares[-1]:.2f}",
            flush=True,
        )
    share = round(statistics.median(shares), 3)
    return {"per_second": round(statistics.median(rates)), "share": share, "goal": GOAL_RATE}


async def main() -> int:
    chosen = [part for part in PARTS if part in sys.argv] or list(PARTS)
    figures: dict[str, Any] = {}
    if "rate" in chosen:
        figures["rate"] = await rate()
    if "celery" in chosen:
        figures["celery"] = await asyncio.to_thread(webhook_celery.measure, ENDPOINTS * EVENTS)
        if "rate" in figures and figures["celery"]:
            times = figures["rate"]["per_second"] / figures["celery"]["per_second"]
            print(f"  ours, on one core, is {times:.1f} x that")
    if "healthy" in chosen:
        figures["healthy"] = await webhook_isolation.measure() | {"goal": GOAL_P99}
    emit("webhook", figures)
    missed = ("rate" in figures and figures["rate"]["share"] < GOAL_RATE) or (
        "healthy" in figures and max(figures["healthy"]["failing"], figures["healthy"]["hanging"]) > GOAL_P99
    )
    print("a goal was missed" if missed else "goals reached")
    return int(missed)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
