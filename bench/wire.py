"""HTTP load from plain sockets: cheap for this side, so that the server is what is measured."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from typing import Any, cast

import msgspec

CONNECTIONS = 64
_decode = msgspec.json.Decoder().decode


def request_bytes(method: str, path: str, key: str, body: bytes = b"", *headers: str) -> bytes:
    """A request as a plain client sends it."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: bench",
        f"Authorization: Bearer {key}",
        *headers,
    ]
    if body or method != "GET":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Talk:
    """One connection and what it says next: `script` is called with the last answer's data and returns a request, or
    None to end."""

    def __init__(self, port: int, script: Callable[[Any], bytes | None], *, decode: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.script = script
        self.decode = decode
        self.answer = b""
        self.asked_at = 0.0

    def say(self, data: Any) -> bool:
        request = self.script(data)
        if request is None:
            return False
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)
        return True

    def hear(self) -> Any:
        """The data of the answer, or None while it is not complete."""
        self.answer += self.socket.recv(1 << 18)
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return None
        start = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[start : (head + b"\r\n").index(b"\r\n", start)]):
            return None
        assert head.startswith(b"HTTP/1.1 200"), (head + body)[:500]
        self.answer = b""
        return _decode(body)["data"] if self.decode else body


def talk(
    port: int,
    scripts: list[Callable[[Any], bytes | None]],
    seconds: float,
    *,
    decode: bool = False,
    each: Callable[[int, float], None] | None = None,
) -> tuple[int, list[float]]:
    """Let one connection per script talk for so long; how many answers came and how long each took, in ms.

    `each` is told of every answer: the number of its script, and when.
    """
    poll = selectors.EpollSelector()
    talks = [Talk(port, script, decode=decode) for script in scripts]
    for at, one in enumerate(talks):
        if one.say(None):
            poll.register(one.socket, selectors.EVENT_READ, (at, one))
    took: list[float] = []
    end = time.perf_counter() + seconds
    while (now := time.perf_counter()) < end and poll.get_map():
        for key, _ in poll.select(1):
            at, one = cast("tuple[int, Talk]", key.data)
            data = one.hear()
            if data is None:
                continue
            now = time.perf_counter()
            took.append((now - one.asked_at) * 1000)
            if each is not None:
                each(at, now)
            if not one.say(data):
                poll.unregister(one.socket)
    for one in talks:
        one.socket.close()
    poll.close()
    return len(took), took


def exchange(
    port: int,
    request: bytes,
    whole: Callable[[bytes], bool],
    seconds: float,
    greet: Callable[[socket.socket], None],
) -> tuple[int, list[float]]:
    """The same for other protocols: `whole` says when an answer is complete, `greet` begins a connection."""
    poll = selectors.EpollSelector()
    asked: dict[int, float] = {}
    heard: dict[int, bytes] = {}
    for _ in range(CONNECTIONS):
        peer = socket.create_connection(("127.0.0.1", port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greet(peer)
        asked[peer.fileno()] = time.perf_counter()
        peer.sendall(request)
        poll.register(peer, selectors.EVENT_READ)
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in poll.select(1):
            peer = cast("socket.socket", key.fileobj)
            answer = heard.pop(key.fd, b"") + peer.recv(4096)
            if not whole(answer):
                heard[key.fd] = answer
                continue
            now = time.perf_counter()
            took.append((now - asked[key.fd]) * 1000)
            asked[key.fd] = now
            peer.sendall(request)
    for key in list(poll.get_map().values()):
        cast("socket.socket", key.fileobj).close()
    poll.close()
    return len(took), took
