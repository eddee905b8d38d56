"""Who is calling: the key they show, and whether they sit on this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

_FORWARDED = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)


def bearer_of(headers: Mapping[bytes, bytes]) -> str:
    """The key of an `Authorization: Bearer` header; no key is the empty one, which nobody holds."""
    given = headers.get(b"authorization")
    return "" if given is None else _bearer(given)


@lru_cache(maxsize=4096)
def _bearer(given: bytes) -> str:
    return given[7:].decode("latin-1").strip() if given[:7].lower() == b"bearer " else ""


def ip_of(scope: MutableMapping[str, Any]) -> str:
    """The address that a request comes from, through the proxies that are trusted; empty when it has none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def is_local(scope: MutableMapping[str, Any]) -> bool:
    """Whether the connection comes from this machine and no proxy says that it speaks for somebody else."""
    client = scope.get("client")
    if client is None or any(name in _FORWARDED for name, _ in scope["headers"]):
        return False
    return _is_loopback(client[0])


def names_this_machine(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the Host header is a loopback name: a page of a site that rebinds its name to 127.0.0.1 has another."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host[: host.index("]") + 1].strip("[]") if host.startswith("[") and "]" in host else host.partition(":")[0]
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def _is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback
