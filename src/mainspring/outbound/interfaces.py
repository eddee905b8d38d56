"""The addresses of this host: a target that resolves to one of them reaches the services beside us."""

from __future__ import annotations

import socket
import struct
import sys

_RTM_NEWADDR = 20
_RTM_GETADDR = 22
_REQUEST_DUMP = 0x301
_DONE = 3
_ERROR = 2
_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, interface
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type


def own_addresses() -> frozenset[str]:
    """Numeric addresses of the interfaces of this host.

    All of them where the kernel tells (Linux, rtnetlink(7)), else those that it would send from. Never raises: what
    cannot be learned is not denied.
    """
    try:
        return frozenset(_from_kernel())
    except OSError:
        return frozenset(_from_routes())


def _from_routes() -> set[str]:
    """The source addresses of the routes towards documentation addresses; connecting a UDP socket sends nothing."""
    found = set()
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                found.add(str(probe.getsockname()[0]))
        except OSError:
            continue
    return found


def _from_kernel() -> set[str]:
    if sys.platform != "linux":
        raise OSError("no rtnetlink")
    request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    found: set[str] = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
        link.settimeout(1)
        link.bind((0, 0))
        link.send(_HEADER.pack(_HEADER.size + len(request), _RTM_GETADDR, _REQUEST_DUMP, 1, 0) + request)
        while _take(link.recv(65536), found):
            pass
    return found


def _take(datagram: bytes, found: set[str]) -> bool:
    """Add the addresses of one datagram of the answer; False when the answer is complete."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, _, _ = _HEADER.unpack_from(datagram, at)
        if kind == _DONE:
            return False
        if kind == _ERROR or length < _HEADER.size:
            raise OSError("rtnetlink refused")
        if kind == _RTM_NEWADDR:
            found.update(_address(datagram[at + _HEADER.size : at + length]))
        at += length + 3 & ~3
    return True


def _address(message: bytes) -> list[str]:
    family = message[0]
    values: dict[int, bytes] = {}
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size:
            break
        values[kind] = message[at + _ATTRIBUTE.size : at + length]
        at += length + 3 & ~3
    # On a point-to-point link IFA_ADDRESS is the peer's, IFA_LOCAL ours.
    own = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
    if own is None or family not in (socket.AF_INET, socket.AF_INET6):
        return []
    return [socket.inet_ntop(family, own)]
