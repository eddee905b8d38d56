"""Scripts as data, and what the core asks of the sandbox that runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec

from mainspring.core.limits import SCRIPT_HEAP_DEFAULT, SCRIPT_RUN_DEFAULT, SCRIPT_STACK_DEFAULT

RunType = Literal["call", "cron", "route", "inline_call"]
HANDLERS: dict[RunType, str] = {
    "call": "onCall",
    "cron": "onCron",
    "route": "onRoute",
    "inline_call": "onInlineCall",
}


class ScriptLimits(msgspec.Struct, frozen=True):
    """What one run may take: ms of wall clock, bytes of stack, bytes of heap."""

    run_ms: int = SCRIPT_RUN_DEFAULT
    stack: int = SCRIPT_STACK_DEFAULT
    heap: int = SCRIPT_HEAP_DEFAULT


class Script(msgspec.Struct, frozen=True):
    """A script as it is kept. `number` is the small id that the door shows, `env` the sealed JSON of its environment.
    None of a limit stands for its default. `clean_ms` is kept for who asks: every run has a process of its own."""

    id: int
    number: int
    name: str
    description: str | None
    source: bytes
    route: str | None
    env: bytes | None
    clean_ms: int | None
    run_ms: int | None
    stack: int | None
    heap: int | None
    created_at: int
    updated_at: int

    @property
    def limits(self) -> ScriptLimits:
        """What its runs may take."""
        return ScriptLimits(
            self.run_ms or SCRIPT_RUN_DEFAULT, self.stack or SCRIPT_STACK_DEFAULT, self.heap or SCRIPT_HEAP_DEFAULT
        )


class ScriptJob(msgspec.Struct, frozen=True):
    """One run of a script. `params` and `env` are JSON; `caller`: the script that called this one."""

    name: str
    source: bytes
    run_type: RunType
    params: bytes
    env: bytes
    limits: ScriptLimits
    caller: str | None = None


class ScriptEnd(msgspec.Struct, frozen=True):
    """How a run ended: with the JSON of its result, or with an error. `log`: (level, text) of what it printed."""

    result: bytes | None = None
    error: str | None = None
    log: tuple[tuple[str, str], ...] = ()


# Another script, its parameters as JSON, the ms that it may take at most → the JSON of its result. Raises `Refused`.
InlineCall = Callable[[str, bytes, int], Awaitable[bytes]]


class Sandbox(Protocol):
    """Runs scripts, each in a process of its own; never raises for what a script does."""

    async def run(self, job: ScriptJob, inline: InlineCall) -> ScriptEnd: ...

    async def check(self, source: bytes) -> str | None:
        """What is wrong with a script, without running any of it; None when it compiles."""
        ...

    def active(self) -> dict[str, tuple[int, int]]:
        """The scripts under way: how many runs of each, and when the newest of them began."""
        ...
