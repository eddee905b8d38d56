from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import pytest
import pytest_asyncio
import uvloop

from mainspring.outbound.guard import Guard
from mainspring.outbound.names import Names
from mainspring.outbound.sender import HttpSender
from outbound.peers import Peer, Script

OpenPeer = Callable[..., Awaitable[Peer]]
NAMES = {
    "peer.example": ["127.0.0.1"],
    "inside.example": ["127.0.0.2"],
    "both.example": ["127.0.0.1", "127.0.0.2"],
    "both6.example": ["::1", "127.0.0.1"],
}


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server runs on uvloop, which reports some failures otherwise than asyncio; an agent may run on either."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def lookup(host: str) -> list[str]:
    return NAMES[host]


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[OpenPeer]:
    """Open scripted peers; all are closed after the test."""
    opened: list[Peer] = []

    async def open_peer(script: Script, **options: object) -> Peer:
        made = Peer(script, **options)  # type: ignore[arg-type] # the options of Peer, passed on
        await made.open()
        opened.append(made)
        return made

    yield open_peer
    for each in opened:
        await each.close()


@pytest.fixture
def guard() -> Guard:
    """127.0.0.1 stands for the public addresses, 127.0.0.2 and ::1 for the private ones."""
    return Guard(["127.0.0.1"], names=Names(lookup))


@pytest_asyncio.fixture
async def sender(guard: Guard) -> AsyncIterator[HttpSender]:
    sender = HttpSender(guard, now_ms)
    await sender.start()
    yield sender
    await sender.close()


@pytest.fixture(autouse=True, scope="module")
def leaks_show() -> Iterator[None]:
    """An unclosed connection complains when it is collected, and a complaint is a failure."""
    yield
    gc.collect()
