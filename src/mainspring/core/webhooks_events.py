"""The service's own events, and the form in which every event is told. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from mainspring.core import ids
from mainspring.core.changes import Claim
from mainspring.core.errors import Invalid
from mainspring.core.instants import iso
from mainspring.core.limits import EVENT_CHARS_MAX, EVENT_FILTERS_MAX
from mainspring.core.timing import Due, PlannedGap
from mainspring.core.webhooks_model import DisabledEndpoint, OwnEvent

EVERYTHING = "*"
MESSAGES_NAMED_MAX = 100
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class _Body(msgspec.Struct, frozen=True):
    """The body of an event; `type` and `event` are equal."""

    id: str
    type: str
    event: str
    timestamp: str
    data: Raw


def body_of(event_id: int, kind: str, at: int, data: bytes) -> bytes:
    """What is sent for an event; `data` is JSON and goes in as it is."""
    return msgspec.json.encode(_Body(ids.text("evt", event_id), kind, kind, iso(at), Raw(data)))


def check_event(name: str, field: str = "event") -> str:
    """The name itself. Raises `Invalid` unless it is words joined by dots, at most 128 characters."""
    if len(name) > EVENT_CHARS_MAX or not _NAME.fullmatch(name):
        raise Invalid(
            f"{field} is {name[:40]!r}",
            hint=f"Use letters, digits, _ and -, joined by dots, at most {EVENT_CHARS_MAX} characters.",
            field=field,
        )
    return name


def checked_filters(filters: Sequence[str]) -> tuple[str, ...]:
    """The filters, each once: `*`, `prefix.*` or the name of an event. Raises `Invalid` naming `events`."""
    if not 1 <= len(filters) <= EVENT_FILTERS_MAX:
        raise Invalid(
            f"events has {len(filters)} filters",
            hint=f'Use 1 to {EVENT_FILTERS_MAX}; ["*"] is everything.',
            field="events",
        )
    for one in filters:
        if one != EVERYTHING:
            check_event(one.removesuffix(".*"), "events")
    return tuple(dict.fromkeys(filters))


def matches(filters: Sequence[str], name: str) -> bool:
    """Whether one of the filters lets the event through; `prefix.*` is everything below the prefix, not itself."""
    return any(one in (EVERYTHING, name) or (one.endswith(".*") and name.startswith(one[:-1])) for one in filters)


def run_failed(claim: Claim, at: int, status: int | None, error: str | None) -> OwnEvent:
    """A run of a cron job or a task has finally failed."""
    return _of_run("cron.run.failed", "failed", claim, at, status, error)


def run_recovered(claim: Claim, at: int, status: int | None) -> OwnEvent:
    """A run has succeeded whose schedule's last one had failed."""
    return _of_run("cron.run.recovered", "succeeded", claim, at, status, None)


def _of_run(kind: str, state: str, claim: Claim, at: int, status: int | None, error: str | None) -> OwnEvent:
    prefix = "task" if claim.kind == "task" else "cron"
    data = {
        "run_id": ids.text("run", claim.run_id),
        "cron_id": None if claim.schedule_id is None else ids.text(prefix, claim.schedule_id),
        "state": state,
        "trigger": claim.trigger,
        "scheduled_for": iso(claim.scheduled_for),
        "attempt": claim.attempt,
        "response_status": status,
        "error": error,
    }
    failed = kind == "cron.run.failed"
    return OwnEvent(
        project=claim.project,
        type="cron.run.failed" if failed else "cron.run.recovered",
        at=at,
        data=msgspec.json.encode(data),
        id=claim.run_id,
    )


def missed(due: Due, gap: PlannedGap, at: int) -> OwnEvent:
    """Instants of a schedule at which nothing ran, because nobody was there."""
    data = {
        "cron_id": ids.text("task" if due.kind == "task" else "cron", due.schedule_id),
        "from": iso(gap.from_at),
        "to": iso(gap.to_at),
        "count": gap.count,
        "reason": gap.reason,
    }
    return OwnEvent(due.project, "cron.missed", at, msgspec.json.encode(data))


def dead_lettered(
    project: str, queue: str, dead_letter_queue: str, message_ids: Sequence[int], reasons: Sequence[str], at: int
) -> OwnEvent:
    """Messages of a queue have failed for good; the first 100 are named."""
    data = {
        "queue": queue,
        "dead_letter_queue": dead_letter_queue,
        "count": len(message_ids),
        "message_ids": [ids.text("msg", one) for one in message_ids[:MESSAGES_NAMED_MAX]],
        "reasons": sorted(set(reasons)),
    }
    return OwnEvent(project, "queue.dead_lettered", at, msgspec.json.encode(data))


def endpoint_disabled(disabled: DisabledEndpoint, url: str, at: int) -> OwnEvent:
    """An endpoint was switched off, for the other endpoints to know."""
    data = {"endpoint_id": ids.text("wh", disabled.endpoint_id), "url": url, "reason": disabled.reason}
    return OwnEvent(disabled.project, "webhook.endpoint_disabled", at, msgspec.json.encode(data))
