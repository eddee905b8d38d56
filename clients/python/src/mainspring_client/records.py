"""What callers get: cron jobs, tasks, runs, the account. At run time a result is a plain dict, with `_metadata`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypedDict, TypeVar

from mainspring_client.values import Catchup, Json, Overlap, RunState, SignatureStyle

T = TypeVar("T")


class Metadata(TypedDict, total=False):
    """What the server says about a call. `warnings`: what it ignored."""

    request_id: str
    latency_ms: int
    cost_usd: int
    vendor: str
    cache_hit: bool
    warnings: list[str]


class Answer(TypedDict, total=False):
    """What every result has besides its fields."""

    _metadata: Metadata


class Page(Answer, Generic[T]):
    """One page of a listing; `next_cursor` asks for the next, and is None on the last."""

    items: list[T]
    next_cursor: str | None


class Expect(TypedDict, total=False):
    """What counts as success: `2xx`, a status or several; an RE2 pattern that the body has to contain."""

    status: Literal["2xx"] | int | Sequence[int] | None
    body_regexp: str | None


class ExpectRecord(TypedDict):
    """What counts as success."""

    status: Literal["2xx"] | list[int]
    body_regexp: str | None


class CronRecord(Answer):
    """A cron job; `id`, `cron_id` and `job_id` are equal, and so are `cron_expr` and `schedule`."""

    id: str
    name: str
    task: str
    url: str
    task_url: str
    task_type: Literal["form", "http_url", "queue", "rpc", "text"]
    method: str
    retry: int
    retries: int
    retry_delays: list[float] | None
    timeout_seconds: float
    payload: Json
    headers: dict[str, str] | None
    signature_style: SignatureStyle
    signed: bool
    on_failure_webhook: str | None
    expect: ExpectRecord | None
    cron_id: str
    job_id: str
    cron_expr: str | None
    schedule: str | None
    run_at: str | None
    timezone: str
    dialect: str
    overlap_policy: Overlap
    catchup: Catchup
    catchup_window_seconds: int | None
    max_runs: int | None
    run_count: int
    enabled: bool
    paused_at: str | None
    completed_at: str | None
    next_run_at: str | None
    last_run_at: str | None
    last_state: RunState | None
    retention_days: int
    retention_runs: int
    created_at: str
    updated_at: str


class CronPage(Page[CronRecord]):
    """Cron jobs, newest first."""


class CronDeleted(Answer):
    """The cron job is gone; also when it already was."""

    id: str
    cron_id: str
    job_id: str
    deleted: bool


class RunRecord(Answer):
    """A run; of a cron job (`cron_id`, `job_id`) or of a task (`task_id`). `output` is `response_body`.

    `lateness_ms` is the first byte written minus the instant it was scheduled for.
    """

    run_id: str
    id: str
    cron_id: str | None
    job_id: str | None
    task_id: str | None
    trigger: Literal["catchup", "manual", "replay", "schedule"]
    state: RunState
    scheduled_for: str
    started_at: str
    finished_at: str | None
    attempt: int
    response_status: int | None
    response_body: str | None
    output: str | None
    error: str | None
    lateness_ms: int | None


class AttemptRecord(TypedDict):
    """One ended attempt of a run."""

    attempt: int
    started_at: str
    sent_at: str | None
    finished_at: str
    response_status: int | None
    response_body: str | None
    error: str | None


class RunWithAttempts(RunRecord):
    """A run with its ended attempts, in order."""

    attempts: list[AttemptRecord]


class RunPage(Page[RunRecord]):
    """Runs, newest first."""


class Retention(Answer):
    """How long finished runs are kept."""

    id: str
    cron_id: str
    job_id: str
    retention_days: int
    retention_runs: int


class Description(TypedDict):
    """The expression in a sentence."""

    en: str
    zh: str


class Fire(TypedDict):
    """One coming instant; `note` says what a clock change does to it, if one does."""

    utc: str
    local: str
    note: str | None
    note_zh: str | None


class Preview(Answer):
    """What an expression means."""

    cron_expr: str
    schedule: str
    dialect: str
    timezone: str
    description: Description
    next: list[Fire]


_From = TypedDict("_From", {"from": str})  # a word that no class body takes


class OccurrenceRecord(_From):
    """One entry of the ledger: an instant that ran, or a stretch (`from`, `to`, `count`) in which nothing did."""

    scheduled_for: str
    outcome: Literal["caught_up", "missed", "ran", "skipped"]
    run_id: str | None
    reason: str | None
    to: str
    count: int


class OccurrencePage(Page[OccurrenceRecord]):
    """The ledger of a cron job, newest first."""


class TaskRecord(Answer):
    """A one-shot task."""

    id: str
    name: str
    task: str
    url: str
    task_url: str
    task_type: Literal["form", "http_url", "queue", "rpc", "text"]
    method: str
    retry: int
    retries: int
    retry_delays: list[float] | None
    timeout_seconds: float
    payload: Json
    headers: dict[str, str] | None
    signature_style: SignatureStyle
    signed: bool
    on_failure_webhook: str | None
    expect: ExpectRecord | None
    task_id: str
    run_at: str
    state: Literal["cancelled", "failed", "running", "scheduled", "succeeded"]
    retention_days: int
    created_at: str
    updated_at: str


class TaskWithRun(TaskRecord):
    """A one-shot task with its newest run, once there is one."""

    run: RunRecord | None


class TaskPage(Page[TaskRecord]):
    """Tasks, newest first."""


class KeyRecord(TypedDict):
    """A key, without its secret; `shown` is enough of it to tell keys apart."""

    id: str
    key_id: str
    name: str
    project_id: str
    scopes: list[str]
    shown: str
    bootstrap: bool
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class KeyPage(Page[KeyRecord]):
    """Keys, newest first."""


class KeyCreated(KeyRecord):
    """A new key. The secret is shown once; a repeat of the request later than 10 minutes gets null."""

    key: str | None


class KeyRevoked(Answer):
    """The key opens nothing any more; also when it already did not."""

    id: str
    key_id: str
    revoked: bool
    deleted: bool


class Balance(Answer):
    """Nothing costs anything here."""

    balance_usd: int
    currency: str


class Topup(Answer):
    """Nothing has to be paid."""

    state: Literal["not_required"]
    topup_id: None
    amount_usd: int
    checkout_url: None
    next_action_url: None


class Activation(Answer):
    """The key of a development server."""

    account_id: str
    project_id: str
    primary_api_key: str
    trial_credit_usd: int
    checkout_url: None


class AuditRecord(TypedDict):
    """Who changed what. `fields`: what was given, never the values. `key_id`: null for a command given on the store."""

    id: str
    at: str
    project_id: str
    operation: str
    object: str
    fields: list[str]
    key_id: str | None
    key_shown: str
    ip: str
    request_id: str
    hash: str


class AuditPage(Page[AuditRecord]):
    """The audit log, newest first."""


class Billing(TypedDict):
    """Nothing costs anything."""

    is_billable: bool
    free: bool
    unit: Literal["per_request"]
    price_usd: Literal[0]
    currency: Literal["USD"]


class CapabilitySummary(TypedDict):
    """One operation. `idempotent`: the same idempotency key has one effect."""

    id: str
    method: str
    path: str
    summary: str
    idempotent: bool
    available: bool
    regions: list[str]
    vendors: list[str]
    billing: Billing


class Discovered(Answer):
    """Everything that this server can do."""

    version: Literal["v1"]
    generated_at: str
    capabilities: list[CapabilitySummary]


class ErrorCase(TypedDict):
    """A way in which an operation may be refused. `retryable`: the same request may succeed later."""

    code: str
    status: int
    retryable: bool
    description: str


class Examples(TypedDict):
    """The same call from a shell, from Python and from TypeScript, with the packages of this project."""

    curl: str
    python: str
    typescript: str


class Capability(Answer):
    """One operation whole. `parameters`: of path, query and body together, and `result`: as JSON Schema."""

    id: str
    method: str
    path: str
    summary: str
    idempotent: bool
    available: bool
    regions: list[str]
    vendors: list[str]
    billing: Billing
    paths: list[str]
    public: bool
    scopes: list[str]
    parameters: dict[str, Json]
    result: dict[str, Json]
    errors: list[ErrorCase]
    examples: Examples
