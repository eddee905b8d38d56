"""The guard: which targets are dialled, decided early for an answer to the user and again at every dial."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mainspring.core.errors import Invalid
from mainspring.outbound.addresses import AllowList, Part, address_parts, part_denied
from mainspring.outbound.interfaces import own_addresses
from mainspring.outbound.names import Names
from mainspring.outbound.urls import parse_url

OWN_ADDRESSES_S = 60.0

# Names whose address is the same everywhere: refused when the target is written, not only when it is dialled.
_KNOWN_NAMES = {
    "localhost": "127.0.0.1",
    "localhost.localdomain": "127.0.0.1",
    "ip6-localhost": "::1",
    "ip6-loopback": "::1",
    "metadata": "169.254.169.254",
    "metadata.google.internal": "169.254.169.254",
    "metadata.goog": "169.254.169.254",
    "instance-data": "169.254.169.254",
    "instance-data.ec2.internal": "169.254.169.254",
}


class TargetForbidden(OSError):
    """The guard refused to dial. `reason` names the host as the user wrote it, never an address it resolved to."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Guard:
    """Judges targets by the deny table, the addresses of this host and the operator's allow list.

    `allow`: networks, addresses and host names; raises `Invalid` naming `ALLOW_TARGETS` for anything else.
    """

    def __init__(
        self,
        allow: Sequence[str] = (),
        *,
        names: Names | None = None,
        own: Callable[[], frozenset[str]] = own_addresses,
    ) -> None:
        self._allow = AllowList(allow)
        self._names = Names() if names is None else names
        self._list_own = own
        self._own = _parts_of(own())
        self._own_until = 0.0

    def check(self, url: str, field: str) -> str:
        """The URL as it will be dialled. Raises `Invalid`, with code TARGET_FORBIDDEN for a denied address.

        Names are not resolved here, except for those whose address is the same everywhere.
        """
        target = parse_url(url, field)
        address = target.host if target.literal else self._known_address(target.host)
        if address is None:
            return target.url
        refused = self._refused_parts(address, target.host)
        if not refused:
            return target.url
        additions = [part.cidr for part, _ in refused] if target.literal else [target.host.rstrip(".")]
        raise Invalid(
            f"{field} is not a permitted target: {target.host} is {refused[0][1]}",
            hint=f"If this server may call it, restart it with {self._allow.line(additions)}",
            field=field,
            code="TARGET_FORBIDDEN",
        )

    def permit(self, address: str, host: str) -> None:
        """Raise `TargetForbidden` unless the numeric address may be dialled for `host`. Call it in the event loop."""
        self._refresh_own()
        refused = self._refused_parts(address, host)
        if refused:
            part, reason = refused[0]
            entry = part.cidr if host == address else host.rstrip(".")
            raise TargetForbidden(f"TARGET_FORBIDDEN: {host} is {reason}; MAINSPRING_ALLOW_TARGETS={entry} allows it")

    async def resolve(self, host: str) -> tuple[str, ...]:
        """Where to dial a host name: all its numeric addresses, every one of them permitted.

        Raises `TargetForbidden` when a single one is not (a name with a public and a private address is an attempt
        to be dialled at the private one), `NameUnresolved` within 5 s when there is none.
        """
        addresses = await self._names.addresses(host)
        for address in addresses:
            self.permit(address, host)
        return addresses

    def _known_address(self, host: str) -> str | None:
        bare = host.rstrip(".")
        return "127.0.0.1" if bare.endswith(".localhost") else _KNOWN_NAMES.get(bare)

    def _refused_parts(self, address: str, host: str) -> list[tuple[Part, str]]:
        """What of an address is denied and not allowed, each with the reason; nothing for an allowed host name."""
        if self._allow.host(host):
            return []
        found = []
        for part in address_parts(address):
            reason = part_denied(part) or ("an address of this server" if part in self._own else None)
            if reason is not None and not self._allow.part(part):
                found.append((part, reason))
        return found

    def _refresh_own(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._own_until:
            self._own_until = now + OWN_ADDRESSES_S
            self._own = _parts_of(self._list_own())


def _parts_of(addresses: frozenset[str]) -> frozenset[Part]:
    return frozenset(part for address in addresses for part in address_parts(address))
