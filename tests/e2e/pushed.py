"""A receiver of pushes in threads of this process: what came, when, and how many at a time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from e2e.harness import PATIENCE


class Server(ThreadingHTTPServer):
    """With room for as many callers at once as there are pushes in flight."""

    request_queue_size = 256
    daemon_threads = True


class Receiver:
    """Answers 200 at once; while `hold` is called for, when it is let go. `posts` are (message id, when), in order."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, float]] = []
        self.peak: Counter[str] = Counter()
        self._at_a_time: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the name http.server looks for
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                message = self.headers["webhook-id"]
                receiver._began(message)
                receiver._open.wait(PATIENCE)
                receiver._ended(message)
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")
                except OSError:
                    return  # the caller was killed

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def _began(self, message: str) -> None:
        with self._lock:
            self.posts.append((message, time.monotonic()))
            for name in (message, "all"):
                self._at_a_time[name] += 1
                self.peak[name] = max(self.peak[name], self._at_a_time[name])

    def _ended(self, message: str) -> None:
        with self._lock:
            self._at_a_time.subtract((message, "all"))

    def hold(self) -> None:
        """Answer nothing from now on."""
        self._open.clear()

    def let_go(self) -> None:
        """Answer what waits, and all that comes."""
        self._open.set()

    def messages(self) -> list[str]:
        return [message for message, _ in list(self.posts)]

    def times(self, message: str) -> list[float]:
        """When a message came."""
        return [at for one, at in list(self.posts) if one == message]

    def close(self) -> None:
        self._open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
