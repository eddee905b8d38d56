"""The nouns, as data. Instants are milliseconds UTC; `None` means "not set"."""

from __future__ import annotations

from typing import Literal

import msgspec

Overlap = Literal["allow", "skip", "queue"]
Catchup = Literal["latest", "skip", "all"]
ScheduleKind = Literal["cron", "task"]
RunKind = Literal["cron", "task", "failure", "webhook", "script", "agent"]
Trigger = Literal["schedule", "manual", "catchup", "replay"]
RunState = Literal["queued", "running", "retrying", "succeeded", "failed", "cancelled"]
GapOutcome = Literal["skipped", "missed"]
SignatureStyle = Literal["body", "timestamp.body"]
TargetKind = Literal["http", "form", "text", "rpc", "queue", "agent", "script", "server"]

FINAL_STATES: frozenset[RunState] = frozenset({"succeeded", "failed", "cancelled"})


class Expect(msgspec.Struct, frozen=True):
    """What counts as success: statuses (None: every 2xx) and an RE2 pattern searched in the whole body."""

    statuses: tuple[int, ...] | None = None
    body_regexp: str | None = None


class Target(msgspec.Struct, frozen=True):
    """Everything a run needs to be sent. Never changed: an edit makes a new one, so a run keeps what it was fired with.

    `kind`: how `payload` is sent. `http`: as the JSON that it is; `form`: a JSON object, url-encoded; `text`: as it is,
    whatever it is; `rpc`: the one parameter of a JSON-RPC call over TCP, `address` being `tcp://host:port/function`;
    `queue`: published to the queue that `address` (`queue:name`) names. `agent`, `script` and `server` are not sent:
    `payload` says what is done, and who serves their lanes does it.
    `headers` is the sealed JSON object of custom headers, `secret` the sealed signing secret.
    """

    id: int
    kind: TargetKind
    address: str
    origin: str
    method: str
    payload: bytes | None
    headers: bytes | None
    secret: bytes | None
    signature_style: SignatureStyle
    timeout_ms: int
    retry: int
    retry_delays_ms: tuple[int, ...] | None
    expect: Expect | None
    on_failure: str | None


class Schedule(msgspec.Struct, frozen=True):
    """When to do something, and what. Exactly one of `cron_expr` and `run_at` is set.

    `version` grows by one with every edit; `anchor_at` is where `@every` counts from.
    """

    id: int
    number: int
    project: str
    kind: ScheduleKind
    name: str
    cron_expr: str | None
    run_at: int | None
    dialect: str
    timezone: str
    anchor_at: int
    overlap: Overlap
    catchup: Catchup
    catchup_window_ms: int | None
    max_runs: int | None
    retention_days: int
    retention_runs: int
    target_id: int
    lane: str
    origin: str
    version: int
    created_at: int
    updated_at: int


class Progress(msgspec.Struct, frozen=True):
    """How far a schedule has come: the small row that changes with every fire.

    `next_due_at`: the next instant at which it fires by itself, None when never again (paused, completed).
    `active`: its runs that are queued, running or retrying; `held`: those waiting behind them (overlap `queue`).
    `gap_id`, `gap_key`: the ledger entry that the next skipped or missed instant of the same kind may extend.
    """

    next_due_at: int | None
    paused_at: int | None
    completed_at: int | None
    run_count: int
    active: int
    held: int
    last_run_at: int | None
    last_state: RunState | None
    gap_id: int | None
    gap_key: str | None

    @property
    def enabled(self) -> bool:
        return self.paused_at is None and self.completed_at is None


class CrontabTask(msgspec.Struct, frozen=True):
    """What the crontab door keeps of a schedule made there. A project has no two with one `name`.

    `type` (1 once, 2 to 7 again and again) and `start_time` are as they were given, and the schedule's timing follows
    from them; it does not fire before `starts_at`. `superseded_at`: since when a newer task has had the name.
    """

    name: str
    module: int
    type: int
    start_time: str
    starts_at: int | None = None
    superseded_at: int | None = None


class Entry(msgspec.Struct, frozen=True):
    """A schedule with its progress and its target, as a door shows it; `crontab` if it was made at that door."""

    schedule: Schedule
    progress: Progress
    target: Target
    crontab: CrontabTask | None = None


class Run(msgspec.Struct, frozen=True):
    """One due piece of work and what became of it.

    `due_at`: when it may be claimed; None while it is held behind another run, running or over.
    `attempt`: attempts begun; also the fencing token of the one in flight. `sent_at`: first byte of the first attempt.
    """

    id: int
    schedule_id: int | None
    project: str
    kind: RunKind
    lane: str
    trigger: Trigger
    nth: int
    scheduled_for: int
    created_at: int
    target_id: int
    origin: str
    payload: bytes | None
    state: RunState
    due_at: int | None
    attempt: int
    lease_until: int | None
    node: int | None
    started_at: int
    attempt_started_at: int | None
    sent_at: int | None
    finished_at: int | None
    status: int | None
    body: bytes | None
    error: str | None


class Attempt(msgspec.Struct, frozen=True):
    """One try of a run that has ended."""

    run_id: int
    attempt: int
    started_at: int
    sent_at: int | None
    ended_at: int
    status: int | None
    body: bytes | None
    error: str | None


class LoggedAttempt(msgspec.Struct, frozen=True):
    """One attempt with the run it belongs to and what it was sent to; `ended_at` is None while it is in flight.

    `number` (below 2^53) grows with `began_at`, so it says where a page of the log ends.
    """

    number: int
    schedule_id: int
    run_id: int
    attempt: int
    trigger: Trigger
    began_at: int
    ended_at: int | None
    status: int | None
    body: bytes | None
    error: str | None
    kind: TargetKind
    address: str
    method: str
    payload: bytes | None


class Gap(msgspec.Struct, frozen=True):
    """A stretch of instants at which nothing ran, with the reason; `count` instants from `from_at` to `to_at`."""

    id: int
    schedule_id: int
    outcome: GapOutcome
    reason: str
    from_at: int
    to_at: int
    count: int


class Key(msgspec.Struct, frozen=True):
    """One credential of any door: a REST key, a JSON-RPC token, the super token. The secret itself is not kept.

    `scopes` are REST scopes, `limits` the JSON-RPC scope and permission lists; a credential may carry both.
    `lookup` is the public half of a `key:secret` token, `digest` that of the whole; REST keys are found by their
    digest. `username` and `password` (its slow hash) are another way to say which token is meant.
    """

    id: int
    number: int
    project: str
    kind: Literal["key", "token", "super"]
    name: str
    lookup: str | None
    digest: bytes
    shown: str
    scopes: tuple[str, ...]
    limits: bytes | None
    valid_from: int | None
    valid_until: int | None
    created_at: int
    last_used_at: int | None
    revoked_at: int | None
    bootstrap: bool
    username: str | None = None
    password: bytes | None = None


class Principal(msgspec.Struct, frozen=True):
    """Who is calling, after authentication. `shown`: the part of the key that may be shown; `barred`: operations that
    it may not do whatever its scopes."""

    key_id: int
    project: str
    scopes: frozenset[str]
    shown: str = ""
    barred: frozenset[str] = frozenset()


class Page(msgspec.Struct, frozen=True):
    """Where a listing stands: rows strictly before `before` (in the listing's order), at most `limit`."""

    limit: int
    before: tuple[int, int] | None = None
