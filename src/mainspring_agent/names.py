"""Names to addresses, by the system."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, NamedTuple

from mainspring_agent.failure import failed

TIMEOUT_S = 2.0


class Address(NamedTuple):
    """Where to connect to; `sockaddr` as `connect` takes it."""

    family: int
    sockaddr: Any


async def resolve(host: str, port: int = 0) -> Address:
    """The first address of a host, which may be one itself. Raises `TaskFailed`, after 2 s too."""
    name = host.strip()
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise failed(f"DNS Timeout: {host[:256]}") from None
    except (OSError, UnicodeError, ValueError) as error:
        raise failed(f"Failed to resolve {host[:256]}: {getattr(error, 'strerror', None) or error}") from None
    if not name or not found:
        raise failed(f"Failed to resolve {host[:256]}: no address")
    family, _, _, _, sockaddr = found[0]
    return Address(family, sockaddr)
