"""What a request costs that does nothing: the server against a bare protocol on the same core, in the same run.

The bare protocol parses requests with httptools on uvloop and answers fixed bytes: whatever a server in Python adds
comes on top of that. 64 connections are kept alive; rounds take turns so that both see the same machine. Beside
requests per second there are requests per second of the server's CPU time, which a busy neighbour changes less; the
ratio is the median of those of the rounds.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import httptools
import uvloop

from bench.report import emit
from bench.rig import OTHER_CORE, SERVER_CORE, ended, pinned, rig

CONNECTIONS = 64
SECONDS = 2.0
ROUNDS = 7
GOALS = {"healthz": 0.38, "balance": 0.30}
BODY = b'{"status":"ok"}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Bare(asyncio.Protocol):
    """One connection of the bound: everything is parsed, nothing is done."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.parser = httptools.HttpRequestParser(self)
        self.headers: list[tuple[bytes, bytes]] = []

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.headers = []
        self.transport.write(ANSWER)


async def serve_bare() -> None:
    """Listen on a free port, print it, and stay until told to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Bare, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()


def load(port: int, request: bytes, seconds: float) -> float:
    """Requests per second over 64 connections, each sending its next request when the last is answered.

    Plain sockets and epoll: half as dear per request as any event loop, so that the server is what is measured.
    """
    poll = selectors.EpollSelector()
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(request)
        poll.register(connection, selectors.EVENT_READ)
    answered = 0
    began = time.perf_counter()
    end = began + seconds
    while time.perf_counter() < end:
        for key, _ in poll.select(1):
            connection = cast("socket.socket", key.fileobj)
            answer = connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            while not answer.endswith(b"}"):
                answer += connection.recv(4096)
            answered += 1
            connection.send(request)
    took = time.perf_counter() - began
    for key in list(poll.get_map().values()):
        cast("socket.socket", key.fileobj).close()
    return answered / took


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(port: int, pid: int, request: bytes) -> tuple[float, float]:
    """Requests per second, and per second of the server's CPU time."""
    load(port, request, 0.3)
    before = cpu_seconds(pid)
    began = time.perf_counter()
    rate = load(port, request, SECONDS)
    share = (cpu_seconds(pid) - before) / (time.perf_counter() - began)
    return rate, rate / share


def request_for(path: str, key: str = "") -> bytes:
    """A request as a plain client sends it."""
    credentials = f"Authorization: Bearer {key}\r\n" if key else ""
    agent = "User-Agent: bench\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{agent}{credentials}\r\n".encode()


def main() -> int:
    os.sched_setaffinity(0, {OTHER_CORE})
    bare = pinned(SERVER_CORE, sys.executable, "-m", "bench.http_noop", "--bare")
    try:
        assert bare.stdout is not None
        bare_port = int(bare.stdout.readline())
        with rig() as (server, _):
            assert server.process is not None
            pid = server.process.pid
            runs: dict[str, Callable[[], tuple[float, float]]] = {
                "bare": lambda: measured(bare_port, bare.pid, request_for("/healthz")),
                "healthz": lambda: measured(server.port, pid, request_for("/healthz")),
                "balance": lambda: measured(server.port, pid, request_for("/v1/account/balance", server.key)),
            }
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
            for _ in range(ROUNDS):
                for name, run in runs.items():
                    found[name].append(run())
    finally:
        ended(bare)
    show(found)
    return 0


def show(found: dict[str, list[tuple[float, float]]]) -> None:
    """Medians, and the ratio to the bound."""
    rate = {name: statistics.median(one for one, _ in runs) for name, runs in found.items()}
    per_cpu = {name: statistics.median(one for _, one in runs) for name, runs in found.items()}
    ratios = {
        name: round(
            statistics.median(one / bound for (_, one), (_, bound) in zip(found[name], found["bare"], strict=True)), 3
        )
        for name in GOALS
    }
    for name in found:
        against = f"  {ratios[name]:.2f} of the bound, goal {GOALS[name]:.2f}" if name in GOALS else ""
        print(f"{name:>8} {rate[name]:>10,.0f} req/s {per_cpu[name]:>10,.0f} req per CPU second{against}")
    emit("http_noop", {"per_second": rate, "per_cpu_second": per_cpu, "ratio": ratios, "goal": GOALS})


if __name__ == "__main__":
    if "--bare" in sys.argv:
        uvloop.run(serve_bare())
    else:
        sys.exit(main())
