"""What a caller says about a schedule, checked and turned into rows. UNSET: as it is; None: the default."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import re2
from msgspec import UNSET, UnsetType

from mainspring.core import cron, limits, signing
from mainspring.core.errors import Invalid, TooLarge
from mainspring.core.headers import checked_headers
from mainspring.core.model import Catchup, Expect, Overlap, Schedule, ScheduleKind, SignatureStyle, Target
from mainspring.core.ports import TargetCheck, Vault
from mainspring.core.urls import name_of, origin_of

T = TypeVar("T")
METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE")
HIDDEN = "***"


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


def pick(given: T | None | UnsetType, stored: T, default: T) -> T:
    """What holds after the draft: the given value, the default for None, else what is stored."""
    if given is UNSET:
        return stored
    return default if given is None else given


def bounded(value: int | float, low: float, high: float, field: str) -> None:
    """Raises `Invalid` naming `field` unless low <= value <= high."""
    if not low <= value <= high:
        raise Invalid(f"{field} is {value:g}", hint=f"Use a value from {low:g} to {high:g}.", field=field)


def build_target(vault: Vault, targets: TargetCheck, draft: Draft, old: Target | None) -> Target:
    """The target after the draft; equal to `old` when nothing about it changed. Raises `Invalid`, `TooLarge`."""
    url = draft.url if isinstance(draft.url, str) else None
    if url is not None:
        url = targets.check(url, "task")
    elif old is None or draft.url is None:
        raise Invalid("task is missing", hint="Give the http(s) URL to call.", field="task")
    method = pick(draft.method, old.method if old else "POST", "POST").upper()
    if method not in METHODS:
        raise Invalid(f"method is {method[:20]!r}", hint="Use one of " + ", ".join(METHODS) + ".", field="method")
    on_failure = pick(draft.on_failure, old.on_failure if old else None, None)
    if isinstance(draft.on_failure, str):
        on_failure = targets.check(draft.on_failure, "on_failure_webhook")
    stored_timeout = old.timeout_ms / 1000 if old else limits.TIMEOUT_S_DEFAULT
    timeout = pick(draft.timeout_seconds, stored_timeout, limits.TIMEOUT_S_DEFAULT)
    bounded(timeout, 1, limits.TIMEOUT_S_MAX, "timeout_seconds")
    retry, delays = _retries(draft, old)
    address = url if url is not None else (old.address if old else "")
    return Target(
        id=old.id if old else 0,
        kind="http",
        address=address,
        origin=origin_of(address),
        method=method,
        payload=_payload(draft, old),
        headers=_headers(vault, draft, old),
        secret=_secret(vault, draft, old),
        signature_style=pick(draft.signature_style, old.signature_style if old else "body", "body"),
        timeout_ms=round(timeout * 1000),
        retry=retry,
        retry_delays_ms=delays,
        expect=_expect(pick(draft.expect, old.expect if old else None, None)),
        on_failure=on_failure,
    )


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


def _payload(draft: Draft, old: Target | None) -> bytes | None:
    payload = pick(draft.payload, old.payload if old else None, None)
    if payload is not None:
        check_payload(payload)
    return payload


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


def _expect(expect: Expect | None) -> Expect | None:
    if expect is None:
        return None
    if expect.statuses == ():
        raise Invalid(
            "expect.status is an empty list", hint="Name at least one, or leave it out.", field="expect.status"
        )
    for status in expect.statuses or ():
        bounded(status, 100, 599, "expect.status")
    if expect.body_regexp is not None:
        if len(expect.body_regexp) > limits.REGEXP_CHARS_MAX:
            raise Invalid(
                "expect.body_regexp is too long",
                hint=f"Use at most {limits.REGEXP_CHARS_MAX} characters.",
                field="expect.body_regexp",
            )
        try:
            re2.compile(expect.body_regexp)
        except re2.error as error:
            reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
            raise Invalid(
                f"expect.body_regexp is not an RE2 pattern: {reason}",
                hint="RE2 has no look-around and no back-references.",
                field="expect.body_regexp",
            ) from None
    return expect


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
        lane="http",
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
