from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from loops.rig import Rig, Targets
from store.contract.conftest import BACKENDS
from store.making import Bench, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def targets(clock: Clock) -> Targets:
    return Targets(clock)


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Bench]:
    store = await BACKENDS[request.param](request, tmp_path, clock)
    yield Bench(store)
    await store.close()


@pytest_asyncio.fixture
async def rig(bench: Bench, clock: Clock, targets: Targets) -> AsyncIterator[Rig]:
    made = Rig(bench, clock, targets)
    yield made
    await made.dispatcher.drain(0)
