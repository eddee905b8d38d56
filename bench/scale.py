"""100,000 stored schedules: start to first fire, a listing, idle CPU.

python -m bench.scale [--json] [--quick]
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib import request

import aiohttp

from bench.report import emit, percentile
from bench.rig import Server, Sink, gather, rig

COUNT = 10_000 if "--quick" in sys.argv else 100_000
IDLE_S = 10 if "--quick" in sys.argv else 30


async def fill(server: Server, sink: Sink, count: int) -> float:
    """Create `count` yearly schedules over 64 connections; creates per second."""
    day = datetime.now(UTC) + timedelta(days=100)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        began = time.monotonic()
        jobs = [
            server.create(session, cron_expr=f"{n % 60} {n // 60 % 24} {day.day % 28 + 1} {day.month} *", task=sink.url)
            for n in range(count)
        ]
        await gather(64, jobs)
        return count / (time.monotonic() - began)


def list_times(server: Server, times: int = 30) -> list[float]:
    spent = []
    for _ in range(times):
        asked = request.Request(server.url + "/v1/cron/list", headers=server.headers)
        began = time.monotonic()
        request.urlopen(asked, timeout=30).read()
        spent.append((time.monotonic() - began) * 1000)
    return spent


def main() -> int:
    figures: dict[str, Any] = {"schedules": COUNT}
    with rig() as (server, sink):
        figures["creates_per_second"] = round(asyncio.run(fill(server, sink, COUNT)))
        listed = list_times(server)
        figures["list_ms_p50"] = round(percentile(listed, 0.5), 1)
        figures["list_ms_max"] = round(max(listed), 1)
        time.sleep(3)
        cpu = server.cpu_seconds()
        time.sleep(IDLE_S)
        figures["idle_cpu_percent"] = round(100 * (server.cpu_seconds() - cpu) / IDLE_S, 2)

        async def one() -> None:
            async with aiohttp.ClientSession() as session:
                await server.create(session, cron_expr="* * * * * *", task=sink.url + "/first")

        asyncio.run(one())
        server.stop()
        sink.reset()
        began = time.time() * 1000
        figures["ready_s"] = round(server.start(), 2)
        while not (calls := sink.calls()):
            time.sleep(0.02)
        figures["first_fire_s"] = round((calls[0][2] - began) / 1000, 2)
        print(
            f"  {figures}\n  wanted: first fire <= 5 s after start, list <= 100 ms, idle CPU < 2 %",
            flush=True,
        )
        emit("scale", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
