"""One command: started, its output kept up to a bound, ended with everything it has started when its time is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from mainspring_agent.failure import failed

TIMEOUT_S = 60.0
GRACE_S = 2.0
_CHUNK = 65_536
_CUT = "\n... [{} characters left out] ...\n"


class Kept:
    """The beginning and the end of what a stream has said, each up to `size` bytes; the middle is let go."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.head = bytearray()
        self.tail = bytearray()
        self.left_out = 0

    def add(self, chunk: bytes) -> None:
        """More of it."""
        room = self._size - len(self.head)
        self.head += chunk[:room]
        self.tail += chunk[room:]
        if len(self.tail) > 2 * self._size:
            self.left_out += len(self.tail) - self._size
            del self.tail[: -self._size]

    def text(self) -> str:
        """What was kept, with a mark where something is missing."""
        if not self.left_out:
            return (self.head + self.tail).decode(errors="replace")
        middle = _CUT.format(self.left_out)
        return self.head.decode(errors="replace") + middle + self.tail.decode(errors="replace")


async def execute(cmd: str, args: list[str], characters: int, *, timeout_s: float = TIMEOUT_S) -> str:
    """What a command printed, at most so many characters of it: its output, its errors after a line that says so, its
    exit code when that is not 0. Raises `TaskFailed` when it cannot be started or takes longer than its time."""
    try:
        process = await asyncio.create_subprocess_exec(
            cmd,
            *args,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise failed(f"Execute failed: {error}") from None
    assert process.stdout is not None
    assert process.stderr is not None
    # A character may take 4 bytes.
    said, complained = Kept(4 * characters), Kept(4 * characters)
    reading = asyncio.gather(_read(process.stdout, said), _read(process.stderr, complained))
    try:
        async with asyncio.timeout(timeout_s):
            await process.wait()
            # What it has left running may hold the pipes open; its own output is there already.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(reading), GRACE_S)
    except TimeoutError:
        raise failed(f"Execute Timeout: not over after {timeout_s:g} s") from None
    finally:
        await _end(process)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        process._transport.close()  # type: ignore[attr-defined] # pipes of children that live on
    return shorten(_written(said.text(), complained.text(), process.returncode), characters)


async def _read(stream: asyncio.StreamReader, kept: Kept) -> None:
    while chunk := await stream.read(_CHUNK):
        kept.add(chunk)


async def _end(process: asyncio.subprocess.Process) -> None:
    """If it is still there: ask it and its children to go, and 2 s later make them."""
    if process.returncode is not None:
        return
    for wish in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, wish)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), GRACE_S)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _written(said: str, complained: str, code: int | None) -> str:
    text = said
    if complained:
        text += f"\n--- STDERR ---\n{complained}"
    text = text or "(No Output)"
    return text if not code else f"{text}\n\n[Process exited with code {code}]"


def shorten(text: str, characters: int) -> str:
    """At most so many characters: the beginning and the end, with the number of those left out in between."""
    if len(text) <= characters:
        return text
    mark = _CUT.format(len(text))
    room = characters - len(mark)
    if room < 2:
        return text[:characters]
    head = room // 2
    tail = room - head
    return text[:head] + _CUT.format(len(text) - head - tail) + text[-tail:]
