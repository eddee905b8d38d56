"""A real agent process, and what one asks of the server it works for."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from e2e.harness import ServerProcess, call, wait_for

SUPER = "superkey12345678:secret-of-the-super-token-000000"
UUID = "00000000-0000-0000-0000-000000000001"
OTHER = "00000000-0000-0000-0000-000000000002"


class AgentProcess:
    """`mainspring agent` with these flags."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.log = folder / "agent.log"
        self._command = [sys.executable, "-m", "mainspring", "agent", *flags]
        self._folder = folder
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log, text=True)

    def stop(self, by: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(60)


def stop(process: ServerProcess) -> None:
    assert process.process is not None
    if process.process.poll() is None:
        assert process.stop() == 0


@contextlib.contextmanager
def agent(folder: Path, *flags: str) -> Iterator[AgentProcess]:
    made = AgentProcess(folder, *flags)
    try:
        yield made
    finally:
        made.stop(signal.SIGKILL)


def flags(place: ServerProcess, allow: str, uuid: str = UUID) -> list[str]:
    return ["--server", place.url, "--token", SUPER, "--uuid", uuid, "--allow", allow]


def rpc(place: ServerProcess, method: str, **params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"token": SUPER, **params}}
    return call(place.url, "POST", "/", request, key=None)[1]


def do(place: ServerProcess, task: Any, uuid: str = UUID) -> Any:
    """What came of a task, once the agent is there."""

    def done() -> Any:
        answer = rpc(place, "task_create_task_blocking", target_uuid=uuid, task_type=task, timeout_ms=20_000)
        if answer.get("error", {}).get("code") == 104:
            return None
        return answer["result"]

    return wait_for("the agent to be there", done)


def create(place: ServerProcess, task: Any) -> int:
    number: int = rpc(place, "task_create_task", target_uuid=UUID, task_type=task)["result"]["id"]
    return number


def row(place: ServerProcess, number: int) -> Any:
    with contextlib.suppress(OSError):
        rows = rpc(place, "task_query", task_data_query={"condition": [{"task_id": number}]})["result"]
        return rows[0] if rows and rows[0]["success"] is not None else None
    return None


def again(place: ServerProcess) -> None:
    """Start it once more where it was."""
    place.start("--port", str(urlsplit(place.url).port))


def slow(folder: Path, seconds: float) -> dict[str, Any]:
    """A command that says when it has begun."""
    script = f"touch {folder}/begun; sleep {seconds}; echo done"
    return {"execute": {"cmd": "/bin/sh", "args": ["-c", script]}}
