"""A real server for the tests: real store, real guard, real sockets, in this process."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yarl
from uvicorn.server import ServerState

from mainspring import http_server
from mainspring.core import access, tokens
from mainspring.core.events import Event
from mainspring.core.ports import Core, QueueRules
from mainspring.core.scripts_model import Sandbox
from mainspring.doors import asgi
from mainspring.loops.agents import Agents
from mainspring.loops.bells import Bells
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.scheduler import Scheduler
from mainspring.loops.service import Service
from mainspring.loops.tide import Tide
from mainspring.outbound.guard import Guard
from mainspring.outbound.sender import HttpSender
from mainspring.store.store import Store, open_sqlite
from mainspring.store.vault import SealedVault

KEY = "msk_the_bootstrap_key_of_the_tests"
SUPER = "superkey12345678:secret-of-the-super-token-000000"
ENVELOPE = {"ok", "data", "error", "metadata"}
METADATA = {"request_id", "latency_ms", "cost_usd", "vendor", "cache_hit"}


class Clock:
    """The real clock, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead


class Wakeups:
    """Counts how often each loop was woken; messages wake their consumers, and time does its work on them."""

    def __init__(self) -> None:
        self.schedulers = self.dispatchers = self.pushes = 0
        self.bells = Bells()
        self.tides: Service | None = None
        self.expect: Callable[[int], bool] = lambda _: False
        self.agents: Service | None = None

    def scheduler(self) -> None:
        self.schedulers += 1

    def dispatcher(self, *, hurry: bool = False) -> None:
        self.dispatchers += 1
        self.stir_agents()

    def stir_agents(self) -> None:
        if self.agents is not None:
            self.agents.wake()

    def messages(self, queue_id: int, count: int) -> None:
        self.bells.ring(queue_id, count)

    def subscriptions(self) -> None:
        self.pushes += 1

    def tide(self, at: int) -> None:
        if self.expect(at) and self.tides is not None:
            self.tides.wake()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def data(self) -> Any:
        assert self.status == 200, self.raw
        return self.json["data"]

    @property
    def error(self) -> Any:
        assert self.status != 200, self.raw
        return self.json["error"]

    @property
    def code(self) -> tuple[int, str]:
        return self.status, self.error["code"]

    @property
    def warnings(self) -> list[str]:
        return list(self.json["metadata"].get("warnings", []))

    def check_envelope(self) -> None:
        """What every answer of the API holds."""
        body = self.json
        assert set(body) == ENVELOPE
        assert METADATA <= set(body["metadata"]) <= METADATA | {"warnings"}
        assert body["metadata"]["request_id"] == self.headers["x-request-id"]
        assert body["ok"] is (self.status == 200)
        if self.status == 200:
            assert body["error"] is None
        else:
            assert body["data"] is None
            assert (
                {"code", "message", "hint", "retryable"}
                <= set(body["error"])
                <= {
                    "code",
                    "message",
                    "hint",
                    "retryable",
                    "field",
                }
            )
            assert body["error"]["message"]
            assert body["error"]["hint"]


@dataclass
class Live:
    url: str
    port: int
    core: Core
    store: Store
    clock: Clock
    auth: tokens.AuthCache
    wakeups: Wakeups
    client: aiohttp.ClientSession
    reports: list[BaseException] = field(default_factory=list)
    observed: list[tuple[str, int, int]] = field(default_factory=list)
    echoes: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    not_ready: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        key: str | None = KEY,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request; `body` is sent as JSON, `raw` as it is. Answers of the API are checked to be whole."""
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault("Authorization", f"Bearer {key}")
        if body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        data: Any = raw if raw is None or len(raw) < 1 << 20 else io.BytesIO(raw)
        skip = () if "Content-Type" in sent else ("Content-Type",)
        url = yarl.URL(path, encoded=path.isascii())
        async with self.client.request(method, url, data=data, headers=sent, skip_auto_headers=skip) as reply:
            answer = Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, await reply.read())
        bare = path.startswith("/v1/discovery") and answer.status == 200
        if path.startswith("/v1") and method not in ("HEAD", "OPTIONS") and not bare:
            answer.check_envelope()
        return answer

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.call("POST", path, body, **options)

    async def cron(self, **fields: Any) -> dict[str, Any]:
        """A cron job, by default one that is due every minute."""
        given = {"cron_expr": "* * * * *", "task": "http://127.0.0.1:9/hook"} | fields
        if "run_at" in fields:
            del given["cron_expr"]
        record: dict[str, Any] = (await self.post("/v1/cron/create", given)).data
        return record

    async def key(self, *scopes: str, project: str = tokens.BOOTSTRAP_PROJECT) -> str:
        """The secret of a new key."""
        secret = tokens.new_secret(os.urandom(tokens.SECRET_BYTES))
        await tokens.create(
            self.core, self.clock(), project=project, name="a key", scopes=scopes, valid_until=None, secret=secret
        )
        return secret

    async def work(self, ahead: int = 0) -> None:
        """Move the clock on by `ahead` ms, fire what is due then, send what waits, and write how it ended."""
        self.clock.ahead += ahead
        await Scheduler(self.core).step(self.clock())
        sender = HttpSender(Guard(("127.0.0.0/8",)), self.clock)
        await sender.start()
        dispatcher = Dispatcher(self.core, sender, self.clock, lambda: 0.5)
        try:
            await dispatcher.step(self.clock())
            await dispatcher.drain(10)
        finally:
            await sender.close()

    async def send_raw(self, *parts: bytes, shut: bool = False) -> bytes:
        """Write bytes to a connection of their own and read until the server closes or answers whole."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if shut:
                writer.write_eof()
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            return head + await reader.readexactly(length)
        finally:
            writer.close()


@asynccontextmanager
async def listening(app: asgi.App, listener: socket.socket) -> AsyncIterator[None]:
    """uvicorn's protocol on a socket, without uvicorn's own main loop, which takes 0.2 s to stop."""
    config = http_server.config(app)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),
        sock=listener,
    )
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        await asyncio.gather(*state.tasks)


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    dev: bool = False,
    allow: Sequence[str] = ("127.0.0.0/8",),
    cors_origins: tuple[str, ...] = (),
    root_path: str = "",
    bound: str = "127.0.0.1",
    clock: Clock | None = None,
    store: Store | None = None,
    rules: QueueRules | None = None,
    agents: bool = False,
    sandbox: Sandbox | None = None,
    **options: Any,
) -> AsyncIterator[Live]:
    """The server, until the block ends. A bug that it met fails the test. `agents`: it hands agents their jobs;
    `sandbox`: what runs scripts; `options`: more of `asgi.Door`."""
    clock = clock or Clock()
    store = store or await open_sqlite(folder / "mainspring.db", clock)
    wakeups = Wakeups()
    events: list[Event] = []
    hub = Agents(store, clock, os.urandom, wakeups.stir_agents, node=lambda: store.node)
    core = Core(
        store=store,
        vault=SealedVault("of the tests"),
        targets=Guard(allow),
        wakeup=store.wakeups(wakeups),
        emit=events.append,
        arrivals=wakeups.bells,
        queue_rules=rules or QueueRules(),
        agents=hub,
        sandbox=sandbox,
    )
    await store.beat(clock())
    await store.credentials.ensure_bootstrap(clock(), tokens.bootstrap_key(KEY, clock()))
    await store.credentials.ensure_bootstrap(clock(), access.super_token(SUPER, clock()))
    auth = tokens.AuthCache(core)
    tide = Tide(core)
    wakeups.expect = tide.expect
    wakeups.tides = Service("tide", tide.step, clock, events.append)
    wakeups.tides.start()
    if agents:
        wakeups.agents = Service("agents", hub.step, clock, events.append)
        wakeups.agents.start()
    listener = socket.create_server((bound, 0))
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession(url) as client:
        live = Live(url, port, core, store, clock, auth, wakeups, client, events=events)

        async def ready() -> str | None:
            return live.not_ready[0] if live.not_ready else None

        door = asgi.Door(
            core=core,
            auth=auth,
            clock=clock,
            ticks=time.perf_counter_ns,
            ready=ready,
            metrics=lambda: b"mainspring_up 1\n",
            observe=lambda *seen: live.observed.append(seen),
            report=lambda error, _: live.reports.append(error),
            dev=dev,
            echo=(lambda *seen: live.echoes.append(seen)) if dev else None,
            cors_origins=cors_origins,
            root_path=root_path,
            primary_key=KEY if dev else None,
            **options,
        )
        try:
            async with listening(asgi.build(door), listener):
                yield live
                await client.close()
        finally:
            await wakeups.tides.stop()
            if wakeups.agents is not None:
                await wakeups.agents.stop()
                await hub.drain()
            await store.close()
    assert live.reports == []
