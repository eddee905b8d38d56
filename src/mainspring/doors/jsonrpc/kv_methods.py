"""`kv_*`: keys and values in namespaces."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from mainspring.core import kv
from mainspring.core.permissions import Permission, Scope
from mainspring.doors.jsonrpc.errors import denied
from mainspring.doors.jsonrpc.method import Call, Method

LIST_NAMESPACES = Permission("kv", "list_all_namespace")
LIST_KEYS = Permission("kv", "list_all_keys")
ALL = "*"


class Namespace(msgspec.Struct, frozen=True):
    """Which namespace is meant."""

    token: str
    namespace: str


class KeyOf(msgspec.Struct, frozen=True):
    """Which key is meant."""

    token: str
    namespace: str
    key: str


class Setting(msgspec.Struct, frozen=True):
    """What a key is to hold: any JSON."""

    token: str
    namespace: str
    key: str
    value: Raw


class Pair(msgspec.Struct, frozen=True):
    """A key; one that ends in `*` stands for all that begin so."""

    namespace: str
    key: str


class Several(msgspec.Struct, frozen=True):
    """Which keys are meant."""

    token: str
    namespace_key: list[Pair]


class Token(msgspec.Struct, frozen=True):
    """Who asks."""

    token: str


class Done(msgspec.Struct, frozen=True):
    """It was done."""

    success: bool = True


async def create(call: Call[Namespace]) -> Done:
    """Make a namespace."""
    await _check(call, call.params.namespace, "write", ALL)
    await kv.create_namespace(call.core, call.now, call.params.namespace)
    return Done()


async def set_value(call: Call[Setting]) -> Done:
    """Let a key hold a value, whatever it held."""
    given = call.params
    await _check(call, given.namespace, "write", given.key)
    await kv.set_value(call.core, call.now, given.namespace, given.key, bytes(given.value))
    return Done()


async def get_value(call: Call[KeyOf]) -> Raw:
    """What a key holds; null when there is none."""
    given = call.params
    await _check(call, given.namespace, "read", given.key)
    [found] = await kv.get_values(call.core, [(given.namespace, given.key)], exact=True)
    return found.value


async def get_multi_value(call: Call[Several]) -> list[kv.Value]:
    """What several keys hold."""
    for one in call.params.namespace_key:
        await _check(call, one.namespace, "read", one.key)
    return await kv.get_values(call.core, [(one.namespace, one.key) for one in call.params.namespace_key])


async def delete_key(call: Call[KeyOf]) -> Done:
    """Delete a key."""
    await _check(call, call.params.namespace, "delete", call.params.key)
    await kv.delete_key(call.core, call.params.namespace, call.params.key)
    return Done()


async def delete_namespace(call: Call[Namespace]) -> Done:
    """Delete a namespace with all that is in it."""
    await _check(call, call.params.namespace, "delete", ALL)
    await kv.delete_namespace(call.core, call.params.namespace)
    return Done()


async def get_all_keys(call: Call[Namespace]) -> list[str]:
    """The keys of a namespace."""
    if not await call.allows(call.params.token, (_scope(call.params.namespace),), (LIST_KEYS,)):
        raise denied("Missing kv list_all_keys permission")
    return await kv.keys(call.core, call.params.namespace)


async def list_all_namespace(call: Call[Token]) -> list[str]:
    """The namespaces that the token may see."""
    principal = await call.principal(call.params.token)
    if not principal.is_super and not any(LIST_NAMESPACES in limit.permissions for limit in principal.limits):
        raise denied("Missing kv list_all_namespace permission")
    found = await kv.namespaces(call.core)
    return [one for one in found if principal.allows(call.now, (_scope(one),), (LIST_NAMESPACES,))]


async def _check(call: Call[Any], namespace: str, action: str, key: str) -> None:
    """Raises `RpcError` unless the token may do this with the key."""
    if not await call.allows(call.params.token, (_scope(namespace),), (Permission("kv", action, key),)):
        raise denied(f"Missing kv {action} permission for key '{key}' in namespace '{namespace}'")


def _scope(namespace: str) -> Scope:
    return Scope("kv_namespace", namespace)


METHODS = (
    Method(
        name="kv_create",
        summary="Make a namespace.",
        params=Namespace,
        result=Done,
        permission="kv:write of * in the namespace",
        handler=create,
    ),
    Method(
        name="kv_set_value",
        summary="Let a key hold a value.",
        params=Setting,
        result=Done,
        permission="kv:write of the key in the namespace",
        handler=set_value,
    ),
    Method(
        name="kv_get_value",
        summary="What a key holds.",
        params=KeyOf,
        result=Raw,
        permission="kv:read of the key in the namespace",
        handler=get_value,
    ),
    Method(
        name="kv_get_multi_value",
        summary="What several keys hold.",
        params=Several,
        result=list[kv.Value],
        permission="kv:read of each key in its namespace",
        handler=get_multi_value,
    ),
    Method(
        name="kv_delete_key",
        summary="Delete a key.",
        params=KeyOf,
        result=Done,
        permission="kv:delete of the key in the namespace",
        handler=delete_key,
    ),
    Method(
        name="kv_delete_namespace",
        summary="Delete a namespace with all that is in it.",
        params=Namespace,
        result=Done,
        permission="kv:delete of * in the namespace",
        handler=delete_namespace,
    ),
    Method(
        name="kv_get_all_keys",
        summary="The keys of a namespace.",
        params=Namespace,
        result=list[str],
        permission="kv:list_all_keys in the namespace",
        handler=get_all_keys,
    ),
    Method(
        name="kv_list_all_namespace",
        summary="The namespaces that the token may see.",
        params=Token,
        result=list[str],
        permission="kv:list_all_namespace, globally or in each",
        handler=list_all_namespace,
    ),
)
