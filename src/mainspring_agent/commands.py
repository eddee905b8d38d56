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
    async with contextlib.AsyncExitStack() as stack:
        # Pipes of our own: a process counts as over when it is, not when the last of its children lets go of them.
        said, complained = [await _Pipe.open(stack, 4 * characters) for _ in range(2)]
        try:
            process = await asyncio.create_subprocess_exec(
                cmd,
                *args,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said.entry,
                stderr=complained.entry,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise failed(f"Execute failed: {error}") from None
        finally:
            said.close_entry()
            complained.close_entry()
        try:
            async with asyncio.timeout(timeout_s):
                await process.wait()
                # What it has left running may hold the pipes open; its own output is there already.
                await asyncio.wait((said.reading, complained.reading), timeout=GRACE_S)
        except TimeoutError:
            raise failed(f"Execute Timeout: not over after {timeout_s:g} s") from None
        finally:
            await _end(process)
        return shorten(_written(said.kept.text(), complained.kept.text(), process.returncode), characters)


class _Pipe:
    """What a process writes into, read as it comes."""

    def __init__(self, entry: int, transport: asyncio.ReadTransport, reader: asyncio.StreamReader, size: int) -> None:
        self.entry = entry
        self.kept = Kept(size)
        self.reading = asyncio.create_task(_read(reader, self.kept))
        self._transport = transport
        self._open = True

    @classmethod
    async def open(cls, stack: contextlib.AsyncExitStack, size: int) -> _Pipe:
        """Open one that is closed when the stack is left; `size`: bytes kept of its beginning and of its end."""
        out, entry = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(out, "rb", 0)
        )
        pipe = cls(entry, transport, reader, size)
        stack.push_async_callback(pipe.close)
        return pipe

    def close_entry(self) -> None:
        """The process has its own by now."""
        if self._open:
            self._open = False
            os.close(self.entry)

    async def close(self) -> None:
        """Read no more."""
        self.close_entry()
        self.reading.cancel()
        self._transport.close()
        with contextlib.suppress(asyncio.CancelledError):
            await self.reading


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
