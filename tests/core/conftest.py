"""The use cases run on a real store, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mainspring.store.store import open_sqlite
from store.making import Bench, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def bench(tmp_path: Path, clock: Clock) -> AsyncIterator[Bench]:
    store = await open_sqlite(tmp_path / "store.db", clock)
    yield Bench(store)
    await store.close()
