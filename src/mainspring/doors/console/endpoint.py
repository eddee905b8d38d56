"""One endpoint: how it is doing, what was sent there, and what can be done with it."""

from __future__ import annotations

from typing import Any

from starlette.responses import RedirectResponse, Response

from mainspring.core import ids, tokens
from mainspring.core.errors import Invalid, NotFound, Refused
from mainspring.core.instants import iso
from mainspring.core.limits import REPLAY_MAX, SECRET_GRACE_H_DEFAULT, SECRET_GRACE_H_MAX
from mainspring.core.views.webhooks import Count
from mainspring.core.webhooks_model import RUN_STATE_OF, DeliveryFilter, DeliveryState
from mainspring.doors.console.delivery_list import STATES, asked_of
from mainspring.doors.console.routing import Page
from mainspring.doors.console.run_query import moment, place_of, public, written
from mainspring.doors.console.visit import Note, Visit, one_of

PAGE = 50
ENDED: tuple[DeliveryState, ...] = ("failed", "delivered", "cancelled")


async def page(visit: Visit) -> Response:
    """The endpoint and its deliveries."""
    return await _page(visit)


async def _page(
    visit: Visit, status: int = 200, refused: Refused | None = None, counted: tuple[dict[str, str], Count] | None = None
) -> Response:
    tokens.require(visit.principal, "webhook:read")
    endpoint = await visit.call("account.webhooks.get", _id(visit))
    asked = asked_of(visit, {**visit.query, "endpoint_id": _id(visit)})
    before = place_of(visit.query.get("cursor", ""))
    found = await visit.core.store.views.webhooks.deliveries(
        visit.project, asked.filters, None if before is None else before[0], PAGE
    )
    return visit.show(
        "endpoint.html",
        status,
        endpoint=endpoint,
        asked=asked,
        found=found,
        following=None if found.following is None else written((found.following, 0)),
        states=STATES,
        ended=ENDED,
        delivery_id=public("dlv"),
        refused=refused,
        counted=counted,
        form=visit.form,
        replay_most=REPLAY_MAX,
        grace_default=SECRET_GRACE_H_DEFAULT,
        grace_most=SECRET_GRACE_H_MAX,
    )


async def switch(visit: Visit) -> Response:
    """Enable or disable it."""
    on = visit.form.get("enabled") == "yes"
    await visit.call("account.webhooks.update", _id(visit), body={"enabled": on})
    if on:
        return visit.back(visit.whence(_path(visit)), "It is enabled again, and begins anew.")
    return visit.back(visit.whence(_path(visit)), "It is disabled: nothing is sent there, and what waited fails.")


async def test(visit: Visit) -> Response:
    """Send it an event of the type test."""
    made = await visit.call("account.webhooks.test", _id(visit))
    if not made.delivery_ids:
        raise NotFound("there is no such endpoint that is enabled")
    return visit.back(
        f"/webhooks/deliveries/{made.delivery_ids[0]}", "A test event was accepted; this is its delivery."
    )


async def delete(visit: Visit) -> Response:
    """Send nothing there any more."""
    await visit.call("account.webhooks.delete", _id(visit))
    return visit.back("/webhooks", "The endpoint was deleted.")


async def rotate(visit: Visit) -> Response:
    """A new secret, shown in this answer only; for a while the one before signs as well."""
    hours = visit.form.get("grace_hours", "").strip()
    try:
        body: dict[str, Any] = {"grace_hours": _number(hours, "grace_hours")} if hours else {}
        if secret := visit.form.get("secret", ""):
            body["secret"] = secret
        made = await visit.call("account.webhooks.rotate", _id(visit), body=body)
    except Invalid as refused:
        return await _page(visit, 422, refused)
    return visit.show("endpoint_secret.html", endpoint=made, rotated=True)


async def count(visit: Visit) -> Response:
    """How many deliveries a replay would send, before it sends them."""
    tokens.require(visit.principal, "webhook:write")
    try:
        chosen = _chosen(visit)
    except Invalid as refused:
        return await _page(visit, 422, refused)
    key = ids.key_of("wh", _id(visit)) or -1
    wanted = DeliveryFilter(
        state=RUN_STATE_OF[_status(chosen["status"])],
        event=chosen.get("event"),
        endpoint_id=key,
        since=moment(chosen["since"], visit.now, "since") or 0,
        unreplayed=True,
    )
    counted = await visit.core.store.views.webhooks.replayable(visit.project, wanted)
    return await _page(visit, counted=(chosen, counted))


async def replay(visit: Visit) -> Response:
    """Send them once more, the oldest 1,000 of them."""
    body = {**_chosen(visit), "endpoint_id": _id(visit)}
    return _replayed(visit, await visit.call("webhook.replay_many", body=body))


async def recover(visit: Visit) -> Response:
    """Make up for what failed since an instant."""
    try:
        since = moment(visit.form.get("recover_since", ""), visit.now, "recover_since")
        if since is None:
            raise Invalid("since is missing", hint="Say from when on.", field="recover_since")
    except Invalid as refused:
        return await _page(visit, 422, refused)
    return _replayed(visit, await visit.call("account.webhooks.recover", _id(visit), body={"since": iso(since)}))


def _replayed(visit: Visit, again: Any) -> Response:
    """How many were replayed, and whether there are more."""
    if not again.replayed:
        text = visit.say("Nothing fits that was not replayed already.")
    elif again.more:
        text = visit.say("Replayed: {count}. There are more: do it once more.", count=f"{again.replayed:,}")
    else:
        text = visit.say("Replayed: {count}.", count=f"{again.replayed:,}")
    visit.note = Note("done", text)
    return RedirectResponse(visit.url(_path(visit)), 303)


def _chosen(visit: Visit) -> dict[str, str]:
    """Which deliveries to replay. Raises `Invalid`."""
    since = moment(visit.form.get("since", ""), visit.now, "since")
    if since is None:
        raise Invalid("since is missing", hint="Say from when on.", field="since")
    chosen = {"status": _status(visit.form.get("status")), "since": iso(since)}
    event = visit.form.get("event", "").strip()
    return {**chosen, "event": event} if event else chosen


def _status(text: str | None) -> DeliveryState:
    return one_of(text, ENDED) or "failed"


def _number(text: str, field: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid(f"{text[:20]!r} is no number", hint="Write it like 24 or 0.5.", field=field) from None


def _id(visit: Visit) -> str:
    return visit.path["id"]


def _path(visit: Visit) -> str:
    return f"/webhooks/{_id(visit)}"


async def _back(visit: Visit) -> Response:
    return RedirectResponse(visit.url(_path(visit)), 303)


PAGES = (
    Page("GET", "/webhooks/{id}", page),
    Page("POST", "/webhooks/{id}/switch", switch),
    Page("POST", "/webhooks/{id}/test", test),
    Page("POST", "/webhooks/{id}/delete", delete),
    Page("POST", "/webhooks/{id}/rotate", rotate),
    Page("GET", "/webhooks/{id}/rotate", _back),
    Page("POST", "/webhooks/{id}/count", count),
    Page("GET", "/webhooks/{id}/count", _back),
    Page("POST", "/webhooks/{id}/replay", replay),
    Page("POST", "/webhooks/{id}/recover", recover),
    Page("GET", "/webhooks/{id}/recover", _back),
)
