"""Runs scripts: one process per run, killed at its limit, answered only through here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import assert_never

import msgspec

from mainspring.core.errors import Refused
from mainspring.core.limits import (
    SCRIPT_CALLS_AT_ONCE,
    SCRIPT_CALLS_MAX,
    SCRIPT_ERROR_CHARS_MAX,
    SCRIPT_LINE_BYTES_MAX,
    SCRIPT_LOG_CHARS_MAX,
    SCRIPT_RESULT_BYTES_MAX,
    SECOND,
)
from mainspring.core.ports import Sender
from mainspring.core.scripts_model import HANDLERS, InlineCall, ScriptEnd, ScriptJob, ScriptLimits
from mainspring.sandbox.child_process import Child, TooMuch
from mainspring.sandbox.fetching import Failed, fetch
from mainspring.sandbox.messages import (
    Answer,
    Ask,
    AskFetch,
    AskInline,
    AskRpc,
    End,
    Log,
    json_of,
    line_of,
    read,
)

Rpc = Callable[[bytes], Awaitable[bytes]]
_CHECK_MS = 10 * SECOND
_CHECKS = 2
# A busy machine may take its time to start a process; that is no time of the script.
_START_S = 20
_READY = b'{"kind":"ready"}\n'


class ProcessSandbox:
    """`sender`: how `fetch` goes out; `rpc`: how `nodeget` is answered; `clock`: now in ms."""

    def __init__(self, sender: Sender, rpc: Rpc, clock: Callable[[], int]) -> None:
        self._sender = sender
        self._rpc = rpc
        self._clock = clock
        self._active: dict[str, tuple[int, int]] = {}
        self._checking = asyncio.Semaphore(_CHECKS)
        # A start may hold up the event loop for some ms; several of them let others have a turn in between.
        self._starting = asyncio.Lock()

    async def run(self, job: ScriptJob, inline: InlineCall) -> ScriptEnd:
        """Run a script to its end, or to its limit. Only cancellation raises; its process never outlives this."""
        order = {
            "handler": HANDLERS[job.run_type],
            "worker": job.name,
            "caller": job.caller,
            "params": msgspec.Raw(job.params),
            "env": msgspec.Raw(job.env),
        }
        first = _first_line(job.source, job.limits, order)
        self._active[job.name] = self._count(job.name) + 1, self._clock()
        try:
            return await _Run(self._sender, self._rpc, inline, job.limits, self._starting).go(first)
        finally:
            if (left := self._count(job.name) - 1) > 0:
                self._active[job.name] = left, self._active[job.name][1]
            else:
                del self._active[job.name]

    def active(self) -> dict[str, tuple[int, int]]:
        """The scripts under way: how many runs of each, and when the newest of them began."""
        return dict(self._active)

    def _count(self, name: str) -> int:
        return self._active.get(name, (0, 0))[0]

    async def check(self, source: bytes) -> str | None:
        """What is wrong with a script, without running any of it; None when it compiles."""
        limits = ScriptLimits(run_ms=_CHECK_MS)
        async with self._checking:
            run = _Run(self._sender, self._rpc, _no_inline, limits, self._starting)
            ended = await run.go(_first_line(source, limits, None))
        return ended.error or None


def _first_line(source: bytes, limits: ScriptLimits, order: Mapping[str, object] | None) -> bytes:
    return line_of(
        {
            "source": source.decode(),
            "check": order is None,
            "heap": limits.heap,
            "stack": limits.stack,
            # A process whose server is gone, and which asks for nothing, ends by this.
            "cpu_s": ceil(limits.run_ms / SECOND) + 1,
            "job": order or {},
        }
    )


async def _no_inline(_name: str, _params: bytes, _ms: int) -> bytes:
    raise AssertionError("what is checked does not run")


class _Run:
    """One run: its process, what it has asked for, and what it has printed."""

    def __init__(
        self, sender: Sender, rpc: Rpc, inline: InlineCall, limits: ScriptLimits, starting: asyncio.Lock
    ) -> None:
        self._sender = sender
        self._starting = starting
        self._rpc = rpc
        self._inline = inline
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + _START_S
        self._room = asyncio.Semaphore(SCRIPT_CALLS_AT_ONCE)
        self._asked: set[asyncio.Task[None]] = set()
        self._count = 0
        self._log: list[tuple[str, str]] = []
        self._logged = 0

    async def go(self, first: bytes) -> ScriptEnd:
        """From the start of the process to its end."""
        starting = self._loop.create_task(self._start())
        deadline = asyncio.timeout_at(self._until)
        begun, error = False, None
        try:
            async with deadline:
                # Given up halfway, a start could leave a process that nobody knows.
                child = await asyncio.shield(starting)
                await child.write(first)
                begun = await child.read() == _READY
                if begun:
                    self._until = self._loop.time() + self._limits.run_ms / SECOND
                    deadline.reschedule(self._until)
                    return await self._listen(child)
                error = "its process could not be started"
        except TimeoutError:
            error = f"it ran longer than {self._limits.run_ms} ms" if begun else "its process took too long to start"
        except TooMuch:
            error = "it wrote more than a script may write"
        except OSError as failed:
            error = f"no process could be started: {failed.strerror}"
        finally:
            await _certainly(self._clear_up(starting))
        return self._ended(error=error)

    async def _start(self) -> Child:
        async with self._starting:
            return await Child.start()

    async def _clear_up(self, starting: asyncio.Task[Child]) -> None:
        """No process is left, nor anything that it has asked for."""
        for task in self._asked:
            task.cancel()
        with contextlib.suppress(OSError):
            await (await starting).kill()
        await asyncio.gather(*self._asked, return_exceptions=True)

    async def _listen(self, child: Child) -> ScriptEnd:
        while (line := await child.read()) is not None:
            match read(line):
                case None:
                    return self._ended(error="its process said what no script says")
                case End(result=result, error=error):
                    return self._answered(result, error)
                case Log(level=level, text=text):
                    self._print(level, text)
                case AskFetch() | AskRpc() | AskInline() as ask:
                    self._count += 1
                    if self._count > SCRIPT_CALLS_MAX:
                        return self._ended(error=f"it asked for more than {SCRIPT_CALLS_MAX} things")
                    task = self._loop.create_task(self._serve(child, ask))
                    self._asked.add(task)
                    task.add_done_callback(self._asked.discard)
                case _ as never:
                    assert_never(never)
        status = await child.kill()
        return self._ended(error=f"its process died (status {status}), at one of its limits most likely")

    def _answered(self, result: str | None, error: str | None) -> ScriptEnd:
        if result is None:
            return self._ended(error=error or "")
        if len(result) > SCRIPT_RESULT_BYTES_MAX or len(encoded := json_of(result) or b"") > SCRIPT_RESULT_BYTES_MAX:
            return self._ended(error=f"its result is larger than {SCRIPT_RESULT_BYTES_MAX} bytes")
        if not encoded:
            return self._ended(error="its result cannot be read as JSON")
        return ScriptEnd(result=encoded, log=tuple(self._log))

    def _ended(self, error: str | None) -> ScriptEnd:
        return ScriptEnd(error=(error or "")[:SCRIPT_ERROR_CHARS_MAX], log=tuple(self._log))

    def _print(self, level: str, text: str) -> None:
        if self._logged < SCRIPT_LOG_CHARS_MAX:
            self._log.append((level, text[: SCRIPT_LOG_CHARS_MAX - self._logged]))
            self._logged += len(text) + 1

    async def _serve(self, child: Child, ask: Ask) -> None:
        async with self._room:
            await child.write(await self._answered_line(ask))

    async def _answered_line(self, ask: Ask) -> bytes:
        try:
            return line_of(await self._answer(ask))
        except Failed as failed:
            return line_of(Answer(ask.id, "fetch", error=str(failed)))
        except (Refused, UnicodeError) as refused:
            return line_of(Answer(ask.id, "refused", error=str(refused)))
        except Exception as error:  # noqa: BLE001  # a bug of ours must not leave the script waiting for an answer
            said = f"something went wrong on this server: {type(error).__name__}"
            return line_of(Answer(ask.id, "refused", error=said))

    async def _answer(self, ask: Ask) -> Answer:
        match ask:
            case AskFetch(content=content):
                return Answer(ask.id, "fetch", await fetch(self._sender, content, self._left_ms))
            case AskRpc(content=text):
                answer = await self._rpc(text.encode())
                if len(answer) > SCRIPT_LINE_BYTES_MAX:
                    return Answer(ask.id, "rpc", error="the answer is larger than a script may receive")
                return Answer(ask.id, "rpc", answer.decode())
            case AskInline(content=call):
                most = self._left_ms() if call.seconds is None else int(call.seconds * SECOND)
                found = await self._inline(call.name, call.params.encode(), max(1, min(most, self._left_ms())))
                return Answer(ask.id, "inline", found.decode())
            case _ as never:
                assert_never(never)

    def _left_ms(self) -> int:
        return max(1, int((self._until - self._loop.time()) * SECOND))


async def _certainly(ending: Awaitable[object]) -> None:
    """To its end, however often this is cancelled meanwhile."""
    task = asyncio.ensure_future(ending)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
