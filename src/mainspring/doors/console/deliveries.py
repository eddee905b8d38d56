"""Deliveries of webhooks: the list, and those picked once more or no more."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from mainspring.core import ids, tokens
from mainspring.core.errors import Invalid
from mainspring.doors.console.bulk import Tally, picks, work_off
from mainspring.doors.console.delivery_list import STATES, asked_of
from mainspring.doors.console.routing import Page
from mainspring.doors.console.run_query import place_of, public, written
from mainspring.doors.console.visit import Note, Visit

PAGE = 50
OPERATIONS = {"replay": "webhook.replay", "cancel": "webhook.cancel"}
DONE = {"replay": "Replayed: {count}.", "cancel": "Cancelled: {count}."}
TEXTS = tuple(DONE.values())


async def page(visit: Visit) -> Response:
    """The list. A delivery's id in the search box leads to the delivery."""
    tokens.require(visit.principal, "webhook:read")
    text = visit.query.get("q", "").strip()
    if ids.key_of("dlv", text) is not None:
        return RedirectResponse(visit.url(f"/webhooks/deliveries/{text}"), 303)
    asked = asked_of(visit, {**visit.query, "endpoint_id": text or visit.query.get("endpoint_id", "")})
    before = place_of(visit.query.get("cursor", ""))
    found = await visit.core.store.views.webhooks.deliveries(
        visit.project, asked.filters, None if before is None else before[0], PAGE
    )
    return visit.show(
        "deliveries.html",
        asked=asked,
        found=found,
        following=None if found.following is None else written((found.following, 0)),
        states=STATES,
        delivery_id=public("dlv"),
        endpoint_id=public("wh"),
    )


async def some(visit: Visit) -> Response:
    """Replay or cancel those that were picked."""
    action = visit.form.get("do", "")
    if action not in OPERATIONS:
        raise Invalid("that is nothing that can be done with deliveries", hint="Use one of the buttons.")
    tally = Tally()
    await work_off(visit, OPERATIONS[action], picks(visit), tally)
    visit.note = Note("failed" if tally.refused else "done", tally.told(visit, DONE[action]))
    return RedirectResponse(visit.url(visit.whence("/webhooks/deliveries")), 303)


async def _back(visit: Visit) -> Response:
    return RedirectResponse(visit.url("/webhooks/deliveries"), 303)


PAGES = (
    Page("GET", "/webhooks/deliveries", page),
    Page("POST", "/webhooks/deliveries/some", some),
    Page("GET", "/webhooks/deliveries/some", _back),
)
