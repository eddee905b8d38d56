"""One delivery: its attempts, what was sent, what came back, and the way to do it again."""

from __future__ import annotations

from starlette.responses import Response

from mainspring.core import ids, tokens, webhooks, webhooks_endpoints
from mainspring.core.errors import NotFound
from mainspring.core.model import FINAL_STATES, Target
from mainspring.core.webhooks_model import Delivery, EndpointEntry
from mainspring.doors.console.routing import Page
from mainspring.doors.console.run_errors import story_of
from mainspring.doors.console.run_query import public
from mainspring.doors.console.run_request import asked_of_target
from mainspring.doors.console.run_waterfall import waterfall
from mainspring.doors.console.visit import Visit


async def page(visit: Visit) -> Response:
    """The delivery."""
    tokens.require(visit.principal, "webhook:read")
    key = ids.key_of("dlv", visit.path["id"])
    found = await webhooks.get(visit.core, visit.project, -1 if key is None else key)
    one, run = found.delivery, found.delivery.run
    entry = await _endpoint(visit, one)
    flight = None
    if run.state == "running" and run.attempt_started_at is not None:
        flight = run.attempt, run.attempt_started_at
    target = await _target(visit, one, entry)
    return visit.show(
        "delivery.html",
        one=one,
        run=run,
        entry=entry,
        target=target,
        asked=asked_of_target(visit.core.vault, run, target, one.webhook_id),
        falls=waterfall(run.created_at, found.attempts, flight, visit.now),
        story=story_of(run.error),
        story_of=story_of,
        over=run.state in FINAL_STATES,
        delivery_id=public("dlv"),
        endpoint_id=public("wh"),
    )


async def replay(visit: Visit) -> Response:
    """Once more, under the id that its receiver knows, or under one of its own."""
    body = {"new_id": visit.form.get("new_id") == "yes"}
    made = await visit.call("webhook.replay", visit.path["id"], body=body)
    return visit.back(f"/webhooks/deliveries/{made.delivery_id}", "This delivery sends it once more.")


async def cancel(visit: Visit) -> Response:
    """No more tries."""
    await visit.call("webhook.cancel", visit.path["id"])
    return visit.back(visit.whence(f"/webhooks/deliveries/{visit.path['id']}"), "The delivery is not tried any more.")


async def _endpoint(visit: Visit, one: Delivery) -> EndpointEntry | None:
    """Its endpoint, unless that was deleted."""
    if one.endpoint_id is None:
        return None
    try:
        return await webhooks_endpoints.get(visit.core, visit.project, one.endpoint_id)
    except NotFound:
        return None


async def _target(visit: Visit, one: Delivery, entry: EndpointEntry | None) -> Target | None:
    """Where it goes: to the endpoint as it is now, else where it was made for."""
    if entry is not None:
        return entry.target
    return (await visit.core.store.runs.targets([one.run.target_id])).get(one.run.target_id)


PAGES = (
    Page("GET", "/webhooks/deliveries/{id}", page),
    Page("POST", "/webhooks/deliveries/{id}/replay", replay),
    Page("POST", "/webhooks/deliveries/{id}/cancel", cancel),
)
