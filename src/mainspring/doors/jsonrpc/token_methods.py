"""`token_*`: who may do what. All but reading one's own are for the super token."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

import msgspec

from mainspring.core import access, passwords, permissions
from mainspring.core.access import DICE_BYTES, NewToken
from mainspring.core.audit import PURPOSE, Note
from mainspring.core.errors import Invalid
from mainspring.core.model import Key
from mainspring.core.permissions import Limit
from mainspring.doors.jsonrpc.credentials import TokenPrincipal
from mainspring.doors.jsonrpc.errors import denied, invalid_params, wrong
from mainspring.doors.jsonrpc.method import Call, Method

NEW_PASSWORD_CHARS_MIN = 6

Limits = Annotated[
    list[Any],
    msgspec.Meta(
        description="Each gives all of its permissions in all of its scopes.",
        extra_json_schema={
            "examples": [
                [
                    {
                        "scopes": [{"agent_uuid": "00000000-0000-0000-0000-000000000001"}],
                        "permissions": [{"crontab": "write"}, {"task": {"create": "ping"}}],
                    }
                ],
                [{"scopes": ["global"], "permissions": [{"crontab": "read"}]}],
            ]
        },
    ),
]
Instant = int | None


class Whose(msgspec.Struct, frozen=True):
    """Which token is meant: the caller's own, or with a super token any, by its key or username."""

    token: str
    supertoken: str | None = None


class Creation(msgspec.Struct, frozen=True):
    """A token as it is to be."""

    token_limit: Limits
    username: str | None = None
    password: str | None = None
    timestamp_from: Instant = None
    timestamp_to: Instant = None
    version: int | None = None


class Create(msgspec.Struct, frozen=True):
    """Who makes a token, and which."""

    father_token: str
    token_creation: Creation


class Edit(msgspec.Struct, frozen=True):
    """Which token gets other limits."""

    token: str
    target_token: str
    limit: Limits


class Target(msgspec.Struct, frozen=True):
    """Which token is meant, by its key or username."""

    token: str
    target_token: str


class NewPassword(msgspec.Struct, frozen=True):
    """Which token gets another password."""

    token: str
    target_token: str
    new_password: str


class Token(msgspec.Struct, frozen=True):
    """Who asks."""

    token: str


class Pair(msgspec.Struct, frozen=True):
    """A new credential, shown this once."""

    key: str
    secret: str


class Edited(msgspec.Struct, frozen=True):
    """The changed one."""

    success: bool
    id: int
    token_key: str


class Deleted(msgspec.Struct, frozen=True):
    """What went, and by what it was found."""

    message: str
    rows_affected: int
    matched_by: str


class Said(msgspec.Struct, frozen=True):
    """It was done."""

    success: bool
    message: str


class Shown(msgspec.Struct, frozen=True):
    """One token, without its secret. Instants are ms."""

    version: int
    token_key: str
    timestamp_from: Instant
    timestamp_to: Instant
    token_limit: Limits
    username: str | None


class All(msgspec.Struct, frozen=True):
    """Every token."""

    tokens: list[Shown]


async def get(call: Call[Whose]) -> Shown:
    """The caller's own token, or with a super token any."""
    given = call.params
    if given.supertoken is None:
        return _shown((await call.principal(given.token)).key)
    await _super(call, given.supertoken, "read other tokens")
    credential = access.read(given.token)
    name = given.token if credential is None else credential.name
    found = await access.named(call.core, name)
    if found is None:
        raise wrong("not_found", f"Token not found by key/username: {name}")
    return _shown(found)


async def create(call: Call[Create]) -> Pair:
    """A new token."""
    given = call.params.token_creation
    limits = _limits_of(given.token_limit)
    principal = await _super(call, call.params.father_token, "create new tokens")
    if (given.username is None) != (given.password is None):
        raise wrong("parse", "Username and Password must be both provided or both absent")
    password = None if given.password is None else await _hashed(call, given.password)
    wanted = NewToken(limits, given.username, password, given.timestamp_from, given.timestamp_to)
    note = _note(call, principal, "token_create", given.username or "")
    return Pair(*await access.create(call.core, call.now, wanted, call.dice(DICE_BYTES), note))


async def edit(call: Call[Edit]) -> Edited:
    """Replace a token's limits."""
    limits = _limits_of(call.params.limit)
    principal = await _super(call, call.params.token, "edit tokens")
    await _not_the_super(call, "edited")
    note = _note(call, principal, "token_edit", call.params.target_token)
    found = await access.edit(call.core, call.now, call.params.target_token, limits, note)
    call.credentials.forget()
    assert found.lookup is not None
    return Edited(success=True, id=found.number, token_key=found.lookup)


async def delete(call: Call[Target]) -> Deleted:
    """Delete a token."""
    target = call.params.target_token
    principal = await _super(call, call.params.token, "delete tokens")
    if not target:
        raise wrong("input", "target_token cannot be empty")
    await _not_the_super(call, "deleted")
    found_by = await access.delete(call.core, call.now, target, _note(call, principal, "token_delete", target))
    call.credentials.forget()
    return Deleted(message=f"Token {target} deleted successfully", rows_affected=1, matched_by=found_by)


async def list_all_tokens(call: Call[Token]) -> All:
    """Every token, the super token too."""
    await _super(call, call.params.token, "list all tokens")
    return All([_shown(one) for one in await access.everything(call.core)])


async def change_password(call: Call[NewPassword]) -> Said:
    """Give a token another password."""
    given = call.params
    principal = await _super(call, given.token, "change passwords")
    access.check_password(given.new_password, NEW_PASSWORD_CHARS_MIN)
    password = await _hashed(call, given.new_password)
    note = _note(call, principal, "token_change_password", given.target_token)
    await access.change_password(call.core, call.now, given.target_token, password, note)
    call.credentials.forget()
    return Said(success=True, message="Password changed successfully")


async def roll_token_secret(call: Call[Target]) -> Pair:
    """Give a token another secret; its key stays."""
    principal = await _super(call, call.params.token, "roll token secrets")
    await _not_the_super(call, "rolled")
    note = _note(call, principal, "token_roll_token_secret", call.params.target_token)
    pair = await access.roll(call.core, call.now, call.params.target_token, call.dice(DICE_BYTES), note)
    call.credentials.forget()
    return Pair(*pair)


async def _super(call: Call[Any], token: str, what: str) -> TokenPrincipal:
    principal = await call.principal(token)
    if not principal.is_super:
        raise denied(f"Only Super Token can {what}")
    return principal


async def _not_the_super(call: Call[Any], what: str) -> None:
    found = await access.named(call.core, call.params.target_token)
    if found is not None and found.kind == "super":
        raise wrong("permission", f"SuperToken cannot be {what}")


async def _hashed(call: Call[Any], password: str) -> bytes:
    access.check_password(password)
    return await asyncio.to_thread(passwords.hashed, password, call.dice(passwords.SALT_BYTES))


def _note(call: Call[Any], principal: TokenPrincipal, operation: str, target: str) -> Note:
    """What the audit log says of a change."""
    given = tuple(name for name in call.params.__struct_fields__ if getattr(call.params, name) is not None)
    return Note(
        project=principal.key.project,
        key_id=principal.key.id,
        shown=principal.key.shown,
        ip=call.ip,
        operation=f"rpc.{operation}",
        fields=given,
        request_id="",
        object_of=lambda _: target,
        mark=partial(call.core.vault.mark, purpose=PURPOSE),
    )


def _limits_of(given: list[Any]) -> tuple[Limit, ...]:
    try:
        return permissions.limits_of(given)
    except Invalid as invalid:
        raise invalid_params(invalid.message) from None


def _shown(key: Key) -> Shown:
    limits = () if key.limits is None else permissions.from_stored(key.limits)
    return Shown(
        version=1,
        token_key=key.lookup or "",
        timestamp_from=key.valid_from,
        timestamp_to=key.valid_until,
        token_limit=[permissions.shown(one) for one in limits],
        username=key.username,
    )


_SUPER = "the super token"

METHODS = (
    Method(
        name="token_get",
        summary="A token: one's own, or with the super token any.",
        params=Whose,
        result=Shown,
        permission="none for one's own; the super token for others",
        handler=get,
    ),
    Method(
        name="token_create",
        summary="Make a token; its secret is shown once.",
        params=Create,
        result=Pair,
        permission=_SUPER,
        handler=create,
    ),
    Method(
        name="token_edit",
        summary="Replace a token's limits.",
        params=Edit,
        result=Edited,
        permission=_SUPER,
        handler=edit,
    ),
    Method(
        name="token_delete",
        summary="Delete a token.",
        params=Target,
        result=Deleted,
        permission=_SUPER,
        handler=delete,
    ),
    Method(
        name="token_list_all_tokens",
        summary="Every token, without its secret.",
        params=Token,
        result=All,
        permission=_SUPER,
        handler=list_all_tokens,
    ),
    Method(
        name="token_change_password",
        summary="Give a token another password.",
        params=NewPassword,
        result=Said,
        permission=_SUPER,
        handler=change_password,
    ),
    Method(
        name="token_roll_token_secret",
        summary="Give a token another secret; its key stays.",
        params=Target,
        result=Pair,
        permission=_SUPER,
        handler=roll_token_secret,
    ),
)
