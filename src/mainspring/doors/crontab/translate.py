"""The words of the crontab door and those of the core: an item to a draft, a refusal to a result. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.core import cron
from mainspring.core.drafts import Draft, is_json
from mainspring.core.errors import Refused, Unavailable
from mainspring.core.limits import (
    CATCHUP_WINDOW_S_DEFAULT,
    CATCHUP_WINDOW_S_MAX,
    CRONTAB_TIMEOUT_S,
    INSTANT_MAX,
    REGEXP_CHARS_MAX,
    SECOND,
)
from mainspring.core.model import Catchup, CrontabTask, Entry, Expect, Target, TargetKind
from mainspring.doors.crontab.reading import (
    CALLBACK,
    IDENTITY,
    PARAMETER,
    START_TIME,
    SYSTEM,
    TYPE,
    Item,
    Wrong,
    body_of,
    number_of,
    text_of,
)

DIALECT = "go-crontab"
ENABLED, DISABLED = 1, 2
JSON, FORM = 1, 2
SINGLE, INTERVAL, HOURLY, DAILY, MONTHLY, YEARLY, WEEKLY = range(1, 8)
ANYTHING = "*"

_STAMP = re.compile(r"\s*\+?([0-9]{1,19})\s*", re.ASCII)
_DELAY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The input at fault, in the words of the core: what it is called here, and the code of such a fault.
_FIELDS = {
    "cron_expr": ("start_time", START_TIME),
    "run_at": ("start_time", START_TIME),
    "timezone": ("start_time", START_TIME),
    "task": ("url", CALLBACK),
    "method": ("method", CALLBACK),
    "payload": ("body", CALLBACK),
    "expect.body_regexp": ("resp_regexp", CALLBACK),
    "retry_delays": ("redo_param", CALLBACK),
}


class Asked(msgspec.Struct, frozen=True):
    """Which task an item is about; the number goes before the name."""

    task_id: int | None
    name: str | None


class When(msgspec.Struct, frozen=True):
    """What `type` and `start_time` say, in the words of the core; `once`: a single fire of the expression."""

    cron_expr: str | None
    run_at: int | None
    once: bool
    starts_at: int | None
    catchup: Catchup


def asked_of(item: Item) -> Asked:
    """Raises `Wrong`, also when it names neither."""
    task_id, name = number_of(item, "task_id", IDENTITY), text_of(item, "name", IDENTITY)
    if task_id is None and name is None:
        raise Wrong(IDENTITY, "task_id and name are missing: give one of them")
    return Asked(task_id, name)


def new_draft(item: Item, zone: str) -> Draft:
    """The draft of a task to be added, its times in `zone`. Raises `Wrong`."""
    name = _needed(text_of(item, "name"), "name", PARAMETER)
    task_type = _needed(_type_of(item), "type", TYPE)
    start_time = _needed(text_of(item, "start_time", START_TIME), "start_time", START_TIME)
    enabled = _needed(_enabled_of(item), "enable", PARAMETER)
    method = _needed(text_of(item, "method", CALLBACK), "method", CALLBACK)
    url = _needed(text_of(item, "url", CALLBACK), "url", CALLBACK)
    when = when_of(task_type, start_time, zone)
    payload = body_of(item)
    target_kind = kind_of(method, _body_type_of(item) or JSON, payload)
    delays = _delays_of(item)
    return Draft(
        name=name,
        timezone=zone,
        overlap="allow",
        url=url,
        method=method,
        payload=payload,
        kind=target_kind,
        expect=_expect(_regexp_of(item), target_kind),
        retry=0 if delays is UNSET else UNSET,
        retry_delays=delays,
        timeout_seconds=CRONTAB_TIMEOUT_S,
        enabled=enabled,
        crontab=CrontabTask(name, number_of(item, "module") or 0, task_type, start_time, when.starts_at),
        **_timing(when, 0),
    )


def changed_draft(item: Item, entry: Entry) -> Draft:
    """The draft of a change: what the item names, the rest as it is. Raises `Wrong`."""
    kept = entry.crontab
    assert kept is not None, "found among those made at this door"
    task_type = _type_of(item) or kept.type
    start_time = text_of(item, "start_time", START_TIME) or kept.start_time
    module = number_of(item, "module")
    timing: dict[str, Any] = {}
    starts_at = kept.starts_at
    if _type_of(item) is not None or "start_time" in item:
        when = when_of(task_type, start_time, entry.schedule.timezone)
        same = (task_type, start_time) == (kept.type, kept.start_time)
        as_it_is = (when.cron_expr, when.run_at) == (entry.schedule.cron_expr, entry.schedule.run_at)
        if not (same and as_it_is):
            timing, starts_at = _timing(when, entry.progress.run_count), when.starts_at
    enabled = _enabled_of(item)
    return Draft(
        enabled=UNSET if enabled is None else enabled,
        retry_delays=_delays_of(item),
        crontab=msgspec.structs.replace(
            kept,
            module=kept.module if module is None else module,
            type=task_type,
            start_time=start_time,
            starts_at=starts_at,
        ),
        **_changed_target(item, entry.target),
        **timing,
    )


def _changed_target(item: Item, old: Target) -> dict[str, Any]:
    method, url, payload = text_of(item, "method", CALLBACK), text_of(item, "url", CALLBACK), body_of(item)
    body_type = _body_type_of(item) or (FORM if old.kind == "form" else JSON)
    kind = kind_of(method or old.method, body_type, old.payload if payload is None else payload)
    fields: dict[str, Any] = {"kind": kind, "payload": UNSET if payload is None else payload}
    if method is not None:
        fields["method"] = method
    if url is not None:
        fields["url"] = url
    regexp = _regexp_of(item)
    if regexp is not UNSET or (kind == "rpc") != (old.kind == "rpc"):
        stored = old.expect.body_regexp if old.expect is not None else None
        fields["expect"] = _expect(stored if regexp is UNSET else regexp, kind)
    return fields


def when_of(task_type: int, start_time: str, zone: str) -> When:
    """What `type` and `start_time` (Unix seconds, or a cron text) say together. Raises `Wrong`."""
    stamp = _STAMP.fullmatch(start_time)
    once = task_type == SINGLE
    if stamp is None:
        return When(start_time, None, once, None, "latest" if once else "skip")
    instant = int(stamp[1]) * SECOND
    if instant > INSTANT_MAX:
        raise Wrong(START_TIME, "start_time is not before the year 2200; Unix time is given in seconds here")
    if once:
        return When(None, instant, False, None, "all")
    if task_type == INTERVAL:
        raise Wrong(
            START_TIME, "start_time is an instant, which says no interval; give a cron text like `@every 90s` instead"
        )
    return When(_recurring(task_type, instant, zone), None, False, instant, "skip")


def _recurring(task_type: int, instant: int, zone: str) -> str:
    """The cron text that fires at this instant and each hour, day, month, year or week after it."""
    local = moment_in(instant, zone)
    second, minute, hour = local.second, local.minute, local.hour
    match task_type:
        case 3:
            return f"{second} {minute} * * * *"
        case 4:
            return f"{second} {minute} {hour} * * *"
        case 5:
            return f"{second} {minute} {hour} {local.day} * *"
        case 6:
            return f"{second} {minute} {hour} {local.day} {local.month} *"
        case _:
            return f"{second} {minute} {hour} * * {local.isoweekday() % 7}"


def moment_in(instant: int, zone: str) -> datetime:
    """The local time of an instant (ms)."""
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(cron.zone(zone))


def _timing(when: When, run_count: int) -> dict[str, Any]:
    """The timing of a draft; what is to fire once more may, whatever it has fired before."""
    return {
        "cron_expr": UNSET if when.cron_expr is None else when.cron_expr,
        "run_at": UNSET if when.run_at is None else when.run_at,
        "dialect": DIALECT,
        "max_runs": run_count + 1 if when.once else None,
        "catchup": when.catchup,
        "catchup_window_seconds": CATCHUP_WINDOW_S_MAX if when.once else CATCHUP_WINDOW_S_DEFAULT,
    }


def kind_of(method: str, body_type: int, payload: bytes | None) -> TargetKind:
    """The kind of target that these make together."""
    if method.lower() == "rpc":
        return "rpc"
    if body_type == FORM:
        return "form"
    return "http" if payload is None or is_json(payload) else "text"


def _expect(regexp: str | None | UnsetType, kind: TargetKind) -> Expect | None:
    """Success is the status 200 exactly, where there is one, and a body in which the pattern is found."""
    pattern = None if regexp is UNSET else regexp
    if kind == "rpc":
        return None if pattern is None else Expect(None, pattern)
    return Expect((200,), pattern)


def _needed(value: Any, name: str, code: int) -> Any:
    if value is None:
        raise Wrong(code, f"{name} is missing")
    return value


def _type_of(item: Item) -> int | None:
    given = number_of(item, "type", TYPE)
    if given is not None and not SINGLE <= given <= WEEKLY:
        raise Wrong(TYPE, f"type is {given}; use {SINGLE} to {WEEKLY}")
    return given


def _enabled_of(item: Item) -> bool | None:
    given = number_of(item, "enable")
    if given not in (None, ENABLED, DISABLED):
        raise Wrong(PARAMETER, f"enable is {given}; use {ENABLED} for on or {DISABLED} for off")
    return None if given is None else given == ENABLED


def _body_type_of(item: Item) -> int | None:
    given = number_of(item, "body_type", CALLBACK)
    if given not in (None, JSON, FORM):
        raise Wrong(CALLBACK, f"body_type is {given}; use {JSON} for JSON or {FORM} for a form")
    return given


def _regexp_of(item: Item) -> str | None | UnsetType:
    """The pattern; None for the one that stands for anything, UNSET when there is none."""
    given = text_of(item, "resp_regexp", CALLBACK)
    if given is None:
        return UNSET
    if len(given) > REGEXP_CHARS_MAX:
        raise Wrong(CALLBACK, f"resp_regexp has {len(given)} characters; use at most {REGEXP_CHARS_MAX}")
    return None if given == ANYTHING else given


def _delays_of(item: Item) -> tuple[float, ...] | UnsetType:
    given = text_of(item, "redo_param", CALLBACK)
    if given is None or not (words := given.split()):
        return UNSET
    if not all(_DELAY.fullmatch(word) for word in words):
        raise Wrong(CALLBACK, "redo_param is not a list of seconds like `2 4 8`")
    return tuple(float(word) for word in words)


def wrong_of(refused: Refused) -> Wrong:
    """A refusal of the core in the words of this door."""
    if isinstance(refused, Unavailable):
        return Wrong(SYSTEM, refused.message)
    name, code = _FIELDS.get(refused.field or "", (refused.field or "", PARAMETER))
    message = refused.message
    if refused.field is not None and message.startswith(refused.field):
        message = name + message.removeprefix(refused.field)
    return Wrong(code, f"{message}. {refused.hint}" if refused.hint else message)
