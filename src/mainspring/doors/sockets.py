"""The addresses this process listens on."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Sequence

from mainspring.core.errors import Conflict

BACKLOG = 4096


def bind(binds: Sequence[tuple[str, int]], *, beside_others: bool = False) -> list[socket.socket]:
    """Bound sockets, not listening yet, for (host, port) each; port 0 is any free one.

    `beside_others`: worker processes of one server bind the same port, and the kernel deals connections out among
    those that listen. Raises `Conflict` when one cannot be had; then none is kept.
    """
    sockets: list[socket.socket] = []
    for host, port in binds:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            item = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(item)
            item.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if beside_others:
                item.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            item.bind(address)
            item.setblocking(False)
        except OSError as error:
            close(sockets)
            raise _refused(host, port, error) from None
    return sockets


def listen(sockets: Sequence[socket.socket]) -> None:
    """From now on connections wait to be taken. Raises `Conflict` when somebody else listens there."""
    for item in sockets:
        host, port = item.getsockname()[:2]
        try:
            item.listen(BACKLOG)
        except OSError as error:
            close(sockets)
            raise _refused(host, port, error) from None


def close(sockets: Sequence[socket.socket]) -> None:
    """Have done with them."""
    for item in sockets:
        item.close()


def addresses(sockets: Sequence[socket.socket]) -> list[tuple[str, int]]:
    """What they are bound to, as (host, port)."""
    return [item.getsockname()[:2] for item in sockets]


def url_of(host: str, port: int) -> str:
    """The address a client on this machine uses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # where to reach it, not where to bind
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _refused(host: str, port: int, error: OSError) -> Conflict:
    return Conflict(
        f"cannot listen on {host}:{port}: {error.strerror or error}",
        hint="Stop what listens there, or choose another with --port.",
    )


def at_the_end_of(life: int, call: Callable[[], None]) -> None:
    """Call it when the descriptor `life` ends."""
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(life)
        call()

    loop.add_reader(life, ended)


def allow_many() -> None:
    """Connections are files: take as many as this process may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
