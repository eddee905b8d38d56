"""Keys, and the answers that clients of a paid service expect of a free one."""

from __future__ import annotations

import os
from typing import Any

from msgspec import UnsetType

from mainspring.core import ids, tokens
from mainspring.core.errors import Forbidden, Invalid
from mainspring.core.idempotency import Replay
from mainspring.core.instants import iso
from mainspring.core.limits import HOUR
from mainspring.core.model import Key
from mainspring.doors.rest.calls import Call, answered, cut, instant_of, instant_or_none, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.requests import (
    ActivateFields,
    KeyFields,
    KeysQuery,
    Nothing,
    RevokeFields,
    RotateFields,
    TopupFields,
)
from mainspring.doors.rest.results import (
    Activation,
    Balance,
    KeyCreated,
    KeyPage,
    KeyRecord,
    KeyRevoked,
    Topup,
)

GRACE_HOURS = 24
_BALANCE = Balance(0, "USD")


def _fields(key: Key) -> dict[str, Any]:
    public = ids.text("key", key.id)
    return {
        "id": public,
        "key_id": public,
        "name": key.name,
        "project_id": key.project,
        "scopes": key.scopes,
        "shown": key.shown,
        "bootstrap": key.bootstrap,
        "created_at": iso(key.created_at),
        "expires_at": instant_or_none(key.valid_until),
        "last_used_at": instant_or_none(key.last_used_at),
        "revoked_at": instant_or_none(key.revoked_at),
    }


def project_of(call: Call[Any, Any], given: str | None | UnsetType) -> str:
    """The project that is meant. Only admins of the first project may mean another one than their own."""
    if not isinstance(given, str) or given == call.project:
        return call.project
    if call.project != tokens.BOOTSTRAP_PROJECT:
        raise Forbidden(
            "this key belongs to another project",
            hint="Leave project_id out, or use an admin key of the first project.",
        )
    return given


async def page(call: Call[Nothing, KeysQuery]) -> KeyPage:
    """Keys of a project, newest first."""
    project = project_of(call, call.query.project_id)
    found = await tokens.page(call.core, project, page_of(call.query, Listing.KEYS, 1))
    rows, following = cut(found, call.query, Listing.KEYS, lambda key: (key.id,))
    return KeyPage([KeyRecord(**_fields(key)) for key in rows], following)


async def create(call: Call[KeyFields, Nothing]) -> KeyCreated | Replay:
    """Make a key."""
    body = call.body
    if not isinstance(body.name, str):
        raise Invalid("name is missing", hint="Say what the key is for.", field="name")
    scopes = body.scopes if isinstance(body.scopes, tuple) else tuple(s for s in tokens.SCOPES if s != "admin")
    valid_until = instant_of(body.expires_at, "expires_at")
    if isinstance(valid_until, int) and valid_until <= call.now:
        raise Invalid("expires_at has passed", hint="Give an instant to come, or none.", field="expires_at")
    secret = tokens.new_secret(os.urandom(tokens.SECRET_BYTES))

    def render(key: Key) -> KeyCreated:
        return KeyCreated(**_fields(key), key=secret)

    def bare(key: Key) -> KeyCreated:
        return KeyCreated(**_fields(key), key=None)

    made = await tokens.create(
        call.core,
        call.now,
        project=project_of(call, body.project_id),
        name=body.name,
        scopes=scopes,
        valid_until=valid_until if isinstance(valid_until, int) else None,
        secret=secret,
        once=call.once(render, bare, project_of(call, body.project_id)),
    )
    return answered(made, render)


async def rotate(call: Call[RotateFields, Nothing]) -> KeyCreated | Replay:
    """Make a key like the old one, which stays valid for a while."""
    body = call.body
    hours = body.grace_hours if isinstance(body.grace_hours, float) else GRACE_HOURS
    secret = tokens.new_secret(os.urandom(tokens.SECRET_BYTES))

    def render(key: Key) -> KeyCreated:
        return KeyCreated(**_fields(key), key=secret)

    def bare(key: Key) -> KeyCreated:
        return KeyCreated(**_fields(key), key=None)

    project, key_id = project_of(call, body.project_id), row_key("key", call.path[0])
    once = call.once(render, bare, project)
    made = await tokens.rotate(call.core, call.now, project, key_id, round(hours * HOUR), secret, once)
    call.auth.forget()
    return answered(made, render)


async def revoke(call: Call[RevokeFields, Nothing]) -> KeyRevoked:
    """The key opens nothing any more."""
    project, gone = project_of(call, call.body.project_id), KeyRevoked(call.path[0], call.path[0], True, True)
    note = call.note(lambda _: gone, project)
    await tokens.revoke(call.core, call.now, project, row_key("key", call.path[0]), note)
    call.auth.forget()
    return gone


async def balance(_: Call[Nothing, Nothing]) -> Balance:
    """Nothing costs anything."""
    return _BALANCE


async def topup(_: Call[TopupFields, Nothing]) -> Topup:
    """Nothing has to be paid."""
    return Topup("not_required", None, 0, None, None)


async def activate(call: Call[ActivateFields, Nothing]) -> Activation:
    """The key of a development server, for the asking."""
    assert call.primary_key is not None, "the operation is routed on development servers only"
    return Activation(tokens.BOOTSTRAP_PROJECT, tokens.BOOTSTRAP_PROJECT, call.primary_key, 0, None)
