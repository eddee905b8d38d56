"""What the driver makes of a server that cuts, refuses, deadlocks or is not there."""

from __future__ import annotations

import asyncio
import socket
import time

import asyncpg
import msgspec
import pytest

from mainspring.core import timing
from mainspring.core.changes import Change
from mainspring.core.errors import Conflict, Invalid, Unavailable
from mainspring.core.ids import KeySource
from mainspring.core.model import Entry, Page
from mainspring.core.timing import Due, Plan
from mainspring.store import postgres as driver
from mainspring.store.db import COLLISIONS_MAX, Away, Collided, again_after_collisions
from mainspring.store.hosts import each_host, shown
from mainspring.store.opening import open_store
from mainspring.store.postgres import PostgresDb
from mainspring.store.shared import open_postgres
from mainspring.store.store import Store
from postgres import USER, Postgres
from store.making import PROJECT, START, Clock, create, entry_of, fire, new, once, runs_of, schedule, trigger
from store.sharing import ask, eventually, node, query, until_waiting

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def shared(store: Store) -> PostgresDb:
    assert isinstance(store.db, PostgresDb)
    return store.db


async def test_a_transaction_that_is_cut_off_keeps_nothing_and_the_next_one_works(
    database: str, store_on_postgres: Store
) -> None:
    entry = await create(store_on_postgres, START)
    cut = False

    def plan(due: Due, now: int) -> Plan:
        nonlocal cut
        if not cut:
            cut = True
            ask(database, CUT)
        return timing.plan(due, now)

    with pytest.raises(Away, match="the database is away"):
        await store_on_postgres.schedules.fire(START, plan, 500)
    assert await runs_of(store_on_postgres, entry) == []
    assert (await store_on_postgres.schedules.fire(START, plan, 500)).runs == 1


async def test_connections_that_died_while_they_were_idle_are_replaced(database: str, store_on_postgres: Store) -> None:
    """Before the loop has seen them die: the first statement on each of them fails."""
    await asyncio.gather(*(store_on_postgres.upkeep.ping() for _ in range(5)))
    ask(database, CUT)
    entry = await create(store_on_postgres, START)
    await asyncio.gather(*(store_on_postgres.upkeep.ping() for _ in range(5)))
    ask(database, CUT)
    await asyncio.gather(*(store_on_postgres.upkeep.ping() for _ in range(5)))
    assert await store_on_postgres.upkeep.counts() == {"schedules": 1, "schedules_due": 1}
    ask(database, CUT)
    assert await store_on_postgres.upkeep.counts() == {"schedules": 1, "schedules_due": 1}
    assert await fire(store_on_postgres, START) == 1
    assert len(await runs_of(store_on_postgres, entry)) == 1


async def test_a_write_that_deadlocks_with_another_client_is_tried_again(
    postgres: Postgres, database: str, store_on_postgres: Store
) -> None:
    before = postgres.deadlocks()
    entries = [await create(store_on_postgres, START) for _ in range(2)]
    low, high = (entry.schedule.id for entry in entries)
    stranger = await asyncpg.connect(database)
    try:
        await stranger.execute("SET deadlock_timeout = '60s'")  # so that it is never the one that gives way
        async with stranger.transaction():
            await stranger.execute(f"SELECT FROM progress WHERE schedule_id = {high} FOR UPDATE")
            edits = [Change(one, msgspec.structs.replace(one.schedule, name="edited")) for one in entries]
            editing = asyncio.create_task(store_on_postgres.schedules.change(START, edits))
            await asyncio.to_thread(until_waiting, database)
            await stranger.execute(f"SELECT FROM progress WHERE schedule_id = {low} FOR UPDATE")
    finally:
        await stranger.close()
    assert [type(answer) for answer in await editing] == [Entry, Entry]
    assert postgres.deadlocks() == before + 1
    assert (await entry_of(store_on_postgres, entries[0])).schedule.version == 2


async def test_a_write_that_collides_every_time_is_given_up() -> None:
    tries = 0

    @again_after_collisions
    async def collide() -> None:
        nonlocal tries
        tries += 1
        raise Collided("deadlock detected")

    with pytest.raises(Unavailable):
        await collide()
    assert tries == COLLISIONS_MAX


async def test_what_the_database_cannot_keep_fails_its_own_caller_alone(store_on_postgres: Store) -> None:
    good, bad, also = await asyncio.gather(
        store_on_postgres.create_schedule(new()),
        store_on_postgres.create_schedule(new(schedule(name="nul \0"))),
        store_on_postgres.create_schedule(new()),
        return_exceptions=True,
    )
    assert isinstance(bad, Invalid)
    assert isinstance(good, Entry)
    assert isinstance(also, Entry)


async def test_two_rows_under_one_key_are_an_error_and_not_an_occurrence_that_was_there(
    store_on_postgres: Store,
) -> None:
    class Stuck(KeySource):
        def next(self, now: int) -> int:
            return 7

    entry = await create(store_on_postgres, START)
    store_on_postgres.runs._keys = Stuck()
    await trigger(store_on_postgres, START, entry)
    with pytest.raises(asyncpg.UniqueViolationError):
        await trigger(store_on_postgres, START, entry)


async def test_when_the_database_is_away_a_batch_is_not_tried_again_row_by_row(
    database: str, store_on_postgres: Store
) -> None:
    """It may have been kept: a second try would make everything in it twice."""
    tries = 0

    def cut(result: object) -> object:
        nonlocal tries
        tries += 1
        ask(database, CUT)
        return once("k").answer(result)  # type: ignore[arg-type] # what the store hands it

    fatal = msgspec.structs.replace(once("k"), answer=cut)
    items = [new(), new(once=fatal), new()]
    results = await asyncio.gather(*map(store_on_postgres.create_schedule, items), return_exceptions=True)
    assert [type(result) for result in results] == [Away, Away, Away]
    assert tries == 1
    assert await store_on_postgres.schedules.page(PROJECT, "cron", Page(9)) == []


async def test_a_caller_that_is_cancelled_before_the_commit_keeps_nothing(
    database: str, store_on_postgres: Store
) -> None:
    stranger = await asyncpg.connect(database)
    async with stranger.transaction():
        await stranger.execute("SELECT FROM counters FOR UPDATE")
        creating = asyncio.create_task(create(store_on_postgres, START))
        await asyncio.to_thread(until_waiting, database)
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
    await stranger.close()
    assert await store_on_postgres.schedules.page(PROJECT, "cron", Page(9)) == []
    await create(store_on_postgres, START)


async def test_long_reads_are_bounded_and_hold_up_neither_short_ones_nor_writes(
    database: str, store_on_postgres: Store
) -> None:
    db = shared(store_on_postgres)
    texts = {"slow": "SELECT pg_sleep(60)", "limit": "SELECT current_setting('statement_timeout')"}
    asked = {name: msgspec.structs.replace(db.queries["ping"], text=text) for name, text in texts.items()}
    db.queries = db.queries | asked
    assert (await db.scan("limit"), await db.read("limit")) == ([("30s",)], [("0",)])
    scans = [asyncio.create_task(db.scan("slow")) for _ in range(driver.SCANS)]
    asleep = "FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    await eventually(lambda: query(database, f"SELECT 1 {asleep} HAVING count(*) = {driver.SCANS}"))
    await create(store_on_postgres, START)
    await store_on_postgres.upkeep.ping()
    assert not any(scan.done() for scan in scans)
    await query(database, f"SELECT pg_cancel_backend(pid) {asleep}")
    assert {type(error) for error in await asyncio.gather(*scans, return_exceptions=True)} == {Away}


async def test_sessions_plan_by_index_in_utc_and_say_who_they_are(store_on_postgres: Store) -> None:
    db = shared(store_on_postgres)
    async with db.transaction() as tx:
        await tx.fetch("ping")
        told = {
            name: await tx._connection.fetchval(f"SHOW {name}")
            for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit", "timezone", "application_name")
        }
        level = await tx._connection.fetchval("SHOW transaction_isolation")
    assert told == {
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "jit": "off",
        "timezone": "UTC",
        "application_name": "mainspring",
    }
    assert level == "read committed"


async def test_commits_wait_for_the_disk_whatever_the_database_is_set_to(
    postgres: Postgres, database: str, clock: Clock
) -> None:
    name = (await query(database, "SELECT current_database()"))[0][0]
    await query(database, f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        async with node(database, clock) as store, shared(store).transaction() as tx:
            assert await tx._connection.fetchval("SHOW synchronous_commit") == "on"
    finally:
        await query(database, f"ALTER DATABASE {name} RESET synchronous_commit")


async def test_a_database_that_cannot_be_reached_says_so_at_once(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Away, match="the database is away: ConnectionRefusedError"):
        await open_postgres(f"postgresql://somebody:secret@127.0.0.1:{port}/db", clock, time.monotonic_ns)


async def test_a_host_that_does_not_answer_is_given_up_for_the_next_one(
    postgres: Postgres, database: str, clock: Clock
) -> None:
    """Each host has its own time; the driver by itself would spend all of it on the first."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = (await query(database, "SELECT current_database()"))[0][0]
        url = f"postgresql://{USER}@127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{postgres.port}/{name}"
        async with node(url, clock) as store:
            assert await fire(store, START) == 0
            # The one that answered is asked first from then on.
            assert [f":{postgres.port}/" in host.url for host in shared(store)._sessions.hosts] == [True, False]


@pytest.mark.parametrize(
    ("user", "name", "hint"),
    [("nobody_like_that", "postgres", "Check the user"), (USER, "no_such_database", "Create the database")],
)
async def test_a_refused_session_says_what_to_do(
    postgres: Postgres, clock: Clock, user: str, name: str, hint: str
) -> None:
    url = f"postgresql://{user}@127.0.0.1:{postgres.port}/{name}"
    with pytest.raises(Away) as refused:
        await open_postgres(url, clock, time.monotonic_ns)
    assert hint in refused.value.hint


async def test_too_old_a_server_is_refused(database: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "OLDEST", 99)
    with pytest.raises(Conflict, match="at least 99 is needed"):
        await open_postgres(database, clock, time.monotonic_ns)


async def test_a_peer_that_vanishes_is_noticed_within_seconds(postgres: Postgres, database: str) -> None:
    name = (await query(database, "SELECT current_database()"))[0][0]
    db = PostgresDb(postgres.url(name, tcp=True))
    connection = await db.connect({})
    try:
        handle = connection._transport.get_extra_info("socket")
        with socket.socket(fileno=socket.dup(handle.fileno())) as peer:
            assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
    finally:
        await connection.close()


async def test_a_url_opens_the_shared_store_and_a_path_the_embedded_one(
    database: str, clock: Clock, tmp_path: object
) -> None:
    store = await open_store(database, clock, time.monotonic_ns)
    try:
        assert (store.db.dialect, store.alone) == ("postgres", False)
        assert abs(store.clock() - time.time_ns() // 1_000_000) < 60_000
    finally:
        await store.close()


def test_a_url_is_taken_apart_into_its_hosts() -> None:
    url = "postgres://user:p%2Cw@a:1,[::1]:2,c/db?sslmode=require&connect_timeout=9&application_name=x"
    assert [host.url for host in each_host(url)] == [
        "postgresql://user:p%2Cw@a:1/db?sslmode=require",
        "postgresql://user:p%2Cw@[::1]:2/db?sslmode=require",
        "postgresql://user:p%2Cw@c/db?sslmode=require",
    ]
    assert {host.wanted for host in each_host(url)} == {"read-write"}
    [anyone] = each_host("postgresql:///db?host=/run/postgresql&target_session_attrs=any")
    assert (anyone.url, anyone.wanted) == ("postgresql:///db?host=%2Frun%2Fpostgresql", "any")


def test_a_url_is_shown_without_its_password() -> None:
    assert shown("postgresql://user:secret@a,b/db?password=too") == "postgresql://user@a,b/db"
    assert shown("postgresql://a/db") == "postgresql://a/db"
