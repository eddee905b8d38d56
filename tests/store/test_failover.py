"""What was acknowledged is kept, and what may not be kept is not acknowledged: restarts, lost standbys, fail-over.

These tests stop their server, so each file run has one of its own beside the one of the other tests.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from mainspring.core.changes import Change
from mainspring.core.limits import MINUTE
from mainspring.core.model import Entry, Key, Page
from mainspring.store.db import Away
from mainspring.store.store import Store
from postgres import USER, Postgres, server
from store.making import PROJECT, START, Clock, create, fire, new, new_key, once, replayed
from store.sharing import eventually, node, query

GHOST = "a standby that is not there"


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    with server() as started:
        yield started


@pytest_asyncio.fixture
async def url(own: Postgres) -> str:
    return own.url(await own.blank())


@pytest_asyncio.fixture
async def only(url: str, clock: Clock) -> AsyncIterator[Store]:
    async with node(url, clock) as opened:
        yield opened


@asynccontextmanager
async def waiting_for_a_standby(own: Postgres) -> AsyncIterator[None]:
    """Every commit waits for a standby that will never come."""
    await own.execute(f"ALTER SYSTEM SET synchronous_standby_names = '\"{GHOST}\"'")
    await reloaded(own, GHOST)
    try:
        yield
    finally:
        await own.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await reloaded(own, "")


async def reloaded(own: Postgres, name: str) -> None:
    await own.execute("SELECT pg_reload_conf()")

    async def in_force() -> bool:
        [(value,)] = await own.execute("SHOW synchronous_standby_names")
        return name in value if name else value == ""

    await eventually(in_force)
    # Sessions know it a moment before the process that has them wait does; that one reads it before a checkpoint.
    await own.execute("CHECKPOINT")


async def backend_in_the_wait(own: Postgres) -> int:
    """The process id of a backend whose commit waits for the standby."""
    text = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    return int((await eventually(lambda: own.execute(text)))[0][0])


async def test_a_restart_of_the_server_is_survived_without_a_restart_of_ours(own: Postgres, only: Store) -> None:
    await create(only, START)
    own.stop()
    with pytest.raises(Away):
        await only.upkeep.ping()
    with pytest.raises(Away):
        await create(only, START)
    own.start()
    assert len(await only.schedules.page(PROJECT, "cron", Page(9))) == 1
    assert await fire(only, START) == 1
    assert await only.beat(START) > 0


async def test_a_crash_of_the_server_takes_nothing_back(own: Postgres, only: Store) -> None:
    entry = await create(only, START)
    own.stop(signal.SIGQUIT)
    own.start()
    assert await only.schedules.page(PROJECT, "cron", Page(9)) == [entry]


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_commit_whose_wait_for_the_standby_was_cut_short_is_not_acknowledged(
    own: Postgres, only: Store, how: str
) -> None:
    """Cancelled, the server says COMMIT and warns; terminated, the connection is lost. Both rows are there."""
    async with waiting_for_a_standby(own):
        creating = asyncio.create_task(only.schedules.create(START, [new()]))
        await own.execute(f"SELECT pg_{how}_backend({await backend_in_the_wait(own)})")
        with pytest.raises(Away, match="did not confirm the commit") as told:
            await creating
        assert "idempotency key" in told.value.hint
    assert len(await only.schedules.page(PROJECT, "cron", Page(9))) == 1
    await create(only, START)


async def test_callers_of_one_batch_are_told_so_together_and_nothing_is_made_twice(own: Postgres, only: Store) -> None:
    async with waiting_for_a_standby(own):
        creating = asyncio.gather(*(only.create_schedule(new()) for _ in range(3)), return_exceptions=True)
        await own.execute(f"SELECT pg_cancel_backend({await backend_in_the_wait(own)})")
        assert [type(answer) for answer in await creating] == [Away] * 3
    assert len(await only.schedules.page(PROJECT, "cron", Page(9))) == 3


async def test_a_caller_that_gives_up_does_not_cut_its_commit_short(own: Postgres, only: Store) -> None:
    async with waiting_for_a_standby(own):
        creating = asyncio.create_task(only.schedules.create(START, [new()]))
        backend = await backend_in_the_wait(own)
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
        assert await backend_in_the_wait(own) == backend
    assert len(await only.schedules.page(PROJECT, "cron", Page(9))) == 1


Again = Callable[[Store, Entry, Key], Coroutine[Any, Any, object]]


async def create_again(store: Store, entry: Entry, _: Key) -> object:
    [answer] = await store.schedules.create(START, [new(once=once("k"))])
    return replayed(answer) == b"%d" % entry.schedule.id


async def recall_again(store: Store, entry: Entry, _: Key) -> object:
    answer = await store.recall(START, PROJECT, "cron.create", "k", b"body")
    return replayed(answer) == b"%d" % entry.schedule.id


async def delete_again(store: Store, entry: Entry, _: Key) -> object:
    return await store.schedules.was_deleted(PROJECT, "cron", entry.schedule.id)


async def revoke_again(store: Store, _: Entry, key: Key) -> object:
    return not await store.credentials.revoke(PROJECT, key.id, START)


@pytest.mark.parametrize("again", [create_again, recall_again, delete_again, revoke_again])
async def test_an_answer_that_is_given_again_waits_for_the_standby_too(
    own: Postgres, only: Store, again: Again
) -> None:
    """What it speaks of may be on this server alone; the second asking must not be answered sooner than the first."""
    [entry] = await only.schedules.create(START, [new(once=once("k"))])
    assert isinstance(entry, Entry)
    await only.schedules.change(START, [Change(entry, entry.schedule, cancel="deleted", delete=True)])
    [key] = await only.credentials.create(START, [new_key()])
    assert isinstance(key, Key)
    await only.credentials.revoke(PROJECT, key.id, START)
    assert await again(only, entry, key)
    async with waiting_for_a_standby(own):
        asking = asyncio.create_task(again(only, entry, key))
        backend = await backend_in_the_wait(own)
        assert not asking.done()
        await own.execute(f"SELECT pg_cancel_backend({backend})")
        with pytest.raises(Away):
            await asking
    assert await again(only, entry, key)


async def test_after_a_fail_over_the_node_goes_on_with_everything_that_was_acknowledged(clock: Clock) -> None:
    """A primary with a synchronous standby dies; the standby is promoted; the same store object finds it."""
    with server() as first:
        name = await first.fresh()
        with server(standby_of=first) as second:
            await first.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            await reloaded(first, "standby")
            url = f"postgresql://{USER}@127.0.0.1:{second.port},127.0.0.1:{first.port}/{name}"
            async with node(url, clock) as store:
                made = [await create(store, START) for _ in range(5)]
                assert await fire(store, START) == 5
                first.stop(signal.SIGQUIT)
                with pytest.raises(Away):
                    await create(store, START)
                await second.execute("SELECT pg_promote()")
                assert {entry.schedule.id for entry in await store.schedules.page(PROJECT, "cron", Page(99))} == {
                    entry.schedule.id for entry in made
                }
                assert await fire(store, START) == 0
                assert await fire(store, START + MINUTE) == 5
                assert (await query(second.url(name), "SELECT count(*) FROM runs"))[0][0] == 10
