"""Webhooks: the list of endpoints, and an event to try things out."""

from __future__ import annotations

from typing import get_args

import msgspec
from starlette.responses import Response

from mainspring.core import tokens
from mainspring.core.errors import Invalid, Refused
from mainspring.core.webhooks_model import EndpointState
from mainspring.doors.console import deliveries, delivery, endpoint, endpoint_form
from mainspring.doors.console.routing import Page
from mainspring.doors.console.run_query import place_of, public, written
from mainspring.doors.console.visit import Visit, one_of

PAGE = 50
STATES: tuple[EndpointState, ...] = get_args(EndpointState)
TEXTS = ("active", "failing", "resting", "disabled")


async def page(visit: Visit) -> Response:
    """The endpoints."""
    tokens.require(visit.principal, "webhook:read")
    state = one_of(visit.query.get("state"), STATES)
    text = visit.query.get("q", "").strip()[:200]
    before = place_of(visit.query.get("cursor", ""))
    found = await visit.core.store.views.webhooks.endpoints(
        visit.project,
        visit.now,
        state,
        text,
        None if before is None else before[0],
        PAGE,
    )
    return visit.show(
        "webhooks.html",
        found=found,
        states=STATES,
        state=state,
        q=text,
        query={"state": state, "q": text},
        following=None if found.following is None else written((found.following, 0)),
        endpoint_id=public("wh"),
        delivery_id=public("dlv"),
    )


async def emit_form(visit: Visit) -> Response:
    """A form for an event."""
    tokens.require(visit.principal, "webhook:write")
    return _emit_page(visit, {"event": visit.query.get("event", ""), "payload": '{"hello": "world"}'}, None)


async def emit(visit: Visit) -> Response:
    """Send an event to every endpoint that listens for it."""
    given = {name: visit.form.get(name, "") for name in ("event", "payload")}
    try:
        body = {"event": given["event"].strip(), "payload": json_of(given["payload"], "payload")}
        made = await visit.call("webhook.emit", body=body)
    except Invalid as refused:
        return _emit_page(visit, given, refused)
    if not made.deliveries:
        return visit.back("/webhooks", "No endpoint listens for {event}: nothing was sent.", event=made.event)
    count = made.deliveries
    return visit.back("/webhooks/deliveries", "{event} goes to {count} endpoints.", event=made.event, count=count)


def json_of(text: str, field: str) -> msgspec.Raw:
    """JSON as it was typed; nothing typed is an empty object. Raises `Invalid` naming `field`."""
    raw = text.strip().encode("utf-8", "replace") or b"{}"
    try:
        msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise Invalid(f"this is not JSON: {error}", hint="Quote names and texts.", field=field) from None
    return msgspec.Raw(raw)


def _emit_page(visit: Visit, given: dict[str, str], refused: Refused | None) -> Response:
    return visit.show("webhook_emit.html", 200 if refused is None else 422, given=given, refused=refused)


PAGES = (
    Page("GET", "/webhooks", page),
    Page("GET", "/webhooks/emit", emit_form),
    Page("POST", "/webhooks/emit", emit),
    *endpoint_form.PAGES,
    *deliveries.PAGES,
    *delivery.PAGES,
    *endpoint.PAGES,
)
