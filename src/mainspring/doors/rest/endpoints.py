"""Endpoints over REST."""

from __future__ import annotations

import os
from typing import Any

from msgspec import UNSET

from mainspring.core import ids, webhooks_endpoints
from mainspring.core.drafts import HIDDEN, opened_headers
from mainspring.core.errors import Invalid
from mainspring.core.idempotency import Replay
from mainspring.core.instants import iso, parse_iso
from mainspring.core.limits import REPLAY_MAX, SECOND
from mainspring.core.ports import Vault
from mainspring.core.webhooks import TargetDraft
from mainspring.core.webhooks_endpoints import EndpointDraft, new_secret
from mainspring.core.webhooks_model import EndpointEntry
from mainspring.doors.rest import webhook_results as made
from mainspring.doors.rest.calls import Call, answered, cut, instant_or_none, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.requests import Nothing, PageQuery
from mainspring.doors.rest.webhook_requests import (
    DeliveriesOfQuery,
    EndpointFields,
    RecoverFields,
    RegisterFields,
    RotateSecretFields,
)
from mainspring.doors.rest.webhooks import emitted, filter_of, given, record, replays, retry_draft


def _fields(vault: Vault, now: int, entry: EndpointEntry) -> dict[str, Any]:
    endpoint, target, circuit = entry.endpoint, entry.target, entry.circuit
    public, state = ids.text("wh", endpoint.id), entry.state(now)
    delays = target.retry_delays_ms
    earlier = endpoint.earlier_until
    return {
        "id": public,
        "endpoint_id": public,
        "webhook_id": public,
        "url": target.address,
        "events": endpoint.events,
        "description": endpoint.description,
        "enabled": endpoint.disabled_at is None,
        "state": state,
        "disabled_at": instant_or_none(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_because,
        "failing_since": instant_or_none(circuit.failing_since),
        "failures_in_a_row": circuit.streak,
        "resting_until": iso(circuit.open_until) if state == "resting" else None,
        "headers": None if target.headers is None else dict.fromkeys(opened_headers(vault, target), HIDDEN),
        "signature_style": target.signature_style,
        "retry_policy": made.RetryPolicyRecord(
            max_attempts=target.retry + 1,
            max_retries=target.retry,
            delays=None if delays is None else [_plain(delay / SECOND) for delay in delays],
        ),
        "timeout_seconds": _plain(target.timeout_ms / SECOND),
        "max_concurrency": endpoint.max_concurrency,
        "rate_limit": None if endpoint.rate_milli is None else _plain(endpoint.rate_milli / 1_000),
        "ordered": endpoint.ordered,
        "previous_secret_valid_until": iso(earlier) if earlier is not None and earlier > now else None,
        "created_at": iso(endpoint.created_at),
        "updated_at": iso(endpoint.updated_at),
    }


def _plain(number: float) -> float:
    """Whole numbers without a fraction, as they were given."""
    return int(number) if number.is_integer() else number


def _record(vault: Vault, now: int, entry: EndpointEntry) -> made.EndpointRecord:
    return made.EndpointRecord(**_fields(vault, now, entry))


def _draft(body: EndpointFields) -> EndpointDraft:
    target = TargetDraft(
        url=UNSET if body.url is None else body.url,
        signature_style=body.signature_style,
        headers=body.headers,
        retry=retry_draft(body.retry_policy, "retry_policy"),
        timeout_seconds=body.timeout_seconds,
    )
    return EndpointDraft(
        target=target,
        events=body.events,
        description=body.description,
        max_concurrency=body.max_concurrency,
        rate_limit=body.rate_limit,
        ordered=body.ordered,
        enabled=body.enabled,
    )


def _secret(chosen: object) -> str:
    return chosen if isinstance(chosen, str) else new_secret(os.urandom(webhooks_endpoints.SECRET_BYTES))


async def register(call: Call[RegisterFields, Nothing]) -> made.EndpointWithSecret | Replay:
    """Make an endpoint; its secret is in this answer only."""
    secret = _secret(call.body.secret)

    def render(entry: EndpointEntry) -> made.EndpointWithSecret:
        return made.EndpointWithSecret(**_fields(call.core.vault, call.now, entry), secret=secret)

    def bare(entry: EndpointEntry) -> made.EndpointWithSecret:
        return made.EndpointWithSecret(**_fields(call.core.vault, call.now, entry), secret=None)

    once = call.once(render, bare)
    entry = await webhooks_endpoints.register(call.core, call.now, call.project, _draft(call.body), secret, once)
    return answered(entry, render)


async def page(call: Call[Nothing, PageQuery]) -> made.EndpointPage:
    """Endpoints, newest first."""
    found = await webhooks_endpoints.page(call.core, call.project, page_of(call.query, Listing.ENDPOINTS, 1))
    rows, following = cut(found, call.query, Listing.ENDPOINTS, lambda entry: (entry.endpoint.id,))
    return made.EndpointPage([_record(call.core.vault, call.now, entry) for entry in rows], following)


async def get(call: Call[Nothing, Nothing]) -> made.EndpointRecord:
    """One endpoint."""
    entry = await webhooks_endpoints.get(call.core, call.project, row_key("wh", call.path[0]))
    return _record(call.core.vault, call.now, entry)


async def update(call: Call[EndpointFields, Nothing]) -> made.EndpointRecord | Replay:
    """Change what the body names."""

    def render(entry: EndpointEntry) -> made.EndpointRecord:
        return _record(call.core.vault, call.now, entry)

    key, draft = row_key("wh", call.path[0]), _draft(call.body)
    entry = await webhooks_endpoints.update(call.core, call.now, call.project, key, draft, call.once(render))
    return answered(entry, render)


async def delete(call: Call[Nothing, Nothing]) -> made.EndpointDeleted | Replay:
    """Send nothing there any more; once more is no error."""
    public = call.path[0]

    def render(_: object) -> made.EndpointDeleted:
        return made.EndpointDeleted(id=public, endpoint_id=public, webhook_id=public, deleted=True)

    deleted = await webhooks_endpoints.delete(call.core, call.project, row_key("wh", public), call.once(render))
    return answered(await call.recall() if deleted is None else deleted, render)


async def rotate(call: Call[RotateSecretFields, Nothing]) -> made.EndpointWithSecret | Replay:
    """Sign with a new secret, for a while with the old one as well."""
    secret, hours = _secret(call.body.secret), given(call.body.grace_hours)

    def render(entry: EndpointEntry) -> made.EndpointWithSecret:
        return made.EndpointWithSecret(**_fields(call.core.vault, call.now, entry), secret=secret)

    def bare(entry: EndpointEntry) -> made.EndpointWithSecret:
        return made.EndpointWithSecret(**_fields(call.core.vault, call.now, entry), secret=None)

    key, once = row_key("wh", call.path[0]), call.once(render, bare)
    entry = await webhooks_endpoints.rotate(call.core, call.now, call.project, key, secret, hours, once)
    return answered(entry, render)


async def test(call: Call[Nothing, Nothing]) -> made.EventEmitted | Replay:
    """Send an event of the type `test`."""
    key = row_key("wh", call.path[0])
    return answered(await webhooks_endpoints.test(call.core, call.project, key, call.once(emitted)), emitted)


async def recover(call: Call[RecoverFields, Nothing]) -> made.Replays | Replay:
    """Send once more what failed since an instant."""
    if not isinstance(call.body.since, str):
        raise Invalid("since is missing", hint="Give the instant from which on to recover.", field="since")
    key, since, limit = row_key("wh", call.path[0]), parse_iso(call.body.since, "since"), given(call.body.limit)
    again = await webhooks_endpoints.recover(
        call.core, call.project, key, since, limit or REPLAY_MAX, call.once(replays)
    )
    return answered(again, replays)


async def deliveries(call: Call[Nothing, DeliveriesOfQuery]) -> made.EndpointDeliveries:
    """What was made for an endpoint, newest first."""
    key, query = row_key("wh", call.path[0]), call.query
    where = page_of(query, Listing.ENDPOINT_DELIVERIES, 1)
    found = await webhooks_endpoints.deliveries(call.core, call.project, key, filter_of(query, key), where)
    rows, following = cut(found, query, Listing.ENDPOINT_DELIVERIES, lambda one: (one.run.id,))
    shown = [record(one, call.now) for one in rows]
    return made.EndpointDeliveries(shown, shown, following)
