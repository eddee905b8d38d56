"""DNS records, from name servers on this machine that answer well, badly and not at all."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mainspring_agent import records
from mainspring_agent.failure import TaskFailed


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
