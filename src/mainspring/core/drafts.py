"""What a caller says about a schedule, checked and turned into rows. UNSET: as it is; None: the default."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.core import cron, limits, signing
from mainspring.core.errors import Invalid, TooLarge
from mainspring.core.expectations import bounded, checked_expect
from mainspring.core.forms import check_form
from mainspring.core.headers import checked_headers
from mainspring.core.model import (
    Catchup,
    CrontabTask,
    Expect,
    Overlap,
    Schedule,
    ScheduleKind,
    SignatureStyle,
    Target,
    TargetKind,
)
from mainspring.core.ports import TargetCheck, Vault
from mainspring.core.queue_names import check_name
from mainspring.core.urls import QUEUE_SCHEME, call_address, name_of, origin_of

T = TypeVar("T")
METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE")
HIDDEN = "***"
_PLAIN = ("http", "queue")
# What a target of another kind than those has in a form of its own.
_OF_THE_KIND = ("address", "method", "payload", "headers", "secret", "signature_style")
_any_json = msgspec.json.Decoder(msgspec.Raw)


class Draft(msgspec.Struct, frozen=True):
    """A schedule as a caller describes it; the doors fill in what they were given."""

    cron_expr: str | None | UnsetType = UNSET
    run_at: int | None | UnsetType = UNSET
    url: str | None | UnsetType = UNSET
    method: str | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    timezone: str | None | UnsetType = UNSET
    dialect: str | None | UnsetType = UNSET
    retry: int | None | UnsetType = UNSET
    retry_delays: tuple[float, ...] | None | UnsetType = UNSET
    timeout_seconds: float | None | UnsetType = UNSET
    overlap: Overlap | None | UnsetType = UNSET
    catchup: Catchup | None | UnsetType = UNSET
    catchup_window_seconds: int | None | UnsetType = UNSET
    max_runs: int | None | UnsetType = UNSET
    payload: bytes | None | UnsetType = UNSET
    headers: dict[str, str] | None | UnsetType = UNSET
    secret: str | None | UnsetType = UNSET
    signature_style: SignatureStyle | None | UnsetType = UNSET
    on_failure: str | None | UnsetType = UNSET
    expect: Expect | None | UnsetType = UNSET
    retention_days: int | None | UnsetType = UNSET
    retention_runs: int | None | UnsetType = UNSET
    kind: TargetKind | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    crontab: CrontabTask | UnsetType = UNSET


def pick(given: T | None | UnsetType, stored: T, default: T) -> T:
    """What holds after the draft: the given value, the default for None, else what is stored."""
    if given is UNSET:
        return stored
    return default if given is None else given


def build_target(vault: Vault, targets: TargetCheck, draft: Draft, old: Target | None) -> Target:
    """The target after the draft; equal to `old` when nothing about it changed. Raises `Invalid`, `TooLarge`."""
    kind = _kind(draft, old)
    if kind == "queue":
        draft = _for_a_queue(draft)
    address = _address(targets, draft, old, kind)
    method = _method(draft, old, kind)
    on_failure = pick(draft.on_failure, old.on_failure if old else None, None)
    if isinstance(draft.on_failure, str):
        on_failure = targets.check(draft.on_failure, "on_failure_webhook")
    stored_timeout = old.timeout_ms / 1000 if old else limits.TIMEOUT_S_DEFAULT
    timeout = pick(draft.timeout_seconds, stored_timeout, limits.TIMEOUT_S_DEFAULT)
    bounded(timeout, 1, limits.TIMEOUT_S_MAX, "timeout_seconds")
    retry, delays = _retries(draft, old)
    return Target(
        id=old.id if old else 0,
        kind=kind,
        address=address,
        origin=origin_of(address),
        method=method,
        payload=_payload(draft, old, kind),
        headers=_headers(vault, draft, old),
        secret=_secret(vault, draft, old),
        signature_style=pick(draft.signature_style, old.signature_style if old else "body", "body"),
        timeout_ms=round(timeout * 1000),
        retry=retry,
        retry_delays_ms=delays,
        expect=checked_expect(pick(draft.expect, old.expect if old else None, None)),
        on_failure=on_failure,
    )


def _kind(draft: Draft, old: Target | None) -> TargetKind:
    """The kind of target. A caller that names none can say nothing about the address and the body of another than
    `http` and `queue`, whose form it does not know; those two give way to each other."""
    if old is None or (draft.kind is not UNSET and draft.kind != "queue"):
        return pick(draft.kind, "http", "http")
    if old.kind in _PLAIN:
        given_url = old.kind == "queue" and isinstance(draft.url, str) and "://" in draft.url
        return pick(draft.kind, "http" if given_url else old.kind, "http")
    for name in _OF_THE_KIND:
        given = getattr(draft, "url" if name == "address" else name)
        if given is not UNSET and given != getattr(old, name):
            field = "task" if name == "address" else name
            raise Invalid(
                f"{field} cannot be changed here: the target is of the type {old.kind}",
                hint="Change it where the schedule was made, or delete it and create another.",
                field=field,
            )
    return old.kind


def _for_a_queue(draft: Draft) -> Draft:
    """What is published has a payload and nothing else that is known of requests. Raises `Invalid`."""
    for field in ("headers", "secret", "expect"):
        if getattr(draft, field) not in (UNSET, None, {}):
            raise Invalid(
                f"{field} means nothing for a queue", hint="Leave it out, or call an http(s) URL.", field=field
            )
    return msgspec.structs.replace(draft, headers=None, secret=None, expect=None)


def _address(targets: TargetCheck, draft: Draft, old: Target | None, kind: TargetKind) -> str:
    if isinstance(draft.url, str):
        if old is not None and draft.url == old.address and kind == old.kind:
            return old.address
        if kind == "queue":
            return QUEUE_SCHEME + check_name(draft.url.removeprefix(QUEUE_SCHEME), "task")
        return call_address(targets, draft.url, "task") if kind == "rpc" else targets.check(draft.url, "task")
    if old is None or draft.url is None or (kind != old.kind and {kind, old.kind} & {"rpc", "queue"}):
        what = {"rpc": "address and function to call", "queue": "name of the queue"}.get(kind, "http(s) URL to call")
        raise Invalid("task is missing", hint=f"Give the {what}.", field="task")
    return old.address


def _method(draft: Draft, old: Target | None, kind: TargetKind) -> str:
    if kind == "rpc":
        return "RPC"
    method = pick(draft.method, old.method if old else "POST", "POST").upper()
    if method not in METHODS:
        raise Invalid(f"method is {method[:20]!r}", hint="Use one of " + ", ".join(METHODS) + ".", field="method")
    return method


def _retries(draft: Draft, old: Target | None) -> tuple[int, tuple[int, ...] | None]:
    delays = old.retry_delays_ms if old else None
    if draft.retry_delays is None:
        delays = None
    elif draft.retry_delays is not UNSET:
        if len(draft.retry_delays) > limits.RETRY_DELAYS_MAX:
            raise Invalid(
                f"retry_delays has {len(draft.retry_delays)} values",
                hint=f"Use at most {limits.RETRY_DELAYS_MAX}.",
                field="retry_delays",
            )
        for delay in draft.retry_delays:
            bounded(delay, 0, limits.RETRY_DELAY_S_MAX, "retry_delays")
        delays = tuple(round(delay * 1000) for delay in draft.retry_delays)
    if isinstance(draft.retry, int):
        bounded(draft.retry, 0, limits.RETRY_MAX, "retry")
        return draft.retry, delays
    if delays is not None and (isinstance(draft.retry_delays, tuple) or draft.retry is None):
        return len(delays), delays
    # A count that was the length of the list goes with it.
    counted = old is not None and old.retry_delays_ms is not None and old.retry == len(old.retry_delays_ms)
    if old is None or draft.retry is None or (draft.retry_delays is None and counted):
        return limits.RETRY_DEFAULT, delays
    return old.retry, delays


def _payload(draft: Draft, old: Target | None, kind: TargetKind) -> bytes | None:
    payload = pick(draft.payload, old.payload if old else None, None)
    if payload is not None and kind not in ("agent", "script", "server"):
        check_payload(payload)
        if kind == "form":
            check_form(payload)
        elif kind == "rpc" and not is_json(payload):
            raise Invalid(
                "payload is not JSON, so it cannot be a parameter", hint="Send any JSON value.", field="payload"
            )
    return payload


def is_json(payload: bytes) -> bool:
    """Whether the bytes are one JSON value in UTF-8."""
    try:
        str(payload, "utf-8")
        _any_json.decode(payload)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return False
    return True


def check_payload(payload: bytes) -> None:
    """Raises `TooLarge` over 256 KiB."""
    if len(payload) > limits.PAYLOAD_BYTES_MAX:
        raise TooLarge(
            f"payload has {len(payload)} bytes",
            hint=f"Send at most {limits.PAYLOAD_BYTES_MAX} bytes, or a reference to the data.",
            field="payload",
        )


def opened_headers(vault: Vault, target: Target) -> dict[str, str]:
    """The target's custom headers in clear, for sending."""
    if target.headers is None:
        return {}
    return msgspec.json.decode(vault.unseal(target.headers, "headers"), type=dict[str, str])


def _headers(vault: Vault, draft: Draft, old: Target | None) -> bytes | None:
    if draft.headers is UNSET:
        return old.headers if old else None
    if not draft.headers:
        return None
    given = dict(draft.headers)
    if HIDDEN in given.values():
        kept = {name.lower(): value for name, value in (opened_headers(vault, old) if old else {}).items()}
        for name, value in given.items():
            if value == HIDDEN:
                if name.lower() not in kept:
                    raise Invalid(
                        f"header {name} is not stored, so *** has nothing to keep",
                        hint="Send its value.",
                        field=f"headers.{name}",
                    )
                given[name] = kept[name.lower()]
    plain = msgspec.json.encode(dict(checked_headers(given)), order="sorted")
    if old is not None and old.headers is not None and vault.unseal(old.headers, "headers") == plain:
        return old.headers
    return vault.seal(plain, "headers")


def _secret(vault: Vault, draft: Draft, old: Target | None) -> bytes | None:
    if draft.secret is UNSET:
        return old.secret if old else None
    if draft.secret is None:
        return None
    signing.secret_key(draft.secret)
    plain = draft.secret.encode()
    if old is not None and old.secret is not None and vault.unseal(old.secret, "secret") == plain:
        return old.secret
    return vault.seal(plain, "secret")


def build_schedule(draft: Draft, old: Schedule | None, target: Target, project: str, kind: ScheduleKind) -> Schedule:
    """The schedule after the draft, without its instants. Raises `Invalid`."""
    cron_expr, run_at = _when(draft, old)
    dialect = pick(draft.dialect, old.dialect if old else "standard", "standard")
    if dialect not in cron.DIALECTS:
        raise Invalid(
            f"dialect is {dialect[:40]!r}", hint="Use one of " + ", ".join(cron.DIALECTS) + ".", field="dialect"
        )
    max_runs = pick(draft.max_runs, old.max_runs if old else None, None)
    if max_runs is not None:
        bounded(max_runs, 1, limits.MAX_RUNS_MAX, "max_runs")
    window = _window(draft, old)
    days = pick(
        draft.retention_days,
        old.retention_days if old else limits.RETENTION_DAYS_DEFAULT,
        limits.RETENTION_DAYS_DEFAULT,
    )
    bounded(days, 0, limits.RETENTION_DAYS_MAX, "retention_days")
    runs = pick(
        draft.retention_runs,
        old.retention_runs if old else limits.RETENTION_RUNS_DEFAULT,
        limits.RETENTION_RUNS_DEFAULT,
    )
    bounded(runs, 1, limits.RETENTION_RUNS_MAX, "retention_runs")
    return Schedule(
        id=old.id if old else 0,
        number=old.number if old else 0,
        project=project,
        kind=kind,
        name=_name(draft, old, target),
        cron_expr=cron_expr,
        run_at=run_at,
        dialect=dialect,
        timezone=_timezone(draft, old, cron_expr, dialect),
        anchor_at=old.anchor_at if old else 0,
        overlap=pick(draft.overlap, old.overlap if old else "skip", "skip"),
        catchup=pick(draft.catchup, old.catchup if old else "latest", "latest"),
        catchup_window_ms=window,
        max_runs=max_runs,
        retention_days=days,
        retention_runs=runs,
        target_id=old.target_id if old else 0,
        lane=old.lane if old else "http",
        origin=target.origin,
        version=old.version if old else 1,
        created_at=old.created_at if old else 0,
        updated_at=0,
    )


def _window(draft: Draft, old: Schedule | None) -> int | None:
    if draft.catchup_window_seconds is UNSET and old is not None:
        return old.catchup_window_ms
    seconds = pick(draft.catchup_window_seconds, limits.CATCHUP_WINDOW_S_DEFAULT, limits.CATCHUP_WINDOW_S_DEFAULT)
    bounded(seconds, 0, limits.CATCHUP_WINDOW_S_MAX, "catchup_window_seconds")
    return seconds * 1000


def _when(draft: Draft, old: Schedule | None) -> tuple[str | None, int | None]:
    given_expr = draft.cron_expr if isinstance(draft.cron_expr, str) else None
    given_at = draft.run_at if isinstance(draft.run_at, int) else None
    if given_expr is not None and given_at is not None:
        raise Invalid("both cron_expr and run_at are given", hint="Give exactly one of them.", field="cron_expr")
    if given_expr is not None:
        return given_expr, None
    if given_at is not None:
        return None, given_at
    if old is None:
        raise Invalid("cron_expr is missing", hint='Give cron_expr like "0 9 * * *", or run_at.', field="cron_expr")
    return old.cron_expr, old.run_at


def _name(draft: Draft, old: Schedule | None, target: Target) -> str:
    name = draft.name if isinstance(draft.name, str) else None
    if name is None:
        return old.name if old is not None and draft.name is UNSET else name_of(target.address)
    if not 0 < len(name) <= limits.NAME_CHARS_MAX:
        raise Invalid(
            f"name has {len(name)} characters", hint=f"Use 1 to {limits.NAME_CHARS_MAX} characters.", field="name"
        )
    if "\x00" in name:
        raise Invalid("name holds a NUL character", hint="Remove it.", field="name")
    return name


def _timezone(draft: Draft, old: Schedule | None, cron_expr: str | None, dialect: str) -> str:
    given = draft.timezone if isinstance(draft.timezone, str) else None
    named = parse_expression(cron_expr, dialect).zone_name if cron_expr is not None else None
    if named is not None and given is not None and named != given:
        raise Invalid(
            f"cron_expr says CRON_TZ={named}, timezone says {given[:64]}", hint="Give only one.", field="timezone"
        )
    stored = old.timezone if old is not None and draft.timezone is UNSET else "UTC"
    timezone = next(name for name in (named, given, stored) if name is not None)
    check_timezone(timezone)
    return timezone


def check_timezone(name: str) -> None:
    """Raises `Invalid` unless `name` is an IANA time zone."""
    try:
        cron.zone(name)
    except cron.CronError:
        raise Invalid(
            f"timezone {name[:64]!r} is unknown", hint="Use an IANA name like Europe/Berlin.", field="timezone"
        ) from None


def parse_expression(text: str, dialect: str) -> cron.Expression:
    """A parsed expression. Raises `Invalid` with the position and the reason."""
    try:
        return cron.parse(text, dialect)
    except cron.CronError as error:
        raise Invalid(
            f"cron_expr is not valid at position {error.position}: {error}",
            hint="Check it with `mainspring cron explain`.",
            field="cron_expr",
        ) from None
