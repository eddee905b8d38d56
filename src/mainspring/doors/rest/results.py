"""What callers get: every result, with all the names by which clients of this API read it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from mainspring.core.model import Catchup, Overlap, RunState, SignatureStyle, Trigger

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
TaskState = Literal["scheduled", "running", "succeeded", "failed", "cancelled"]
Outcome = Literal["ran", "caught_up", "skipped", "missed"]
Headers = Annotated[dict[str, str], Meta(description="Names only; the values are `***`.")]
Json = Annotated[Raw, Meta(description="The JSON as it was accepted.")]


class ExpectRecord(msgspec.Struct, frozen=True):
    """What counts as success."""

    status: Literal["2xx"] | tuple[int, ...]
    body_regexp: str | None


class TargetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run goes and how; `task`, `url` and `task_url` are equal, and so are `retry` and `retries`.

    With the `task_type` `queue` they are the name of a queue, to which `payload` is published.
    """

    id: str
    name: str
    task: str
    url: str
    task_url: str
    task_type: Literal["http_url", "form", "text", "rpc", "queue"]
    method: str
    retry: int
    retries: int
    retry_delays: tuple[float, ...] | None
    timeout_seconds: float
    payload: Json | None
    headers: Headers | None
    signature_style: SignatureStyle
    signed: bool
    on_failure_webhook: str | None
    expect: ExpectRecord | None


class CronRecord(TargetRecord, frozen=True, kw_only=True):
    """A cron job; `id`, `cron_id` and `job_id` are equal, and so are `cron_expr` and `schedule`."""

    cron_id: str
    job_id: str
    cron_expr: str | None
    schedule: str | None
    run_at: Instant | None
    timezone: str
    dialect: str
    overlap_policy: Overlap
    catchup: Catchup
    catchup_window_seconds: int | None
    max_runs: int | None
    run_count: int
    enabled: bool
    paused_at: Instant | None
    completed_at: Instant | None
    next_run_at: Instant | None
    last_run_at: Instant | None
    last_state: RunState | None
    retention_days: int
    retention_runs: int
    created_at: Instant
    updated_at: Instant


class CronPage(msgspec.Struct, frozen=True):
    """Cron jobs, newest first."""

    items: list[CronRecord]
    next_cursor: str | None


class CronDeleted(msgspec.Struct, frozen=True):
    """The cron job is gone; also when it already was."""

    id: str
    cron_id: str
    job_id: str
    deleted: bool


class Retention(msgspec.Struct, frozen=True):
    """How long finished runs are kept."""

    id: str
    cron_id: str
    job_id: str
    retention_days: int
    retention_runs: int


class AttemptRecord(msgspec.Struct, frozen=True):
    """One ended attempt of a run."""

    attempt: int
    started_at: Instant
    sent_at: Instant | None
    finished_at: Instant
    response_status: int | None
    response_body: str | None
    error: str | None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A run; of a cron job (`cron_id`, `job_id`) or of a task (`task_id`). `output` is `response_body`.

    `lateness_ms` is the first byte written minus the instant it was scheduled for.
    """

    run_id: str
    id: str
    cron_id: str | None
    job_id: str | None
    task_id: str | None
    trigger: Trigger
    state: RunState
    scheduled_for: Instant
    started_at: Instant
    finished_at: Instant | None
    attempt: int
    response_status: int | None
    response_body: str | None
    output: str | None
    error: str | None
    lateness_ms: int | None


class RunWithAttempts(RunRecord, frozen=True, kw_only=True):
    """A run with its ended attempts, in order."""

    attempts: list[AttemptRecord]


class RunPage(msgspec.Struct, frozen=True):
    """Runs, newest first."""

    items: list[RunRecord]
    next_cursor: str | None


class OccurrenceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger: an instant that ran, or a stretch (`from`, `to`, `count`) in which nothing did."""

    scheduled_for: Instant
    outcome: Outcome
    run_id: str | None
    reason: str | None
    from_: Instant = msgspec.field(name="from")
    to: Instant
    count: int


class OccurrencePage(msgspec.Struct, frozen=True):
    """The ledger of a cron job, newest first."""

    items: list[OccurrenceRecord]
    next_cursor: str | None


class TaskRecord(TargetRecord, frozen=True, kw_only=True):
    """A one-shot task."""

    task_id: str
    run_at: Instant
    state: TaskState
    retention_days: int
    created_at: Instant
    updated_at: Instant


class TaskWithRun(TaskRecord, frozen=True, kw_only=True):
    """A one-shot task with its newest run, once there is one."""

    run: RunRecord | None


class TaskPage(msgspec.Struct, frozen=True):
    """Tasks, newest first."""

    items: list[TaskRecord]
    next_cursor: str | None


class Description(msgspec.Struct, frozen=True):
    """The expression in a sentence."""

    en: str
    zh: str


class Fire(msgspec.Struct, frozen=True):
    """One coming instant; `note` says what a clock change does to it, if one does."""

    utc: Instant
    local: Instant
    note: str | None
    note_zh: str | None


class Preview(msgspec.Struct, frozen=True):
    """What an expression means."""

    cron_expr: str
    schedule: str
    dialect: str
    timezone: str
    description: Description
    next: list[Fire]


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its secret; `shown` is enough of it to tell keys apart."""

    id: str
    key_id: str
    name: str
    project_id: str
    scopes: tuple[str, ...]
    shown: str
    bootstrap: bool
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None
    revoked_at: Instant | None


class KeyCreated(KeyRecord, frozen=True, kw_only=True):
    """A new key. The secret is shown once; a repeat of the request later than 10 minutes gets null."""

    key: str | None


class KeyPage(msgspec.Struct, frozen=True):
    """Keys, newest first."""

    items: list[KeyRecord]
    next_cursor: str | None


class KeyRevoked(msgspec.Struct, frozen=True):
    """The key opens nothing any more; also when it already did not."""

    id: str
    key_id: str
    revoked: bool
    deleted: bool


class AuditRecord(msgspec.Struct, frozen=True):
    """Who changed what. `fields`: what was given, never the values. `key_id`: null for a command given on the store."""

    id: str
    at: Instant
    project_id: str
    operation: str
    object: str
    fields: tuple[str, ...]
    key_id: str | None
    key_shown: str
    ip: str
    request_id: str
    hash: str


class AuditPage(msgspec.Struct, frozen=True):
    """The audit log, newest first."""

    items: list[AuditRecord]
    next_cursor: str | None


class Balance(msgspec.Struct, frozen=True):
    """Nothing costs anything here."""

    balance_usd: int
    currency: str


class Topup(msgspec.Struct, frozen=True):
    """Nothing has to be paid."""

    state: Literal["not_required"]
    topup_id: None
    amount_usd: int
    checkout_url: None
    next_action_url: None


class Activation(msgspec.Struct, frozen=True):
    """The key of a development server."""

    account_id: str
    project_id: str
    primary_api_key: str
    trial_credit_usd: int
    checkout_url: None
