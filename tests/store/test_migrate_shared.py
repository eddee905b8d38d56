"""Migrations on PostgreSQL: one node applies them and the others wait; what fails leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import pytest_asyncio

from mainspring.core.errors import Conflict, Unavailable
from mainspring.store import migrate as migrating
from mainspring.store.checkup import examine_shared
from mainspring.store.migrate import Migration, migrate_shared, pending_shared
from mainspring.store.postgres import PostgresDb
from postgres import Postgres
from store.making import START, Clock, create, fire
from store.sharing import WAITING, eventually, node, query

Ship = Callable[..., None]

FIRST = "CREATE TABLE a (x bigint); INSERT INTO a VALUES (1);"
SECOND = "ALTER TABLE a ADD COLUMN y bigint; UPDATE a SET y = x + 1;"


@pytest.fixture
def ship(monkeypatch: pytest.MonkeyPatch) -> Ship:
    """Pretend to be a version that ships these migrations."""

    def version(*texts: str) -> None:
        shipped = [
            Migration(number, f"step{number}", text, hashlib.sha256(text.encode()).hexdigest())
            for number, text in enumerate(texts, 1)
        ]
        monkeypatch.setattr(migrating, "migrations", lambda dialect: shipped)

    return version


@pytest_asyncio.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    name = await postgres.fresh()
    yield postgres.url(name)
    await postgres.drop(name)


@pytest_asyncio.fixture
async def db(url: str) -> AsyncIterator[PostgresDb]:
    opened = PostgresDb(url)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_new_database_gets_every_migration_in_order(ship: Ship, url: str, db: PostgresDb) -> None:
    ship(FIRST, SECOND)
    said: list[str] = []
    assert [one.number for one in await pending_shared(db)] == [1, 2]
    assert [one.number for one in await migrate_shared(db, START, said.append)] == [1, 2]
    assert said == ["migrating: 0001 step1", "migrating: 0002 step2"]
    assert await query(url, "SELECT * FROM a") == [(1, 2)]
    assert await query(url, "SELECT number, name, applied_at FROM migrations ORDER BY number") == [
        (1, "step1", START),
        (2, "step2", START),
    ]
    assert await pending_shared(db) == []
    assert await migrate_shared(db, START, pytest.fail) == []


async def test_looking_what_is_pending_changes_nothing(ship: Ship, url: str, db: PostgresDb) -> None:
    ship(FIRST)
    await pending_shared(db)
    assert await query(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


async def test_of_nodes_that_start_together_one_migrates(ship: Ship, url: str, db: PostgresDb) -> None:
    ship(FIRST, SECOND)
    others = [PostgresDb(url) for _ in range(3)]
    for other in others:
        await other.open()
    try:
        done = await asyncio.gather(*(migrate_shared(one, START, str) for one in (db, *others)))
    finally:
        for other in others:
            await other.close()
    assert sorted(one.number for each in done for one in each) == [1, 2]
    assert await query(url, "SELECT * FROM a") == [(1, 2)]


async def test_a_schema_that_is_newer_by_one_migration_is_worked_on_and_by_two_refused(
    ship: Ship, db: PostgresDb
) -> None:
    ship(FIRST, SECOND)
    await migrate_shared(db, START, str)
    ship(FIRST)
    assert await pending_shared(db) == []
    assert await migrate_shared(db, START, pytest.fail) == []
    ship(FIRST, SECOND, "CREATE TABLE c (x bigint);")
    await migrate_shared(db, START, str)
    ship(FIRST)
    for look in (pending_shared(db), migrate_shared(db, START, str)):
        with pytest.raises(Conflict, match="migration 3, this version knows 1 and works up to 2"):
            await look


async def waiting(url: str, count: int) -> None:
    """Until so many backends wait for a lock."""

    async def enough() -> bool:
        return len(await query(url, WAITING.format("Lock"))) == count

    await eventually(enough)


async def test_a_migration_that_a_node_at_work_deadlocks_with_is_tried_again(
    ship: Ship, url: str, db: PostgresDb
) -> None:
    ship(FIRST + "CREATE TABLE b (x bigint);")
    await migrate_shared(db, START, str)
    ship(FIRST + "CREATE TABLE b (x bigint);", "ALTER TABLE a ADD COLUMN y bigint; ALTER TABLE b ADD COLUMN y bigint;")
    said: list[str] = []
    # Whoever waits for a lock looks for a deadlock once, after a while: the migration when it has come to the second
    # table, which the first one of these holds while it waits for the first table, very patiently.
    patient = await asyncpg.connect(url, server_settings={"deadlock_timeout": "1min"})
    reader = await asyncpg.connect(url)
    try:
        await patient.execute("BEGIN; LOCK TABLE b IN ROW EXCLUSIVE MODE")
        await reader.execute("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE")
        migrated = asyncio.create_task(migrate_shared(db, START, said.append))
        await waiting(url, 1)
        writes = asyncio.create_task(patient.execute("LOCK TABLE a IN ROW EXCLUSIVE MODE"))
        await waiting(url, 2)
        await reader.execute("COMMIT")
        await writes
        await patient.execute("COMMIT")
        assert [one.number for one in await migrated] == [2]
    finally:
        await patient.close()
        await reader.close()
    assert said == ["migrating: 0002 step2"] * 2


async def test_a_database_whose_applied_migration_is_another_one_is_refused(ship: Ship, db: PostgresDb) -> None:
    ship(FIRST)
    await migrate_shared(db, START, str)
    ship(FIRST + " ", SECOND)
    with pytest.raises(Conflict, match=r"migration 1 \(step1\)"):
        await pending_shared(db)


async def test_of_a_failed_migration_nothing_is_kept_and_of_those_before_it_all(
    ship: Ship, url: str, db: PostgresDb
) -> None:
    ship(FIRST, "CREATE TABLE b (x bigint); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(Unavailable, match="migration 0002 step2 failed"):
        await migrate_shared(db, START, str)
    assert await query(url, "SELECT number FROM migrations") == [(1,)]
    assert await query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1") == [
        ("a",),
        ("migrations",),
    ]
    ship(FIRST, SECOND)
    assert [one.number for one in await migrate_shared(db, START, str)] == [2]


async def test_a_node_goes_on_when_a_newer_one_has_changed_the_schema_under_it(url: str, clock: Clock) -> None:
    """Prepared statements that return whole rows have to be prepared anew; nobody notices."""
    async with node(url, clock) as old:
        await create(old, START)
        await fire(old, START)
        await query(url, "ALTER TABLE counters ALTER COLUMN value TYPE numeric")
        await query(url, "ALTER TABLE counters ALTER COLUMN value TYPE bigint")
        await query(url, "ALTER TABLE runs ADD COLUMN note text")
        await query(url, "ALTER TABLE schedules ADD COLUMN note text")
        made = await create(old, START + 1)
        assert made.schedule.number == 2
        assert await fire(old, START + 1) == 1


async def test_a_look_at_the_database_finds_it_sound_or_says_what_is_not(url: str, clock: Clock) -> None:
    async with node(url, clock) as store:
        await create(store, START)
        assert isinstance(store.db, PostgresDb)
        findings = await examine_shared(store.db)
        assert [finding.subject for finding in findings[:2]] == ["database", "schema"]
        assert [finding.problem for finding in findings] == [None] * len(findings)
        await query(url, "UPDATE progress SET active = 7")
        [problem] = [finding for finding in await examine_shared(store.db) if finding.problem]
        assert (problem.subject, problem.detail) == ("schedules that miscount their unfinished runs", "1")
        await query(url, "UPDATE migrations SET sha256 = 'another'")
        assert (await examine_shared(store.db))[-1].problem == "Run the version of mainspring that made the database."


async def test_a_look_at_a_database_without_our_tables_says_what_to_do(db: PostgresDb) -> None:
    assert (await examine_shared(db))[-1].problem == "run `mainspring migrate`"
