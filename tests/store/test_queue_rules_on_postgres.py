"""The rules that concern a shared database: its clock, its notifications, its dead rows, publishers that overtake."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from mainspring.core import queues
from mainspring.core.errors import NotFound
from mainspring.core.limits import HOUR, SECOND
from mainspring.core.queue_model import Settled
from mainspring.core.queues import QueueDraft
from mainspring.loops.tide import Tide
from mainspring.store import sessions, wakeups
from mainspring.store.postgres import PostgresDb
from mainspring.store.shared import open_postgres
from mainspring.store.store import Store
from sim.queue_ledger import asker, wrong
from store.making import Bench, Clock
from store.queueing import Hand, payloads
from store.sharing import eventually, node, query

HOT = ("ready", "leased", "postponed", "blocked", "message_groups", "queue_counts")


async def test_rule_02_rows_that_another_node_holds_are_passed_over(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    hand = Hand(store_on_postgres, clock)
    first, second, third = await hand.publish(b"1", b"2", b"3")
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute(f"SELECT 1 FROM ready WHERE id IN ({first}, {second}) FOR UPDATE")
            assert [one.id for one in await hand.consume(2)] == [third]
    finally:
        await connection.close()
    assert [one.id for one in await hand.consume(9)] == [first, second]


async def test_rule_03_the_clock_that_decides_is_the_databases(database: str) -> None:
    """Two nodes whose own clocks are hours apart agree on when a lease ends."""

    async def opened(wrong_by: int) -> Store:
        return await open_postgres(database, lambda: time.time_ns() // 1_000_000 + wrong_by, time.monotonic_ns)

    behind, ahead = await opened(-3 * HOUR), await opened(3 * HOUR)
    try:
        hands = [Hand(store, store.clock) for store in (behind, ahead)]  # type: ignore[arg-type] # any clock will do
        assert abs(behind.clock() - ahead.clock()) < SECOND
        await hands[0].publish(b"1")
        await hands[0].publish(b"2", delay_seconds=60)
        [held] = await hands[0].consume(visibility_seconds=60)
        await hands[1].turn()
        assert await hands[1].consume() == []
        stats = await hands[1].stats()
        assert (stats.in_flight, stats.delayed) == (1, 1)
        assert await hands[1].ack(held) == [Settled(held.id)]
        [(told,)] = await query(database, "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        assert abs(told - ahead.clock()) < SECOND
    finally:
        await behind.close()
        await ahead.close()


async def test_rule_03_no_statement_about_messages_asks_for_the_time(store_on_postgres: Store) -> None:
    """The instant is an argument: nothing volatile keeps a comparison from being an index condition."""
    folder = Path(wakeups.__file__).parent / "sql"
    for name in ("messages", "dead", "queues"):
        assert not re.search(r"clock_timestamp|now\(\)|statement_timestamp", (folder / f"{name}.sql").read_text())
    assert isinstance(store_on_postgres.db, PostgresDb)


async def test_rule_04_a_publisher_that_is_slow_to_commit_is_not_overtaken_in_its_group(
    database: str, clock: Clock, pair: tuple[Store, Store]
) -> None:
    slow, quick = (Hand(store, clock) for store in pair)
    await slow.make(type="fifo")
    await slow.publish(b"0", group_id="g")
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            # Whoever publishes into the group waits for its row, as behind another publisher who has not committed.
            await connection.execute("SELECT 1 FROM message_groups FOR UPDATE")
            first = asyncio.ensure_future(slow.publish(b"1", group_id="g"))
            await eventually(lambda: _blocked(database, 1))
            second = asyncio.ensure_future(quick.publish(b"2", group_id="g"))
            await eventually(lambda: _blocked(database, 2))
            assert not first.done()
    finally:
        await connection.close()
    await asyncio.gather(first, second)
    seen = []
    while found := await quick.consume():
        seen += payloads(found)
        await slow.ack(*found)
    assert seen == [b"0", b"1", b"2"]
    assert await wrong(asker(pair[0])) == []


async def _blocked(database: str, count: int) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool((await query(database, waiting))[0][0] >= count)


async def test_rule_09_a_thousand_publishes_notify_a_few_times_and_only_when_they_can_be_seen(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    bench = Bench(store_on_postgres)
    shared = store_on_postgres.wakeups(bench.wakes)
    await store_on_postgres.beat(clock())
    hand = Hand(store_on_postgres, clock)
    hand.core = replace(hand.core, wakeup=shared)
    await hand.make()
    heard: list[str] = []
    connection = await asyncpg.connect(database)
    await connection.add_listener(wakeups.CHANNEL, lambda *told: heard.append(str(told[3])))
    try:
        began = asyncio.get_running_loop().time()
        for _ in range(10):
            await asyncio.gather(*(hand.publish(b"x") for _ in range(100)))
        spent = asyncio.get_running_loop().time() - began
        await eventually(lambda: _any(heard))
        assert 1 <= len(heard) <= spent / wakeups.GATHER_S + 2
        assert (await query(database, "SELECT count(*) FROM ready"))[0][0] == 1_000
    finally:
        await connection.close()


async def _any(heard: list[str]) -> bool:
    return bool(heard)


async def test_rule_09_a_consumer_on_another_node_is_woken_and_finds_by_itself_what_nobody_told(
    clock: Clock, pair: tuple[Store, Store]
) -> None:
    here, there = (Hand(store, clock) for store in pair)
    for hand, store in zip((here, there), pair, strict=True):
        shared = store.wakeups(hand.bench.wakes)
        hand.core = replace(hand.core, wakeup=shared)
        await store.beat(clock())
    await here.make()
    loop = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(there.consume(wait_seconds=20))
    await eventually(lambda: _waits(there))
    began = loop.time()
    await here.publish(b"told")
    assert payloads(await waiting) == [b"told"]
    assert loop.time() - began < 0.8
    silent = Hand(pair[0], clock)
    waiting = asyncio.ensure_future(there.consume(wait_seconds=20))
    await eventually(lambda: _waits(there))
    began = loop.time()
    await silent.publish(b"untold")
    assert payloads(await waiting) == [b"untold"]
    assert loop.time() - began < 3


async def _waits(hand: Hand) -> bool:
    return bool(hand.bench.bells._waiting) and hand.core.store.receive._task is None  # type: ignore[attr-defined] # the fold behind it


async def test_rule_09_what_comes_due_on_one_node_is_seen_by_the_tide_of_every_node(
    clock: Clock, pair: tuple[Store, Store]
) -> None:
    here, there = (Hand(store, clock) for store in pair)
    await here.publish(b"x", delay_seconds=5)
    tide = Tide(there.core)
    assert await tide.step(clock()) <= SECOND
    clock.advance(5 * SECOND)
    await tide.step(clock())
    assert payloads(await here.consume()) == [b"x"]


async def test_rule_27_hot_rows_are_narrow_and_vacuumed_early(database: str, store_on_postgres: Store) -> None:
    wide = await query(
        database,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
        f"AND data_type IN ('bytea', 'text', 'jsonb') AND table_name IN {HOT}",
    )
    assert wide == [], "payloads are in a table of their own that is only appended to"
    options = dict(await query(database, f"SELECT relname, reloptions FROM pg_class WHERE relname IN {HOT}"))
    assert set(options) == set(HOT)
    for name, told in options.items():
        assert {"autovacuum_vacuum_scale_factor=0.01", "autovacuum_vacuum_cost_delay=0"} <= set(told), name
        assert int(next(one for one in told if one.startswith("fillfactor")).partition("=")[2]) <= 70, name
    assert int(sessions.WORK["idle_in_transaction_session_timeout"]) <= 10_000


async def test_rule_27_beside_a_snapshot_that_stays_open_messages_still_go_through(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    hand = Hand(store_on_postgres, clock)
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetch("SELECT count(*) FROM ready")
            for at in range(20):
                sent = [b"%d" % (at * 100 + n) for n in range(100)]
                await hand.publish(*sent)
                found = await hand.consume(100)
                assert payloads(found) == sent
                assert all(isinstance(one, Settled) for one in await hand.ack(*found))
            assert await connection.fetchval("SELECT count(*) FROM messages") == 0
    finally:
        await connection.close()
    assert (await hand.stats()).available == 0


@pytest.mark.parametrize("what", ["settings", "a deletion"])
async def test_what_one_node_did_to_a_queue_the_others_show(database: str, clock: Clock, what: str) -> None:
    async with node(database, clock) as first, node(database, clock) as second:
        here, there = Hand(first, clock), Hand(second, clock)
        await here.make(max_retries=1)
        assert (await queues.named(there.core, there.project, "q")).max_retries == 1
        if what == "settings":
            await queues.update(here.core, clock(), here.project, "q", QueueDraft(max_retries=7), None)
            assert (await queues.named(there.core, there.project, "q")).max_retries == 7
        else:
            await queues.delete(here.core, here.project, "q", None)
            with pytest.raises(NotFound):
                await queues.named(there.core, there.project, "q")


async def test_a_publish_goes_by_what_another_node_has_just_changed(database: str, clock: Clock) -> None:
    async with node(database, clock) as first, node(database, clock) as second:
        here, there = Hand(first, clock), Hand(second, clock)
        await here.make()
        await there.publish(b"before")
        await queues.update(here.core, clock(), here.project, "q", QueueDraft(enable_priority=False), None)
        await there.publish(b"after", priority=9)
        assert payloads(await there.consume(2)) == [b"before", b"after"]
