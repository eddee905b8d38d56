"""What targets that fail, or hang, cost the deliveries to one that works: its p99 beside them and without them.

Three servers on the same core, of which one at a time runs and the others are stopped (SIGSTOP): one has the healthy
endpoint alone, one besides it 10,000 endpoints, each at an address of its own, that refuse connections, one 1,000 that
take the request and never answer. They take turns in many short rounds, and a turn in which the machine did much else
is taken again, so that what is compared is theirs; as root, they also go before all others on their cores. The p99 is
that of all rounds together. Each has sent its others three events a while before, so they are failing as they would on
any later day; the healthy endpoint has been delivered to before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from bench.report import percentile
from bench.rig import OTHER_CORE, Server, Sink, busy_seconds, cpu_of, ended, gather, pinned
from bench.webhook_calls import QUICK, arrived, call, register

FAILING = 1_000 if QUICK else 10_000
HANGING = 100 if QUICK else 1_000
PROBES = 100 if QUICK else 200
ROUNDS = 5 if QUICK else 12
TRIES = 4
QUIET = 0.25
GAP_S = 0.02
# As long as the first attempts and the retries after 5 s take; the ones after that are 5 minutes away.
SETTLE_S = 8 if QUICK else 30


@contextlib.contextmanager
def three() -> Iterator[tuple[list[Server], Sink]]:
    """Servers of which none runs, and the sink."""
    with contextlib.ExitStack() as stack:
        program = pinned(OTHER_CORE, sys.executable, "-m", "bench.sink")
        stack.callback(ended, program)
        favour(program.pid)
        favour(os.getpid())
        servers = []
        for _ in range(3):
            data = Path(tempfile.mkdtemp(prefix="mainspring-bench-"))
            stack.callback(shutil.rmtree, data, ignore_errors=True)
            server = Server(data)
            server.start()
            stack.callback(server.stop)
            stack.callback(go_on, server)
            assert server.process is not None
            favour(server.process.pid)
            halt(server)
            servers.append(server)
        yield servers, Sink(program)


def favour(pid: int) -> None:
    """Let a process go before all others, if we may."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def halt(server: Server) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)


def go_on(server: Server) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """This one runs for a while."""
    go_on(server)
    try:
        yield server
    finally:
        halt(server)


async def one_by_one(server: Server, sink: Sink) -> list[float]:
    """An event every 20 ms: the time (ms) from each call to its arrival."""
    sink.reset()
    began: dict[str, float] = {}
    async with aiohttp.ClientSession() as session:
        for _ in range(PROBES):
            at = time.time() * 1000
            made = await call(session, server, "/v1/webhook/emit", {"event": "good", "payload": "x" * 200})
            began[made["delivery_ids"][0]] = at
            await asyncio.sleep(max(0.0, GAP_S - (time.time() - at / 1000)))
    calls = await arrived(sink, PROBES)
    return [at - began[key] for key, _, at in calls if key in began]


async def prepare(server: Server, sink: Sink, others: list[str]) -> None:
    """The healthy endpoint and the others, which have been sent three events by the time this is over."""
    async with aiohttp.ClientSession() as session:
        await register(session, server, sink.url, "good")
        sink.reset()
        await call(session, server, "/v1/webhook/emit", {"event": "good", "payload": 0})
        await arrived(sink, 1)
        await gather(32, [register(session, server, url, "bad") for url in others])
        for _ in range(3 if others else 0):
            await call(session, server, "/v1/webhook/emit", {"event": "bad", "payload": "x" * 200})
    await asyncio.sleep(SETTLE_S if others else 1)
    await one_by_one(server, sink)


async def turn(server: Server, sink: Sink) -> tuple[list[float], bool]:
    """One turn, and whether the machine did little else meanwhile."""
    found: list[float] = []
    for _ in range(TRIES):
        with running(server):
            await asyncio.sleep(0.3)
            began, before = time.monotonic(), _foreign(server, sink)
            found = await one_by_one(server, sink)
            foreign = (_foreign(server, sink) - before) / (time.monotonic() - began)
        if foreign < QUIET:
            return found, True
    return found, False


def _foreign(server: Server, sink: Sink) -> float:
    """CPU seconds of everything that is not ours."""
    return busy_seconds() - server.cpu_seconds() - cpu_of(sink.pid) - cpu_of(os.getpid())


async def measure() -> dict[str, float]:
    """The p99 beside each kind, as a multiple of the p99 alone."""
    with three() as (servers, sink), socket.create_server(("127.0.0.1", 0), backlog=4096) as silent:
        refusing = [f"http://127.{1 + n // 250}.{n % 250}.1:9/hook" for n in range(FAILING)]
        hanging = [f"http://127.0.0.1:{silent.getsockname()[1]}/hook/{n}" for n in range(HANGING)]
        for server, others in zip(servers, ([], refusing, hanging), strict=True):
            with running(server):
                await prepare(server, sink, others)
        kinds = ("alone", f"beside {FAILING:,} that fail", f"beside {HANGING:,} that hang")
        took: dict[str, list[float]] = {kind: [] for kind in kinds}
        quiet = 0
        for _ in range(ROUNDS):
            for kind, server in zip(kinds, servers, strict=True):
                found, was_quiet = await turn(server, sink)
                took[kind] += found
                quiet += was_quiet
    p99 = [percentile(found, 0.99) for found in took.values()]
    for kind, found in took.items():
        shown = ", ".join(
            f"p{share:.0%} {percentile(found, share):.1f} ms".replace("%", "") for share in (0.5, 0.9, 0.99)
        )
        print(f"  {kind:>24}: {shown}; p99 {percentile(found, 0.99) / p99[0]:.2f} x", flush=True)
    print(f"  {quiet} of {3 * ROUNDS} turns while the machine did little else", flush=True)
    return {"failing": round(p99[1] / p99[0], 3), "hanging": round(p99[2] / p99[0], 3)}
