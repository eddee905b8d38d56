"""The nodes of the service: `mainspring serve` on all three hosts of the database."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

KEY = "failover-demonstration-key"
PATIENCE = 60.0
PROMPTLY = aiohttp.ClientTimeout(total=5)


class Node:
    """One process with a data directory of its own."""

    def __init__(self, name: str, home: Path, database: str) -> None:
        self.url = ""
        self._data = home / name
        self._log = home / f"{name}.log"
        self._database = database
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Until it is ready to take work."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
        environment |= {
            "MAINSPRING_DATABASE": self._database,
            "MAINSPRING_API_KEY": KEY,
            "MAINSPRING_SECRET_KEY": "the-same-on-every-node",
            "MAINSPRING_ALLOW_TARGETS": "127.0.0.0/8",
            "MAINSPRING_LOG_LEVEL": "warning",
        }
        self._data.mkdir()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mainspring", "serve", "--port", "0", "--data", str(self._data)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise ChildProcessError(f"a node ended at its start:\n{self._log.read_text()}")
            with contextlib.suppress(OSError, ValueError):
                self.url = json.loads((self._data / "credentials.json").read_text())["url"]
            if self.url and await self.ready():
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(f"a node was not ready after {PATIENCE:g} s:\n{self._log.read_text()}")

    async def ready(self) -> bool:
        """Its own word."""
        try:
            async with aiohttp.request("GET", self.url + "/readyz", timeout=PROMPTLY) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, PATIENCE)

    def kill(self) -> None:
        """End it if it is still there; safe at any moment."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
