"""Sockets that mean no good, against a real server: it stays small, stays quick for others, and lets go of them."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.harness import ServerProcess, server, wait_for
from e2e.harness import call as http_call
from e2e.raw_sockets import BINARY, CONT, PING, PONG, TEXT, RawSocket, call, frame, memory

MIB = 1 << 20
HELLO = call("nodeget-server_hello")
SAID = "NodeGet Server Is Running!"
# What a server of this size has in memory anyway goes up and down by so much.
NOISE = 24 * MIB


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server, which is to be as well afterwards as before, and to have nothing to say about it."""
    with server(tmp_path / "data") as process:
        with RawSocket(process.url) as opened:
            opened.send(frame(TEXT, HELLO))
            assert opened.answer()["result"] == SAID
        yield process
        is_well(process)
        assert process.stop() == 0
        assert "Traceback" not in process.log.read_text()


def is_well(process: ServerProcess) -> None:
    """Others are answered, and quickly."""
    began = time.monotonic()
    with RawSocket(process.url, patience=5) as other:
        other.send(frame(TEXT, HELLO))
        assert other.answer()["result"] == SAID
    assert http_call(process.url, "GET", "/readyz", key=None)[0] == 200
    assert time.monotonic() - began < 5


def size_of(process: ServerProcess) -> int:
    assert process.process is not None
    return memory(process.process.pid)


def test_a_frame_that_says_it_is_huge_is_the_last_one(attacked: ServerProcess) -> None:
    before = size_of(attacked)
    for size in (21 * MIB, 1 << 40, (1 << 63) - 1):
        for opcode in (TEXT, BINARY):
            with RawSocket(attacked.url) as opened:
                opened.send(frame(opcode, b"x" * 1000, says=size))
                assert opened.end() == 1009
    with RawSocket(attacked.url) as opened:
        opened.send(frame(TEXT, b"x" * (10 * MIB), fin=False), frame(CONT, b"x", says=11 * MIB))
        assert opened.end() == 1009
    assert size_of(attacked) - before < 64 * MIB


def test_what_is_no_frame_ends_the_socket(attacked: ServerProcess) -> None:
    dice = random.Random(5)
    bad = [
        (frame(TEXT, HELLO, masked=False), 1002),
        (frame(3, b"x"), 1002),
        (frame(11), 1002),
        (bytes([0xF1, 0x80]) + bytes(4), 1002),
        (frame(CONT, b"of nothing"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\x28"), 1007),
    ]
    for sent, code in bad:
        with RawSocket(attacked.url) as opened:
            opened.send(sent)
            assert opened.end() == code, sent
    for _ in range(100):
        with RawSocket(attacked.url) as opened:
            opened.send(dice.randbytes(dice.randrange(1, 3_000)))
            opened.half_close()
            opened.end()


def test_garbage_in_whole_frames_is_answered(attacked: ServerProcess) -> None:
    dice = random.Random(6)
    with RawSocket(attacked.url) as opened:
        for opcode in (TEXT, BINARY):
            for _ in range(200):
                size = dice.randrange(0, 2_000)
                opened.send(frame(opcode, dice.randbytes(size) if opcode == BINARY else b"}" * size))
                assert opened.answer()["error"]["code"] in (-32700, -32600)
        first, last = frame(TEXT, HELLO[:9], fin=False), frame(CONT, HELLO[9:])
        opened.send(first, frame(CONT, fin=False), frame(PING, b"?"), last)
        assert opened.read() == (PONG, b"?")
        assert opened.answer()["result"] == SAID


def test_a_message_in_very_many_parts_takes_no_more_than_its_size(attacked: ServerProcess) -> None:
    before = size_of(attacked)
    with RawSocket(attacked.url) as opened:
        opened.send(frame(TEXT, b"[", fin=False))
        for part in (b"", b"12"):
            many = frame(CONT, part, fin=False) * 20_000
            for _ in range(20):
                opened.send(many)
        opened.send(frame(PING, b"read"))
        assert opened.read() == (PONG, b"read")
        assert size_of(attacked) - before < 8 * MIB
        opened.send(frame(CONT, b"]"))
        assert opened.answer()[0]["error"]["code"] == -32600


def test_pings_of_one_that_reads_no_pongs_are_not_read(attacked: ServerProcess) -> None:
    before = size_of(attacked)
    ping = frame(PING, b"p" * 125)
    notification = frame(TEXT, b'{"jsonrpc":"2.0","method":"nodeget-server_hello"}')
    with ExitStack() as stack:
        for flood in (ping * 1_000, (ping * 500 + notification) * 4):
            opened = stack.enter_context(RawSocket(attacked.url, window=8 * 1024))
            assert opened.push(flood, 64 * MIB) < 32 * MIB
        assert size_of(attacked) - before < NOISE
        is_well(attacked)


def test_pings_are_answered_when_their_pongs_are_read_at_last(attacked: ServerProcess) -> None:
    ping = frame(PING, b"p" * 125)
    with RawSocket(attacked.url, window=8 * 1024) as opened:
        went = opened.push(ping, 64 * MIB)
        for _ in range(went // len(ping)):
            assert opened.read() == (PONG, b"p" * 125)
        opened.finish(ping, went)
        if went % len(ping):
            assert opened.read()[0] == PONG
        opened.send(frame(TEXT, HELLO))
        assert opened.answer()["result"] == SAID


def test_calls_of_one_that_reads_no_answers_are_not_read(attacked: ServerProcess) -> None:
    """Each asks for 8 MiB: what comes back is as long as the id that was sent."""
    before = size_of(attacked)
    long = "i" * (8 * MIB)
    asked = frame(TEXT, call("nodeget-server_hello", long))
    with RawSocket(attacked.url, window=8 * 1024) as opened:
        went = opened.push(asked, 400 * MIB)
        assert went < 200 * MIB
        assert size_of(attacked) - before < 200 * MIB
        is_well(attacked)
        for _ in range(went // len(asked)):
            assert opened.answer()["id"] == long
        opened.finish(asked, went)
        if went % len(asked):
            assert opened.answer()["id"] == long
        opened.send(frame(TEXT, HELLO))
        assert opened.answer()["result"] == SAID


def test_small_calls_of_one_that_reads_nothing_are_not_read_for_ever(attacked: ServerProcess) -> None:
    before = size_of(attacked)
    many = frame(TEXT, HELLO) * 1_000
    with RawSocket(attacked.url, window=8 * 1024) as opened:
        assert opened.push(many, 128 * MIB) < 32 * MIB
        assert size_of(attacked) - before < NOISE
        is_well(attacked)


def test_a_thousand_that_never_speak_are_in_nobodys_way(attacked: ServerProcess) -> None:
    before = size_of(attacked)
    with ExitStack() as stack:
        address = urlsplit(attacked.url)
        for _ in range(500):
            stack.enter_context(RawSocket(attacked.url))
            stack.enter_context(socket.create_connection((address.hostname, address.port)))
        assert size_of(attacked) - before < 100 * MIB
        is_well(attacked)


HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begun", "endless"),
    [
        (b"GET /", b"/" * MIB),
        (HEAD + b"X: ", b"x" * MIB),
        (HEAD, b"a: b\r\n" * 100_000),
        (b"", b"\r\n" * MIB),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"x" * MIB),
    ],
    ids=["url", "header", "headers", "nothing", "trailer"],
)
def test_a_request_without_an_end_has_one(attacked: ServerProcess, begun: bytes, endless: bytes) -> None:
    before = size_of(attacked)
    address = urlsplit(attacked.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as opened:
        opened.sendall(begun)
        with pytest.raises(ConnectionError):
            opened.sendall(endless * (64 * MIB // len(endless)))
    assert size_of(attacked) - before < NOISE


def test_one_that_hangs_up_half_way_is_let_go(attacked: ServerProcess) -> None:
    assert attacked.process is not None
    files = Path(f"/proc/{attacked.process.pid}/fd")
    before = len(os.listdir(files))
    with ExitStack() as stack:
        for _ in range(50):
            opened = stack.enter_context(RawSocket(attacked.url))
            opened.send(frame(TEXT, HELLO[:10], fin=False))
            opened.half_close()
            assert opened.end() is None
        wait_for("the server to close them", lambda: len(os.listdir(files)) <= before + 5)
