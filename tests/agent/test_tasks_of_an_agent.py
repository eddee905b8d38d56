"""What the agent does, each against something real on this machine, with its limits."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import os
import socket
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as aioweb

from mainspring_agent import commands, icmp, machine, records, tcp, web
from mainspring_agent.failure import TaskFailed
from mainspring_agent.settings import Server, parse
from mainspring_agent.work import Workshop

UUID = "00000000-0000-0000-0000-000000000001"
SH = "/bin/sh"


def shell(script: str, *rest: str) -> list[str]:
    return ["-c", script, *rest]


# ---------------------------------------------------------------------------------------------------------------- ping


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


# ----------------------------------------------------------------------------------------------------------------- tcp


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


# ---------------------------------------------------------------------------------------------------------------- http


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[str]:
    async def answer(request: aioweb.Request) -> aioweb.StreamResponse:
        match request.path:
            case "/echo":
                body = await request.read()
                return aioweb.Response(
                    status=201, body=body, headers={"X-Method": request.method, "X-Host": request.host}
                )
            case "/binary":
                return aioweb.Response(body=b"\xff\x00")
            case "/trace":
                return aioweb.Response(text="fl=1\nip=198.51.100.7\nts=1\n")
            case "/slow":
                await asyncio.sleep(60)
        return aioweb.Response(status=500)

    runner = aioweb.ServerRunner(aioweb.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    listening = aioweb.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_http_ping_takes_any_answer() -> None:
    async with site() as url:
        assert 0 < await web.http_ping(url + "/fails") < 10_000
    for bad in (url, "ftp://host/", "nothing"):
        with pytest.raises(TaskFailed, match="Http Ping failed"):
            await web.http_ping(bad)


async def test_http_ping_waits_ten_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (web.PING_S, web.REQUEST_S) == (10, 30)
    monkeypatch.setattr(web, "PING_S", 0.2)
    monkeypatch.setattr(web, "REQUEST_S", 0.2)
    async with site() as url:
        with pytest.raises(TaskFailed, match="Http Ping Timeout"):
            await web.http_ping(url + "/slow")
        with pytest.raises(TaskFailed, match="Http Request Timeout"):
            await web.http_request(web.HttpRequest(url=url + "/slow", method="GET"))


async def test_http_request_gives_status_headers_and_body() -> None:
    async with site() as url:
        asked = web.HttpRequest(url=url + "/echo", method="PUT", headers={"X-A": "b"}, body="tâsk")
        found = await web.http_request(asked)
        assert (found["status"], found["body"], found["body_base64"]) == (201, "tâsk", None)
        assert {"X-Method": "PUT"} in found["headers"]
        sent = base64.b64encode(b"\xff\xfe").decode()
        asked = web.HttpRequest(url=url + "/echo", method="POST", body_base64=sent)
        assert (await web.http_request(asked))["body_base64"] == sent
        assert (await web.http_request(web.HttpRequest(url=url + "/binary", method="GET")))["body"] is None
        port = url.rpartition(":")[2]
        elsewhere = web.HttpRequest(url=f"http://example.invalid:{port}/echo", method="GET", ip="127.0.0.1")
        assert {"X-Host": f"example.invalid:{port}"} in (await web.http_request(elsewhere))["headers"]
        v4 = web.HttpRequest(url=f"http://localhost:{port}/echo", method="GET", ip="ipv4 auto")
        assert (await web.http_request(v4))["status"] == 201
        for bad in ({"ip": "nowhere"}, {"body": "a", "body_base64": "YQ=="}, {"body_base64": "?"}):
            with pytest.raises(TaskFailed, match="Http Request failed"):
                await web.http_request(web.HttpRequest(url=url + "/echo", method="POST", **bad))


async def test_a_body_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert web.BODY_BYTES_MAX == 64 * 1024 * 1024
    monkeypatch.setattr(web, "BODY_BYTES_MAX", 10)
    async with site() as url:
        with pytest.raises(TaskFailed, match="larger than"):
            await web.http_request(web.HttpRequest(url=url + "/echo", method="POST", body="x" * 11))


async def test_the_public_addresses_are_what_the_provider_sees() -> None:
    async with site() as url:
        assert await machine.ip(url + "/trace") == ["198.51.100.7", None]
        assert await machine.ip(url + "/fails") == [None, None]


# ------------------------------------------------------------------------------------------------------------- execute


async def test_execute_tells_output_errors_and_exit_code() -> None:
    assert await commands.execute(SH, shell("echo out"), 1_000) == "out\n"
    assert await commands.execute(SH, shell("echo out; echo bad >&2"), 1_000) == "out\n\n--- STDERR ---\nbad\n"
    assert await commands.execute(SH, shell("exit 3"), 1_000) == "(No Output)\n\n[Process exited with code 3]"
    assert await commands.execute(SH, shell("cat"), 1_000) == "(No Output)"
    with pytest.raises(TaskFailed, match="Execute failed"):
        await commands.execute("/no/such/program", [], 1_000)


async def test_much_output_keeps_its_beginning_and_its_end() -> None:
    script = "echo begin; head -c 30000000 /dev/zero | tr '\\0' x; echo end"
    text = await commands.execute(SH, shell(script), 10_000)
    assert len(text) <= 10_000
    assert text.startswith("begin\n")
    assert text.endswith("end\n")
    assert "left out" in text
    assert len(commands.shorten("x" * 100, 10)) <= 10


def alive(group: int) -> list[str]:
    """The processes of a group that are more than a name in a table."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [" ".join(row) for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


async def test_a_command_that_takes_too_long_goes_with_its_children(tmp_path: Path) -> None:
    script = f"trap '' TERM; (trap '' TERM; echo $$ > {tmp_path}/pid; sleep 60) & sleep 60"
    began = time.monotonic()
    with pytest.raises(TaskFailed, match="Execute Timeout"):
        await commands.execute(SH, shell(script), 1_000, timeout_s=0.5)
    assert time.monotonic() - began < 10
    group = int((tmp_path / "pid").read_text())
    assert alive(group) == []
    assert commands.TIMEOUT_S == 60


async def test_what_a_command_leaves_running_holds_nothing_up() -> None:
    began = time.monotonic()
    text = await commands.execute(SH, shell("echo here; sleep 30 & echo $!"), 1_000)
    assert time.monotonic() - began < 10
    head, pid = text.split()
    assert head == "here"
    os.kill(int(pid), 9)


# ----------------------------------------------------------------------------------------------------------------- dns


def answered(question: bytes, *answers: tuple[int, bytes], flags: int = 0x8180) -> bytes:
    head = question[:2] + struct.pack("!5H", flags, 1, len(answers), 0, 0)
    rest = b"".join(b"\xc0\x0c" + struct.pack("!2HIH", kind, 1, 60, len(data)) + data for kind, data in answers)
    return head + question[12:] + rest


RECORDS: dict[str, tuple[bytes, str]] = {
    "a": (bytes([192, 0, 2, 1]), "192.0.2.1"),
    "aaaa": (bytes(15) + b"\1", "::1"),
    "cname": (b"\1a\xc0\x0c", "a.example.com."),
    "mx": (b"\0\x0a\2mx\xc0\x0c", "10 mx.example.com."),
    "txt": (b"\2ab\1c", "abc"),
    "ns": (b"\2ns\xc0\x0c", "ns.example.com."),
    "srv": (struct.pack("!3H", 1, 2, 443) + b"\1s\xc0\x0c", "1 2 443 s.example.com."),
    "ptr": (b"\1p\xc0\x0c", "p.example.com."),
    "soa": (b"\1m\xc0\x0c\1r\xc0\x0c" + struct.pack("!5I", 1, 2, 3, 4, 5), "m.example.com. r.example.com. 1 2 3 4 5"),
    "caa": (b"\0\5issueca.test", '0 issue "ca.test"'),
}


@contextlib.asynccontextmanager
async def name_server(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """UDP, where everything is cut off, and TCP, where it is whole."""

    class Answering(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(answered(data, flags=0x8380), addr)

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = answer(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))
        writer.write(len(said).to_bytes(2) + said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(whole, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Answering, local_addr=("127.0.0.1", port))
    try:
        yield f"127.0.0.1:{port}"
    finally:
        transport.close()
        server.close()
        await server.wait_closed()


async def test_records_of_every_type_are_read() -> None:
    def answer(question: bytes) -> bytes:
        kind = records._NAMES[struct.unpack("!H", question[-4:-2])[0]]
        return answered(question, (records.TYPES[kind], RECORDS[kind][0]))

    async with name_server(answer) as server:
        asked = records.DnsQuery(domain="example.com", record_types=tuple(RECORDS), dns_server=server)
        found = await records.dns(asked)
    assert [(one["record_type"], one["data"]) for one in found] == [(kind, text) for kind, (_, text) in RECORDS.items()]
    assert all(one["time"] >= 0 for one in found)
    assert records.name_of("192.0.2.1", "ptr") == "1.2.0.192.in-addr.arpa"


@pytest.mark.parametrize(
    "answer",
    [
        lambda question: answered(question, flags=0x8183),
        lambda question: answered(question, (5, b"\xc0\x0c"))[:-1],
        lambda question: question[:12] + b"\xc0\x0c" * 2,
        lambda question: answered(question)[:12] + b"\xc0\x0c" + bytes(4) + b"\xc0\x0c",
        lambda _: b"",
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error(answer: Callable[[bytes], bytes]) -> None:
    async with name_server(answer) as server:
        asked = records.DnsQuery(domain="example.com", record_types=("a",), dns_server=server)
        with pytest.raises(TaskFailed, match="Dns failed"):
            await records.dns(asked)


@pytest.mark.parametrize("domain", ["a..b", "x" * 64, ".".join(["x" * 60] * 5)])
async def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(TaskFailed, match="Invalid domain"):
        await records.dns(records.DnsQuery(domain=domain, record_types=("a",), dns_server="127.0.0.1"))


# --------------------------------------------------------------------------------------------------------- permissions

CONFIG = f"""
agent_uuid = "{UUID}"
[[server]]
ws_url = "ws://127.0.0.1:1/"
token = "k:s"
"""


def workshop(path: Path | None = None, reload: Callable[[], None] = lambda: None) -> Workshop:
    return Workshop(parse(CONFIG), path, reload)


def server(**fields: Any) -> Server:
    return Server(ws_url="ws://h/", token="k:s", **fields)


EVERY: dict[str, Any] = {
    "ping": "127.0.0.1",
    "tcp_ping": "127.0.0.1:1",
    "http_ping": "http://127.0.0.1:1/",
    "execute": {"cmd": SH, "args": ["-c", "true"]},
    "http_request": {"url": "http://127.0.0.1:1/", "method": "GET"},
    "read_config": None,
    "edit_config": CONFIG,
    "ip": None,
    "version": None,
    "dns": {"domain": "x", "record_types": ["a"]},
}
REFUSED = "Permission denied: Permission Denied: Task not allowed"


@pytest.mark.parametrize("kind", EVERY)
async def test_nothing_is_done_that_is_not_allowed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG)
    shop = workshop(path)
    others = tuple(other for other in EVERY if other != kind)
    event = {kind: EVERY[kind]}
    every_switch = {f"allow_{name}": True for name in ("icmp_ping", *others) if name != "ping"}
    if kind == "ping":
        del every_switch["allow_icmp_ping"]
    for one in (
        server(),
        server(allow_task=True),
        server(allow_task_type=(kind,)),
        server(allow_task=True, allow_task_type=others),
        server(allow_task=True, **every_switch),
        server(allow_task=True, allow_task_type=others, **{"allow_" + kind.replace("ping", "icmp_ping"): True})
        if kind == "ping"
        else server(allow_task=True, allow_task_type=others, **{f"allow_{kind}": True}),
    ):
        assert await shop.do(one, event) == (None, REFUSED)


async def test_what_is_allowed_is_done(tmp_path: Path) -> None:
    path, reloads = tmp_path / "agent.toml", []
    path.write_text(CONFIG)
    path.chmod(0o640)
    shop = workshop(path, lambda: reloads.append(1))
    may = server(allow_task=True, allow_execute=True, allow_read_config=True, allow_edit_config=True)
    assert await shop.do(may, {"execute": EVERY["execute"]}) == ({"execute": "(No Output)"}, None)
    assert await shop.do(may, "read_config") == ({"read_config": CONFIG}, None)
    assert await shop.do(may, {"edit_config": CONFIG + "\n# more"}) == ({"edit_config": True}, None)
    assert path.read_text() == CONFIG + "\n# more"
    assert path.stat().st_mode & 0o777 == 0o640
    result, error = await shop.do(may, {"edit_config": "no = toml = this"})
    assert result is None
    assert "cannot be used" in (error or "")
    assert path.read_text() == CONFIG + "\n# more"
    assert reloads == [1]
    listed = server(allow_task=True, allow_task_type=("version",))
    found, _ = await shop.do(listed, {"version": None})
    assert len(found["version"]) == 13
    assert found["version"]["binary_type"] == "Agent"


@pytest.mark.parametrize("event", [None, 5, {}, {"a": 1, "b": 2}, "nothing", {"nothing": 1}, {"execute": {"cmd": "x"}}])
async def test_a_task_that_cannot_be_read_is_answered(event: Any) -> None:
    result, error = await workshop().do(server(allow_task=True, allow_execute=True), event)
    assert result is None
    assert error


async def test_a_web_shell_is_refused_clearly() -> None:
    may = server(allow_task=True, allow_web_shell=True)
    result, error = await workshop().do(may, {"web_shell": {"url": "ws://x/", "terminal_id": UUID}})
    assert result is None
    assert "no web_shell" in (error or "")


async def test_without_a_file_there_is_no_configuration_to_read() -> None:
    _, error = await workshop().do(server(allow_task=True, allow_read_config=True), "read_config")
    assert "without a configuration file" in (error or "")
