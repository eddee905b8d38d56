"""What callers may send: every body and query, with the bounds of each field and the other names it goes by.

A field that is left out is UNSET (nothing changes), `null` is None (the default). `aliases` maps a field to its other
spellings; the reader of bodies and the OpenAPI document both take them from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from mainspring.core import limits
from mainspring.core.cron import DIALECTS
from mainspring.core.drafts import METHODS
from mainspring.core.headers import HEADERS_MAX
from mainspring.core.model import Catchup, Overlap, RunState, SignatureStyle
from mainspring.core.tokens import SCOPES

T = TypeVar("T")
Given: TypeAlias = T | None | UnsetType

TASK_TYPES = ("http_url", "http", "queue")
_NO_NUL = r"^[^\x00]*$"


def _said(description: str, **schema: object) -> Meta:
    return Meta(description=description, extra_json_schema=schema or None)


Expression = Annotated[str, Meta(min_length=1, max_length=512), _said("When to fire, like `0 9 * * 1`.", format="cron")]
InstantText = Annotated[str, _said("An ISO-8601 instant; UTC when it names no offset.", format="date-time")]
TargetText = Annotated[
    str,
    Meta(min_length=1, max_length=limits.URL_CHARS_MAX),
    _said("The http(s) URL to call, or the name of a queue to publish to.", format="target-url"),
]
TaskType = Annotated[str, _said("What `task` is: a URL, or the name of a queue.", enum=list(TASK_TYPES))]
ZoneName = Annotated[str, Meta(min_length=1, max_length=64), _said("An IANA time zone.", format="time-zone")]
Method = Annotated[str, _said("The request's method.", enum=list(METHODS), default="POST")]
Dialect = Annotated[str, _said("How the expression is read.", enum=list(DIALECTS))]
Name = Annotated[
    str,
    Meta(min_length=1, max_length=limits.NAME_CHARS_MAX, pattern=_NO_NUL),
    _said("For people; the target's host and path when left out. Not unique."),
]
Payload = Annotated[Raw, _said("Any JSON up to 256 KiB, sent byte for byte; `{}` when left out.")]
HeaderMap = Annotated[
    dict[str, Annotated[str, Meta(extra_json_schema={"pattern": "^[\\t -~]*$"})]],
    _said(
        "Custom headers, encrypted at rest and shown as `***`, which keeps the stored value when sent back.",
        maxProperties=HEADERS_MAX,
        propertyNames={"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
    ),
]
Retry = Annotated[int, Meta(ge=0, le=limits.RETRY_MAX), _said("Retries after the first attempt of a run.")]
RetryDelays = Annotated[
    tuple[Annotated[float, Meta(ge=0, le=limits.RETRY_DELAY_S_MAX)], ...],
    Meta(max_length=limits.RETRY_DELAYS_MAX),
    _said("Seconds before each retry, without jitter; their count is `retry` unless that is given."),
]
Timeout = Annotated[
    float, Meta(ge=1, le=limits.TIMEOUT_S_MAX), _said("Wall clock seconds for one whole attempt.", default=300)
]
Secret = Annotated[
    str,
    Meta(min_length=1, max_length=512),
    _said(
        "Signs every request. `whsec_` and base64 of 24 to 64 bytes, or any text of 1 to 256 bytes.", format="secret"
    ),
]
Days = Annotated[int, Meta(ge=0, le=limits.RETENTION_DAYS_MAX), _said("Days that finished runs are kept.")]
KeptRuns = Annotated[int, Meta(ge=1, le=limits.RETENTION_RUNS_MAX), _said("Finished runs kept per schedule.")]
Status = Annotated[int, Meta(ge=100, le=599)]
StateText = Annotated[RunState, _said("Only runs in this state.")]
Cursor = Annotated[str, _said("The `next_cursor` of the page before.", format="cursor")]
Limit = Annotated[int, Meta(ge=1, le=limits.PAGE_MAX), _said("Most items on the page.", default=limits.PAGE_DEFAULT)]
ProjectName = Annotated[
    str,
    Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]*$"),
    _said("The project; the caller's own when left out. Others may be named by admins of the first project only."),
]


class ExpectFields(msgspec.Struct, frozen=True):
    """What counts as success of an attempt."""

    status: Annotated[
        Literal["2xx"] | Status | Annotated[tuple[Status, ...], Meta(min_length=1)] | None,
        _said("`2xx` (the default), one status, or a list of them."),
    ] = None
    body_regexp: Annotated[
        Annotated[str, Meta(max_length=limits.REGEXP_CHARS_MAX, extra_json_schema={"format": "re2"})] | None,
        _said("An RE2 pattern that the response body has to contain."),
    ] = None


class Nothing(msgspec.Struct, frozen=True):
    """A body in which no field means anything."""


class CronFields(msgspec.Struct, frozen=True, kw_only=True):
    """A cron job: when, where, and how. Exactly one of `cron_expr` and `run_at`; each replaces the other."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cron_expr": ("schedule",),
        "run_at": ("at",),
        "task": ("url", "task_url", "http_url"),
        "retry": ("retries",),
    }

    cron_expr: Given[Expression] = UNSET
    run_at: Given[InstantText] = UNSET
    task: Given[TargetText] = UNSET
    task_type: Given[TaskType] = UNSET
    method: Given[Method] = UNSET
    name: Given[Name] = UNSET
    timezone: Given[ZoneName] = UNSET
    dialect: Given[Dialect] = UNSET
    retry: Given[Retry] = UNSET
    retry_delays: Given[RetryDelays] = UNSET
    timeout_seconds: Given[Timeout] = UNSET
    overlap_policy: Annotated[
        Given[Overlap], _said("When a run is due while another is unfinished.", default="skip")
    ] = UNSET
    catchup: Annotated[
        Given[Catchup], _said("What becomes of instants that passed while nothing ran.", default="latest")
    ] = UNSET
    catchup_window_seconds: Annotated[
        Given[Annotated[int, Meta(ge=0, le=limits.CATCHUP_WINDOW_S_MAX)]],
        _said("How late the latest instant may still be caught up.", default=limits.CATCHUP_WINDOW_S_DEFAULT),
    ] = UNSET
    max_runs: Annotated[
        Given[Annotated[int, Meta(ge=1, le=limits.MAX_RUNS_MAX)]],
        _said("Scheduled runs after which the job completes; manual runs and retries do not count."),
    ] = UNSET
    payload: Given[Payload] = UNSET
    headers: Given[HeaderMap] = UNSET
    secret: Given[Secret] = UNSET
    signature_style: Given[SignatureStyle] = UNSET
    on_failure_webhook: Annotated[Given[TargetText], _said("Called once when a run has finally failed.")] = UNSET
    expect: Given[ExpectFields] = UNSET
    retention_days: Given[Days] = UNSET
    retention_runs: Given[KeptRuns] = UNSET


class TaskFields(msgspec.Struct, frozen=True, kw_only=True):
    """A one-shot task: where and when."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "run_at": ("at",),
        "task": ("url", "task_url", "http_url"),
        "retry": ("retries",),
    }

    task: Given[TargetText] = UNSET
    run_at: Given[InstantText] = UNSET
    task_type: Given[TaskType] = UNSET
    method: Given[Method] = UNSET
    name: Given[Name] = UNSET
    payload: Given[Payload] = UNSET
    headers: Given[HeaderMap] = UNSET
    retry: Given[Retry] = UNSET
    retry_delays: Given[RetryDelays] = UNSET
    timeout_seconds: Given[Timeout] = UNSET
    secret: Given[Secret] = UNSET
    signature_style: Given[SignatureStyle] = UNSET
    on_failure_webhook: Annotated[Given[TargetText], _said("Called once when the task has finally failed.")] = UNSET
    expect: Given[ExpectFields] = UNSET
    retention_days: Given[Days] = UNSET


class TriggerFields(msgspec.Struct, frozen=True):
    """A run by hand."""

    payload: Annotated[Given[Payload], _said("Sent by this run instead of the job's own payload.")] = UNSET


class RetentionFields(msgspec.Struct, frozen=True):
    """How long finished runs are kept."""

    retention_days: Given[Days] = UNSET
    retention_runs: Given[KeptRuns] = UNSET


class KeyFields(msgspec.Struct, frozen=True):
    """A new key."""

    name: Given[Name] = UNSET
    scopes: Annotated[
        Given[tuple[Annotated[str, Meta(extra_json_schema={"enum": list(SCOPES)})], ...]],
        _said("What the key may do; everything except `admin` when left out."),
    ] = UNSET
    project_id: Given[ProjectName] = UNSET
    expires_at: Given[InstantText] = UNSET


class RotateFields(msgspec.Struct, frozen=True):
    """A key in place of another."""

    grace_hours: Annotated[
        Given[Annotated[float, Meta(ge=0, le=168)]], _said("Hours for which the old key stays valid.", default=24)
    ] = UNSET
    project_id: Given[ProjectName] = UNSET


class RevokeFields(msgspec.Struct, frozen=True):
    """Whose key is revoked."""

    project_id: Given[ProjectName] = UNSET


class TopupFields(msgspec.Struct, frozen=True):
    """Accepted for the sake of clients that pay elsewhere; nothing here costs anything."""

    amount_usd: Given[float] = UNSET
    amount: Given[float] = UNSET
    currency: Given[str] = UNSET
    payment_method: Given[str] = UNSET
    return_url: Given[str] = UNSET


class ActivateFields(msgspec.Struct, frozen=True):
    """Accepted for the sake of clients; there is one region and no trial."""

    region: Given[str] = UNSET
    device_kind: Given[str] = UNSET


class PageQuery(msgspec.Struct, frozen=True):
    """Which page."""

    cursor: Cursor | UnsetType = UNSET
    limit: Limit = limits.PAGE_DEFAULT


class RunsOfCronQuery(PageQuery, frozen=True):
    """Which runs of a cron job."""

    state: StateText | UnsetType = UNSET
    since: InstantText | UnsetType = UNSET


class RunsQuery(RunsOfCronQuery, frozen=True):
    """Which runs."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"cron_id": ("job_id", "task_id")}

    cron_id: Annotated[str, _said("Only runs of this cron job or task.", format="schedule-id")] | UnsetType = UNSET
    until: InstantText | UnsetType = UNSET


class KeysQuery(PageQuery, frozen=True):
    """Which keys."""

    project_id: ProjectName | UnsetType = UNSET


class AuditQuery(PageQuery, frozen=True):
    """Which entries of the audit log."""

    project_id: ProjectName | UnsetType = UNSET
    since: InstantText | UnsetType = UNSET
    operation: Annotated[str, _said("Only this operation, like `cron.update`.")] | UnsetType = UNSET
    object: Annotated[str, _said("Only what was done to this, by its id or name, or inside it.")] | UnsetType = UNSET
    key_id: Annotated[str, _said("Only what was done with this key.")] | UnsetType = UNSET


class PreviewQuery(msgspec.Struct, frozen=True):
    """What to preview."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"cron_expr": ("schedule",)}

    cron_expr: Expression | UnsetType = UNSET
    timezone: ZoneName | UnsetType = UNSET
    dialect: Dialect = "standard"
    count: Annotated[
        int, Meta(ge=1, le=limits.PREVIEW_COUNT_MAX), _said("How many.", default=limits.PREVIEW_COUNT_DEFAULT)
    ] = limits.PREVIEW_COUNT_DEFAULT
    after: InstantText | UnsetType = UNSET
