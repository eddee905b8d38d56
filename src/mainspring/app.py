"""The composition root: settings -> store -> loops -> doors. The only file that knows all parts, and owns the clock."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop

from mainspring.core import cron, tokens, zone_data
from mainspring.core.errors import Conflict, Unavailable
from mainspring.core.events import Event
from mainspring.core.limits import DRAIN, MINUTE, SECOND
from mainspring.core.ports import Core
from mainspring.doors import asgi
from mainspring.keyring import Credentials, Secrets, new_key, prepare, write_credentials
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.janitor import Janitor
from mainspring.loops.scheduler import Scheduler
from mainspring.loops.service import Service
from mainspring.observe import logs
from mainspring.observe.metrics import Metrics
from mainspring.outbound.guard import Guard
from mainspring.outbound.sender import HttpSender
from mainspring.settings import Settings, check_to_serve, from_process, is_loopback
from mainspring.store.store import Store, open_store
from mainspring.store.vault import SealedVault, check_canary

SCHEDULER_PACE = 0.005
DISPATCHER_PACE = 0.003


def clock() -> int:
    """Now, in ms UTC."""
    return time.time_ns() // 1_000_000


class Wakeups:
    """Wakes the loops of this process."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}

    def scheduler(self) -> None:
        if service := self.services.get("scheduler"):
            service.wake()

    def dispatcher(self, *, hurry: bool = False) -> None:
        if service := self.services.get("dispatcher"):
            if hurry:
                service.hurry()
            else:
                service.wake()


class Server:
    """One process of the service: start, run until told to stop, stop."""

    def __init__(
        self,
        settings: Settings,
        *,
        say: Callable[[str], None] = lambda _: None,
        echo: Callable[[str, str, dict[str, str], bytes], None] | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._say = say
        self._echo = echo
        self._wakeups = Wakeups()
        self._stop = asyncio.Event()
        self._stopping = False
        self.addresses: list[tuple[str, int]] = []
        self.secrets: Secrets

    async def start(self) -> None:
        """Bind, open the store, start the loops. Raises `Refused` or `OSError` with nothing left running."""
        settings = self.settings
        check_to_serve(settings)
        self._guard = Guard(settings.allow_targets)
        self.secrets = prepare(settings)
        self._sockets = _bind(settings.binds)
        self.addresses = [item.getsockname()[:2] for item in self._sockets]
        try:
            self.store = await open_store(
                settings.database, clock, time.monotonic_ns, say=self._say, sync=settings.sync
            )
        except BaseException:
            self._close_sockets()
            raise
        try:
            await self._open()
        except BaseException:
            self._close_sockets()
            await self.store.close()
            raise

    async def _open(self) -> None:
        store = self.store
        vault = SealedVault(self.secrets.secret_key)
        await check_canary(vault, store.upkeep)
        now = store.clock()
        if self.secrets.generated:
            kept = await store.credentials.by_digest(tokens.digest_of(self.secrets.api_key))
            if kept is not None and not tokens.is_valid(kept, now):
                # Somebody rotated or revoked the key this server had made: it stays dead, and there is a new one.
                self.secrets = msgspec.structs.replace(self.secrets, api_key=new_key())
        await store.credentials.ensure_bootstrap(now, tokens.bootstrap_key(self.secrets.api_key, now))
        self._keep_credentials()
        await _follow_time_zones(store, now)
        wakeups = store.wakeups(self._wakeups)
        self.core = Core(store=store, vault=vault, targets=self._guard, wakeup=wakeups, emit=self._on_event)
        self._auth = tokens.AuthCache(self.core)
        self._sender = HttpSender(self._guard, store.clock)
        await self._sender.start()
        # What wakes a dispatcher from within are its own results, which are no business of other nodes.
        own = msgspec.structs.replace(self.core, wakeup=self._wakeups)
        self.dispatcher = Dispatcher(own, self._sender, store.clock, random.random, node=store.node)
        await self.dispatcher.rescue(now, everything=store.alone)
        self._start_loops()
        self._http = _HttpServer(self._config())
        self._serving = asyncio.create_task(self._http.serve(sockets=self._sockets))
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)

    def _start_loops(self) -> None:
        loops: dict[str, tuple[Callable[[int], Any], float]] = {
            "scheduler": (Scheduler(self.core).step, SCHEDULER_PACE),
            "dispatcher": (self.dispatcher.step, DISPATCHER_PACE),
            "janitor": (Janitor(self.core).step, 0.05),
        }
        for name, (step, pace) in loops.items():
            if name in self.settings.roles:
                self._wakeups.services[name] = Service(name, step, self.store.clock, self.core.emit, pace_s=pace)
        self._wakeups.services["keeper"] = Service("keeper", self._keep, self.store.clock, self.core.emit)
        self._wakeups.services["node"] = Service("node", self.store.beat, self.store.clock, self.core.emit)
        for service in self._wakeups.services.values():
            service.start()

    async def _keep(self, now: int) -> int:
        """Note when keys were last used, once a minute."""
        used, self._auth.used = self._auth.used, {}
        if used:
            await self.store.credentials.touch(used)
        return MINUTE

    def _config(self) -> uvicorn.Config:
        settings = self.settings
        door = asgi.Door(
            core=self.core,
            auth=self._auth,
            clock=self.store.clock,
            ticks=time.monotonic_ns,
            ready=self._ready,
            metrics=self._metrics_text,
            observe=self.metrics.on_request,
            report=logs.unexpected,
            dev=settings.dev,
            echo=self._echo,
            cors_origins=settings.cors_origins,
            root_path=settings.root_path,
            primary_key=self.secrets.api_key if settings.dev else None,
        )
        return uvicorn.Config(
            asgi.build(door),
            http="httptools",
            loop="none",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=75,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            root_path=settings.root_path,
        )

    def _on_event(self, event: Event) -> None:
        self.metrics.on_event(event)
        logs.on_event(event)

    def _metrics_text(self) -> bytes:
        self.metrics.in_flight.set(self.dispatcher.in_flight)
        return self.metrics.text()

    async def _ready(self) -> str | None:
        if self._stopping:
            return "stopping"
        try:
            await self.store.upkeep.ping()
        except Unavailable as error:
            return error.message
        return self.store.problem()

    def _keep_credentials(self) -> None:
        host, port = self.addresses[0]
        kept = Credentials(url=url_of(host, port), api_key=self.secrets.api_key if self.secrets.generated else None)
        write_credentials(self.settings.data, kept)

    def ask_to_stop(self) -> None:
        """Begin a graceful stop; asked again, stop without waiting for what is in flight."""
        if self._stopping:
            self._http.force_exit = True
        self._stopping = True
        self._stop.set()

    async def run(self) -> None:
        """Serve until asked to stop (SIGTERM, SIGINT), then stop: no new claims, 30 s for what is in flight."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.ask_to_stop)
        await self._stop.wait()
        await self.stop()

    async def stop(self) -> None:
        """Stop claiming, finish what is in flight (up to 30 s), close everything."""
        self._stopping = True
        services = self._wakeups.services
        for name in ("scheduler", "dispatcher"):
            if name in services:
                await services.pop(name).stop()
        self._http.should_exit = True
        await self.dispatcher.drain(DRAIN / SECOND)
        for service in list(services.values()):
            await service.stop()
        await self._keep(self.store.clock())
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._serving, timeout=5)
        await self._sender.close()
        await self.store.close()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for item in self._sockets:
            item.close()


class _HttpServer(uvicorn.Server):
    """uvicorn without its own signal handling: this process has one place for that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _allow_many_files() -> None:
    """Connections are files: take as many as this process may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _bind(binds: tuple[tuple[str, int], ...]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    for host, port in binds:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            item = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(item)
            item.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            item.bind(address)
            item.listen(4096)
            item.setblocking(False)
        except OSError as error:
            for item in sockets:
                item.close()
            raise Conflict(
                f"cannot listen on {host}:{port}: {error.strerror or error}",
                hint="Stop what listens there, or choose another with --port.",
            ) from None
    return sockets


def url_of(host: str, port: int) -> str:
    """The address a client on this machine uses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # where to reach it, not where to bind
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def offline_core(data: Path) -> AsyncIterator[Core]:
    """The core on a store no server is using, for commands; sends nothing. Raises `Conflict` while one is."""
    settings = from_process({"DATA": str(data)})
    store = await open_store(settings.database, clock, time.monotonic_ns)
    try:
        vault = SealedVault(prepare(settings).secret_key)
        guard = Guard(settings.allow_targets)
        yield Core(store=store, vault=vault, targets=guard, wakeup=Wakeups(), emit=lambda _: None)
    finally:
        await store.close()


async def _follow_time_zones(store: Store, now: int) -> None:
    """New time-zone data may move instants: recompute the next ones of schedules in local zones."""
    version = zone_data.version()
    if await store.upkeep.get_meta("zone_data") == version:
        return

    def next_of(expr: str, dialect: str, timezone: str, anchor_at: int) -> int | None:
        return cron.next_after(cron.parse(expr, dialect), now, cron.zone(timezone), anchor_at)

    moved = await store.schedules.rezone(now, next_of)
    await store.upkeep.set_meta("zone_data", version)
    if moved:
        logs.say("time-zone data changed", version=version, schedules_moved=moved)


def run(
    settings: Settings,
    *,
    say: Callable[[str], None],
    started: Callable[[Server], None],
    echo: Callable[[str, str, dict[str, str], bytes], None] | None = None,
) -> None:
    """Serve in this process until SIGTERM or SIGINT. `started` is called once everything is up."""
    logs.configure(settings.log_format, settings.log_level)
    _allow_many_files()

    async def main() -> None:
        server = Server(settings, say=say, echo=echo)
        await server.start()
        if not settings.dev and not is_loopback(settings.binds):
            logs.say("listening on an address other machines can reach", addresses=server.addresses)
        started(server)
        await server.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
