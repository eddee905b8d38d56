"""What the tests of scripts share: a server that runs them, and calls to it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from doors.jsonrpc.rig import error, result
from doors.live import SUPER, Clock, Live, serving
from mainspring.loops.scheduler import Scheduler
from mainspring.loops.scripts import ScriptRunner
from mainspring.outbound.guard import Guard
from mainspring.outbound.sender import HttpSender
from mainspring.sandbox.runner import ProcessSandbox
from mainspring.store.store import Store

ECHO = "export default { onCall: (params, env) => ({ params, env }) }"


class Scripted:
    """A server that runs scripts, and its lane of scripts."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.runner = ScriptRunner(live.core, live.clock, lambda: None)

    async def create(self, name: str, source: str = ECHO, **more: Any) -> Any:
        """A new script."""
        code = base64.b64encode(source.encode()).decode()
        return await result(self.live, "js-worker_create", token=SUPER, name=name, js_script_base64=code, **more)

    async def ask(self, method: str, **params: Any) -> Any:
        """The result of a call by the super token."""
        return await result(self.live, method, **{"token": SUPER, **params})

    async def refused(self, method: str, **params: Any) -> tuple[int, str]:
        """The error of a call, by the super token unless another is given."""
        found = await error(self.live, method, **{"token": SUPER, **params})
        assert set(found) == {"code", "message"}
        return found["code"], found["message"]

    async def work(self, ahead: int = 0) -> None:
        """Move the clock on, fire what is due, and run all scripts that wait to their ends."""
        self.live.clock.ahead += ahead
        await Scheduler(self.live.core).step(self.live.clock())
        await self.runner.step(self.live.clock())
        await self.runner.drain(60)

    async def results(self, *condition: Any) -> list[dict[str, Any]]:
        """What became of runs, newest first."""
        found: list[dict[str, Any]] = await self.ask("js-result_query", query={"condition": list(condition)})
        return found

    async def run(self, name: str, params: Any = None, **more: Any) -> dict[str, Any]:
        """Run a script; what became of it."""
        number = (await self.ask("js-worker_run", js_script_name=name, params=params, **more))["id"]
        await self.work()
        [found] = await self.results({"id": number})
        return found


class _Late:
    """A sandbox for a server that is made after it."""

    def __init__(self, sender: HttpSender, clock: Clock) -> None:
        self._rpc: Callable[[bytes], Awaitable[bytes]] | None = None
        self.sandbox = ProcessSandbox(sender, self._answer, clock)

    def hear(self, rpc: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._rpc = rpc

    async def _answer(self, body: bytes) -> bytes:
        assert self._rpc is not None
        return await self._rpc(body)


@asynccontextmanager
async def scripted(
    folder: Path, *, allow: Sequence[str] = ("127.0.0.0/8",), store: Store | None = None, clock: Clock | None = None
) -> AsyncIterator[Scripted]:
    """The server, until the block ends."""
    clock = clock or Clock()
    sender = HttpSender(Guard(allow), clock)
    await sender.start()
    late = _Late(sender, clock)
    try:
        async with serving(folder, clock=clock, store=store, sandbox=late.sandbox, rpc=late.hear) as live:
            yield Scripted(live)
    finally:
        await sender.close()
