"""The README's programs do what it says, in the order of the page, each in a process of its own."""

from __future__ import annotations

import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook

from mainspring_client import Client

if TYPE_CHECKING:
    from conftest import Programs, Server

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS: list[str] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
FROM_HOME = {"MAINSPRING_API_KEY": "", "MAINSPRING_URL": ""}


def test_the_programs_of_the_page_run(programs: Programs, dev_server: Server, until: Callable[..., Any]) -> None:
    first, *others, worker, awaited, _ = PROGRAMS
    assert "fires next at 2" in programs.run(first, MAINSPRING_API_KEY="", MAINSPRING_URL=dev_server.url)
    listed, fields, errors = [programs.run(code, **FROM_HOME) for code in others]
    assert "report 0 9 * * 1-5\n" in listed
    assert fields.startswith("scheduled ")
    assert fields.endswith("\nNone\n")
    assert "cron_expr - " in errors
    assert "NOT_FOUND " in errors
    with Client(programs.key, dev_server.url) as client:
        assert client.queue.stats("emails")["available"] == 11
        for code in (worker, awaited):
            process = programs.start(code, **FROM_HOME)
            assert process.stdout is not None
            assert process.stdout.readline().startswith("sending to")
            programs.stop(process)
            assert client.queue.stats("emails")["in_flight"] == 0
            client.queue.publish("emails", {"to": "the next worker"})


def test_the_receiver_of_the_page_tells_friend_from_foe(programs: Programs, until: Callable[..., Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    receiver = programs.start(PROGRAMS[-1].replace("9000", str(port)))
    secret = re.search(r'SECRET = "(.*)"', PROGRAMS[-1])
    assert secret is not None

    def send(key: str) -> int | None:
        at, body = datetime.fromtimestamp(int(time.time()), UTC), '{"order":7}'
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(key).sign("msg_1", at, body),
        }
        call = urllib.request.Request(f"http://127.0.0.1:{port}/", body.encode(), headers)
        try:
            with urllib.request.urlopen(call, timeout=10) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as refused:
            return int(refused.code)
        except OSError:
            return None

    assert until("the receiver", lambda: send(secret[1])) == 204
    assert send("whsec_" + "A" * 32) == 401
    receiver.terminate()
    assert receiver.stdout is not None
    assert "paid: 7\n" in receiver.stdout.read()
