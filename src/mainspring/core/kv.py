"""Keys and values in namespaces. A value is JSON, kept as it was given."""

from __future__ import annotations

import msgspec

from mainspring.core.errors import Conflict, Invalid, NotFound, TooLarge
from mainspring.core.limits import KV_NAME_CHARS_MAX, KV_VALUE_BYTES_MAX, RPC_ROWS_MAX
from mainspring.core.ports import Core


class Value(msgspec.Struct, frozen=True):
    """A key and what it holds; `value` is null where there is none."""

    namespace: str
    key: str
    value: msgspec.Raw


NULL = msgspec.Raw(b"null")


def check_name(text: str, what: str) -> None:
    """Raises `Invalid`."""
    if not text or len(text) > KV_NAME_CHARS_MAX or "\x00" in text:
        raise Invalid(f"{what} is not usable", hint=f"Use 1 to {KV_NAME_CHARS_MAX} characters.")


def _can_be(*names: str) -> bool:
    """Whether things with these names can be in a store."""
    return not any("\x00" in name for name in names)


async def create_namespace(core: Core, now: int, namespace: str) -> None:
    """Raises `Conflict` for one that is there."""
    check_name(namespace, "namespace")
    if not await core.store.kv.create(namespace, now):
        raise Conflict(f"namespace already exists: {namespace}")


async def delete_namespace(core: Core, namespace: str) -> None:
    """With all that is in it. Raises `NotFound`."""
    if not _can_be(namespace) or not await core.store.kv.drop(namespace):
        raise no_namespace(namespace)


async def set_value(core: Core, now: int, namespace: str, key: str, value: bytes) -> None:
    """Raises `NotFound` for a namespace that is not there, and `TooLarge`."""
    check_name(key, "key")
    if len(value) > KV_VALUE_BYTES_MAX:
        raise TooLarge(f"value has {len(value)} bytes", hint=f"At most {KV_VALUE_BYTES_MAX}.")
    if not _can_be(namespace) or not await core.store.kv.set(namespace, key, value.decode(), now):
        raise no_namespace(namespace)


async def get_values(core: Core, asked: list[tuple[str, str]], *, exact: bool = False) -> list[Value]:
    """What these keys hold, in their order; null for a missing one. A key that ends in `*` stands for all that begin
    so, unless it is `exact`."""
    single = {pair for pair in asked if exact or not pair[1].endswith("*")}
    held = await core.store.kv.get(sorted(pair for pair in single if _can_be(*pair)))
    found: list[Value] = []
    for namespace, key in asked:
        if key.endswith("*") and not exact:
            if not _can_be(namespace, key):
                continue
            some = await core.store.kv.beginning(namespace, key[:-1], RPC_ROWS_MAX)
            found += [Value(namespace, name, msgspec.Raw(value.encode())) for name, value in some]
        else:
            text = held.get((namespace, key))
            found.append(Value(namespace, key, NULL if text is None else msgspec.Raw(text.encode())))
    return found


async def delete_key(core: Core, namespace: str, key: str) -> None:
    """Raises `NotFound`."""
    if not _can_be(namespace, key) or not await core.store.kv.remove(namespace, key):
        raise NotFound(f"key not found: {key}")


async def keys(core: Core, namespace: str) -> list[str]:
    """In order. Raises `NotFound` for a namespace that is not there."""
    found = await core.store.kv.keys(namespace) if _can_be(namespace) else None
    if found is None:
        raise no_namespace(namespace)
    return found


async def namespaces(core: Core) -> list[str]:
    """In order."""
    return await core.store.kv.namespaces()


def no_namespace(namespace: str) -> NotFound:
    """The refusal of one that is not there."""
    return NotFound(f"namespace not found: {namespace}")
