"""Three real nodes on one real PostgreSQL, and what may happen to them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from e2e.harness import KEY, call, wait_for
from postgres import Postgres

PROGRAMS = Path(__file__).parent / "programs"
_BAD_WORDS = ("unexpected error", "Traceback", "never retrieved", "schedule cannot be planned")


class Node:
    """`mainspring serve` on a shared database; may be killed, stopped, continued and started again."""

    def __init__(self, data: Path, database: str, *, clock: Path | None = None) -> None:
        self.name = data.name
        self.url = ""
        self._data = data
        self._database = database
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        data.mkdir(exist_ok=True)
        self.log = data / "server.log"
        if clock is not None:
            set_clock(clock, 0)

    def launch(self, *flags: str) -> None:
        """Start it without waiting for it."""
        (self._data / "credentials.json").unlink(missing_ok=True)
        self.url = ""
        program = ["-m", "mainspring"] if self._clock is None else [PROGRAMS / "skewed.py", self._clock]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *program, "serve", "--port", "0", "--data", self._data, *flags],
                env=clean
                | {
                    "MAINSPRING_API_KEY": KEY,
                    "MAINSPRING_SECRET_KEY": "the-same-on-every-node",
                    "MAINSPRING_DATABASE": self._database,
                    "MAINSPRING_ALLOW_TARGETS": "127.0.0.0/8",
                    "MAINSPRING_LOG_FORMAT": "json",
                    "MAINSPRING_LOG_LEVEL": "warning",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start(self, *flags: str) -> None:
        """Start it and wait until it is ready."""
        self.launch(*flags)
        wait_for(f"{self.name} to be ready", self.is_ready)

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        return self.readiness() == 200

    def readiness(self) -> int:
        """The status of /readyz; 0 when nobody answers."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            if not self.url:
                self.url = json.loads((self._data / "credentials.json").read_text())["url"]
            status: int = call(self.url, "GET", "/readyz", key=None)[0]
            return status
        return 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)

    def kill(self) -> None:
        """SIGKILL; nothing is left of it when this returns."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def strange(self) -> list[str]:
        """Lines of its log that no fault excuses."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [f"{self.name}: {line}" for line in lines if any(word in line for word in _BAD_WORDS)]


@contextlib.contextmanager
def nodes(*made: Node) -> Iterator[tuple[Node, ...]]:
    """These nodes, started together; gone afterwards, whatever happened."""
    try:
        for node in made:
            node.launch()
        for node in made:
            wait_for(f"{node.name} to be ready", node.is_ready)
        yield made
    finally:
        for node in made:
            node.kill()


def set_clock(file: Path, ahead_ms: int) -> None:
    """Make the clock of a node wrong by so much; never seen half written."""
    written = file.with_suffix(".new")
    written.write_text(str(ahead_ms))
    written.rename(file)


def kill_outright(database: Postgres) -> None:
    """SIGKILL for the postmaster and then for every process it leaves, as the kernel's memory killer would."""
    lock = database.data / "postmaster.pid"
    postmaster = int(lock.read_text().splitlines()[0])
    children = [pid for pid in _processes() if _parent_and_state(pid)[0] == postmaster]
    database.stop(signal.SIGKILL)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for("its children to be gone", lambda: all(_parent_and_state(pid)[1] in "ZX" for pid in children))
    # Its last line would say "ready" until the next postmaster has written its own.
    lock.unlink()


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent_and_state(pid: int) -> tuple[int, str]:
    """The parent of a process and its state; (0, X) when it is gone."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return 0, "X"
    return int(parent), state
