from __future__ import annotations

import pytest_asyncio

from doors.console.visitor import Visitor
from doors.live import Live


@pytest_asyncio.fixture
async def visitor(live: Live) -> Visitor:
    """Signed in with every scope, on SQLite."""
    somebody = Visitor(live)
    assert (await somebody.sign_in()).status == 303
    return somebody


@pytest_asyncio.fixture
async def visitor_of_both(both: Live) -> Visitor:
    """Likewise, on each database."""
    somebody = Visitor(both)
    assert (await somebody.sign_in()).status == 303
    return somebody
