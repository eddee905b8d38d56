"""What the core needs from the outside, as protocols. The composition root hands the real ones in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import msgspec

from mainspring.core.agents_model import Ended
from mainspring.core.agents_ports import AgentHub, AgentSlice
from mainspring.core.audit import Asked, AuditEntry, Mark
from mainspring.core.changes import Change, Claim, Fired, ManualRun, NewKey, NewSchedule, Result, Stale
from mainspring.core.credential_ports import CredentialSlice
from mainspring.core.crontab_ports import CrontabResultSlice, CrontabSlice, KvSlice
from mainspring.core.events import Emit
from mainspring.core.idempotency import Replay
from mainspring.core.limits import RESPONSE_KEPT_BYTES
from mainspring.core.model import Attempt, Entry, Gap, Key, LoggedAttempt, Page, Run, RunState, ScheduleKind, Target
from mainspring.core.push_model import NewSubscription, Subscription, Unsubscribe
from mainspring.core.push_ports import PushSlice, SubscriptionSlice
from mainspring.core.queue_model import (
    Edited,
    Message,
    NewQueue,
    Publish,
    Published,
    Queue,
    QueueEdit,
    Receive,
    Redrive,
    Redriven,
    Settle,
    Settlement,
)
from mainspring.core.queue_ports import DeadLetterSlice, MessageSlice, QueueSlice, TideSlice
from mainspring.core.samples import SampleSlice
from mainspring.core.scripts_model import Sandbox
from mainspring.core.scripts_ports import ScriptResultSlice, ScriptSlice
from mainspring.core.seats import Seats
from mainspring.core.timing import Due, Plan
from mainspring.core.views.ports import Views
from mainspring.core.webhooks_ports import WebhookSlice


class Request(msgspec.Struct, frozen=True):
    """One outbound request, complete: the sender adds nothing but Host, Content-Length and Accept-Encoding.

    Of a JSON-RPC call, `url` is `tcp://host:port/function` and `body` the one parameter; there are no headers.

    `deadline_ms` is wall clock for the whole attempt: resolve, connect, send, receive. `keep_bytes` is how much of the
    response body the outcome holds (up to 1 MiB, for judging it whole); `want_headers`: whether it holds the headers.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    deadline_ms: int
    keep_bytes: int = RESPONSE_KEPT_BYTES
    want_headers: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """What became of one request; the sender never raises for a reply or for a target's misbehaviour.

    `kind`: `reply` (a complete response; `status` is set where the protocol has one), `forbidden` (the guard refused;
    never retried),
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
    headers: tuple[tuple[str, str], ...] = ()


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

    def messages(self, queue_id: int, count: int) -> None:
        """So many messages of a queue can be had now."""
        ...

    def tide(self, at: int) -> None:
        """At this instant a lease ends or a delay is over."""
        ...

    def subscriptions(self) -> None:
        """A push subscription is new, changed or over."""
        ...


HungUp = Callable[[], Awaitable[None]]


class Listening(Protocol):
    """One consumer that waits. It hears whatever arrives from the moment on at which it was made.

    `gone`: whoever asked has hung up; nobody takes what is found now.
    """

    gone: bool

    async def heard(self) -> bool:
        """Until messages may have arrived: look again. False when the wait is over."""
        ...

    def move(self, queue_id: int) -> None:
        """Listen for another queue instead."""
        ...


class Arrivals(Protocol):
    """Where consumers wait for messages."""

    def listen(
        self, queue_id: int, wait_ms: int, holder: int = 0, hung_up: HungUp | None = None
    ) -> AbstractContextManager[Listening]:
        """For so long, or until `hung_up` returns. Raises `LimitExceeded` when `holder` waits too often already."""
        ...


class Vault(Protocol):
    """Seals what must not be readable in the store."""

    def seal(self, plain: bytes, purpose: str) -> bytes: ...

    def unseal(self, sealed: bytes, purpose: str) -> bytes: ...

    def mark(self, plain: bytes, purpose: str) -> bytes:
        """A keyed hash, which shows later that nobody without the key has changed `plain`."""
        ...


class ScheduleSlice(Protocol):
    """Schedules, as `store/schedules.py` keeps them."""

    async def get(self, project: str, kind: ScheduleKind, schedule_id: int) -> Entry | None: ...

    async def was_deleted(self, project: str, kind: ScheduleKind, schedule_id: int) -> bool: ...

    async def page(self, project: str, kind: ScheduleKind, page: Page) -> list[Entry]: ...

    async def crontab(self, project: str, numbers: Sequence[int], names: Sequence[str]) -> list[Entry]: ...

    async def fire(self, now: int, plan: Callable[[Due, int], Plan], limit: int) -> Fired: ...

    async def next_due_at(self) -> int | None: ...

    async def gaps(self, schedule_id: int, before: int, limit: int) -> list[Gap]: ...

    async def occurrences(self, schedule_id: int, before: int, limit: int) -> list[tuple[int, str, int]]: ...


class RunSlice(Protocol):
    """Runs, as `store/runs.py` keeps them."""

    async def claim(self, now: int, *, lane: str, node: int, lease_until: int, seats: Seats) -> list[Claim]: ...

    async def take_turns(
        self, now: int, results: Sequence[Result], *, node: int, lease_until: int, seats: Seats
    ) -> tuple[list[Result], list[Claim]]: ...

    async def durable(self) -> None: ...

    async def next_waiting(self, lane: str, after: int) -> int | None: ...

    async def targets(self, ids: Sequence[int]) -> dict[int, Target]: ...

    async def finish(self, now: int, results: Sequence[Result]) -> list[Result]: ...

    async def renew(self, node: int, held: Sequence[tuple[int, int]], lease_until: int) -> None: ...

    async def expired(self, now: int, limit: int, *, everything: bool = False) -> list[Run]: ...

    async def get(self, project: str, run_id: int) -> tuple[Run, list[Attempt]] | None: ...

    async def page_of_schedule(self, schedule_id: int, state: RunState | None, since: int, page: Page) -> list[Run]: ...

    async def page(
        self, project: str, state: RunState | None, since_id: int, before_id: int, limit: int
    ) -> list[Run]: ...

    async def attempts(self, schedule_ids: Sequence[int], before: int, limit: int) -> list[LoggedAttempt]: ...


class AuditSlice(Protocol):
    """The audit log, as `store/audit.py` keeps it."""

    async def page(self, asked: Asked) -> list[AuditEntry]: ...

    async def prune(self, now: int, days: int, mark: Mark) -> int: ...


class UpkeepSlice(Protocol):
    """Upkeep, as `store/upkeep.py` does it: each call one bounded step, answering how much it removed."""

    async def ping(self) -> None: ...

    async def get_meta(self, name: str) -> str | None: ...

    async def keep_meta(self, name: str, value: str) -> str: ...

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
    def crontabs(self) -> CrontabSlice: ...

    @property
    def crontab_results(self) -> CrontabResultSlice: ...

    @property
    def kv(self) -> KvSlice: ...

    @property
    def agents(self) -> AgentSlice: ...

    @property
    def scripts(self) -> ScriptSlice: ...

    @property
    def script_results(self) -> ScriptResultSlice: ...

    @property
    def audit(self) -> AuditSlice: ...

    @property
    def upkeep(self) -> UpkeepSlice: ...

    @property
    def queues(self) -> QueueSlice: ...

    @property
    def messages(self) -> MessageSlice: ...

    @property
    def dead_letters(self) -> DeadLetterSlice: ...

    @property
    def tides(self) -> TideSlice: ...

    @property
    def subscriptions(self) -> SubscriptionSlice: ...

    @property
    def pushes(self) -> PushSlice: ...

    @property
    def webhooks(self) -> WebhookSlice: ...

    @property
    def views(self) -> Views: ...

    @property
    def samples(self) -> SampleSlice: ...

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

    @property
    def create_queue(self) -> Callable[[NewQueue], Awaitable[Queue | Replay]]: ...

    @property
    def edit_queue(self) -> Callable[[QueueEdit], Awaitable[Edited | Replay | Stale]]: ...

    @property
    def publish(self) -> Callable[[Publish], Awaitable[Published | Replay | Stale]]: ...

    @property
    def receive(self) -> Callable[[Receive], Awaitable[list[Message] | Stale]]: ...

    @property
    def settle(self) -> Callable[[Settle], Awaitable[Settlement | Replay | Stale]]: ...

    @property
    def subscribe(self) -> Callable[[NewSubscription], Awaitable[Subscription | Replay | Stale]]: ...

    @property
    def unsubscribe(self) -> Callable[[Unsubscribe], Awaitable[Subscription | Replay]]: ...

    @property
    def attach_agent(self) -> Callable[[tuple[str, int]], Awaitable[None]]: ...

    @property
    def end_task(self) -> Callable[[Ended], Awaitable[bool]]: ...

    @property
    def redrive(self) -> Callable[[Redrive], Awaitable[Redriven | Replay]]: ...


class QueueRules(msgspec.Struct, frozen=True):
    """What the operator says about all queues: whether use makes them, and how many messages each may hold."""

    auto_create: bool = True
    depth_max: int | None = None


class Core(msgspec.Struct, frozen=True):
    """What every use case is handed. `sandbox`: what runs scripts, if this process does; `agents`: what
    holds the sockets of agents, likewise."""

    store: Store
    vault: Vault
    targets: TargetCheck
    wakeup: Wakeup
    emit: Emit
    arrivals: Arrivals
    queue_rules: QueueRules = QueueRules()
    sandbox: Sandbox | None = None
    agents: AgentHub | None = None
