from __future__ import annotations

import http.client
import signal
from contextlib import closing
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from e2e.harness import KEY, ServerProcess, server

pytestmark = pytest.mark.e2e


def test_open_pages_do_not_hold_up_a_stop(tmp_path: Path) -> None:
    """The stream of beats ends by itself, whole, and nothing is complained of in the log."""
    with (
        server(tmp_path / "data") as running,
        closing(connection_to(running)) as first,
        closing(connection_to(running)) as listening,
    ):
        form = urlencode({"credential": KEY})
        first.request("POST", "/console/sign-in", form, {"Content-Type": "application/x-www-form-urlencoded"})
        with first.getresponse() as reply:
            kept = SimpleCookie(reply.getheader("Set-Cookie"))
        cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in kept.items())
        listening.request("GET", "/console/pulse", headers={"Cookie": cookie})
        with listening.getresponse() as stream:
            assert stream.getheader("Content-Type", "").startswith("text/event-stream")
            assert stream.readline() == b"retry: 3000\n"
            assert running.process is not None
            running.process.send_signal(signal.SIGTERM)
            assert b"retry" not in stream.read()  # to its end: a stream that is cut off raises
        assert running.process.wait(30) == 0
        assert "Traceback" not in running.log.read_text()


def connection_to(running: ServerProcess) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=30)
