"""What the tests of the crontab door call, and what calls them back: a door to talk to, an HTTP target, and a server of
JSON-RPC 1.0 over TCP as Go's net/rpc/jsonrpc is one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from doors.live import Answer, Live
from mainspring.core.model import Entry
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.scheduler import Scheduler
from mainspring.outbound.guard import Guard
from mainspring.outbound.rpc import RpcSender
from mainspring.outbound.sender import HttpSender

NOWHERE = "http://127.0.0.1:9/hook"
EVERY_MINUTE = "0 * * * * *"
NAMES = iter(range(1_000_000))


def task(**fields: Any) -> dict[str, Any]:
    """An item of add_task, whole; by default on, each minute."""
    given = {
        "name": f"task {next(NAMES)}",
        "enable": 1,
        "module": 2,
        "type": 2,
        "start_time": EVERY_MINUTE,
        "url": NOWHERE,
        "method": "post",
    }
    return {name: value for name, value in (given | fields).items() if value is not ...}


async def send(live: Live, call: str, *items: Any, **more: Any) -> Answer:
    """One call with its items."""
    return await live.post(f"/crontab/{call}", raw=json.dumps({"task_list": list(items), **more}).encode())


async def results(live: Live, call: str, *items: Any, **more: Any) -> list[dict[str, Any]]:
    """The results of one call, which the envelope says was processed."""
    answer = await send(live, call, *items, **more)
    assert (answer.status, answer.json["state"], answer.json["msg"]) == (200, 0, "")
    found: list[dict[str, Any]] = answer.json["data"]["task_result"]
    assert len(found) == len(items)
    return found


async def add(live: Live, **fields: Any) -> int:
    """The number of a new task."""
    [result] = await results(live, "add_task", task(**fields))
    assert result["err"] == "", result
    assert result["state"] == 0
    return int(result["task_id"])


async def refusal(live: Live, call: str, item: Any) -> tuple[int, str]:
    """The code and the sentence with which one item is refused."""
    [result] = await results(live, call, item)
    assert result["err"]
    return result["state"], result["err"]


async def log(live: Live, *items: Any, **more: Any) -> list[dict[str, Any]]:
    """The rows of query_task_status."""
    answer = await send(live, "query_task_status", *items, **more)
    assert answer.json["state"] == 0, answer.json
    rows: list[dict[str, Any]] = answer.json["data"]["log_list"]
    return rows


async def entry(live: Live, number: int, project: str = "default") -> Entry:
    """The schedule behind a task."""
    [found] = await live.store.schedules.crontab(project, [number], [])
    return found


async def fire(live: Live, until: int) -> list[int]:
    """Let the scheduler come at every due instant up to `until`; the instants."""
    instants = []
    while (due := await live.store.schedules.next_due_at()) is not None and due <= until:
        instants.append(due)
        await Scheduler(live.core).step(due)
        assert len(instants) < 10_000, "a storm"
    return instants


async def work(live: Live, ahead: int = 0) -> None:
    """Move the clock on, fire what is due then, send what waits, and write how it ended."""
    live.clock.ahead += ahead
    await Scheduler(live.core).step(live.clock())
    await dispatch(live)


async def dispatch(live: Live) -> None:
    """Send what waits, and write how it ended."""
    guard = Guard(("127.0.0.0/8",))
    sender = HttpSender(guard, live.clock)
    await sender.start()
    rpc = RpcSender(guard, live.clock)
    dispatcher = Dispatcher(live.core, sender, live.clock, lambda: 0.5, node=live.store.node, rpc=rpc)
    try:
        await dispatcher.step(live.clock())
        await dispatcher.drain(15)
    finally:
        await sender.close()


class GoServer:
    """A JSON-RPC 1.0 server over TCP: many calls on a connection, each answered in a line, the connection kept open.

    `functions`: by name, what each makes of its one parameter; one that raises answers with its text as the error.
    """

    def __init__(self, **functions: Callable[[Any], Any]) -> None:
        self.calls: list[dict[str, Any]] = []
        self.functions = {name.replace("__", "."): function for name, function in functions.items()}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text, decoder = "", json.JSONDecoder()
        while chunk := await reader.read(4096):
            text += chunk.decode()
            try:
                call, end = decoder.raw_decode(text)
            except ValueError:
                continue
            text = text[end:].lstrip()
            self.calls.append(call)
            reply: dict[str, Any] = {"id": call["id"], "result": None, "error": None}
            try:
                [parameter] = call["params"]
                reply["result"] = self.functions[call["method"]](parameter)
            except Exception as error:  # noqa: BLE001  # as the original: whatever it is, its text
                reply["error"] = f"rpc: {error}"
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any], **options: Any
) -> AsyncIterator[str]:
    """`127.0.0.1:port` of a server, until the block ends."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, **options)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"{host}:{port}"
    finally:
        server.close()


class HttpTarget:
    """Keeps what it is sent. `plans`: by path, the answers to give in turn, (status, body); `never` answers nothing,
    `later` not before `let_go`."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []
        self.plans: dict[str, list[tuple[int, bytes]]] = {}
        self.never: set[str] = set()
        self.later: set[str] = set()
        self.let_go = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.received.append((method, path, headers, body))
            if path in self.never:
                await reader.read()
                return
            if path in self.later:
                await self.let_go.wait()
            plan = self.plans.get(urlsplit(path).path) or [(200, b"ok")]
            status, sent = plan.pop(0) if len(plan) > 1 else plan[0]
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(sent)) + sent
            )
            await writer.drain()
        finally:
            writer.close()
