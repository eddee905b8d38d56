"""The target of all runs: answers as its paths say, and keeps every request.

The first segment of a path is the behaviour: `ok`; `after-300`: 200 after 300 ms; `fail-2`: 500 to the first two
attempts of each run; `broken`: always 500.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from faults.evidence import Request, key_of


def clock() -> int:
    """Now, ms UTC, by this machine's clock."""
    return time.time_ns() // 1_000_000


class Receiver:
    """An HTTP server in this process. A request is on record before it is answered."""

    def __init__(self) -> None:
        self._open: dict[int, Request] = {}
        self._closed: list[Request] = []
        self._numbers = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                number, request = receiver._began(self)
                behaviour, _, ms = request.path.split("/")[1].partition("-")
                if behaviour == "after":
                    receiver._over.wait(int(ms) / 1000)
                receiver._ended(number, request)
                self.send_response(request.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """A node that was killed leaves its connections broken."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _began(self, handler: BaseHTTPRequestHandler) -> tuple[int, Request]:
        began, headers = clock(), handler.headers
        body = handler.rfile.read(int(headers.get("Content-Length") or 0))
        failure = json.loads(body) if handler.path.startswith("/failed/") else None
        attempt = int(headers["X-Mainspring-Attempt"])
        behaviour, _, number = handler.path.split("/")[1].partition("-")
        bad = behaviour == "broken" or (behaviour == "fail" and attempt <= int(number))
        request = Request(
            path=handler.path,
            run=key_of(headers["X-Mainspring-Run-Id"]),
            attempt=attempt,
            key=headers["Idempotency-Key"],
            scheduled_for=round(datetime.fromisoformat(headers["X-Mainspring-Scheduled-For"]).timestamp() * 1000),
            began=began,
            ended=None,
            status=500 if bad else 200,
            body=failure["data"]["run_id"].encode() if failure else body,
        )
        with self._lock:
            self._numbers += 1
            self._open[self._numbers] = request
            return self._numbers, request

    def _ended(self, number: int, request: Request) -> None:
        with self._lock:
            if self._open.pop(number, None) is not None:
                self._closed.append(replace(request, ended=clock()))

    @property
    def requests(self) -> tuple[Request, ...]:
        """What came so far."""
        with self._lock:
            return (*self._closed, *self._open.values())

    def first_after(self, instant: int) -> int | None:
        """When (ms UTC) the first request for an instant after `instant` came."""
        return min((one.began for one in self.requests if one.scheduled_for > instant), default=None)

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
