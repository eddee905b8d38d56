"""The same requests sent by Celery: tasks on Redis, a prefork worker for each core, signed, with retries.

As a user has it who follows the manuals: redis-server as Debian ships it (snapshots now and then, so what was accepted
in the last minutes is gone after a power cut; ours is on disk), tasks acknowledged when they begin, no results kept,
a `requests` session per worker process. Its packages go into `.tools/celery`. It has both cores, and so has the sink.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.rig import CORES, OTHER_CORE, Sink, ended, pinned, wait_until_quiet
from bench.webhook_calls import QUICK

TOOLS = Path(".tools/celery")
PROGRAMS = Path(__file__).parent / "peer_programs"
PYPI = ("celery[redis]", "packaging", "requests")
ROUNDS = 1 if QUICK else 3


def measure(count: int) -> dict[str, float]:
    """Deliveries per second, from the first that is asked for until the last has arrived; nothing if it cannot be."""
    redis = shutil.which("redis-server")
    if redis is None:
        print("  celery: not measured, for redis-server is not installed")
        return {}
    if not (TOOLS / "bin" / "celery").exists():
        subprocess.run([sys.executable, "-m", "venv", str(TOOLS)], check=True)
        subprocess.run([str(TOOLS / "bin" / "pip"), "install", "-q", *PYPI], check=True)
    wait_until_quiet(30)
    found = []
    with _broker(redis) as broker, _sink() as sink, _workers(broker):
        _send(broker, sink, 200)
        for _ in range(ROUNDS):
            found.append(_send(broker, sink, count))
            print(f"  celery: {found[-1]:,.0f} deliveries/s on {len(CORES)} cores", flush=True)
    return {"per_second": round(statistics.median(found))}


@contextlib.contextmanager
def _broker(program: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    with tempfile.TemporaryDirectory() as where:
        command = (program, "--port", str(port), "--bind", "127.0.0.1", "--dir", where)
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


@contextlib.contextmanager
def _sink() -> Iterator[Sink]:
    program = pinned(OTHER_CORE, sys.executable, "-m", "bench.sink")
    try:
        yield Sink(program)
    finally:
        ended(program)


@contextlib.contextmanager
def _workers(broker: str) -> Iterator[None]:
    options = ("--pool", "prefork", "--concurrency", str(len(CORES)), "--loglevel", "ERROR")
    command = (str((TOOLS / "bin" / "celery").absolute()), "-A", "celery_webhooks", "worker", *options)
    environment = {**os.environ, "BROKER": broker, "C_FORCE_ROOT": "1"}
    worker = subprocess.Popen(
        command, cwd=PROGRAMS, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait()


def _send(broker: str, sink: Sink, count: int) -> float:
    sink.reset()
    command = (str((TOOLS / "bin" / "python").absolute()), "celery_webhooks.py", sink.url, str(count))
    environment = {**os.environ, "BROKER": broker}
    asked = subprocess.run(command, cwd=PROGRAMS, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 180
    while len(calls := sink.calls()) < count:
        assert time.monotonic() < until, f"{len(calls)} of {count} arrived"
        time.sleep(0.2)
    return count / (max(at for _, _, at in calls) - float(asked.stdout)) * 1000
