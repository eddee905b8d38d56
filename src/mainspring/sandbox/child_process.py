"""A script's process, seen from the server: started, spoken to in lines, killed with all that it has started."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
from functools import cache
from pathlib import Path

from mainspring.core.limits import SCRIPT_LINE_BYTES_MAX, SCRIPT_OUTPUT_BYTES_MAX

_HERE = Path(__file__).parent


class TooMuch(Exception):
    """It has said more than a process may say."""


@cache
def _command() -> tuple[str, ...]:
    """Python without its site and its environment, the program, the engine, and what scripts see."""
    engine = importlib.util.find_spec("_quickjs")
    assert engine is not None
    assert engine.origin is not None
    web = sorted(str(path) for path in (_HERE / "web").glob("*.js"))
    return (sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_HERE / "child.py"), engine.origin, *web)


class Child:
    """One process in a session of its own, with an empty environment and no descriptor but its two pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._heard = 0

    @classmethod
    async def start(cls) -> Child:
        """Start it. Raises `OSError` when the machine has no room for one."""
        return cls(
            await asyncio.create_subprocess_exec(
                *_command(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=SCRIPT_LINE_BYTES_MAX,
                env={},
                cwd="/",
                start_new_session=True,
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def write(self, line: bytes) -> None:
        """Say one line; returns when there is room for more, also if nobody listens any longer."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._stdin.write(line)
            await self._stdin.drain()

    async def read(self) -> bytes | None:
        """The next line, None when there are no more. Raises `TooMuch`."""
        try:
            line = await self._stdout.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise TooMuch from None
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self._heard += len(line)
        if self._heard > SCRIPT_OUTPUT_BYTES_MAX:
            raise TooMuch
        return line

    async def kill(self) -> int:
        """Kill it and whatever is in its session; its exit status once it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._stdin.close()
        return await self._process.wait()
