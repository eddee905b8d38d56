"""Webhooks from the shell, against a real server and a real receiver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from standardwebhooks import Webhook

from e2e.harness import KEY, ServerProcess, server, wait_for


class Receiver(ThreadingHTTPServer):
    """Answers with `status`; notes what came."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the name is the standard library's
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server
        assert isinstance(receiver, Receiver)
        receiver.posts.append((dict(self.headers.items()), body))
        self.send_response(receiver.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server(tmp_path_factory.mktemp("webhooks") / "data") as process:
        yield process


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def webhook(running: ServerProcess) -> Callable[..., str]:
    """One `mainspring webhook` command to its end; what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mainspring", "webhook", *arguments],
            env={**inherited, "MAINSPRING_URL": running.url, "MAINSPRING_API_KEY": KEY},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=Path(__file__).parent,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def test_a_payload_is_sent_shown_and_sent_again(webhook: Callable[..., str], receiver: Receiver) -> None:
    sent = json.loads(webhook("send", receiver.url, '{"n": 1}', "--secret", "a secret", "--event", "a.b", "--json"))
    wait_for("a delivery", lambda: "delivered" in webhook("list", "--event", "a.b"))
    [(headers, body)] = receiver.posts
    assert Webhook(b"a secret").verify(body, {name.lower(): value for name, value in headers.items()}) == {"n": 1}
    shown = webhook("get", sent["id"])
    assert "200" in shown
    assert receiver.url in shown
    again = webhook("replay", sent["id"])
    assert again.startswith(("queued", "sending", "delivered"))
    wait_for("a post", lambda: len(receiver.posts) == 2)
    assert "409" not in webhook("attempts", sent["id"])
    assert "is over: delivered" in webhook("cancel", sent["id"], code=1)
    assert "payload is not JSON" in webhook("send", receiver.url, "{n}", code=1)
    assert webhook("replay", "--status", "failed", "--dry-run").startswith("0 deliveries")


def test_an_endpoint_is_registered_tested_rotated_changed_and_deleted(
    webhook: Callable[..., str], receiver: Receiver
) -> None:
    made = json.loads(webhook("endpoint", "register", receiver.url, "--event", "order.*", "--ordered", "--json"))
    assert made["secret"].startswith("whsec_")
    assert made["ordered"] is True
    assert made["id"] in webhook("endpoint", "list")
    assert made["secret"] not in webhook("endpoint", "get", made["id"])
    webhook("endpoint", "test", made["id"])
    wait_for("a post", lambda: len(receiver.posts) == 1)
    rotated = json.loads(webhook("endpoint", "rotate", made["id"], "--json"))
    assert webhook("emit", "order.paid", '{"n": 1}').strip().endswith("to 1 endpoints")
    wait_for("a post", lambda: len(receiver.posts) == 2)
    headers, body = receiver.posts[1]
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    wait_for("the log", lambda: webhook("endpoint", "deliveries", made["id"]).count("delivered") == 2)
    assert "switched off by hand" in webhook("endpoint", "update", made["id"], "--disable")
    assert "is disabled" in webhook("endpoint", "recover", made["id"], "2020-01-01T00:00:00Z", code=1)
    webhook("endpoint", "update", made["id"], "--enable", "--no-ordered")
    assert webhook("endpoint", "recover", made["id"], "2020-01-01T00:00:00Z").startswith("sent 0 again")
    assert webhook("endpoint", "delete", made["id"]).strip() == f"deleted {made['id']}"
