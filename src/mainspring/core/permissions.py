"""Who may do what, where: the scopes and permissions of tokens, and the one rule that decides. Pure.

A token carries limits, each a list of scopes and a list of permissions. It may do something somewhere when one and the
same limit covers both; when several things are asked for in several places, each pair may be covered by another limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from mainspring.core.errors import Invalid

GLOBAL = "global"
_UUID = re.compile(r"(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?")


class Scope(NamedTuple):
    """A place: everywhere (`global`), or one thing of a kind."""

    kind: str
    name: str | None = None


class Permission(NamedTuple):
    """A right: a group, an action of it, and what the action is for where it is for something."""

    group: str
    action: str
    subject: str | None = None


class Limit(NamedTuple):
    """All of these permissions in all of these scopes."""

    scopes: tuple[Scope, ...]
    permissions: tuple[Permission, ...]


EVERYWHERE = Scope(GLOBAL)

# Kinds of scopes that name something → whether a trailing `*` in a granted name stands for any ending.
SCOPES: dict[str, bool] = {
    "agent_uuid": False,
    "kv_namespace": False,
    "js_worker": True,
    "static_bucket": True,
    "db": True,
}
# Group → action → None for an action by itself, "" for one that is for any name, or the names that it may be for.
_ANY = ""
_OWN: None = None
Actions = Mapping[str, str | tuple[str, ...] | None]
PERMISSIONS: dict[str, Actions] = {
    "static_monitoring": {"read": ("cpu", "system", "gpu"), "write": _OWN, "delete": _OWN},
    "dynamic_monitoring": {
        "read": ("cpu", "ram", "load", "system", "disk", "network", "gpu"),
        "write": _OWN,
        "delete": _OWN,
    },
    "dynamic_monitoring_summary": {"read": _OWN, "write": _OWN, "delete": _OWN},
    "task": {"create": _ANY, "read": _ANY, "write": _ANY, "delete": _ANY, "listen": _OWN},
    "crontab": {"read": _OWN, "write": _OWN, "delete": _OWN},
    "crontab_result": {"read": _ANY, "delete": _ANY},
    "kv": {"list_all_namespace": _OWN, "list_all_keys": _OWN, "read": _ANY, "write": _ANY, "delete": _ANY},
    "terminal": {"connect": _OWN},
    "node_get": {"list_all_agent_uuid": _OWN, "get_rt_pool": _OWN, "delete_agent_uuid": _OWN, "exec_sql": _OWN},
    "js_worker": {
        "list_all_js_worker": _OWN,
        "create": _OWN,
        "read": _OWN,
        "write": _OWN,
        "delete": _OWN,
        "run_defined_js_worker": _OWN,
        "run_raw_js_worker": _OWN,
    },
    "js_result": {"read": _ANY, "delete": _ANY},
    "monitoring_uuid": {"list": _OWN, "delete": _OWN},
    "static_bucket": {"read": _OWN, "write": _OWN, "delete": _OWN},
    "static_bucket_file": {"read": _OWN, "write": _OWN, "delete": _OWN, "list": _OWN},
    "db": {"list": _OWN, "read": _OWN, "create": _OWN, "update": _OWN, "delete": _OWN, "exec_sql": _OWN},
}
# Where a trailing `*` in a granted subject stands for any ending.
WILD = frozenset({"task", "kv", "crontab_result", "js_result"})


def agent(uuid: str) -> Scope:
    """The scope of one agent."""
    return Scope("agent_uuid", uuid)


def allows(limits: Iterable[Limit], scopes: Sequence[Scope], permissions: Sequence[Permission]) -> bool:
    """Whether every pair of them is covered by some limit as a whole."""
    held = tuple(limits)
    return all(any(_covers(one, scope, right) for one in held) for scope in scopes for right in permissions)


def _covers(limit: Limit, scope: Scope, right: Permission) -> bool:
    return any(scope_covers(one, scope) for one in limit.scopes) and any(
        permission_covers(one, right) for one in limit.permissions
    )


def scope_covers(granted: Scope, asked: Scope) -> bool:
    """Whether a granted scope holds what is asked for; nothing but `global` holds `global`."""
    if granted.kind == GLOBAL:
        return True
    if granted.kind != asked.kind or granted.name is None or asked.name is None:
        return False
    return fits(granted.name, asked.name) if SCOPES[granted.kind] else granted.name == asked.name


def permission_covers(granted: Permission, asked: Permission) -> bool:
    """Whether a granted permission is the one that is asked for, or its pattern fits."""
    if granted == asked:
        return True
    if granted[:2] != asked[:2] or granted.group not in WILD or granted.subject is None or asked.subject is None:
        return False
    return fits(granted.subject, asked.subject)


def fits(pattern: str, name: str) -> bool:
    """Only a `*` at the end is special, and stands for anything, also nothing."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def uuid_of(text: str) -> str:
    """A UUID in its usual form, from any of its forms. Raises `Invalid`."""
    found = _UUID.fullmatch(text.lower())
    if found is None:
        raise Invalid(f"invalid UUID: {text[:64]!r}")
    return "-".join(found.groups())


def limits_of(value: Any) -> tuple[Limit, ...]:
    """Limits from decoded JSON. Raises `Invalid` naming the first that has another shape, or is of an unknown kind."""
    return tuple(
        Limit(
            tuple(map(_scope_of, _list(_member(one, "scopes")))),
            tuple(map(_permission_of, _list(_member(one, "permissions")))),
        )
        for one in _list(value)
    )


def stored(limits: Iterable[Limit]) -> bytes:
    """Limits as JSON, in the form in which they are answered."""
    return msgspec.json.encode([shown(one) for one in limits])


def from_stored(kept: bytes) -> tuple[Limit, ...]:
    """Limits from the store; what this version does not know is left out."""
    found = []
    for one in msgspec.json.decode(kept):
        scopes = [known for item in one["scopes"] if (known := _or_none(_scope_of, item)) is not None]
        permissions = [known for item in one["permissions"] if (known := _or_none(_permission_of, item)) is not None]
        found.append(Limit(tuple(scopes), tuple(permissions)))
    return tuple(found)


def shown(limit: Limit) -> dict[str, Any]:
    """One limit as it is answered."""
    return {
        "scopes": [one.kind if one.name is None else {one.kind: one.name} for one in limit.scopes],
        "permissions": [
            {one.group: one.action if one.subject is None else {one.action: one.subject}} for one in limit.permissions
        ],
    }


def variant_of(value: Any) -> tuple[str, Any]:
    """A tagged value: `"x"` and `{"x": null}` are the same. Raises `Invalid`."""
    if isinstance(value, str):
        return value, None
    if isinstance(value, dict) and len(value) == 1:
        [(name, content)] = value.items()
        return str(name), content
    raise Invalid("expected a text or an object with one member")


def unknown_variant(name: str, known: Iterable[str]) -> Invalid:
    """The refusal of a kind that does not exist."""
    return Invalid(f"unknown variant `{name[:64]}`, expected one of {', '.join(f'`{one}`' for one in known)}")


def _scope_of(value: Any) -> Scope:
    kind, name = variant_of(value)
    if kind == GLOBAL:
        if name is not None:
            raise Invalid("invalid type: `global` names nothing")
        return EVERYWHERE
    if kind not in SCOPES:
        raise unknown_variant(kind, (GLOBAL, *SCOPES))
    if not isinstance(name, str):
        raise Invalid(f"invalid type: `{kind}` expects a text")
    return Scope(kind, uuid_of(name) if kind == "agent_uuid" else name)


def _permission_of(value: Any) -> Permission:
    group, content = variant_of(value)
    if group not in PERMISSIONS:
        raise unknown_variant(group, PERMISSIONS)
    action, subject = variant_of(content)
    actions = PERMISSIONS[group]
    if action not in actions:
        raise unknown_variant(action, actions)
    known = actions[action]
    if known is None:
        if subject is not None:
            raise Invalid(f"invalid type: `{action}` names nothing")
        return Permission(group, action)
    if isinstance(known, tuple):
        subject, content = variant_of(subject)
        if subject not in known or content is not None:
            raise unknown_variant(subject, known)
    if not isinstance(subject, str):
        raise Invalid(f"invalid type: `{action}` expects a text")
    return Permission(group, action, subject)


def _or_none(read: Any, value: Any) -> Any:
    try:
        return read(value)
    except Invalid:
        return None


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        raise Invalid("invalid type: expected a limit")
    if name not in value:
        raise Invalid(f"missing field `{name}`")
    return value[name]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Invalid("invalid type: expected a sequence")
    return value
