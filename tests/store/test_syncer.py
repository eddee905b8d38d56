"""The helper process that syncs: nothing is promised before it has, and nothing once it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mainspring.core.errors import Unavailable
from mainspring.core.model import Entry
from mainspring.store.sqlite import FileLock, SqliteDb
from mainspring.store.store import Store, open_sqlite
from store.making import START, Clock, create, entry_of, fire, new


@pytest_asyncio.fixture
async def aside(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_sqlite(tmp_path / "store.db", Clock(), sync_aside=True)
    yield store
    await store.close()


def helper(store: Store) -> int:
    """Its process id."""
    assert isinstance(store.db, SqliteDb)
    assert store.db._syncer is not None
    return store.db._syncer._process.pid


async def test_nothing_is_acknowledged_before_the_helper_has_synced(aside: Store) -> None:
    os.kill(helper(aside), signal.SIGSTOP)
    writing = [asyncio.ensure_future(aside.create_schedule(new())) for _ in range(3)]
    done, _ = await asyncio.wait(writing, timeout=0.05)
    assert done == set()
    os.kill(helper(aside), signal.SIGCONT)
    made = await asyncio.gather(*writing)
    assert all(isinstance(entry, Entry) for entry in made)


async def test_the_event_loop_goes_on_while_the_disk_takes_its_time(aside: Store) -> None:
    entry = await create(aside, START)
    os.kill(helper(aside), signal.SIGSTOP)
    writing = asyncio.ensure_future(aside.create_schedule(new()))
    done, _ = await asyncio.wait([writing], timeout=0.01)
    assert done == set()
    assert await entry_of(aside, entry) == entry
    os.kill(helper(aside), signal.SIGCONT)
    await writing


async def test_without_the_helper_nothing_is_promised_any_more(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db", Clock(), sync_aside=True)
    entry = await create(store, START)
    os.kill(helper(store), signal.SIGSTOP)
    waits = asyncio.ensure_future(store.create_schedule(new()))
    await asyncio.wait([waits], timeout=0.01)
    os.kill(helper(store), signal.SIGKILL)
    for write in (waits, store.create_schedule(new()), fire(store, START)):
        with pytest.raises(Unavailable):
            await write
    assert (await entry_of(store, entry)).schedule == entry.schedule
    with pytest.raises(Unavailable):
        await store.close()
    FileLock(tmp_path / "store.db").release()


async def test_closing_waits_for_the_last_commit(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db", Clock(), sync_aside=True)
    await create(store, START)
    os.kill(helper(store), signal.SIGSTOP)
    await store.runs.renew(0, [], START)
    closing = asyncio.ensure_future(store.close())
    done, _ = await asyncio.wait([closing], timeout=0.05)
    assert done == set()
    os.kill(helper(store), signal.SIGCONT)
    await closing


async def test_an_interrupt_at_the_terminal_does_not_reach_the_helper(aside: Store) -> None:
    """It goes to the whole process group, and the server still has results to write."""
    assert os.getpgid(helper(aside)) != os.getpgrp()


async def test_the_helper_ends_with_its_server(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db", Clock(), sync_aside=True)
    process = helper(store)
    await store.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
