"""A real server process, a real target, and the means to kill one and question the other."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KEY = "end-to-end-key-0123456789"
PATIENCE = 30.0


def wait_for(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first true value of `condition`; fails naming `what` when there is none in time."""
    until = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < until, f"waited {patience:g} s for {what}"
        time.sleep(0.02)
    return value


class ServerProcess:
    """`mainspring serve` on a data directory."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.url = ""
        self.process: subprocess.Popen[str] | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")},
            "MAINSPRING_API_KEY": KEY,
            "MAINSPRING_ALLOW_TARGETS": "127.0.0.0/8",
            **environment,
        }

    def start(self, *flags: str) -> None:
        """Start it and wait until it is ready."""
        credentials = self.data / "credentials.json"
        credentials.unlink(missing_ok=True)
        self.data.mkdir(exist_ok=True)
        self.log = self.data / "server.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mainspring", "serve", "--port", "0", "--data", str(self.data), *flags],
                env=self._environment,
                stdout=log,
                stderr=log,
                text=True,
            )
        self.url = wait_for("the server to start", self._ready)

    def _ready(self) -> str | None:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError, ValueError):
            url: str = json.loads((self.data / "credentials.json").read_text())["url"]
            if call(url, "GET", "/readyz", key=None)[0] == 200:
                return url
        return None

    def kill(self) -> None:
        """SIGKILL, as the kernel's memory killer would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer's JSON; asserts that it is a success."""
        status, answer = call(self.url, method, path, body, **headers)
        assert status == 200, (method, path, status, answer)
        assert answer["ok"] is True
        return answer["data"]


def call(url: str, method: str, path: str, body: Any = None, *, key: str | None = KEY, **headers: str) -> Any:
    """(status, JSON) of one request on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    payload = None
    if body is not None:
        payload = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, path, payload, sent)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


class Target:
    """An HTTP server in this process that keeps what it is sent. `answers`: status by path, 200 otherwise."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: dict[str, list[int] | int] = {}
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                target.received.append((self.command, self.path, headers, body))
                planned = target.answers.get(self.path, 200)
                status = planned if isinstance(planned, int) else planned.pop(0) if planned else 200
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # the names http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def on(self, path: str) -> list[tuple[str, str, dict[str, str], bytes]]:
        """What came to one path."""
        return [each for each in self.received if each[1] == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def server(data: Path, **environment: str) -> Iterator[ServerProcess]:
    """A server that is gone afterwards, whatever happened."""
    process = ServerProcess(data, **environment)
    try:
        process.start()
        yield process
    finally:
        if process.process is not None and process.process.poll() is None:
            process.process.kill()
            process.process.wait()
