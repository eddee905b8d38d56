"""A script's process, seen from the server: started, spoken to in lines, killed with all that it has started."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
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


# Started by vfork, a process holds up all threads of this one until it has loaded its program, on a busy machine some
# 300 ms (measured); started by fork, only the one that starts it.
subprocess._USE_VFORK = False  # type: ignore[misc]  # the documented way, though declared final


def _spawned() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process in a session of its own, with an empty environment and no descriptor but its end of a socket pair; and
    our end. A pair and not two pipes: uvloop closes the descriptor of a pipe twice, the second time perhaps that of
    another thread."""
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            _command(),
            bufsize=0,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


class Child:
    """One process, and the socket to it."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._heard = 0

    @classmethod
    async def start(cls) -> Child:
        """Start it, in a thread: nobody else waits. Raises `OSError` when the machine has no room for one."""
        process, ours = await asyncio.to_thread(_spawned)
        try:
            ours.setblocking(False)
            return cls(process, *await asyncio.open_unix_connection(sock=ours, limit=SCRIPT_LINE_BYTES_MAX))
        except BaseException:
            process.kill()
            process.wait()
            ours.close()
            raise

    async def write(self, line: bytes) -> None:
        """Say one line; returns when there is room for more, also if nobody listens any longer."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._writer.write(line)
            await self._writer.drain()

    async def read(self) -> bytes | None:
        """The next line, None when there are no more. Raises `TooMuch`."""
        try:
            line = await self._reader.readuntil(b"\n")
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
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._writer.transport.abort()
        return await asyncio.to_thread(self._process.wait)
