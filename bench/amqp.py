"""As much of AMQP 0-9-1 as it takes to publish with confirms (sections 2.3 and 4.2 of its specification)."""

from __future__ import annotations

import socket
import struct

_END = b"\xce"
_METHOD, _HEADER, _BODY = 1, 2, 3
_ACK = struct.pack(">HH", 60, 80)


def _short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + _END


def _method(channel: int, group: int, number: int, arguments: bytes) -> bytes:
    return _frame(_METHOD, channel, struct.pack(">HH", group, number) + arguments)


def _hear(peer: socket.socket, group: int, number: int) -> None:
    """Until this method comes."""
    while True:
        head = _exactly(peer, 7)
        kind, _, size = struct.unpack(">BHI", head)
        payload = _exactly(peer, size + 1)
        if kind == _METHOD and payload[:4] == struct.pack(">HH", group, number):
            return
        assert payload[:4] not in (struct.pack(">HH", 10, 50), struct.pack(">HH", 20, 40)), payload


def _exactly(peer: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        chunk = peer.recv(size - len(found))
        assert chunk, "the server hung up"
        found += chunk
    return found


def greet(peer: socket.socket, queue: str, kind: str) -> None:
    """Sign in as guest, open a channel, declare the durable queue, ask for confirms."""
    peer.sendall(b"AMQP\x00\x00\x09\x01")
    _hear(peer, 10, 10)
    login = b"\x00guest\x00guest"
    answer = struct.pack(">I", 0) + _short("PLAIN") + struct.pack(">I", len(login)) + login + _short("en_US")
    peer.sendall(_method(0, 10, 11, answer))
    _hear(peer, 10, 30)
    peer.sendall(_method(0, 10, 31, struct.pack(">HIH", 1, 131_072, 0)))
    peer.sendall(_method(0, 10, 40, _short("/") + b"\x00\x00"))
    _hear(peer, 10, 41)
    peer.sendall(_method(1, 20, 10, b"\x00"))
    _hear(peer, 20, 11)
    entry = _short("x-queue-type") + b"S" + struct.pack(">I", len(kind)) + kind.encode()
    declared = struct.pack(">H", 0) + _short(queue) + b"\x02" + struct.pack(">I", len(entry)) + entry
    peer.sendall(_method(1, 50, 10, declared))
    _hear(peer, 50, 11)
    peer.sendall(_method(1, 85, 10, b"\x00"))
    _hear(peer, 85, 11)


def publish(queue: str, payload: bytes) -> bytes:
    """One persistent message: its method, header and body."""
    method = _method(1, 60, 40, struct.pack(">H", 0) + _short("") + _short(queue) + b"\x00")
    header = struct.pack(">HHQH", 60, 0, len(payload), 0x1000) + b"\x02"
    return method + _frame(_HEADER, 1, header) + _frame(_BODY, 1, payload)


def is_ack(answer: bytes) -> bool:
    """Whether a whole confirmation has come."""
    assert len(answer) < 11 or answer[7:11] == _ACK, answer
    return len(answer) == 21
