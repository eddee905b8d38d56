"""Durable publishes per second beside what people would pick instead, all in one run.

    python -m bench.peers [--json] [--quick] [NAME …]

Every client keeps 64 publishes of 300 bytes outstanding, one on each of 64 connections where the peer has connections,
and waits for the confirmation of each. Whatever is written is synced before it is confirmed, but for fauxqs, which
keeps everything in memory. Servers run on one core, clients on the other; PostgreSQL and the libraries that live in
their callers have both. Debian's packages (redis-server, beanstalkd, rabbitmq-server) are installed when they are
missing and may be; packages from PyPI and npm go into `.tools/peers`.
"""

from __future__ import annotations

import asyncio
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
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from tests.postgres import server as postgres_server

from bench import amqp
from bench.queue import publishing, serving
from bench.queue_engine import PAYLOAD, folder
from bench.report import emit, percentile
from bench.rig import OTHER_CORE, SERVER_CORE, ended, pinned, wait_until_quiet
from bench.wire import CONNECTIONS, exchange, talk

QUICK = "--quick" in sys.argv
SECONDS = 2.0 if QUICK else 5.0
ROUNDS = 1 if QUICK else 3
TOOLS = Path(".tools/peers")
HERE = Path(__file__).parent
DEBIAN = {"redis": "redis-server", "beanstalkd": "beanstalkd", "rabbitmq": "rabbitmq-server"}
PYPI = ("pgqueuer[asyncpg]", "procrastinate", "pgmq>=1.1")
NPM = ("pg-boss", "graphile-worker", "fauxqs")

Measure = Callable[[], tuple[float, float]]


def install() -> None:
    """What is missing, by name."""
    missing = [package for package in DEBIAN.values() if not program(package)]
    if missing:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            print(f"  not measured, for they are not installed: {', '.join(missing)}")
        else:
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True)
    stamp = TOOLS / "from-pypi"
    if not stamp.exists() or stamp.read_text() != repr(PYPI):
        subprocess.run([sys.executable, "-m", "venv", str(TOOLS)], check=True)
        subprocess.run([str(TOOLS / "bin" / "pip"), "install", "-q", *PYPI], check=True)
        stamp.write_text(repr(PYPI))
    if not (TOOLS / "node_modules" / "fauxqs").exists() and shutil.which("npm"):
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--prefix", str(TOOLS), *NPM], check=True)


def program(package: str) -> str | None:
    places = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/rabbitmq/bin"
    return shutil.which(package, path=places)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


@contextmanager
def process(*command: str, port: int, **environment: str) -> Iterator[None]:
    """A server on one core that is gone afterwards."""
    with tempfile.TemporaryFile() as said:
        started = pinned(SERVER_CORE, *command, env={**os.environ, **environment}, stderr=said, start_new_session=True)
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until and started.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            else:
                said.seek(0)
                raise RuntimeError(f"{command[0]} did not start: {said.read()[-2000:]!r}")
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGTERM)
            ended(started)


# Over the network


def outstanding(
    port: int, request: bytes, whole: Callable[[bytes], bool], greet: Callable[[socket.socket], None]
) -> Measure:
    def measure() -> tuple[float, float]:
        count, took = exchange(port, request, whole, SECONDS, greet)
        return count / SECONDS, percentile(took, 0.99)

    return measure


def silent(_: socket.socket) -> None:
    """Nothing to be said before the first request."""


@contextmanager
def mainspring(**settings: str) -> Iterator[Measure]:
    with folder() as where, serving(where, **settings) as server:

        def measure() -> tuple[float, float]:
            count, took = talk(server.port, publishing(server.key), SECONDS)
            return count / SECONDS, percentile(took, 0.99)

        yield measure


@contextmanager
def on_postgres() -> Iterator[Measure]:
    with (
        database() as url,
        mainspring(MAINSPRING_DATABASE=url, MAINSPRING_SECRET_KEY="a-secret-key-of-the-bench") as measure,
    ):
        yield measure


@contextmanager
def redis() -> Iterator[Measure]:
    port = free_port()
    command = ("redis-server", "--port", str(port), "--appendonly", "yes", "--appendfsync", "always", "--save", "")
    with folder() as where, process(*command, "--dir", str(where), port=port):
        request = b"*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\np\r\n$%d\r\n%b\r\n" % (len(PAYLOAD), PAYLOAD)
        yield outstanding(port, request, lambda answer: answer.startswith(b"$") and answer.count(b"\r\n") == 2, silent)


@contextmanager
def beanstalkd() -> Iterator[Measure]:
    port = free_port()
    with (
        folder() as where,
        process("beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", str(where), "-f0", port=port),
    ):
        request = b"put 0 0 60 %d\r\n%b\r\n" % (len(PAYLOAD), PAYLOAD)
        yield outstanding(
            port, request, lambda answer: answer.startswith(b"INSERTED") and answer.endswith(b"\r\n"), silent
        )


@contextmanager
def rabbitmq(kind: str) -> Iterator[Measure]:
    port = free_port()
    with folder() as where:
        environment = {
            "HOME": str(where),
            "RABBITMQ_NODENAME": f"bench{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(where / "data"),
            "RABBITMQ_LOG_BASE": str(where / "log"),
            "RABBITMQ_PID_FILE": str(where / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(where / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }
        server = program("rabbitmq-server")
        assert server is not None
        with process("/usr/lib/rabbitmq/bin/rabbitmq-server", port=port, **environment):
            yield outstanding(port, amqp.publish("q", PAYLOAD), amqp.is_ack, lambda peer: amqp.greet(peer, "q", kind))


@contextmanager
def fauxqs() -> Iterator[Measure]:
    port = free_port()
    command = ("node", str(TOOLS / "node_modules" / "fauxqs" / "dist" / "server.js"))
    with process(*command, port=port, FAUXQS_PORT=str(port), FAUXQS_LOGGER="false", FAUXQS_HOST="127.0.0.1"):

        def asked(action: str, **fields: str) -> bytes:
            body = msgspec.json.encode(fields)
            lines = (
                "POST / HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                "Content-Type: application/x-amz-json-1.0",
                f"X-Amz-Target: AmazonSQS.{action}",
                f"Content-Length: {len(body)}",
            )
            return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

        head = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.CreateQueue"}
        create = urllib.request.Request(f"http://127.0.0.1:{port}/", b'{"QueueName":"q"}', head)  # our own peer
        with urllib.request.urlopen(create, timeout=10) as reply:
            queue = msgspec.json.decode(reply.read())["QueueUrl"]
        send = asked("SendMessage", QueueUrl=queue, MessageBody=PAYLOAD.decode())

        def measure() -> tuple[float, float]:
            count, took = talk(port, [lambda _: send] * CONNECTIONS, SECONDS)
            return count / SECONDS, percentile(took, 0.99)

        yield measure


# Libraries on PostgreSQL


@contextmanager
def database() -> Iterator[str]:
    with postgres_server(fsync="on", full_page_writes="on", shared_buffers="1GB", max_connections="200") as server:
        yield server.url(asyncio.run(server.fresh()), tcp=True)


@contextmanager
def library(*command: str) -> Iterator[Measure]:
    """A program that publishes for so many seconds, 64 at a time, and prints how many and the p99 in ms."""
    with database() as url:

        def measure() -> tuple[float, float]:
            done = subprocess.run(
                [*command, url, str(SECONDS)], capture_output=True, text=True, check=False, timeout=120
            )
            assert done.returncode == 0, done.stdout + done.stderr
            count, p99 = done.stdout.split()[-2:]
            return int(count) / SECONDS, float(p99)

        yield measure


def in_python(name: str) -> Callable[[], contextlib.AbstractContextManager[Measure]]:
    return lambda: library(str(TOOLS / "bin" / "python"), str(HERE / "peer_programs" / "on_postgres.py"), name)


def in_node(name: str) -> Callable[[], contextlib.AbstractContextManager[Measure]]:
    return lambda: library("node", str(HERE / "peer_programs" / "on_postgres.mjs"), str(TOOLS.absolute()), name)


PEERS: dict[str, tuple[str, Callable[[], contextlib.AbstractContextManager[Measure]]]] = {
    "mainspring": ("SQLite, over HTTP", mainspring),
    "redis": ("streams, appendfsync always", redis),
    "rabbitmq-quorum": ("quorum queue, confirms", lambda: rabbitmq("quorum")),
    "rabbitmq-classic": ("durable classic queue, confirms", lambda: rabbitmq("classic")),
    "beanstalkd": ("-f0", beanstalkd),
    "fauxqs": ("SQS over HTTP, in memory", fauxqs),
    "mainspring-postgres": ("PostgreSQL, over HTTP", on_postgres),
    "pgmq": ("PostgreSQL, its SQL functions", in_python("pgmq")),
    "pgqueuer": ("PostgreSQL, in its caller", in_python("pgqueuer")),
    "procrastinate": ("PostgreSQL, in its caller", in_python("procrastinate")),
    "pg-boss": ("PostgreSQL, in its caller", in_node("pg-boss")),
    "graphile-worker": ("PostgreSQL, in its caller", in_node("graphile-worker")),
}


def main() -> int:
    os.sched_setaffinity(0, {OTHER_CORE})
    install()
    chosen = [one for one in sys.argv[1:] if not one.startswith("-")] or list(PEERS)
    figures: dict[str, dict[str, float]] = {}
    for name in chosen:
        how, make = PEERS[name]
        wait_until_quiet(5 if QUICK else 30)
        try:
            with make() as measure:
                found = [measure() for _ in range(ROUNDS)]
        except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as failed:
            print(f"  {name:>20}  not measured: {str(failed)[:300]}", flush=True)
            continue
        rate, p99 = (statistics.median(column) for column in zip(*found, strict=True))
        figures[name] = {"per_second": rate, "p99_ms": p99}
        ours = figures.get("mainspring", {}).get("per_second")
        share = f"  {ours / rate:.2f} of it is ours" if ours and not name.startswith("mainspring") else ""
        print(f"  {name:>20} {rate:>9,.0f}/s  p99 {p99:>6.1f} ms  {how}{share}", flush=True)
    emit("peers", {"figures": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
