"""What the tests of the sandbox share: scripts run for real, a server for them to call, a watch over the event loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from mainspring.core.scripts_model import InlineCall, RunType, ScriptEnd, ScriptJob, ScriptLimits
from mainspring.outbound.guard import Guard
from mainspring.outbound.sender import HttpSender
from mainspring.sandbox.runner import ProcessSandbox

LOOPBACK = ("127.0.0.0/8",)


def now() -> int:
    return time.time_ns() // 1_000_000


async def echo_rpc(body: bytes) -> bytes:
    """Answers with what it was asked."""
    request = json.loads(body)
    return json.dumps({"jsonrpc": "2.0", "id": request.get("id"), "result": request}).encode()


async def echo_inline(name: str, params: bytes, most_ms: int) -> bytes:
    """Answers with what it was called with."""
    return msgspec.json.encode({"name": name, "params": msgspec.Raw(params), "most_ms": most_ms})


class Rig:
    """A sandbox, and scripts in it."""

    def __init__(self, sandbox: ProcessSandbox) -> None:
        self.sandbox = sandbox

    async def run(
        self,
        source: str,
        *,
        run_type: RunType = "call",
        params: Any = None,
        env: Any = None,
        inline: InlineCall = echo_inline,
        **limits: int,
    ) -> ScriptEnd:
        """One run of a whole script."""
        job = ScriptJob(
            name="script",
            source=source.encode(),
            run_type=run_type,
            params=json.dumps(params).encode(),
            env=json.dumps(env).encode(),
            limits=ScriptLimits(**limits),
        )
        return await self.sandbox.run(job, inline)

    async def of(self, body: str, **options: Any) -> Any:
        """What `onCall` returns whose body this is."""
        end = await self.run(f"export default {{ async onCall(params, env, ctx) {{ {body} }} }}", **options)
        assert end.error is None, end.error
        assert end.result is not None
        return json.loads(end.result)

    async def error(self, body: str, **options: Any) -> str:
        """The error that it ends with."""
        end = await self.run(f"export default {{ async onCall(params, env, ctx) {{ {body} }} }}", **options)
        assert end.error is not None, end.result
        return end.error


@asynccontextmanager
async def rig(allow: Sequence[str] = LOOPBACK) -> AsyncIterator[Rig]:
    """A sandbox with the real sender; `allow`: which targets inside may be reached."""
    sender = HttpSender(Guard(allow), now)
    await sender.start()
    try:
        yield Rig(ProcessSandbox(sender, echo_rpc, now))
    finally:
        await sender.close()


Handler = Callable[[str, dict[str, str], bytes, asyncio.StreamWriter], Any]


@asynccontextmanager
async def target(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """A server that hands each request (its first line, headers, body) to `handler`, which writes; its address."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.current_task())  # type: ignore[arg-type]  # there is one
        task.add_done_callback(tasks.discard)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            await handler(head[0], headers, body, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole response."""
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{named}\r\n".encode() + body


class Watch:
    """How long the event loop was held up at most, in seconds, while it was watched. The time for which the machine
    gave this thread no processor is not the loop's doing, and is left out."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Watch:
        self._last = _seen()
        self._tick()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._timer is not None
        self._timer.cancel()

    def _tick(self) -> None:
        seen = _seen()
        self.longest = max(self.longest, seen - self._last - 0.005)
        self._last = seen
        self._timer = asyncio.get_running_loop().call_later(0.005, self._tick)


def _seen() -> float:
    """Seconds that have passed, but for those spent waiting for a processor (the second number of schedstat, in ns)."""
    try:
        waited = int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except OSError:
        waited = 0
    return time.perf_counter() - waited / 1e9
