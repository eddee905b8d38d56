"""How long a TCP connection takes to open."""

from __future__ import annotations

import asyncio
import socket

from mainspring_agent.failure import failed
from mainspring_agent.names import resolve

TIMEOUT_S = 1.0


def host_and_port(target: str) -> tuple[str, int]:
    """`host:port`, `1.2.3.4:80`, `[::1]:80`. Raises `TaskFailed`."""
    host, colon, port = target.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise failed(f"Invalid target {target[:256]!r}: host:port is expected")
    return host, int(port)


async def tcp_ping(target: str) -> float:
    """Milliseconds until the connection stands, names resolved before. Raises `TaskFailed`, after 1 s too."""
    host, port = host_and_port(target)
    address = await resolve(host, port)
    loop = asyncio.get_running_loop()
    with socket.socket(address.family, socket.SOCK_STREAM) as opened:
        opened.setblocking(False)
        began = loop.time()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await loop.sock_connect(opened, address.sockaddr)
        except TimeoutError:
            raise failed("Tcp Ping Timeout") from None
        except OSError as error:
            raise failed(f"Tcp Ping failed: {error.strerror or error}") from None
        return (loop.time() - began) * 1000
