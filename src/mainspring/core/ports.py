"""What the core needs from the outside, as protocols. The composition root hands the real ones in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

import msgspec

from mainspring.core.changes import Change, Claim, Fired, ManualRun, NewKey, NewSchedule, Result, Stale
from mainspring.core.events import Emit
from mainspring.core.idempotency import Replay
from mainspring.core.limits import RESPONSE_KEPT_BYTES
from mainspring.core.model import Attempt, Entry, Gap, Key, Page, Run, RunState, ScheduleKind, Target
from mainspring.core.seats import Seats
from mainspring.core.timing import Due, Plan


class Request(msgspec.Struct, frozen=True):
    """One outbound HTTP request, complete: the sender adds nothing but Host, Content-Length and Accept-Encoding.

    `deadline_ms` is wall clock for the whole attempt: resolve, connect, send, receive. `keep_bytes` is how much of the
    response body the outcome holds (up to 1 MiB, for judging it whole).
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    deadline_ms: int
    keep_bytes: int = RESPONSE_KEPT_BYTES


class Outcome(msgspec.Struct, frozen=True):
    """What became of one request; the sender never raises for a reply or for a target's misbehaviour.

    `kind`: `reply` (a complete response; `status` is set), `forbidden` (the guard refused; never retried),
    `timeout` (the deadline passed), `connection` (resolve, connect, TLS, protocol error or response over the cap).
    `sent_at`: instant (ms) at which the first byte was handed to the connection; None when none was.
    `body`: the first `keep_bytes` of the raw response. `retry_after_ms`: parsed `Retry-After`, >= 0, or None.
    """

    kind: Literal["reply", "forbidden", "timeout", "connection"]
    ended_at: int
    sent_at: int | None = None
    status: int | None = None
    body: bytes = b""
    truncated: bool = False
    error: str | None = None
    retry_after_ms: int | None = None


class Sender(Protocol):
    """Sends one request under guard and deadline."""

    async def send(self, request: Request) -> Outcome: ...


class TargetCheck(Protocol):
    """Early check of a target at write time, without resolving names."""

    def check(self, url: str, field: str) -> str:
        """Return the URL in the form in which it will be dialled.

        Raises `Invalid` naming `field` (not a URL we dial), or `Invalid` with code TARGET_FORBIDDEN and a hint that
        prints the exact `MAINSPRING_ALLOW_TARGETS=...` line (an address literal in any notation, or a known name,
        of a denied target).
        """
        ...


class Wakeup(Protocol):
    """Tells a loop that there may be work earlier than it thinks."""

    def scheduler(self) -> None: ...

    def dispatcher(self, *, hurry: bool = False) -> None: ...


class Vault(Protocol):
    """Seals what must not be readable in the store."""

    def seal(self, plain: bytes, purpose: str) -> bytes: ...

    def unseal(self, sealed: bytes, purpose: str) -> bytes: ...


class ScheduleSlice(Protocol):
    """Schedules, as `store/schedules.py` keeps them."""

    async def get(self, project: str, kind: ScheduleKind, schedule_id: int) -> Entry | None: ...

    async def was_deleted(self, project: str, kind: ScheduleKind, schedule_id: int) -> bool: ...

    async def page(self, project: str, kind: ScheduleKind, page: Page) -> list[Entry]: ...

    async def fire(self, now: int, plan: Callable[[Due, int], Plan], limit: int) -> Fired: ...

    async def next_due_at(self) -> int | None: ...

    async def gaps(self, schedule_id: int, before: int, limit: int) -> list[Gap]: ...

    async def occurrences(self, schedule_id: int, before: int, limit: int) -> list[tuple[int, str, int]]: ...


class RunSlice(Protocol):
    """Runs, as `store/runs.py` keeps them."""

    async def claim(self, now: int, *, lane: str, node: int, lease_until: int, seats: Seats) -> list[Claim]: ...

    async def durable(self) -> None: ...

    async def next_waiting(self, lane: str, after: int) -> int | None: ...

    async def targets(self, ids: Sequence[int]) -> dict[int, Target]: ...

    async def finish(self, now: int, results: Sequence[Result]) -> list[Result]: ...

    async def renew(self, node: int, run_ids: Sequence[int], lease_until: int) -> None: ...

    async def expired(self, now: int, limit: int, *, everything: bool = False) -> list[Run]: ...

    async def get(self, project: str, run_id: int) -> tuple[Run, list[Attempt]] | None: ...

    async def page_of_schedule(self, schedule_id: int, state: RunState | None, since: int, page: Page) -> list[Run]: ...

    async def page(
        self, project: str, state: RunState | None, since_id: int, before_id: int, limit: int
    ) -> list[Run]: ...


class CredentialSlice(Protocol):
    """Credentials, as `store/credentials.py` keeps them."""

    async def by_digest(self, digest: bytes) -> Key | None: ...

    async def ensure_bootstrap(self, now: int, key: Key) -> None: ...

    async def get(self, project: str, key_id: int) -> Key | None: ...

    async def page(self, project: str | None, page: Page) -> list[Key]: ...

    async def expire(self, project: str, key_id: int, valid_until: int) -> None: ...

    async def revoke(self, project: str, key_id: int, now: int) -> bool: ...


class UpkeepSlice(Protocol):
    """Upkeep, as `store/upkeep.py` does it: each call one bounded step, answering how much it removed."""

    async def ping(self) -> None: ...

    async def counts(self) -> dict[str, int]: ...

    async def prune_idempotency(self, now: int) -> int: ...

    async def prune_old(self, now: int) -> tuple[int, int]: ...

    async def crowded(self, after: int, limit: int) -> list[tuple[int, int]]: ...

    async def prune_surplus(self, schedule_id: int, keep: int) -> int: ...

    async def prune_apart(self, now: int, days: int) -> int: ...

    async def prune_schedules(self, now: int, days: int) -> int: ...

    async def prune_targets(self, now: int) -> int: ...

    async def maintain(self) -> None: ...


class Store(Protocol):
    """Everything that lasts: slices by noun, and single writes that are folded with those of others."""

    @property
    def schedules(self) -> ScheduleSlice: ...

    @property
    def runs(self) -> RunSlice: ...

    @property
    def credentials(self) -> CredentialSlice: ...

    @property
    def upkeep(self) -> UpkeepSlice: ...

    async def recall(self, now: int, project: str, operation: str, key: str, body_hash: bytes) -> Replay | None:
        """The answer kept for an idempotency key, None for a new one. Raises the refusal for another body."""
        ...

    @property
    def create_schedule(self) -> Callable[[NewSchedule], Awaitable[Entry | Replay]]: ...

    @property
    def change_schedule(self) -> Callable[[Change], Awaitable[Entry | Replay | Stale]]: ...

    @property
    def trigger_run(self) -> Callable[[ManualRun], Awaitable[Run | Replay]]: ...

    @property
    def create_key(self) -> Callable[[NewKey], Awaitable[Key | Replay]]: ...


class Core(msgspec.Struct, frozen=True):
    """What every use case is handed."""

    store: Store
    vault: Vault
    targets: TargetCheck
    wakeup: Wakeup
    emit: Emit
