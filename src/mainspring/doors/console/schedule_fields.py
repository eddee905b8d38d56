"""The fields of the form of a schedule, to and from what the REST API takes: only what was changed is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from mainspring.core import cron, limits
from mainspring.core.drafts import HIDDEN, check_timezone
from mainspring.core.errors import Invalid
from mainspring.core.instants import iso, parse_iso

Typed = dict[str, str]

DEFAULTS: Typed = {
    "when": "cron",
    "cron_expr": "",
    "every": "",
    "every_unit": "m",
    "once_at": "",
    "dialect": "standard",
    "timezone": "UTC",
    "name": "",
    "target": "url",
    "url": "",
    "queue": "",
    "method": "POST",
    "payload": "",
    "headers": "",
    "retry": str(limits.RETRY_DEFAULT),
    "retry_delays": "",
    "timeout": str(limits.TIMEOUT_S_DEFAULT),
    "overlap": "skip",
    "catchup": "latest",
    "catchup_window": str(limits.CATCHUP_WINDOW_S_DEFAULT),
    "max_runs": "",
    "expect_status": "",
    "expect_body": "",
    "on_failure": "",
    "secret": "",
    "unsigned": "",
    "signature_style": "body",
    "retention_days": str(limits.RETENTION_DAYS_DEFAULT),
    "retention_runs": str(limits.RETENTION_RUNS_DEFAULT),
}
# Of these kinds the API can say where a run goes; of others it is the business of the door that made the schedule.
PLAIN = ("http_url", "queue")
UNITS = {"s": 1, "m": 60, "h": 3600}
# Fields of the API that are one field of the form: their names there.
_NUMBERS = {
    "retry": "retry",
    "timeout": "timeout_seconds",
    "catchup_window": "catchup_window_seconds",
    "max_runs": "max_runs",
    "retention_days": "retention_days",
    "retention_runs": "retention_runs",
}
_TEXTS = {
    "dialect": "dialect",
    "timezone": "timezone",
    "name": "name",
    "overlap": "overlap_policy",
    "catchup": "catchup",
    "on_failure": "on_failure_webhook",
}
_OF_REQUESTS = {"method": "method", "signature_style": "signature_style"}
_FAULTS = {"expect.status": "expect_status", "expect.body_regexp": "expect_body", "expect": "expect_status"} | {
    member: field for field, member in (_NUMBERS | _TEXTS | _OF_REQUESTS).items()
}
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_FRACTION = re.compile(r"[+-]?[0-9]{1,18}\.[0-9]{1,18}")
_EVERY = re.compile(r"@every +[0-9a-zµ.]+")


def typed_of(form: Mapping[str, str], stored: Typed) -> Typed:
    """What was typed; a field that the form did not have is as it is stored."""
    typed = {name: form.get(name, stored[name]) for name in DEFAULTS}
    return typed | {"unsigned": form.get("unsigned", "")}


def stored_of(record: Any) -> Typed:
    """A cron job of the REST API as the form shows it."""
    expect = record.expect
    status = "" if expect is None or expect.status == "2xx" else ", ".join(map(str, expect.status))
    delays = record.retry_delays
    queue = record.task_type == "queue"
    return {
        **DEFAULTS,
        **_stored_when(record),
        "dialect": record.dialect,
        "timezone": record.timezone,
        "name": record.name,
        "target": "queue" if queue else "url",
        "url": "" if queue else record.task,
        "queue": record.task if queue else "",
        "method": record.method,
        "payload": "" if record.payload is None else _lines(bytes(record.payload).decode("utf-8", "replace")),
        "headers": "".join(f"{name}: {HIDDEN}\n" for name in record.headers or {}).rstrip("\n"),
        "retry": str(record.retry),
        "retry_delays": "" if delays is None else ", ".join(f"{delay:g}" for delay in delays),
        "timeout": f"{record.timeout_seconds:g}",
        "overlap": record.overlap_policy,
        "catchup": record.catchup,
        "catchup_window": "" if record.catchup_window_seconds is None else str(record.catchup_window_seconds),
        "max_runs": "" if record.max_runs is None else str(record.max_runs),
        "expect_status": status,
        "expect_body": "" if expect is None or expect.body_regexp is None else _lines(expect.body_regexp),
        "on_failure": record.on_failure_webhook or "",
        "signature_style": record.signature_style,
        "retention_days": str(record.retention_days),
        "retention_runs": str(record.retention_runs),
    }


def _lines(text: str) -> str:
    """With line ends as a form brings them back."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _stored_when(record: Any) -> Typed:
    if record.run_at is not None:
        at = datetime.fromtimestamp(parse_iso(record.run_at, "run_at") / 1000, UTC)
        return {"when": "once", "once_at": at.astimezone(cron.zone(record.timezone)).strftime("%Y-%m-%dT%H:%M:%S")}
    if record.dialect == "standard" and _EVERY.fullmatch(record.cron_expr):
        seconds, rest = divmod(cron.parse(record.cron_expr, "standard").interval_ms or 1, 1000)
        if rest == 0:
            unit = next(name for name in ("h", "m", "s") if seconds % UNITS[name] == 0)
            return {"when": "every", "every": str(seconds // UNITS[unit]), "every_unit": unit}
    return {"when": "cron", "cron_expr": record.cron_expr}


def marks_of(stored: Typed) -> dict[str, str]:
    """A few letters for each field's value: whether it was changed meanwhile shows in them."""
    return {name: sha256(value.encode("utf-8", "replace")).hexdigest()[:12] for name, value in stored.items()}


def body_of(typed: Typed, stored: Typed, *, signed: bool = False) -> dict[str, Any]:
    """The members of the request that makes what is stored what was typed. `signed`: there is a secret to remove.

    Raises `Invalid` naming the field of the API.
    """
    body: dict[str, Any] = {}
    if (when := _when(typed)) != _when(stored):
        name, value = when[:2]
        body[name] = _instant(typed) if name == "run_at" else value
    for field, member in _TEXTS.items():
        if typed[field] != stored[field]:
            body[member] = typed[field] or None
    for field, member in _NUMBERS.items():
        if typed[field] != stored[field]:
            body[member] = number(typed[field])
    if typed["retry_delays"] != stored["retry_delays"]:
        body["retry_delays"] = [number(part) for part in _parts(typed["retry_delays"])] or None
    if typed["payload"] != stored["payload"]:
        body["payload"] = payload_of(typed["payload"])
    if _target(typed) != _target(stored):
        kind, address = _target(typed)
        body |= {"task": address, "task_type": "queue" if kind == "queue" else "http_url"}
    if typed["target"] == "url":
        _add_request(body, typed, stored, signed=signed)
    return body


def _add_request(body: dict[str, Any], typed: Typed, stored: Typed, *, signed: bool) -> None:
    """What only requests have: a queue knows none of it."""
    for field, member in _OF_REQUESTS.items():
        if typed[field] != stored[field]:
            body[member] = typed[field] or None
    if typed["headers"].strip() != stored["headers"]:
        body["headers"] = headers_of(typed["headers"])
    expected = typed["expect_status"].strip(), typed["expect_body"]
    if expected != (stored["expect_status"], stored["expect_body"]):
        body["expect"] = _expect(*expected)
    if typed["secret"]:
        body["secret"] = typed["secret"]
    elif typed["unsigned"] and signed:
        body["secret"] = None


def _when(typed: Typed) -> tuple[str, ...]:
    match typed["when"]:
        case "once":
            return "run_at", typed["once_at"], typed["timezone"]
        case "every":
            return "cron_expr", f"@every {typed['every'].strip()}{typed['every_unit']}"
        case _:
            return "cron_expr", typed["cron_expr"]


def expression_of(typed: Typed) -> str:
    """The expression that is meant, for one that is not for once."""
    return "" if typed["when"] == "once" else _when(typed)[1]


def _target(typed: Typed) -> tuple[str, str]:
    return typed["target"], typed["queue" if typed["target"] == "queue" else "url"].strip()


def _instant(typed: Typed) -> str:
    return iso(instant_of(typed["once_at"], typed["timezone"]))


def instant_of(local: str, timezone: str) -> int:
    """The instant (ms) of a local time; of one that is there twice the first. Raises `Invalid`."""
    check_timezone(timezone)
    if local.endswith(("Z", "z")):
        return parse_iso(local, "run_at")
    try:
        moment = datetime.fromisoformat(local)
    except ValueError:
        raise Invalid("run_at is no date with a time", hint="Write it like 2026-12-31T09:00.", field="run_at") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=cron.zone(timezone))
    try:
        return parse_iso(moment.astimezone(UTC).isoformat(timespec="milliseconds"), "run_at")
    except OverflowError:
        raise Invalid("run_at is too far away", hint="Give a year up to 2199.", field="run_at") from None


def number(text: str) -> int | float | str | None:
    """A number as JSON has it; what is none is sent as it is, for the API to refuse by name."""
    plain = text.strip()
    if not plain:
        return None
    return float(plain) if _FRACTION.fullmatch(plain) else int(plain) if _WHOLE.fullmatch(plain) else plain


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[,\s]+", text) if part]


def payload_of(text: str) -> msgspec.Raw | None:
    """JSON that is kept byte for byte; nothing for an empty text. Raises `Invalid`."""
    if not text.strip():
        return None
    raw = text.encode("utf-8", "replace")
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise Invalid(
            f"payload is not JSON: {reason}", hint="Texts stand between double quotes.", field="payload"
        ) from None
    return msgspec.Raw(raw)


def headers_of(text: str) -> dict[str, str] | None:
    """Headers from lines of `Name: value`. Raises `Invalid`."""
    headers: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Invalid(
                "headers has a line without a name and a colon", hint="Write each as Name: value.", field="headers"
            )
        if name.strip().lower() in map(str.lower, headers):
            raise Invalid(f"headers names {name.strip()[:64]} twice", hint="Write it once.", field="headers")
        headers[name.strip()] = value.strip()
    return headers or None


def _expect(status: str, body_regexp: str) -> dict[str, Any] | None:
    if not status and not body_regexp:
        return None
    parts: Any = "2xx" if status.lower() in ("", "2xx") else [number(part) for part in _parts(status)]
    return {"status": parts, "body_regexp": body_regexp or None}


def fault_of(refused_field: str | None, typed: Typed) -> str:
    """Which field of the form a field of the API is; empty for one that it does not have."""
    name = refused_field or ""
    first = re.split(r"[.\[]", name)[0]
    match first:
        case "cron_expr":
            return "every" if typed["when"] == "every" else "cron_expr"
        case "run_at":
            return "once_at"
        case "task" | "task_type":
            return typed["target"]
        case "expect":
            return _FAULTS.get(name, "expect_body" if "body" in name else "expect_status")
        case _:
            found = _FAULTS.get(first, first)
            return found if found in DEFAULTS else ""
