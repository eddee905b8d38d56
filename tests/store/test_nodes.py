"""A node has a number, a clock and a line to the others; without a number that is surely its own it does not write."""

from __future__ import annotations

import asyncio
import time

import pytest

from mainspring.core.errors import Conflict
from mainspring.core.limits import LEASE, SECOND
from mainspring.core.model import Page
from mainspring.store.clock import SKEW_MAX
from mainspring.store.db import Away
from mainspring.store.nodes import MARGIN
from mainspring.store.shared import open_postgres
from mainspring.store.store import Store
from mainspring.store.wakeups import SharedWakeups
from store.making import PROJECT, START, Clock, Wakes, create
from store.sharing import eventually, node, query

NOBODY_LISTENS = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%')"


class Ticks:
    """A steady clock that also stands where the test puts it."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return time.monotonic_ns() + self.ahead_ms * 1_000_000


def wall() -> int:
    return time.time_ns() // 1_000_000


async def test_a_number_that_was_given_up_is_taken_again_and_one_in_use_is_not(database: str, clock: Clock) -> None:
    async with node(database, clock) as first, node(database, clock) as second:
        assert (first.node, second.node) == (0, 1)
    async with node(database, clock) as third:
        assert third.node == 0


async def test_the_number_of_a_node_that_is_gone_is_free_when_its_lease_is_over(database: str, clock: Clock) -> None:
    gone = await open_postgres(database, clock, time.monotonic_ns, clock=clock)
    await gone.db.close()
    async with node(database, clock) as other:
        assert other.node == 1
    [(left,)] = await query(
        database,
        "SELECT lease_until - (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM nodes WHERE number = 0",
    )
    assert LEASE - 10 * SECOND < left <= LEASE
    await query(database, "UPDATE nodes SET lease_until = 1 WHERE number = 0")
    async with node(database, clock) as other:
        assert other.node == 0


async def test_nodes_that_start_together_get_different_numbers(database: str, clock: Clock) -> None:
    opened = await asyncio.gather(*(open_postgres(database, clock, time.monotonic_ns, clock=clock) for _ in range(8)))
    try:
        assert sorted(store.node for store in opened) == list(range(8))
    finally:
        for store in opened:
            await store.close()


async def test_when_all_numbers_are_taken_the_next_node_is_refused(database: str, clock: Clock) -> None:
    async with node(database, clock):
        await query(
            database,
            "INSERT INTO nodes SELECT n, '', '', 0, 0, 9223372036854775807 FROM generate_series(1, 1023) AS n",
        )
        with pytest.raises(Conflict, match="no free node number"):
            await open_postgres(database, clock, time.monotonic_ns, clock=clock)


async def test_a_node_whose_lease_is_over_does_not_write_until_it_has_renewed_it(database: str, clock: Clock) -> None:
    ticks = Ticks()
    store = await open_postgres(database, clock, ticks, clock=clock)
    try:
        ticks.ahead_ms = LEASE - MARGIN - SECOND
        await create(store, START)
        ticks.ahead_ms = LEASE - MARGIN + 1
        with pytest.raises(Away, match="lease is over"):
            await create(store, START)
        assert "lease is over" in (store.problem() or "")
        assert len(await store.schedules.page(PROJECT, "cron", Page(9))) == 1
        await store.beat(START)
        await create(store, START)
        assert store.node == 0
    finally:
        await store.close()


async def test_a_node_whose_number_was_taken_goes_on_under_another(database: str, clock: Clock) -> None:
    async with node(database, clock) as held_up:
        before = await create(held_up, START)
        await query(database, "UPDATE nodes SET lease_until = 1")
        async with node(database, clock) as other:
            assert other.node == 0
            await held_up.beat(START)
            assert held_up.node == 1
            after = await create(held_up, START)
        assert [entry.schedule.id >> 12 & 1023 for entry in (before, after)] == [0, 1]
        assert after.schedule.id > before.schedule.id


async def test_a_lease_that_nobody_took_is_renewed_also_when_it_was_over(database: str, clock: Clock) -> None:
    async with node(database, clock) as store:
        await query(database, "UPDATE nodes SET lease_until = 1")
        await store.beat(START)
        assert store.node == 0
        [(until,)] = await query(database, "SELECT lease_until FROM nodes")
        assert until > 1


async def test_now_is_the_databases_whatever_this_machine_believes(database: str) -> None:
    ticks = Ticks()
    ticks.ahead_ms = 12_345_678
    store = await open_postgres(database, lambda: wall() + 3_600_000, ticks)
    try:
        assert abs(store.clock() - wall()) < SKEW_MAX
        assert "3600.0 s ahead of the database's" in (store.problem() or "")
        ticks.ahead_ms += 60_000
        assert store.clock() - wall() > 60_000 - SKEW_MAX
        await store.beat(0)
        assert abs(store.clock() - wall()) < SKEW_MAX
    finally:
        await store.close()


@pytest.mark.parametrize(("skew", "said"), [(-SKEW_MAX - SECOND, "behind"), (-SKEW_MAX // 2, None), (0, None)])
async def test_a_skew_of_two_seconds_is_borne_and_more_is_told(database: str, skew: int, said: str | None) -> None:
    store = await open_postgres(database, lambda: wall() + skew, time.monotonic_ns)
    try:
        assert (store.problem() is None) == (said is None)
        assert (said or "") in (store.problem() or "")
    finally:
        await store.close()


async def listening(store: Store) -> Wakes:
    """Its loops, which hear the other nodes from now on."""
    loops = Wakes()
    store.wakeups(loops)
    await store.beat(START)
    loops.schedulers = loops.dispatchers = 0
    return loops


async def test_a_wake_up_reaches_the_loops_of_all_nodes(pair: tuple[Store, Store]) -> None:
    other = await listening(pair[1])
    own = Wakes()
    wakeups = pair[0].wakeups(own)
    await pair[0].beat(START)
    wakeups.scheduler()
    assert own.schedulers >= 1
    await eventually(lambda: _truth(other.schedulers == 1))
    assert other.dispatchers == 0
    wakeups.dispatcher(hurry=True)
    await eventually(lambda: _truth(other.dispatchers == 1))


async def test_wake_ups_of_one_moment_are_told_the_others_together_and_not_ourselves(pair: tuple[Store, Store]) -> None:
    other = await listening(pair[1])
    own = Wakes()
    wakeups = pair[0].wakeups(own)
    await pair[0].beat(START)
    told = own.dispatchers
    for _ in range(500):
        wakeups.dispatcher()
        wakeups.scheduler()
    await eventually(lambda: _truth(other.dispatchers and other.schedulers))
    assert (other.dispatchers, other.schedulers) == (1, 1)
    assert own.dispatchers == told + 500


async def test_what_is_to_be_said_while_something_is_being_said_is_said_next(pair: tuple[Store, Store]) -> None:
    other = await listening(pair[1])
    wakeups = pair[0].wakeups(Wakes())
    assert isinstance(wakeups, SharedWakeups)
    await pair[0].beat(START)
    wakeups.dispatcher()
    await eventually(lambda: _truth(wakeups._saying is not None and not wakeups._wanted), pause=0)
    wakeups.scheduler()
    await eventually(lambda: _truth(other.schedulers == 1))
    assert other.dispatchers == 1


async def test_a_cut_line_is_mended_at_the_next_beat_and_the_loops_look_around(
    database: str, pair: tuple[Store, Store]
) -> None:
    other = await listening(pair[1])
    wakeups = pair[0].wakeups(Wakes())
    await pair[0].beat(START)
    await query(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    wakeups.dispatcher()
    await eventually(lambda: query(database, NOBODY_LISTENS))
    await pair[1].beat(START)
    assert (other.schedulers, other.dispatchers) == (1, 1)
    await pair[0].beat(START)
    wakeups.dispatcher()
    await eventually(lambda: _truth(other.dispatchers == 2))


async def test_the_embedded_store_is_alone(store: Store) -> None:
    local = Wakes()
    assert store.alone
    assert store.wakeups(local) is local
    assert (store.node, store.problem()) == (0, None)
    assert await store.beat(START) > 0


async def _truth(value: object) -> bool:
    return bool(value)
