"""API keys: made, replaced, revoked. A key is shown once, in the answer to the form that made it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from mainspring.core import ids, tokens
from mainspring.core.errors import Invalid
from mainspring.core.instants import iso
from mainspring.core.limits import DAY
from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit

DAYS_MAX = 3_650
# Scope → what it is for.
SCOPES = {
    "cron:read": "See schedules and runs",
    "cron:write": "Change and run schedules",
    "queue:publish": "Publish messages",
    "queue:consume": "Consume messages, manage queues",
    "webhook:read": "See webhooks and deliveries",
    "webhook:write": "Change webhooks, send events",
    "metrics:read": "Read metrics",
    "admin": "Everything, also keys, agents and scripts",
}
TEXTS = tuple(SCOPES.values())
assert tuple(SCOPES) == tokens.SCOPES


async def page(visit: Visit) -> Response:
    """All of them, newest first."""
    return await _show(visit, {}, [scope for scope in SCOPES if scope != "admin"])


async def _show(visit: Visit, typed: dict[str, str], scopes: list[str], fault: Invalid | None = None) -> Response:
    cursor = visit.query.get("cursor")
    found = await visit.call("account.keys.list", query={"cursor": cursor} if cursor else {})
    return visit.show(
        "keys.html",
        200 if fault is None else 422,
        keys=found.items,
        next_cursor=found.next_cursor,
        filters={"cursor": cursor},
        own=ids.text("key", visit.principal.key_id),
        now_text=iso(visit.now),
        scopes=SCOPES,
        chosen=scopes,
        typed=typed,
        fault=fault,
    )


async def create(visit: Visit) -> Response:
    """Make one."""
    tokens.require(visit.principal, "admin")
    scopes = [one for one in SCOPES if one in visit.picked("scope")]
    try:
        made = await visit.call("account.keys.create", body=_wanted(visit, scopes))
    except Invalid as fault:
        return await _show(visit, visit.form, scopes, fault)
    return _made(visit, made, None)


def _wanted(visit: Visit, scopes: list[str]) -> dict[str, Any]:
    name, days = visit.form.get("name", "").strip(), visit.form.get("days", "").strip()
    if not name:
        raise Invalid("name is missing", hint="Say what the key is for.", field="name")
    if not scopes:
        raise Invalid("no scope is chosen", hint="Choose at least one.", field="scopes")
    wanted: dict[str, Any] = {"name": name, "scopes": scopes}
    if days:
        if not (days.isascii() and days.isdigit() and 1 <= int(days[:9]) <= DAYS_MAX):
            raise Invalid("days is not usable", hint=f"Use 1 to {DAYS_MAX}, or nothing.", field="days")
        wanted["expires_at"] = iso(visit.now + int(days) * DAY)
    return wanted


async def rotate(visit: Visit) -> Response:
    """Make one in place of another, which stays valid for a while."""
    text = visit.form.get("grace_hours", "24").strip()
    try:
        hours = float(text)
    except ValueError:
        raise Invalid("grace_hours is no number", hint="Use 0 to 168.", field="grace_hours") from None
    made = await visit.call("account.keys.rotate", visit.path["id"], body={"grace_hours": hours})
    return _made(visit, made, hours)


def _made(visit: Visit, made: Any, grace: float | None) -> Response:
    assert made.key is not None, "a new key is shown"
    return visit.show("key_made.html", made=made, grace=grace)


async def revoke(visit: Visit) -> Response:
    """It opens nothing any more."""
    await visit.call("account.keys.revoke", visit.path["id"], body={})
    return visit.back(visit.whence("/settings/keys"), "The key is revoked")


PAGES = (
    Page("GET", "/settings/keys", page),
    Page("POST", "/settings/keys", create),
    Page("POST", "/settings/keys/{id}/rotate", rotate),
    Page("POST", "/settings/keys/{id}/revoke", revoke),
)
