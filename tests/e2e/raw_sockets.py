"""A WebSocket of single bytes, for what no well-behaved client sends (RFC 6455 section 5)."""

from __future__ import annotations

import json
import re
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_ASKING = (
    "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, says: int = 0) -> bytes:
    """One frame, masked with zeros; `says`: what it says of its length, if that is not true."""
    length = says or len(payload)
    if length < 126:
        mark, more = length, b""
    elif length < 1 << 16:
        mark, more = 126, struct.pack("!H", length)
    else:
        mark, more = 127, struct.pack("!Q", length)
    head = bytes([(0x80 if fin else 0) | opcode, (0x80 if masked else 0) | mark]) + more
    return head + (bytes(4) if masked else b"") + payload


def call(method: str, number: Any = 1, **params: Any) -> bytes:
    """A call as the payload of a frame."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


class RawSocket:
    """A connection after its handshake. `window`: what the kernel takes in for a reader that does not read."""

    def __init__(self, url: str, *, window: int | None = None, patience: float = 20) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(patience)
        if window is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        address = urlsplit(url)
        self._socket.connect((address.hostname, address.port))
        self._socket.sendall(_ASKING.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._exactly(1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def send(self, *frames: bytes) -> None:
        """All of them, in one write."""
        self._socket.sendall(b"".join(frames))

    def push(self, data: bytes, most: int, patience: float = 1.5) -> int:
        """The same again and again, until so many bytes are gone or nobody has taken one for so many seconds; how many
        went, the last of the data maybe in part."""
        self._socket.settimeout(patience)
        went = 0
        view = memoryview(data)
        try:
            while went < most:
                went += self._socket.send(view[went % len(data) :])
        except TimeoutError:
            pass
        finally:
            self._socket.settimeout(20)
        return went

    def finish(self, data: bytes, went: int) -> None:
        """Send the rest of what `push` has begun."""
        if went % len(data):
            self._socket.sendall(memoryview(data)[went % len(data) :])

    def half_close(self) -> None:
        """Nothing more will be said; whether anything is heard is another matter."""
        self._socket.shutdown(socket.SHUT_WR)

    def read(self) -> tuple[int, bytes]:
        """The next frame: its opcode and what is in it."""
        first, size = self._exactly(2)
        if size == 126:
            [size] = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            [size] = struct.unpack("!Q", self._exactly(8))
        return first & 15, self._exactly(size)

    def some(self, most: int) -> bytes:
        """What has come in, at most so many bytes, at least one."""
        got = self._socket.recv(most)
        if not got:
            raise EOFError
        return got

    def answer(self) -> Any:
        """The next frame as JSON."""
        opcode, payload = self.read()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    def end(self) -> int | None:
        """Read to the end; the code that the server closed with, None without one."""
        code = None
        try:
            while True:
                opcode, payload = self.read()
                if opcode == CLOSE:
                    code = int.from_bytes(payload[:2])
        except (ConnectionError, EOFError):
            return code

    def _exactly(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            got += self.some(min(size - len(got), 1 << 20))
        return bytes(got)


def memory(pid: int) -> int:
    """Bytes that a process has in memory."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
