"""Tokens of the JSON-RPC door: made with what each may do where and when, deleted."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from mainspring.core import access, permissions
from mainspring.core.audit import PURPOSE, Note
from mainspring.core.errors import Forbidden, Invalid
from mainspring.core.instants import parse_iso
from mainspring.core.permissions import PERMISSIONS, SCOPES, Limit
from mainspring.doors.console.routing import Page
from mainspring.doors.console.settings_rights import only_admins
from mainspring.doors.console.visit import Visit

# What an agent needs for itself, to be shown in the form at first.
FOR_AGENTS = (
    "task:listen",
    "task:write:*",
    "static_monitoring:write",
    "dynamic_monitoring:write",
    "dynamic_monitoring_summary:write",
)


class Choice(msgspec.Struct, frozen=True):
    """One permission that can be ticked. `open`: it is for a name, which is typed beside it."""

    value: str
    label: str
    open: bool


def choices() -> list[tuple[str, list[Choice]]]:
    """All permissions, by group."""
    found = []
    for group, actions in PERMISSIONS.items():
        ticks = []
        for action, subject in actions.items():
            if isinstance(subject, tuple):
                ticks += [Choice(f"{group}:{action}:{one}", f"{action} {one}", open=False) for one in subject]
            else:
                ticks.append(Choice(f"{group}:{action}", action, open=subject is not None))
        found.append((group, ticks))
    return found


async def page(visit: Visit) -> Response:
    """All of them, the super token too."""
    only_admins(visit)
    if visit.query.get("for") != "agent":
        return await _show(visit, {"scopes": "global"}, [])
    number = int.from_bytes(os.urandom(16)) & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62
    uuid = permissions.uuid_of(f"{number:032x}")
    chosen = [one.removesuffix(":*") for one in FOR_AGENTS]
    return await _show(visit, {"scopes": f"agent_uuid {uuid}", "for:task:write": "*"}, chosen)


async def _show(visit: Visit, typed: dict[str, str], chosen: list[str], fault: Invalid | None = None) -> Response:
    found = await access.everything(visit.core)
    return visit.show(
        "token_list.html",
        200 if fault is None else 422,
        tokens=[
            (one, [permissions.shown(limit) for limit in permissions.from_stored(one.limits or b"[]")]) for one in found
        ],
        own=visit.principal.key_id,
        choices=choices(),
        kinds=("global", *SCOPES),
        typed=typed,
        chosen=chosen,
        fault=fault,
    )


async def create(visit: Visit) -> Response:
    """Make one; it is shown in this answer only."""
    only_admins(visit)
    try:
        wanted = access.NewToken(
            limits=_limits(visit), valid_from=_instant(visit, "from"), valid_until=_instant(visit, "until")
        )
        if wanted.valid_until is not None and wanted.valid_until <= max(visit.now, wanted.valid_from or 0):
            raise Invalid("it would never be valid", hint="Choose a later instant, or none.", field="until")
    except Invalid as fault:
        return await _show(visit, visit.form, visit.picked("permission"), fault)
    note = _note(visit, "token_create", "", ("token_limit", "timestamp_from", "timestamp_to"))
    key, secret = await access.create(visit.core, visit.now, wanted, os.urandom(access.DICE_BYTES), note)
    return visit.show("token_made.html", token=f"{key}:{secret}", name=key)


async def delete(visit: Visit) -> Response:
    """It opens nothing any more."""
    only_admins(visit)
    target = visit.form.get("target", "")
    if not target:
        raise Invalid("no token is named")
    found = await access.named(visit.core, target)
    if found is not None and found.kind == "super":
        raise Forbidden("the super token cannot be deleted", hint="Set MAINSPRING_SUPER_TOKEN and start again.")
    await access.delete(visit.core, visit.now, target, _note(visit, "token_delete", target, ("target_token",)))
    return visit.back("/settings/tokens", "The token {name} is deleted", name=target)


def _note(visit: Visit, operation: str, target: str, fields: tuple[str, ...]) -> Note:
    """What the audit log says, as when the JSON-RPC door is called."""
    return Note(
        project=visit.project,
        key_id=visit.principal.key_id,
        shown=visit.principal.shown,
        ip=visit.request.client.host if visit.request.client else "",
        operation=f"rpc.{operation}",
        fields=fields,
        request_id="",
        object_of=lambda _: target,
        mark=partial(visit.core.vault.mark, purpose=PURPOSE),
    )


def _limits(visit: Visit) -> tuple[Limit, ...]:
    """What was ticked as one limit, and those that were typed. Raises `Invalid`."""
    said: list[Any] = []
    ticked = [_permission(visit, one) for one in visit.picked("permission")]
    if ticked:
        scopes = [_scope(line) for line in visit.form.get("scopes", "").split("\n") if line.strip()]
        if not scopes:
            raise Invalid("no scope is named", hint="Write global for everywhere.", field="scopes")
        said.append({"scopes": scopes, "permissions": ticked})
    try:
        more = msgspec.json.decode((visit.form.get("more", "").strip() or "[]").encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"this is no JSON: {error}", field="more") from None
    read = _read(said, "scopes") + _read(more, "more")
    if not read:
        raise Invalid("it may do nothing", hint="Tick at least one permission.", field="permission")
    return read


def _read(said: Any, field: str) -> tuple[Limit, ...]:
    try:
        return permissions.limits_of(said)
    except Invalid as invalid:
        raise Invalid(invalid.message, field=field) from None


def _scope(line: str) -> Any:
    kind, _, name = line.strip().partition(" ")
    return {kind: name.strip()} if name else kind


def _permission(visit: Visit, value: str) -> Any:
    group, _, rest = value.partition(":")
    action, _, subject = rest.partition(":")
    if PERMISSIONS.get(group, {}).get(action) == "":
        subject = visit.form.get(f"for:{group}:{action}", "").strip() or "*"
    return {group: {action: subject} if subject else action}


def _instant(visit: Visit, name: str) -> int | None:
    text = visit.form.get(name, "").strip()
    return parse_iso(text, name) if text else None


PAGES = (
    Page("GET", "/settings/tokens", page),
    Page("POST", "/settings/tokens", create),
    Page("POST", "/settings/tokens/delete", delete),
)
