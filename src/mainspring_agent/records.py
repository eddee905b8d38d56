"""DNS records: one question to one server, over UDP, and over TCP when the answer does not fit (RFC 1035)."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import struct
from pathlib import Path
from typing import Any

import msgspec

from mainspring_agent.failure import failed
from mainspring_agent.names import Address, resolve

TIMEOUT_S = 5.0
TYPES = {
    "a": 1,
    "ns": 2,
    "cname": 5,
    "soa": 6,
    "ptr": 12,
    "mx": 15,
    "txt": 16,
    "aaaa": 28,
    "srv": 33,
    "caa": 257,
}
_NAMES = {number: name for name, number in TYPES.items()}
_ERRORS = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_RESOLV = Path("/etc/resolv.conf")
_POINTERS_MAX = 64


class DnsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask, and whom: `host:port` or an address; the system's own server when it does not say."""

    domain: str
    record_types: tuple[str, ...]
    dns_server: str | None = None


class Malformed(Exception):
    """Not an answer to what was asked."""


async def dns(asked: DnsQuery) -> list[dict[str, Any]]:
    """The records of all asked types: type, ms that the server took, data as text. Raises `TaskFailed`."""
    unknown = [kind for kind in asked.record_types if kind.lower() not in TYPES]
    if unknown or not asked.record_types:
        raise failed(f"Unknown record type {unknown[0] if unknown else ''!r}")
    server = await _server(asked.dns_server)
    found: list[dict[str, Any]] = []
    for kind in asked.record_types:
        found += await _records(asked.domain, kind.lower(), server)
    return found


async def _records(domain: str, kind: str, server: Address) -> list[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    question = query(secrets.randbits(16), name_of(domain, kind), TYPES[kind])
    began = loop.time()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            said = await _over_udp(question, server)
            if said[2] & 0x02:
                said = await _over_tcp(question, server)
        took = (loop.time() - began) * 1000
        return [{"record_type": _NAMES[one], "time": took, "data": data} for one, data in answers(question, said)]
    except TimeoutError:
        raise failed("Dns Timeout") from None
    except (OSError, Malformed, asyncio.IncompleteReadError) as error:
        raise failed(f"Dns failed: {error}") from None


async def _server(named: str | None) -> Address:
    if named is None:
        named = _of_the_system()
    host, colon, port = named.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")) or not port.isdigit():
        host, port = named, "53"
    return await resolve(host, int(port))


def _of_the_system() -> str:
    try:
        lines = _RESOLV.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return words[1]
    return "127.0.0.1"


def name_of(domain: str, kind: str) -> str:
    """The name to ask for: of an address (type `ptr`) the one under `arpa`, of other text its ASCII form. Raises
    `TaskFailed`."""
    if kind == "ptr":
        try:
            return ipaddress.ip_address(domain).reverse_pointer
        except ValueError:
            pass
    try:
        plain = domain.rstrip(".")
        return plain if plain.isascii() else plain.encode("idna").decode()
    except UnicodeError:
        raise failed(f"Invalid domain {domain[:256]!r}") from None


def query(number: int, name: str, kind: int) -> bytes:
    """The message that asks for records of one name and type. Raises `TaskFailed` for what is no name."""
    labels = [label.encode() for label in name.split(".")] if name else []
    if not all(0 < len(label) < 64 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise failed(f"Invalid domain {name[:256]!r}")
    coded = b"".join(bytes([len(label)]) + label for label in labels)
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + coded + b"\0" + struct.pack("!2H", kind, 1)


def answers(question: bytes, said: bytes) -> list[tuple[int, str]]:
    """The records of known types in an answer: (type, data). Raises `Malformed`."""
    try:
        number, flags, questions, count, _, _ = struct.unpack_from("!6H", said)
        if number != int.from_bytes(question[:2]) or not flags & 0x8000:
            raise Malformed("not the answer to this question")
        if code := flags & 0xF:
            raise Malformed(_ERRORS.get(code, f"error {code}"))
        at = 12
        for _ in range(questions):
            at = _name(said, at)[1] + 4
        found = []
        for _ in range(count):
            _, at = _name(said, at)
            kind, _, _, length = struct.unpack_from("!2HIH", said, at)
            at += 10
            if at + length > len(said):
                raise Malformed("an answer that is cut off")
            if kind in _NAMES:
                found.append((kind, _data(said, kind, at, length)))
            at += length
    except (struct.error, IndexError):
        raise Malformed("an answer that is cut off") from None
    return found


def _data(said: bytes, kind: int, at: int, length: int) -> str:
    raw = said[at : at + length]
    match _NAMES[kind]:
        case "a":
            return socket.inet_ntop(socket.AF_INET, raw) if length == 4 else raw.hex()
        case "aaaa":
            return socket.inet_ntop(socket.AF_INET6, raw) if length == 16 else raw.hex()
        case "ns" | "cname" | "ptr":
            return _name(said, at)[0]
        case "mx":
            return f"{int.from_bytes(raw[:2])} {_name(said, at + 2)[0]}"
        case "srv":
            priority, weight, port = struct.unpack_from("!3H", said, at)
            return f"{priority} {weight} {port} {_name(said, at + 6)[0]}"
        case "soa":
            first, at = _name(said, at)
            second, at = _name(said, at)
            return " ".join([first, second, *map(str, struct.unpack_from("!5I", said, at))])
        case "caa":
            tag = raw[2 : 2 + raw[1]].decode(errors="replace")
            return f'{raw[0]} {tag} "{raw[2 + raw[1] :].decode(errors="replace")}"'
        case _:
            return _text(raw)


def _text(raw: bytes) -> str:
    parts, at = [], 0
    while at < len(raw):
        parts.append(raw[at + 1 : at + 1 + raw[at]])
        at += 1 + raw[at]
    return b"".join(parts).decode(errors="replace")


def _name(said: bytes, at: int) -> tuple[str, int]:
    """The name that begins there, and where it ends; a pointer leads to the rest of it (section 4.1.4)."""
    labels: list[str] = []
    end: int | None = None
    for _ in range(_POINTERS_MAX + 128):
        size = said[at]
        if size >= 0xC0:
            end = at + 2 if end is None else end
            at = (size & 0x3F) << 8 | said[at + 1]
        elif size:
            labels.append(said[at + 1 : at + 1 + size].decode(errors="replace"))
            at += 1 + size
        else:
            return ".".join(labels) + ".", at + 1 if end is None else end
    raise Malformed("a name without an end")


async def _over_udp(question: bytes, server: Address) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(server.family, socket.SOCK_DGRAM) as opened:
        opened.setblocking(False)
        opened.connect(server.sockaddr)
        await loop.sock_sendall(opened, question)
        while True:
            said = await loop.sock_recv(opened, 65_536)
            if len(said) >= 12 and said[:2] == question[:2]:
                return said


async def _over_tcp(question: bytes, server: Address) -> bytes:
    host, port, *_ = server.sockaddr
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(len(question).to_bytes(2) + question)
        size = int.from_bytes(await reader.readexactly(2))
        return await reader.readexactly(size)
    finally:
        writer.close()
