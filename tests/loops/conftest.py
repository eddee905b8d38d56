from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from loops.rig import Rig, Targets
from mainspring.store.store import open_sqlite
from store.making import Bench, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def targets(clock: Clock) -> Targets:
    return Targets(clock)


@pytest_asyncio.fixture
async def bench(tmp_path: Path, clock: Clock) -> AsyncIterator[Bench]:
    store = await open_sqlite(tmp_path / "store.db", clock)
    yield Bench(store)
    await store.close()


@pytest_asyncio.fixture
async def rig(bench: Bench, clock: Clock, targets: Targets) -> AsyncIterator[Rig]:
    made = Rig(bench, clock, targets)
    yield made
    await made.dispatcher.drain(0)
