"""How an agent pings: by each way that a system may offer, and by connecting; with their limits."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring_agent import icmp, tcp
from mainspring_agent.failure import TaskFailed


def refusing(*kinds: int) -> Callable[[int, int, int], socket.socket]:
    """Open sockets as a kernel does that refuses these kinds, and note what was asked for."""

    def opened(family: int, kind: int, protocol: int) -> socket.socket:
        asked.append(kind)
        if kind in kinds:
            raise PermissionError(errno.EACCES if kind == socket.SOCK_DGRAM else errno.EPERM, "not permitted")
        return EchoSocket(family, kind, protocol)

    asked: list[int] = []
    opened.asked = asked  # type: ignore[attr-defined]
    return opened


class EchoSocket(socket.socket):
    """A UDP socket in the place of an ICMP one: its peer answers as a host would, so that no right is needed."""

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, socket.SOCK_DGRAM)
        self.asked_kind = kind

    def connect(self, address: Any) -> None:
        super().connect((address[0], EchoHost.port))


class EchoHost:
    """Answers echo requests on loopback; noise first, so that only the right reply counts."""

    port = 0

    def __init__(self, *, with_ip: bool = False, silent: bool = False) -> None:
        self.with_ip, self.silent = with_ip, silent
        self.requests: list[bytes] = []

    async def __aenter__(self) -> EchoHost:
        host = self

        class Answering(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, addr: Any) -> None:
                host.requests.append(data)
                if host.silent:
                    return
                head = bytes([0x45]) + bytes(19) if host.with_ip else b""
                self.transport.sendto(head + data, addr)
                self.transport.sendto(head + bytes([0, 0]) + bytes(6) + b"another", addr)
                self.transport.sendto(b"", addr)
                self.transport.sendto(head + bytes([0, 0, 0, 0]) + data[4:], addr)

        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(Answering, local_addr=("127.0.0.1", 0))
        EchoHost.port = self.transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.transport.close()


async def test_a_datagram_socket_is_tried_first() -> None:
    opener = refusing()
    async with EchoHost() as host:
        assert 0 < await icmp.ping("127.0.0.1", open_socket=opener) < 2_000
    assert opener.asked == [socket.SOCK_DGRAM]  # type: ignore[attr-defined]
    [request] = host.requests
    kind, code, _, _, number = struct.unpack_from("!BBHHH", request)
    assert (kind, code, number) == (8, 0, 1)
    assert icmp.checksum(request) == 0


async def test_a_raw_socket_is_next_and_its_replies_begin_with_their_ip_header() -> None:
    opener = refusing(socket.SOCK_DGRAM)
    async with EchoHost(with_ip=True):
        assert 0 < await icmp.ping("127.0.0.1", open_socket=opener) < 2_000
    assert opener.asked == [socket.SOCK_DGRAM, socket.SOCK_RAW]  # type: ignore[attr-defined]


def program(folder: Path, script: str) -> str:
    path = folder / "ping"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


async def test_the_program_is_the_last_one(tmp_path: Path) -> None:
    said = program(
        tmp_path, f'printf "%s " "$@" > {tmp_path}/asked; echo "64 bytes from 127.0.0.1: icmp_seq=1 time=1.25 ms"'
    )
    closed = refusing(socket.SOCK_DGRAM, socket.SOCK_RAW)
    assert await icmp.ping("127.0.0.1", open_socket=closed, program=said) == 1.25
    assert (tmp_path / "asked").read_text().split() == ["-n", "-c", "1", "-W", "2", "127.0.0.1"]


async def test_without_any_of_them_the_error_names_the_setting(tmp_path: Path) -> None:
    closed = refusing(socket.SOCK_DGRAM, socket.SOCK_RAW)
    for missing in (str(tmp_path / "none"), program(tmp_path, "echo ping: socktype: not permitted; exit 2")):
        with pytest.raises(TaskFailed, match=r"net\.ipv4\.ping_group_range"):
            await icmp.ping("127.0.0.1", open_socket=closed, program=missing)


async def test_no_answer_is_a_timeout_after_two_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    async with EchoHost(silent=True):
        with pytest.raises(TaskFailed, match="Ping Timeout"):
            await icmp.ping("127.0.0.1", open_socket=refusing())
    assert 1.9 < time.monotonic() - began < 5
    slow = program(tmp_path, "exec sleep 60")
    with pytest.raises(TaskFailed, match="Ping Timeout"):
        await icmp.ping("127.0.0.1", open_socket=refusing(socket.SOCK_DGRAM, socket.SOCK_RAW), program=slow)


async def test_this_machine_answers_itself_or_says_what_is_missing() -> None:
    """With whatever rights the tests have."""
    try:
        assert 0 <= await icmp.ping("127.0.0.1") < 2_000
    except TaskFailed as error:
        assert "ping_group_range" in str(error)  # noqa: PT017  # either end is right, and depends on the machine


@pytest.mark.parametrize("name", ["", "no-such-host.invalid", "a..b", "x" * 300])
async def test_a_name_that_nobody_has_is_an_error(name: str) -> None:
    with pytest.raises(TaskFailed, match=r"Failed to resolve|DNS Timeout"):
        await icmp.ping(name)


async def test_tcp_ping_measures_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert 0 < await tcp.tcp_ping(f"127.0.0.1:{port}") < 1_000
    with pytest.raises(TaskFailed, match="Tcp Ping failed"):
        await tcp.tcp_ping(f"127.0.0.1:{port}")


async def test_tcp_ping_waits_one_second() -> None:
    """A listener whose queue is full answers no more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with contextlib.ExitStack() as waiting:
            for _ in range(4):
                held = waiting.enter_context(socket.socket())
                held.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    held.connect(address)
            began = time.monotonic()
            with pytest.raises(TaskFailed, match="Tcp Ping Timeout"):
                await tcp.tcp_ping(f"127.0.0.1:{address[1]}")
            assert 0.9 < time.monotonic() - began < 3


@pytest.mark.parametrize("target", ["host", "host:", ":80", "host:0", "host:65536", "host:http", "host:-1"])
def test_a_tcp_target_has_a_host_and_a_port(target: str) -> None:
    with pytest.raises(TaskFailed, match="Invalid target"):
        tcp.host_and_port(target)
    assert tcp.host_and_port("[::1]:80") == ("::1", 80)
