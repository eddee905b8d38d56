from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest_asyncio
import uvloop

from sandbox.sandboxing import Rig, rig


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the server runs on, which starts processes in its own way."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Rig]:
    async with rig() as started:
        yield started
