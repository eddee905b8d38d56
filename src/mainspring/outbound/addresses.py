"""Which addresses may be dialled: the deny table and what an operator allows in spite of it.

The table is our own because no library's idea of a public address is safe: `ipaddress.is_global` calls
64:ff9b::7f00:1, fec0::1 and 224.0.0.1 public on every Python we run on. Sources: the IANA special-purpose address
registries for IPv4 and IPv6, and the metadata addresses of the large clouds.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from mainspring.core.errors import Invalid

_V4_DENIED = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared (carrier-grade NAT)"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "cloud metadata"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "reserved"),
    ("192.52.193.0/24", "reserved"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "reserved"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
)
# Of IPv6 only 2000::/3 is assigned to hosts; it alone is open, except for what is cut out of it below.
_V6_OPEN = "2000::/3"
_V6_DENIED = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "reserved"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Part(NamedTuple):
    """One address that a dial would reach: the address itself, or an IPv4 address embedded in it."""

    version: int
    number: int

    @property
    def cidr(self) -> str:
        """The network of this one address, as the allow list spells it."""
        if self.version == 4:
            return f"{ipaddress.IPv4Address(self.number)}/32"
        return f"{ipaddress.IPv6Address(self.number)}/128"


class _Ranges:
    """Disjoint ranges of integers with a word for each, found by bisection."""

    def __init__(self, table: Iterable[tuple[str, str]]) -> None:
        rows = []
        for cidr, reason in table:
            network = ipaddress.ip_network(cidr)
            rows.append((int(network.network_address), int(network.broadcast_address), reason))
        rows.sort()
        assert all(before[1] < after[0] for before, after in pairwise(rows)), "ranges overlap"
        self._starts = [row[0] for row in rows]
        self._rows = rows

    def find(self, number: int) -> str | None:
        at = bisect_right(self._starts, number) - 1
        if at < 0:
            return None
        _, end, reason = self._rows[at]
        return reason if number <= end else None


_V4 = _Ranges(_V4_DENIED)
_V6 = _Ranges(_V6_DENIED)
_V6_ASSIGNED = _Ranges([(_V6_OPEN, "open")])


@lru_cache(maxsize=4096)
def address_parts(address: str) -> tuple[Part, ...]:
    """What a dial to a numeric address reaches: itself and every IPv4 address that its form embeds.

    An IPv4-mapped address (::ffff:0:0/96) is its IPv4 address and nothing else. Raises ValueError for other text;
    a zone (`%eth0`) is ignored.
    """
    bare = address.partition("%")[0]
    try:
        if ":" not in bare:
            return (Part(4, int.from_bytes(socket.inet_pton(socket.AF_INET, bare), "big")),)
        number = int.from_bytes(socket.inet_pton(socket.AF_INET6, bare), "big")
    except OSError:
        raise ValueError(f"not a numeric address: {address!r}") from None
    if number >> 32 == 0xFFFF:
        return (Part(4, number & 0xFFFFFFFF),)
    return (Part(6, number), *(Part(4, inner) for inner in _embedded(number)))


def _embedded(number: int) -> tuple[int, ...]:
    """IPv4 addresses inside an IPv6 one: RFC 4291 2.5.5.1, RFC 2765, RFC 6052 and 8215, RFC 3056, RFC 4380."""
    low = number & 0xFFFFFFFF
    high = number >> 32
    if (high == 0 and low > 1) or high in (0xFFFF_0000, 0x0064_FF9B_0000_0000_0000_0000):
        return (low,)  # IPv4-compatible, IPv4-translated, NAT64's well-known prefix
    if number >> 80 == 0x0064_FF9B_0001:
        return (low,)  # NAT64's local prefix, in the only layout that cannot be confused: a /96 under it
    if number >> 112 == 0x2002:
        return (number >> 80 & 0xFFFFFFFF,)
    if number >> 96 == 0x2001_0000:
        return (number >> 64 & 0xFFFFFFFF, low ^ 0xFFFFFFFF)  # Teredo: the server, and the client inverted
    return ()


def part_denied(part: Part) -> str | None:
    """The table's word for one address, None when it is open."""
    if part.version == 4:
        return _V4.find(part.number)
    reason = _V6.find(part.number)
    if reason is None and _V6_ASSIGNED.find(part.number) is None:
        return "reserved"
    return reason


@lru_cache(maxsize=4096)
def denied(address: str) -> str | None:
    """Why a numeric IPv4 or IPv6 address is not dialled, None when it is open. Text that is no address is denied."""
    try:
        parts = address_parts(address)
    except ValueError:
        return "not an address"
    for part in parts:
        if reason := part_denied(part):
            return reason
    return None


class AllowList:
    """What `ALLOW_TARGETS` names: networks and addresses, and hosts that may resolve to anything.

    Raises `Invalid` naming `ALLOW_TARGETS` for an entry that is neither.
    """

    def __init__(self, entries: Sequence[str] = ()) -> None:
        self.entries = tuple(entry.strip() for entry in entries if entry.strip())
        self._hosts: set[str] = set()
        self._networks: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for entry in self.entries:
            self._add(entry)

    def _add(self, entry: str) -> None:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            self._hosts.add(_host_entry(entry))
            return
        first, last = int(network.network_address), int(network.broadcast_address)
        if network.version == 6 and first >> 32 == last >> 32 == 0xFFFF:
            # Mapped addresses are judged as the IPv4 addresses they are.
            self._networks[4].append((first & 0xFFFFFFFF, last & 0xFFFFFFFF))
        else:
            self._networks[network.version].append((first, last))

    def host(self, host: str) -> bool:
        """Whether a name may resolve to anything."""
        return host.rstrip(".") in self._hosts

    def part(self, part: Part) -> bool:
        """Whether one address lies in an allowed network."""
        return any(first <= part.number <= last for first, last in self._networks[part.version])

    def line(self, additions: Iterable[str]) -> str:
        """The setting that would allow `additions` besides what is allowed already."""
        return "MAINSPRING_ALLOW_TARGETS=" + ",".join(dict.fromkeys((*self.entries, *additions)))


def _host_entry(entry: str) -> str:
    host = entry.lower().rstrip(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise Invalid(
            f"{entry!r} is neither a network nor a host name",
            hint="Write networks like 10.0.0.0/8 or fd00::/8 and hosts like intranet.example, separated by commas.",
            field="ALLOW_TARGETS",
        )
    return host
