"""Webhook deliveries over REST."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import UNSET, Raw, UnsetType

from mainspring.core import ids, webhooks
from mainspring.core.errors import Invalid
from mainspring.core.idempotency import Replay
from mainspring.core.instants import iso, parse_iso
from mainspring.core.limits import REPLAY_MAX
from mainspring.core.model import Attempt, Run, RunState
from mainspring.core.webhooks import RetryDraft, TargetDraft
from mainspring.core.webhooks_model import RUN_STATE_OF, Delivery, DeliveryFilter, Emitted, Replayed
from mainspring.doors.rest import webhook_results as made
from mainspring.doors.rest.calls import Call, answered, cut, instant_of, instant_or_none, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.requests import Nothing
from mainspring.doors.rest.webhook_requests import (
    DeliveriesOfQuery,
    DeliveriesQuery,
    EmitFields,
    ReplayFields,
    ReplayManyFields,
    RetryPolicy,
    SendFields,
)

T = TypeVar("T")
_STATUS: dict[RunState, made.DeliveryStatus] = {
    "queued": "pending",
    "running": "pending",
    "retrying": "pending",
    "succeeded": "delivered",
    "failed": "failed",
    "cancelled": "failed",
}


def given(value: T | None | UnsetType) -> T | None:
    """A value, None where none was given."""
    return None if isinstance(value, UnsetType) else value


def retry_draft(
    retry: int | tuple[float, ...] | RetryPolicy | None | UnsetType, field: str
) -> RetryDraft | None | UnsetType:
    """Retries in any of their forms. Raises `Invalid` naming `field`."""
    match retry:
        case None | UnsetType():
            return retry
        case int():
            return RetryDraft(count=retry)
        case tuple():
            return RetryDraft(delays=retry)
        case _:
            by_attempts = None if retry.max_attempts is None else retry.max_attempts - 1
            if None not in (by_attempts, retry.max_retries) and by_attempts != retry.max_retries:
                raise Invalid(
                    f"{field}.max_attempts and {field}.max_retries contradict each other",
                    hint="Give one of them; attempts are the first one and the retries.",
                    field=f"{field}.max_retries",
                )
            return RetryDraft(by_attempts if retry.max_retries is None else retry.max_retries, retry.delays)


def accepted_fields(delivery: Delivery) -> dict[str, Any]:
    """The fields of a `DeliveryAccepted`."""
    public, endpoint, original = ids.text("dlv", delivery.run.id), delivery.endpoint_id, delivery.replay_of
    return {
        "delivery_id": public,
        "id": public,
        "state": delivery.state,
        "url": delivery.url,
        "event": delivery.event,
        "endpoint_id": None if endpoint is None else ids.text("wh", endpoint),
        "replay_of": None if original is None else ids.text("dlv", original),
        "created_at": iso(delivery.run.created_at),
    }


def _accepted(delivery: Delivery) -> made.DeliveryAccepted:
    return made.DeliveryAccepted(**accepted_fields(delivery))


def _fields(delivery: Delivery, now: int) -> dict[str, Any]:
    run = delivery.run
    waits = run.state == "retrying" and run.due_at is not None and run.due_at > now
    return accepted_fields(delivery) | {
        "status": _STATUS[run.state],
        "webhook_id": ids.text("dlv", delivery.webhook_id),
        "payload": Raw(run.payload or b"{}"),
        "attempt": run.attempt,
        "attempted_at": instant_or_none(run.attempt_started_at),
        "destination_status": run.status,
        "response_status": run.status,
        "response_body": _text(run.body),
        "error": run.error,
        "next_attempt_at": instant_or_none(run.due_at) if waits else None,
        "finished_at": instant_or_none(run.finished_at),
    }


def record(delivery: Delivery, now: int) -> made.DeliveryRecord:
    """A delivery as lists show it."""
    return made.DeliveryRecord(**_fields(delivery, now))


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "replace")


def _attempts(run: Run, ended: tuple[Attempt, ...]) -> list[made.DeliveryAttempt]:
    shown = [
        made.DeliveryAttempt(
            attempt=one.attempt,
            started_at=iso(one.started_at),
            sent_at=instant_or_none(one.sent_at),
            finished_at=iso(one.ended_at),
            response_status=one.status,
            response_body=_text(one.body),
            error=one.error,
        )
        for one in ended
    ]
    if run.state == "running" and run.attempt_started_at is not None:
        began = iso(run.attempt_started_at)
        shown.append(made.DeliveryAttempt(run.attempt, began, None, None, None, None, None))
    return shown


async def send(call: Call[SendFields, Nothing]) -> made.DeliveryAccepted | Replay:
    """Send a payload to a URL."""
    body = call.body
    target = TargetDraft(
        url=body.url,
        secret=body.secret,
        signature_style=body.signature_style,
        headers=body.headers,
        retry=retry_draft(body.retry, "retry"),
        timeout_seconds=body.timeout_seconds,
    )
    payload = body.payload if isinstance(body.payload, bytes) else None
    sent = await webhooks.send(call.core, call.project, target, payload, given(body.event), call.once(_accepted))
    return answered(sent, _accepted)


def emitted(event: Emitted) -> made.EventEmitted:
    """What became of an event."""
    public = ids.text("evt", event.event_id)
    delivery_ids = [ids.text("dlv", one) for one in event.deliveries]
    return made.EventEmitted(public, public, event.type, len(delivery_ids), delivery_ids)


async def emit(call: Call[EmitFields, Nothing]) -> made.EventEmitted | Replay:
    """Send an event to every endpoint that listens for it."""
    data = call.body.payload if isinstance(call.body.payload, bytes) else None
    event = await webhooks.emit(call.core, call.project, given(call.body.event), data, call.once(emitted))
    return answered(event, emitted)


async def get(call: Call[Nothing, Nothing]) -> made.DeliveryWithAttempts:
    """One delivery, with its attempts."""
    found = await webhooks.get(call.core, call.project, row_key("dlv", call.path[0]))
    shown = _attempts(found.delivery.run, found.attempts)
    return made.DeliveryWithAttempts(**_fields(found.delivery, call.now), attempts=shown)


async def attempts(call: Call[Nothing, Nothing]) -> made.DeliveryAttempts:
    """The attempts of a delivery."""
    found = await webhooks.get(call.core, call.project, row_key("dlv", call.path[0]))
    run = found.delivery.run
    return made.DeliveryAttempts(ids.text("dlv", run.id), found.delivery.state, _attempts(run, found.attempts))


def filter_of(query: DeliveriesOfQuery, endpoint_id: int | None) -> DeliveryFilter:
    """Which deliveries a listing asks for. Raises `Invalid`."""
    return DeliveryFilter(
        state=None if query.state is UNSET else RUN_STATE_OF[query.state],
        event=given(query.event),
        endpoint_id=endpoint_id,
        since=0 if query.since is UNSET else parse_iso(query.since, "since"),
        until=None if query.until is UNSET else parse_iso(query.until, "until"),
    )


async def page(call: Call[Nothing, DeliveriesQuery]) -> made.DeliveryPage:
    """Deliveries, newest first."""
    query = call.query
    endpoint_id = None if query.endpoint_id is UNSET else row_key("wh", query.endpoint_id)
    where = page_of(query, Listing.DELIVERIES, 1)
    found = await webhooks.page(call.core, call.project, filter_of(query, endpoint_id), where)
    rows, following = cut(found, query, Listing.DELIVERIES, lambda one: (one.run.id,))
    return made.DeliveryPage([record(one, call.now) for one in rows], following)


async def replay(call: Call[ReplayFields, Nothing]) -> made.DeliveryAccepted | Replay:
    """Send a delivery that is over once more."""

    def render(again: Replayed) -> made.DeliveryAccepted:
        return _accepted(again.deliveries[0])

    key, new_id = row_key("dlv", call.path[0]), given(call.body.new_id) or False
    again = await webhooks.replay(call.core, call.project, key, call.once(render), new_id=new_id)
    return answered(again, render)


def replays(again: Replayed) -> made.Replays:
    """What was sent again."""
    sent = [ids.text("dlv", one.run.id) for one in again.deliveries]
    return made.Replays(dry_run=False, count=len(sent), replayed=len(sent), more=again.more, delivery_ids=sent)


async def replay_many(call: Call[ReplayManyFields, Nothing]) -> made.Replays | Replay:
    """Send many deliveries once more, or count them."""
    body = call.body
    since, until = instant_of(body.since, "since"), instant_of(body.until, "until")
    wanted = DeliveryFilter(
        state=RUN_STATE_OF[given(body.status) or "failed"],
        event=given(body.event),
        endpoint_id=None if not isinstance(body.endpoint_id, str) else row_key("wh", body.endpoint_id),
        since=since if isinstance(since, int) else 0,
        until=until if isinstance(until, int) else None,
        unreplayed=True,
    )
    if body.dry_run is True:
        count = await webhooks.replayable(call.core, call.project, wanted)
        return made.Replays(dry_run=True, count=count, replayed=0, more=False, delivery_ids=[])
    limit, new_id = given(body.limit) or REPLAY_MAX, given(body.new_id) or False
    again = await webhooks.replay_many(call.core, call.project, wanted, limit, call.once(replays), new_id=new_id)
    return answered(again, replays)


async def cancel(call: Call[Nothing, Nothing]) -> made.DeliveryAccepted | Replay:
    """Try a delivery no more."""
    key = row_key("dlv", call.path[0])
    return answered(await webhooks.cancel(call.core, call.project, key, call.once(_accepted)), _accepted)
