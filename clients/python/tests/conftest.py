"""A real server process, a peer that misbehaves on request, and programs run as people run them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mainspring_client import AsyncClient, Client

KEY = "key-of-the-client-tests-0123456789"
PATIENCE = 60.0
SOURCE = Path(__file__).parents[1] / "src"


def wait_for(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first true value of `condition`; fails naming `what` when there is none in time."""
    until = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < until, f"waited {patience:g} s for {what}"
        time.sleep(0.02)
    return value


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without anything that says which server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSPRING_", "INFRAI_"))}
    return {**kept, "PYTHONPATH": str(SOURCE), **more}


@dataclass
class Server:
    """`mainspring serve` or `dev` on a data directory."""

    data: Path
    command: str = "serve"
    port: int = 0
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        credentials = self.data / "credentials.json"
        credentials.unlink(missing_ok=True)
        self.data.mkdir(exist_ok=True)
        environment = clean_environment(MAINSPRING_API_KEY=KEY, MAINSPRING_ALLOW_TARGETS="127.0.0.0/8")
        with (self.data / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mainspring", self.command, "--port", str(self.port), "--data", self.data],
                env=environment,
                stdout=log,
                stderr=log,
            )
        self.url = wait_for("the server to start", self._ready)
        self.port = int(self.url.rpartition(":")[2])

    def _ready(self) -> str | None:
        assert self.process is not None
        assert self.process.poll() is None, (self.data / "server.log").read_text()
        with contextlib.suppress(OSError, ValueError):
            url: str = json.loads((self.data / "credentials.json").read_text())["url"]
            with urllib.request.urlopen(url + "/readyz", timeout=5) as reply:
                return url if reply.status == 200 else None
        return None

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def serving(data: Path, command: str = "serve") -> Iterator[Server]:
    started = Server(data, command)
    try:
        started.start()
        yield started
    finally:
        if started.process is not None and started.process.poll() is None:
            started.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def dev_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("dev") / "data", "dev") as started:
        yield started


@pytest.fixture
def restartable(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, to be killed and started again."""
    with serving(tmp_path / "data") as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(KEY, server.url) as made:
        yield made


@pytest.fixture
async def async_client(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(KEY, server.url) as made:
        yield made


@dataclass
class Seen:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What to answer: a status, JSON or bytes, headers. `hang_up`: close instead; `drip`: seconds per byte."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    drip: float = 0.0

    @staticmethod
    def done(**data: Any) -> Reply:
        """A success of the API."""
        metadata = {"request_id": "1", "latency_ms": 1, "cost_usd": 0, "vendor": "mainspring", "cache_hit": False}
        return Reply(200, {"ok": True, "data": data, "error": None, "metadata": metadata})

    @staticmethod
    def refused(status: int, code: str, *, retryable: bool = False, **headers: str) -> Reply:
        """A refusal of the API."""
        error = {"code": code, "message": "no", "hint": "do", "retryable": retryable}
        body = {"ok": False, "data": None, "error": error, "metadata": {"request_id": "r-1"}}
        return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


class Peer:
    """An HTTP server that keeps what it is sent and answers by a script: each reply once, the last for ever."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.script: list[Reply] = [Reply.done()]
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                peer.seen.append(Seen(self.command, self.path, headers, body))
                reply = peer.script.pop(0) if len(peer.script) > 1 else peer.script[0]
                if reply.hang_up:
                    self.close_connection = True
                    return
                sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for at in range(len(sent)) if reply.drip else ():
                        self.wfile.write(sent[at : at + 1])
                        time.sleep(reply.drip)
                    if not reply.drip:
                        self.wfile.write(sent)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # the names http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def peer() -> Iterator[Peer]:
    started = Peer()
    yield started
    started.close()


@dataclass
class Programs:
    """Runs Python programs in processes of their own, with a home and a folder of their own."""

    home: Path
    server: Server
    key: str = KEY
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, code: str, **environment: str) -> subprocess.Popen[str]:
        """A program that runs beside the test."""
        about = {"MAINSPRING_URL": self.server.url, "MAINSPRING_API_KEY": self.key}
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", code],
            env=clean_environment(HOME=str(self.home), **{**about, **environment}),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(process)
        return process

    def run(self, code: str, **environment: str) -> str:
        """What a program prints; it has to end well."""
        process = self.start(code, **environment)
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        return said

    def stop(self, process: subprocess.Popen[str]) -> str:
        """SIGTERM, and everything that it printed; it has to end well."""
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        said = process.stdout.read()  # what a test has read before is not in it, what it has buffered is
        process.wait(PATIENCE)
        assert process.returncode == 0, said
        return said

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def programs(server: Server, tmp_path: Path) -> Iterator[Programs]:
    started = Programs(tmp_path, server)
    yield started
    started.close()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def until() -> Callable[..., Any]:
    """`wait_for`."""
    return wait_for
