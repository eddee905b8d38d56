"""One ICMP echo: over a datagram socket, a raw one, or by the system's `ping`, whichever this process may use."""

from __future__ import annotations

import asyncio
import errno
import re
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable

from mainspring_agent.failure import TaskFailed, failed
from mainspring_agent.names import Address, resolve

TIMEOUT_S = 2.0
PROGRAM = "ping"
HINT = (
    "this process may not send pings: let its group in with the sysctl net.ipv4.ping_group_range "
    '("0 2147483647" for all), give it CAP_NET_RAW, or install the program ping'
)
_REFUSED = {errno.EPERM, errno.EACCES, errno.EPROTONOSUPPORT, errno.EPROTOTYPE, errno.EAFNOSUPPORT}
_TOOK = re.compile(r"time[=<]\s?([0-9.]+)\s?ms")
# Family → (protocol, type of a request, type of a reply), RFC 792 and RFC 4443.
_WIRE = {socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0), socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128, 129)}

Opener = Callable[[int, int, int], socket.socket]


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = packet + b"\0" * (len(packet) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo(family: int, identifier: int, payload: bytes) -> bytes:
    """An echo request, number 1; over IPv6 the system fills the checksum in."""
    _, kind, _ = _WIRE[socket.AddressFamily(family)]
    head = struct.pack("!BBHHH", kind, 0, 0, identifier, 1)
    if family == socket.AF_INET:
        head = struct.pack("!BBHHH", kind, 0, checksum(head + payload), identifier, 1)
    return head + payload


def is_reply(family: int, packet: bytes, payload: bytes, *, with_ip: bool) -> bool:
    """Whether this is the reply to the echo with that payload; `with_ip`: it begins with its IPv4 header."""
    if with_ip:
        packet = packet[(packet[0] & 0xF) * 4 :] if packet else b""
    return len(packet) >= 8 and packet[0] == _WIRE[socket.AddressFamily(family)][2] and packet[8:] == payload


async def ping(target: str, *, open_socket: Opener = socket.socket, program: str = PROGRAM) -> float:
    """Milliseconds to a host and back. Raises `TaskFailed`: no such name, no answer in 2 s, not permitted."""
    address = await resolve(target)
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            opened = open_socket(address.family, kind, _WIRE[socket.AddressFamily(address.family)][0])
        except OSError as error:
            if error.errno in _REFUSED:
                continue
            raise failed(f"Ping failed: {error.strerror}") from None
        with opened:
            return await _limited(_over_socket(opened, kind, address))
    return await _limited(_by_program(address, program))


async def _limited(work: Awaitable[float]) -> float:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await work
    except TimeoutError:
        raise failed("Ping Timeout") from None
    except OSError as error:
        raise failed(f"Ping failed: {error.strerror or error}") from None


async def _over_socket(opened: socket.socket, kind: int, address: Address) -> float:
    loop = asyncio.get_running_loop()
    opened.setblocking(False)
    opened.connect(address.sockaddr)
    payload = secrets.token_bytes(32)
    began = loop.time()
    await loop.sock_sendall(opened, echo(address.family, secrets.randbits(16), payload))
    with_ip = kind == socket.SOCK_RAW and address.family == socket.AF_INET
    while not is_reply(address.family, await loop.sock_recv(opened, 2048), payload, with_ip=with_ip):
        pass
    return (loop.time() - began) * 1000


async def _by_program(address: Address, program: str) -> float:
    try:
        process = await asyncio.create_subprocess_exec(
            *(program, "-n", "-c", "1", "-W", "2", str(address.sockaddr[0])),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    except OSError:
        raise TaskFailed(f"Permission denied: {HINT}") from None
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if found := _TOOK.search(said.decode(errors="replace")):
        return float(found[1])
    if process.returncode == 1:
        raise failed("Ping Timeout")
    raise TaskFailed(f"Permission denied: {HINT}")
