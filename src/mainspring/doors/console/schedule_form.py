"""The form of a schedule: a new one, a changed one, a copy."""

from __future__ import annotations

from functools import cache
from pkgutil import get_data
from typing import Any

import msgspec
from starlette.responses import Response

from mainspring.core import cron, tokens
from mainspring.core.drafts import METHODS
from mainspring.core.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Unavailable
from mainspring.doors.console import schedule_preview
from mainspring.doors.console.routing import Page
from mainspring.doors.console.schedule_fields import (
    DEFAULTS,
    PLAIN,
    Typed,
    body_of,
    fault_of,
    marks_of,
    stored_of,
    typed_of,
)
from mainspring.doors.console.visit import Visit

# Which fields stand behind which fold of the form; a fold with something in it is open.
FOLDS = {
    "request": ("headers", "secret", "signature_style", "expect_status", "expect_body"),
    "failing": ("retry", "retry_delays", "timeout", "on_failure"),
    "rules": ("overlap", "catchup", "catchup_window", "max_runs", "retention_days", "retention_runs"),
}
LABELS = {
    "name": "Name",
    "when": "When",
    "cron_expr": "Cron expression",
    "every": "Every",
    "every_unit": "Unit",
    "once_at": "At",
    "dialect": "Dialect",
    "timezone": "Time zone",
    "target": "Target",
    "url": "URL",
    "queue": "Queue",
    "method": "Method",
    "payload": "Payload (JSON)",
    "headers": "Headers",
    "retry": "Retries",
    "retry_delays": "Seconds before each retry",
    "timeout": "Timeout in seconds",
    "overlap": "When the last run is still going",
    "catchup": "Instants that passed while nothing ran",
    "catchup_window": "Catch up to how late (seconds)",
    "max_runs": "Complete after so many runs",
    "expect_status": "Expected status",
    "expect_body": "Expected in the body (RE2)",
    "on_failure": "Webhook on final failure",
    "signature_style": "Signature",
    "retention_days": "Keep finished runs for days",
    "retention_runs": "Keep at most so many runs",
}
TEXTS = tuple(LABELS.values())


class Draft(msgspec.Struct, frozen=True):
    """The form as it is shown. `faults`: field → what is wrong with it; `others`: field → what somebody else has
    stored there meanwhile, where this form says something else."""

    typed: Typed
    marks: str = ""
    faults: dict[str, str] = {}
    said: str = ""
    others: dict[str, str] = {}


@cache
def zone_names() -> tuple[str, ...]:
    """Every IANA time zone that schedules can have."""
    data = get_data("tzdata", "zones")
    assert data is not None, "the package of the time zones is there"
    return tuple(sorted(data.decode("ascii").split()))


async def new(visit: Visit) -> Response:
    """An empty form."""
    tokens.require(visit.principal, "cron:write")
    return await _show(visit, Draft(DEFAULTS), "new", None)


async def copy(visit: Visit) -> Response:
    """A form with all that a schedule has but the values of its headers and its secret."""
    tokens.require(visit.principal, "cron:write")
    record = await visit.call("cron.get", visit.path["id"])
    if record.task_type not in PLAIN:
        raise Conflict(
            f"a schedule of the type {record.task_type} cannot be made here",
            hint="Make it where the other one was made.",
        )
    return await _show(visit, Draft(stored_of(record)), "new", None)


async def edit(visit: Visit) -> Response:
    """A form with all that a schedule has."""
    tokens.require(visit.principal, "cron:write")
    record = await visit.call("cron.get", visit.path["id"])
    stored = stored_of(record)
    return await _show(visit, Draft(stored, _marks_text(stored)), "edit", record)


async def create(visit: Visit) -> Response:
    """Make what was typed."""
    typed = typed_of(visit.form, DEFAULTS)
    try:
        body = body_of(typed, DEFAULTS)
        made = await visit.call("cron.create", body=body)
    except (Forbidden, Unavailable):
        raise
    except Refused as refused:
        return await _show(visit, _faulty(visit, Draft(typed), refused), "new", None, status=422)
    return visit.back(f"/schedules/{made.id}", "Made the schedule {name}.", name=made.name)


async def save(visit: Visit) -> Response:
    """Change what was changed in the form, unless somebody else has been there first."""
    record = await visit.call("cron.get", visit.path["id"])
    stored = stored_of(record)
    typed = typed_of(visit.form, stored)
    seen = _seen(visit.form.get("marks", ""))
    now, mine = marks_of(stored), marks_of(typed)
    changed = {name for name in DEFAULTS if name in seen and seen[name] != now[name]}
    # What this form left as it was keeps what somebody else has made of it.
    typed |= {name: stored[name] for name in changed if mine[name] == seen[name]}
    draft = Draft(typed, _marks_text(stored))
    if changed:
        others = {name: stored[name] for name in changed if typed[name] != stored[name]}
        said = visit.say(
            "Somebody else has changed this schedule while you were at it. Nothing is saved yet: look over the fields "
            "and save again."
        )
        draft = msgspec.structs.replace(draft, others=others, said=said)
        return await _show(visit, draft, "edit", record, status=409)
    try:
        body = body_of(typed, stored, signed=record.signed)
        if not body:
            return visit.back(f"/schedules/{record.id}", "Nothing was changed.")
        made = await visit.call("cron.update", record.id, body=body)
    except (Forbidden, Unavailable, NotFound):
        raise
    except Refused as refused:
        return await _show(visit, _faulty(visit, draft, refused), "edit", record, status=422)
    return visit.back(f"/schedules/{made.id}", "Saved {name}.", name=made.name)


def _marks_text(stored: Typed) -> str:
    return msgspec.json.encode(marks_of(stored)).decode()


def _seen(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        raise Invalid("the form cannot be read", hint="Open it again.") from None


def _faulty(visit: Visit, draft: Draft, refused: Refused) -> Draft:
    field = fault_of(refused.field, draft.typed)
    said = f"{refused.message}. {refused.hint}" if refused.hint else refused.message
    shown = visit.refused(refused) if not field else visit.say("One field needs a change before this can be saved.")
    return msgspec.structs.replace(draft, faults={field: said} if field else {}, said=shown)


async def _show(visit: Visit, draft: Draft, purpose: str, record: Any, *, status: int = 200) -> Response:
    typed = draft.typed | {"secret": ""} if "secret" in draft.faults else draft.typed
    marked = {*draft.faults, *draft.others}
    opened = {
        fold: any(typed[name] != DEFAULTS[name] for name in names) or not marked.isdisjoint(names)
        for fold, names in FOLDS.items()
    }
    return visit.show(
        "schedule_form.html",
        status,
        draft=draft,
        typed=typed,
        purpose=purpose,
        record=record,
        plain=record is None or record.task_type in PLAIN,
        opened=opened,
        labels=LABELS,
        zones=zone_names(),
        dialects=[(name, name) for name in cron.DIALECTS],
        methods=[(name, name) for name in METHODS],
        meaning=await schedule_preview.meaning_of(visit, typed),
        timezone=typed["timezone"],
    )


PAGES = (
    Page("GET", "/schedules/new", new),
    Page("POST", "/schedules/new", create),
    Page("GET", "/schedules/preview", schedule_preview.preview),
    Page("GET", "/schedules/{id}/edit", edit),
    Page("POST", "/schedules/{id}/edit", save),
    Page("GET", "/schedules/{id}/copy", copy),
)
