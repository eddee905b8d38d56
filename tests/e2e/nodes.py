"""Nodes on one PostgreSQL, and a target that keeps its callers waiting."""

from __future__ import annotations

import asyncio
import http.client
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from e2e.harness import ServerProcess, server

SECRET_KEY = "the-same-on-every-node"


def environment(url: str, **settings: str) -> dict[str, str]:
    """What a node on that database needs; settings without their prefix."""
    given = {"DATABASE": url, "SECRET_KEY": SECRET_KEY, **settings}
    return {"MAINSPRING_" + name: value for name, value in given.items()}


@contextmanager
def node(url: str, data: Path, **settings: str) -> Iterator[ServerProcess]:
    """A node that is gone afterwards."""
    with server(data, **environment(url, **settings)) as process:
        yield process


def serve(*flags: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`mainspring serve` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "mainspring", "serve", "--port", "0", *flags],
        env={"PATH": "/usr/bin:/bin", **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def query(url: str, text: str) -> list[Any]:
    """The rows that one statement returns, as tuples."""

    async def ask() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(text)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def page(url: str, path: str) -> str:
    """The text of a page."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        assert reply.status == 200
        return reply.read().decode()
    finally:
        connection.close()


def metric(url: str, name: str) -> float:
    """The value of a metric without labels."""
    found = re.search(rf"^{name} (\S+)$", page(url, "/metrics"), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


class Slow:
    """Answers a call when it is told to; `attempts` are the (run, attempt) it was asked for."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, str]] = []
        self._go = threading.Event()
        slow = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name http.server looks for
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                slow.attempts.append((self.headers["X-Mainspring-Run-Id"], self.headers["X-Mainspring-Attempt"]))
                slow._go.wait(60)
                try:
                    self.send_response(200)
                    self.end_headers()
                except OSError:
                    return  # the caller was cut off

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def release(self) -> None:
        """Answer everybody from now on."""
        self._go.set()

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
