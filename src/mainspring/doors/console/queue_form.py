"""Forms about queues: what was typed becomes the body of an operation, and a refusal goes beside its field."""

from __future__ import annotations

import re
from typing import Any

from msgspec import DecodeError, Raw
from msgspec import json as msgspec_json

from mainspring.core import limits
from mainspring.core.errors import Invalid, Refused
from mainspring.core.limits import DAY, SECOND
from mainspring.core.queue_model import Queue
from mainspring.core.queue_names import check_name
from mainspring.doors.console.visit import Visit

_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
_SETTINGS = ("max_retries", "message_retention_days", "visibility_timeout_default")

# What a new queue starts from: the defaults, written out.
BLANK = {
    "name": "",
    "type": "standard",
    "dead_letter_queue": "",
    "max_retries": str(limits.QUEUE_RETRIES_DEFAULT),
    "message_retention_days": str(limits.MESSAGE_RETENTION_DAYS_DEFAULT),
    "visibility_timeout_default": str(limits.VISIBILITY_S_DEFAULT),
    "enable_priority": "on",
}


def typed_of(queue: Queue) -> dict[str, str]:
    """A queue's settings as the form shows them."""
    return {
        "dead_letter_queue": queue.dead_letters or "",
        "max_retries": str(queue.max_retries),
        "message_retention_days": f"{queue.retention_ms / DAY:g}",
        "visibility_timeout_default": f"{queue.visibility_ms / SECOND:g}",
        "enable_priority": "on" if queue.enable_priority else "",
    }


def settings(visit: Visit, typed: dict[str, str], kind: str) -> dict[str, Any]:
    """The body of create and update; what is empty has its default. Raises `Invalid` naming the field."""
    body: dict[str, Any] = {name: number(visit, typed, name) for name in _SETTINGS}
    body["dead_letter_queue"] = dead_letters(typed)
    body["enable_priority"] = kind != "fifo" and bool(typed.get("enable_priority"))
    if "type" in typed:
        body["type"] = kind
    return body


def dead_letters(typed: dict[str, str]) -> str | None:
    """The name of a queue for dead letters, None for an empty field. Raises `Invalid` naming the field."""
    name = typed.get("dead_letter_queue", "").strip()
    return check_name(name, "dead_letter_queue") if name else None


def again(typed: dict[str, str]) -> dict[str, str]:
    """What was typed, with nothing in the fields that browsers leave out when they are not ticked."""
    return {**dict.fromkeys(BLANK, ""), **typed}


def number(visit: Visit, typed: dict[str, str], field: str) -> float | None:
    """A number as it was typed, None for an empty field. Raises `Invalid` naming the field."""
    text = typed.get(field, "").strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise Invalid(visit.say("This is not a number."), field=field)
    return float(text) if "." in text else int(text)


def json_of(visit: Visit, text: str, field: str) -> Raw:
    """JSON exactly as it was typed. Raises `Invalid` naming the field."""
    try:
        raw = text.strip().encode()
        msgspec_json.decode(raw)
    except (DecodeError, UnicodeEncodeError) as wrong:
        raise Invalid(visit.say("This is not JSON: {reason}.", reason=str(wrong)), field=field) from None
    return Raw(raw)


def headers(visit: Visit, text: str, field: str = "headers") -> dict[str, str]:
    """Headers, one `Name: value` to a line. Raises `Invalid` naming the field."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip():
            raise Invalid(visit.say("Write one header to a line, as Name: value."), field=field)
        found[name.strip()] = value.strip()
    return found


def fault(visit: Visit, refused: Refused) -> dict[str, str]:
    """What was refused, by the field that it stands beside; under no name where there is no such field."""
    said = f"{refused.message}. {refused.hint}" if refused.hint else refused.message
    return {refused.field.partition(".")[0]: said} if refused.field else {"": visit.refused(refused)}
