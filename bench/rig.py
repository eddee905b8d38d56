"""Starts the server and the sink as processes of their own, pinned to different cores, and talks to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib import request

import aiohttp

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, OTHER_CORE = CORES[0], CORES[-1]


def busy_seconds() -> float:
    """CPU seconds this machine has spent on anything."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """CPU seconds of one process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_quiet(patience: float = 90) -> None:
    """Wait for a moment in which others leave the machine alone; give up politely."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        before = busy_seconds()
        time.sleep(2)
        if busy_seconds() - before < 0.3:
            return
    print("  (the machine did not become quiet)", flush=True)


def pinned(core: int, *command: str, **options: Any) -> subprocess.Popen[str]:
    """A process on one core."""
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **options)
    os.sched_setaffinity(process.pid, {core})
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Sink:
    """The sink process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.pid = process.pid
        self.url = f"http://127.0.0.1:{int(process.stdout.readline())}"

    def calls(self) -> list[tuple[str, float | None, float]]:
        with request.urlopen(self.url + "/report", timeout=60) as reply:  # our own sink
            return [tuple(row) for row in json.loads(reply.read())]

    def reset(self) -> None:
        request.urlopen(self.url + "/reset", data=b"", timeout=60).close()  # our own sink


class Server:
    """The server process on a data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self.key = "bench-key-0123456789"
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def start(self, **settings: str) -> float:
        """Start, with more in its environment, and wait until it is ready; seconds that took."""
        began = time.monotonic()
        environment = {
            **os.environ,
            "MAINSPRING_API_KEY": self.key,
            "MAINSPRING_ALLOW_TARGETS": "127.0.0.0/8",
            "MAINSPRING_LOG_LEVEL": "warning",
            **settings,
        }
        (self.data / "credentials.json").unlink(missing_ok=True)
        self.process = pinned(
            SERVER_CORE,
            *(sys.executable, "-m", "mainspring", "serve", "--port", "0", "--data", str(self.data)),
            env=environment,
        )
        while True:
            assert self.process.poll() is None, "the server ended"
            with contextlib.suppress(OSError, ValueError):
                url = json.loads((self.data / "credentials.json").read_text())["url"]
                self.port = int(url.rpartition(":")[2])
                request.urlopen(self.url + "/readyz", timeout=5).close()  # our own server
                return time.monotonic() - began
            time.sleep(0.02)

    def cpu_seconds(self) -> float:
        assert self.process is not None
        return cpu_of(self.process.pid)

    def stop(self) -> None:
        if self.process is not None:
            ended(self.process)

    async def create(self, session: aiohttp.ClientSession, **job: Any) -> str:
        body = {"overlap_policy": "allow", "catchup": "all", **job}
        async with session.post(self.url + "/v1/cron/create", json=body, headers=self.headers) as reply:
            answer = await reply.json()
            assert reply.status == 200, answer
            return str(answer["data"]["id"])


@contextlib.contextmanager
def rig() -> Iterator[tuple[Server, Sink]]:
    """A fresh server on one core, a sink on the other; both gone afterwards."""
    data = Path(tempfile.mkdtemp(prefix="mainspring-bench-"))
    sink = pinned(OTHER_CORE, sys.executable, "-m", "bench.sink")
    server = Server(data)
    try:
        target = Sink(sink)
        server.start()
        yield server, target
    finally:
        server.stop()
        ended(sink)
        shutil.rmtree(data, ignore_errors=True)


async def gather(limit: int, jobs: list[Any]) -> list[Any]:
    """Await all, at most `limit` at a time."""
    seats = asyncio.Semaphore(limit)

    async def one(job: Any) -> Any:
        async with seats:
            return await job

    return await asyncio.gather(*(one(job) for job in jobs))
