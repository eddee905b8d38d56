"""The composition root: settings -> store -> loops -> doors. The only file that knows all parts, and owns the clock."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from mainspring.core import audit, cron, sample_schedules, tokens, zone_data
from mainspring.core.errors import Unavailable
from mainspring.core.events import Listeners, Stopping
from mainspring.core.limits import DRAIN, MINUTE, SECOND
from mainspring.core.model import Key
from mainspring.core.ports import Core, QueueRules
from mainspring.core.rate import Buckets
from mainspring.core.samples import Tally
from mainspring.doors import asgi, facts, sockets
from mainspring.doors.entrance import Entrance, elsewhere
from mainspring.doors.sockets import url_of
from mainspring.http_server import HttpServer, of_settings
from mainspring.keyring import Secrets, keep_credentials, prepare, settle
from mainspring.loops.agents import Agents
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.janitor import Janitor
from mainspring.loops.pusher import Pusher
from mainspring.loops.sampler import Sampler
from mainspring.loops.scheduler import Scheduler
from mainspring.loops.scripts import ScriptRunner
from mainspring.loops.server_jobs import ServerJobs
from mainspring.loops.service import Service
from mainspring.loops.tide import Tide
from mainspring.loops.wakeups import Wakeups
from mainspring.observe import logs
from mainspring.observe.metrics import Metrics, NodeFacts
from mainspring.outbound.guard import Guard
from mainspring.outbound.rpc import RpcSender
from mainspring.outbound.sender import HttpSender
from mainspring.sandbox.runner import ProcessSandbox
from mainspring.settings import Settings, check_to_serve, from_process, is_loopback
from mainspring.store.opening import open_store
from mainspring.store.store import Store
from mainspring.store.vault import SealedVault, check_canary

SCHEDULER_PACE = 0.005
DISPATCHER_PACE = PUSHER_PACE = 0.003
TIDE_PACE = 0.005
SCRIPTS_PACE = AGENTS_PACE = 0.02


def clock() -> int:
    """Now, in ms UTC."""
    return time.time_ns() // 1_000_000


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
        self.dispatcher: Dispatcher | None = None
        self.scripts: ScriptRunner | None = None
        self._answer_script: Callable[[bytes], Awaitable[bytes]] | None = None
        self._tally = Tally()
        self._events = Listeners(self.metrics.on_event, logs.on_event, self._tally.on_event)
        self._sign_in: Callable[[Key], str] = lambda _: "/console"
        self._sender: HttpSender | None = None

    async def start(self) -> None:
        """Bind, open the store, start the loops. Raises `Refused` or `OSError` with nothing left running.

        From the first moment on it is alive; it is ready when this returns.
        """
        settings = self.settings
        check_to_serve(settings)
        self._guard = Guard(settings.allow_targets)
        self.secrets = prepare(settings)
        self._bound = sockets.bind(settings.binds, beside_others=settings.workers > 1)
        sockets.listen(self._bound)
        self.addresses = sockets.addresses(self._bound)
        self._entrance = Entrance(clock, settings.root_path)
        self._http = HttpServer(of_settings(settings, self._entrance))
        self._serving = asyncio.create_task(self._http.serve(sockets=self._bound))
        try:
            self.store = await open_store(
                settings.database, clock, time.monotonic_ns, say=self._say, sync=settings.sync
            )
        except BaseException:
            await self._hang_up()
            raise
        try:
            await self._open()
        except BaseException:
            await self._hang_up()
            if self._sender is not None:
                await self._sender.close()
            await self.store.close()
            raise

    async def _open(self) -> None:
        store = self.store
        vault = SealedVault(self.secrets.secret_key)
        await check_canary(vault, store.upkeep)
        now = store.clock()
        offered = self.secrets
        mark = partial(vault.mark, purpose=audit.PURPOSE)
        self.secrets = await settle(self.secrets, store.credentials, now, alone=store.alone, mark=mark)
        keep_credentials(self.settings.data, url_of(*self.addresses[0]), self.secrets, offered)
        await _follow_time_zones(store, now)
        wakeups = store.wakeups(self._wakeups)
        self._sender = HttpSender(self._guard, store.clock)
        await self._sender.start()
        wake = self._wakeups.agents
        self._agents = Agents(store, store.clock, secrets.token_bytes, wake, node=lambda: store.node)
        await self._agents.begin()
        self.core = Core(
            store=store,
            vault=vault,
            targets=self._guard,
            wakeup=wakeups,
            emit=self._events.emit,
            arrivals=self._wakeups.bells,
            queue_rules=QueueRules(self.settings.queue_auto_create, self.settings.max_queue_depth),
            sandbox=ProcessSandbox(self._sender, self._rpc_of_script, store.clock),
            agents=self._agents,
        )
        allowance = self.settings.rate_limit
        self._auth = tokens.AuthCache(self.core, None if allowance is None else Buckets(allowance))
        if "dispatcher" in self.settings.roles:
            await self._make_dispatcher(now, self._sender)
        self.metrics.node.look = self._node_facts
        self._start_loops()
        self._entrance.open(asgi.build(self._door()))
        if self.settings.dev:
            home = url_of(*self.addresses[0])
            await sample_schedules.make(self.core, now, home + "/dev/echo", self.settings.crontab_timezone)
        self.sign_in_path = await self._sign_in_link() if self.settings.dev else "/console"
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)

    async def _make_dispatcher(self, now: int, sender: HttpSender) -> None:
        """Whoever has it takes back what was under way when its node went."""
        # What wakes a dispatcher from within are its own results, which are no business of other nodes.
        own = msgspec.structs.replace(self.core, wakeup=self._wakeups)
        rpc = RpcSender(self._guard, self.store.clock)
        self.dispatcher = Dispatcher(
            own, sender, self.store.clock, random.random, node=self.store.node, rpc=rpc, everywhere=self.core
        )
        await self.dispatcher.rescue(now, everything=self.store.alone)
        self.scripts = ScriptRunner(self.core, self.store.clock, self._wakeups.scripts, node=self.store.node)
        if self.store.alone:
            await self.scripts.begin(now)
        wakeups = self._wakeups
        wakeups.pusher = Pusher(self.core, sender, self.store.clock, random.random, wakeups.pushed)

    def _start_loops(self) -> None:
        loops: dict[str, tuple[Callable[[int], Any], float]] = {}
        if "scheduler" in self.settings.roles:
            loops["scheduler"] = Scheduler(self.core).step, SCHEDULER_PACE
            tide = Tide(self.core)
            loops["tide"] = tide.step, TIDE_PACE
            self._wakeups.expect = tide.expect
        if self.dispatcher is not None:
            loops["dispatcher"] = self.dispatcher.step, DISPATCHER_PACE
            loops["server jobs"] = ServerJobs(self.core, self.store.clock, node=self.store.node).step, 0.0
        if self.scripts is not None:
            loops["scripts"] = self.scripts.step, SCRIPTS_PACE
        if (pusher := self._wakeups.pusher) is not None:
            loops["pusher"] = pusher.step, PUSHER_PACE
        if "janitor" in self.settings.roles:
            loops["janitor"] = Janitor(self.core, self.settings.audit_days).step, 0.05
        # These every node has, whatever its roles.
        self._sampler = Sampler(self.core, self._tally, queues="janitor" in self.settings.roles)
        loops["sampler"] = self._sampler.step, 0.0
        loops["keeper"] = self._keep, 0.0
        loops["node"] = self.store.beat, 0.0
        loops["agents"] = self._agents.step, AGENTS_PACE
        for name, (step, pace) in loops.items():
            service = Service(name, step, self.store.clock, self.core.emit, pace_s=pace)
            self._wakeups.services[name] = service
            service.start()

    async def _keep(self, now: int) -> int:
        """Note when keys were last used, once a minute."""
        used, self._auth.used = self._auth.used, {}
        if used:
            await self.store.credentials.touch(used)
        return MINUTE

    async def _rpc_of_script(self, body: bytes) -> bytes:
        if self._answer_script is None:
            raise Unavailable("this server is only starting")
        return await self._answer_script(body)

    def _hear_scripts(self, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._answer_script = answer

    def _hear_console(self, offer: Callable[[Key], str]) -> None:
        self._sign_in = offer

    async def _sign_in_link(self) -> str:
        """A path under which whoever comes first is signed in to the console with the first key."""
        key = await self.store.credentials.by_digest(tokens.digest_of(self.secrets.api_key or ""))
        return "/console" if key is None else self._sign_in(key)

    def _door(self) -> asgi.Door:
        settings = self.settings
        return asgi.Door(
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
            crontab_key=settings.crontab_auth != "off",
            crontab_timezone=settings.crontab_timezone,
            crontab_string=settings.crontab_data == "string",
            elsewhere=None if "api" in settings.roles else elsewhere(settings.roles),
            rpc=self._hear_scripts,
            listen=self._events.listen,
            server_zone=settings.crontab_timezone,
            sign_in=self._hear_console,
            facts=facts.Facts(settings.roles, settings.audit_days, lambda: self.store.node),
        )

    def _node_facts(self) -> NodeFacts | None:
        if (vitals := self.store.vitals()) is None:
            return None
        return NodeFacts(vitals.lease_ms / SECOND, vitals.skew_ms / SECOND, vitals.waits, vitals.waited_s)

    def _metrics_text(self) -> bytes:
        self.metrics.in_flight.set(0 if self.dispatcher is None else self.dispatcher.in_flight)
        self.metrics.pushes_in_flight.set(0 if self._wakeups.pusher is None else self._wakeups.pusher.in_flight)
        self.metrics.waiting.set(self._wakeups.bells.waiting)
        return self.metrics.text()

    async def _ready(self) -> str | None:
        if self._stopping:
            return "stopping"
        try:
            await self.store.upkeep.ping()
        except Unavailable as error:
            return error.message
        return self.store.problem()

    def ask_to_stop(self) -> None:
        """Begin a graceful stop; asked again, stop without waiting for what is in flight.

        While it is starting, it stops as soon as it has started (a migration under way is finished); asked again, at
        once, as in a crash.
        """
        if self._stopping and not self._wakeups.services:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        if self._stopping:
            self._http.force_exit = True
            if self.dispatcher is not None:
                self.dispatcher.hasten()
            if self._wakeups.pusher is not None:
                self._wakeups.pusher.hasten()
            if self.scripts is not None:
                self.scripts.hasten()
        self._stopping = True
        self._stop.set()

    async def run(self) -> None:
        """Serve until asked to stop (SIGTERM, SIGINT), then stop: no new claims, 30 s for what is in flight."""
        await self._stop.wait()
        await self.stop()

    async def stop(self) -> None:
        """Stop claiming, finish what is in flight (up to 30 s), give the rest up to other nodes, close everything."""
        self._stopping = True
        self._events.emit(Stopping())
        services = self._wakeups.services
        for name in ("scheduler", "tide", "pusher", "dispatcher", "scripts", "agents"):
            if name in services:
                await services.pop(name).stop()
        self._wakeups.bells.silence()
        self._http.should_exit = True
        draining = (self._wakeups.pusher, self.dispatcher, self.scripts)
        drains = [one.drain(DRAIN / SECOND) for one in draining if one is not None]
        drains.append(self._agents.drain())
        await asyncio.gather(*map(_as_far_as_it_goes, drains))
        if self.dispatcher is not None:
            await _as_far_as_it_goes(self.dispatcher.hand_over())
        for service in list(services.values()):
            await service.stop()
        await _as_far_as_it_goes(self._keep(self.store.clock()))
        await _as_far_as_it_goes(self._sampler.keep(self.store.clock()))
        if self._sender is not None:
            await self._sender.close()
        await self._hang_up()
        await self.store.close()

    async def _hang_up(self) -> None:
        """Answer no more; what is being answered gets 5 s."""
        self._http.should_exit = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._serving, timeout=5)
        sockets.close(self._bound)


async def _as_far_as_it_goes(last: Coroutine[Any, Any, Any]) -> None:
    """What could not be noted because the database is away does not keep the server from stopping."""
    try:
        await last
    except Unavailable as away:
        logs.say("stopping without it", error=away.message)


@contextlib.asynccontextmanager
async def offline_core(data: Path) -> AsyncIterator[Core]:
    """The core on a store no server is using, for commands; sends nothing. Raises `Conflict` while one is."""
    settings = from_process({"DATA": str(data)})
    store = await open_store(settings.database, clock, time.monotonic_ns)
    try:
        vault = SealedVault(prepare(settings).secret_key)
        guard = Guard(settings.allow_targets)
        wakeups = Wakeups()
        yield Core(store=store, vault=vault, targets=guard, wakeup=wakeups, emit=lambda _: None, arrivals=wakeups.bells)
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
    life: int | None = None,
) -> None:
    """Serve in this process until SIGTERM or SIGINT. `started` is called once everything is up; `life` is a descriptor
    that ends when this process should, too."""
    logs.configure(settings.log_format, settings.log_level)
    sockets.allow_many()

    async def main() -> None:
        server = Server(settings, say=say, echo=echo)
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, server.ask_to_stop)
        await server.start()
        if life is not None:
            sockets.at_the_end_of(life, server.ask_to_stop)
        if not settings.dev and not is_loopback(settings.binds):
            logs.say("listening on an address other machines can reach", addresses=server.addresses)
        started(server)
        await server.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
