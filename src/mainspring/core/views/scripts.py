"""What the screens about scripts ask of the store."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

RanState = Literal["success", "failure", "running"]


class SeenScript(msgspec.Struct, frozen=True):
    """One script without its source, of which there are `size` bytes; `ran_…`: its last run. Instants are ms."""

    name: str
    description: str | None
    route: str | None
    run_ms: int | None
    stack: int | None
    heap: int | None
    size: int
    updated_at: int
    ran_number: int | None
    ran_at: int | None
    ran_ended_at: int | None
    ran_state: RanState | None


class SeenResult(msgspec.Struct, frozen=True):
    """What became of one run; `said` is the beginning of its result or its error."""

    number: int
    script_name: str
    run_type: str
    started_at: int
    ended_at: int | None
    state: RanState
    said: str


class AskedPage(msgspec.Struct, frozen=True):
    """Which results: all that fit all of these, newest first, from behind (`before_at`, `before`) on. None: any."""

    name: str | None = None
    run_type: str | None = None
    state: RanState | None = None
    since: int = 0
    before_at: int = 1 << 53
    before: int = 1 << 53
    limit: int = 50


class ScriptViews(Protocol):
    """Reads about scripts, as `store/views/scripts.py` makes them."""

    async def page(self, now: int, search: str, after: str, limit: int) -> list[SeenScript]:
        """In the order of their names, from behind `after` on; those that have `search` in name or route."""
        ...

    async def results(self, now: int, asked: AskedPage) -> list[SeenResult]: ...
