"""What the benchmarks of webhooks ask of a server, and how they wait for what it sends."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import aiohttp

from bench.rig import Server, Sink

QUICK = "--quick" in sys.argv


async def call(session: aiohttp.ClientSession, server: Server, path: str, body: dict[str, Any]) -> Any:
    """POST, and what was answered."""
    async with session.post(server.url + path, json=body, headers=server.headers) as reply:
        answer = await reply.json()
        assert reply.status == 200, answer
        return answer["data"]


async def register(session: aiohttp.ClientSession, server: Server, url: str, event: str) -> None:
    """An endpoint for one event."""
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
