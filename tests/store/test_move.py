"""A store is moved whole, in either direction, through kills at any moment; and whatever is doubtful is refused."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from mainspring.core.errors import Conflict, NotFound, Unavailable
from mainspring.store import migrate as migrating
from mainspring.store import move, tables
from mainspring.store.migrate import Migration, migrate_shared, migrations
from mainspring.store.move import Step
from mainspring.store.moved import ARRIVING, LEAVING
from mainspring.store.places import fresh, is_blank, opened
from mainspring.store.postgres import PostgresDb
from mainspring.store.sqlfile import Dialect
from mainspring.store.sqlite import FileLock, connect
from mainspring.store.store import open_sqlite
from postgres import Postgres
from store.making import START, Clock, claim, create, fire, new_key
from store.moving import content, fill, moved
from store.sharing import ask, node, query

OTHERS_CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
PROGRAM = Path(__file__).with_name("moving.py")


@pytest_asyncio.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    """A database without anything in it."""
    name = await postgres.fresh()
    yield postgres.url(name)
    await postgres.drop(name)


@pytest_asyncio.fixture
async def path(tmp_path: Path, clock: Clock) -> Path:
    """A store that has been used a little: 3 schedules, of which one run has ended, one is running and one waits."""
    made = tmp_path / "old.db"
    store = await open_sqlite(made, clock)
    for _ in range(3):
        await create(store, START)
    await fire(store, START)
    await store.credentials.create(START, [new_key()])
    claims = await claim(store, START)
    await store.close()
    connection = connect(made)
    connection.execute(
        "UPDATE runs SET state = 'succeeded', lease_until = NULL, finished_at = 1 WHERE id = ?", (claims[0].run_id,)
    )
    connection.execute(
        "UPDATE runs SET state = 'queued', lease_until = NULL, due_at = 1 WHERE id = ?", (claims[1].run_id,)
    )
    connection.close()
    return made


async def mark(place: Path | str, name: str) -> str | None:
    async with opened(place, START, look=True) as looked:
        return await looked.get(name)


# ---------------------------------------------------------------------------------------------------- what is copied


async def test_every_table_of_the_schemas_is_copied_or_left_out_for_a_reason(url: str) -> None:
    db = PostgresDb(url)
    await db.open()
    await migrate_shared(db, START, str)
    shared = {row[0] for row in await db.read("list_columns")}
    await db.close()
    listed = [*tables.COPIED, *tables.LEFT_OUT]
    assert shared == set(listed)
    assert set(await fresh().tables()) == set(tables.COPIED)
    assert len(listed) == len(set(listed))
    assert all(len(reason.split()) > 3 for reason in tables.LEFT_OUT.values())


async def test_a_table_that_no_list_knows_stops_the_move(path: Path, url: str) -> None:
    connection = connect(path)
    connection.execute("CREATE TABLE novelty (id INTEGER PRIMARY KEY) STRICT")
    connection.close()
    with pytest.raises(Conflict, match="does not know the table novelty"):
        await moved(path, url)
    assert await is_blank(url)


@pytest.mark.parametrize(
    ("definition", "why"),
    [("a INTEGER", "no primary key"), ("a INTEGER PRIMARY KEY, b ANY", "of the type ANY")],
)
async def test_a_table_that_cannot_be_moved_safely_stops_the_move(
    definition: str, why: str, path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "COPIED", (*tables.COPIED, "novelty"))
    connection = connect(path)
    connection.execute(f"CREATE TABLE novelty ({definition}) STRICT")
    connection.close()
    with pytest.raises(Conflict, match=why):
        await moved(path, url)


async def test_every_table_arrives_with_every_awkward_value_and_comes_back_the_same(tmp_path: Path, url: str) -> None:
    here, back = tmp_path / "here.db", tmp_path / "new" / "back.db"
    await (await open_sqlite(here, Clock())).close()
    await fill(here, gaps=1_200)
    expected = await content(here, leases_ended=True)
    assert min(map(len, expected.values())) >= 8
    there = {one.table: one for one in await moved(here, url, chunk=500)}
    assert await content(url) == expected
    assert {name: one.rows for name, one in there.items()} == {name: len(rows) for name, rows in expected.items()}
    again = {one.table: one for one in await moved(url, back, chunk=500)}
    assert await content(back) == expected
    assert again == there


async def test_between_two_files_and_between_two_databases(path: Path, tmp_path: Path, url: str, database: str) -> None:
    expected = await content(path, leases_ended=True)
    await moved(path, tmp_path / "second.db")
    await moved(tmp_path / "second.db", url)
    await moved(url, database)
    assert await content(database) == expected


NOVELTY = {
    "sqlite": "CREATE TABLE novelty (id INTEGER PRIMARY KEY AUTOINCREMENT, flag INTEGER, x REAL, "
    "y REAL AS (x + 1)) STRICT",
    "postgres": "CREATE TABLE novelty (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, flag boolean, "
    "x double precision, y double precision GENERATED ALWAYS AS (x + 1) STORED)",
}


async def test_a_new_table_needs_its_line_in_the_list_and_no_more(
    path: Path, tmp_path: Path, url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one with what no table has yet: flags, computed columns, numbers that the database gives out."""

    def shipped(dialect: Dialect) -> list[Migration]:
        real = migrations(dialect)
        return [*real, Migration(len(real) + 1, "novelty", NOVELTY[dialect], dialect)]

    monkeypatch.setattr(migrating, "migrations", shipped)
    monkeypatch.setattr(tables, "COPIED", (*tables.COPIED, "novelty"))
    await (await open_sqlite(path, clock)).close()
    connection = connect(path)
    connection.execute("INSERT INTO novelty (id, flag, x) VALUES (5, 1, 0.1), (6, 0, -1e300), (9, NULL, NULL)")
    connection.close()
    await moved(path, url)
    rows = [(5, True, 0.1, 1.1), (6, False, -1e300, -1e300), (9, None, None, None)]
    assert await query(url, "SELECT * FROM novelty ORDER BY id") == rows
    assert await query(url, "INSERT INTO novelty (flag) VALUES (true) RETURNING id") == [(10,)]
    await moved(url, tmp_path / "back.db")
    connection = connect(tmp_path / "back.db")
    assert list(connection.execute("SELECT * FROM novelty ORDER BY id")) == [*rows, (10, 1, None, None)]
    assert list(connection.execute("INSERT INTO novelty (flag) VALUES (1) RETURNING id")) == [(11,)]
    connection.close()


async def test_chunks_are_bounded_in_bytes(path: Path, url: str) -> None:
    connection = connect(path)
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) "
        "INSERT INTO attempts (run_id, attempt, started_at, ended_at, body) SELECT i, 1, 1, 1, zeroblob(100000) FROM n"
    )
    connection.close()
    steps: list[Step] = []
    await moved(path, url, steps.append)
    done = [step.done for step in steps if step.stage == "copying" and step.table == "attempts"]
    assert [after - before for before, after in pairwise(done)] == [200, 0, 200, 0, 200]


# -------------------------------------------------------------------------------------------------------- the servers


async def test_what_was_running_is_rescued_at_once_on_postgres(path: Path, url: str, clock: Clock) -> None:
    await moved(path, url)
    async with node(url, clock) as store:
        [run] = await store.runs.expired(START, 10, everything=store.alone)
        assert (run.state, run.attempt) == ("running", 1)


async def test_what_was_running_is_rescued_at_once_on_sqlite(
    path: Path, tmp_path: Path, url: str, clock: Clock
) -> None:
    await moved(path, url)
    await moved(url, tmp_path / "back.db")
    store = await open_sqlite(tmp_path / "back.db", clock)
    try:
        [run] = await store.runs.expired(START, 10, everything=store.alone)
        assert run.state == "running"
    finally:
        await store.close()


async def test_numbers_and_keys_go_on_above_the_copied_ones(path: Path, url: str) -> None:
    rows = await content(path)
    largest = max(row[0] for name in ("schedules", "runs", "targets", "credentials") for row in rows[name])
    await moved(path, url)
    async with node(url, Clock(START - 86_400_000)) as store:
        made = await create(store, START - 86_400_000)
    assert made.schedule.number == 4
    assert made.schedule.id > largest


async def test_no_server_starts_on_the_old_store_until_the_move_is_undone(path: Path, url: str, clock: Clock) -> None:
    before = await content(path)
    await moved(path, url)
    with pytest.raises(Conflict, match=r"has been moved to postgresql:.* every job would run twice") as refused:
        await open_sqlite(path, clock)
    assert f"mainspring migrate --undo --from sqlite:{path}" in refused.value.hint
    with pytest.raises(Conflict, match=r"moved to .* already"):
        await moved(path, url)
    async with opened(path, START) as place:
        assert (await move.undo(place)).startswith("postgresql:")
    assert await content(path) == before
    await (await open_sqlite(path, clock)).close()
    async with opened(path, START) as place:
        with pytest.raises(NotFound):
            await move.undo(place)


async def test_no_node_starts_on_an_old_database_and_it_keeps_no_lease_of_one(
    path: Path, tmp_path: Path, url: str, clock: Clock
) -> None:
    await moved(path, url)
    await moved(url, tmp_path / "back.db")
    with pytest.raises(Conflict, match=r"has been moved to sqlite:.*back\.db"):
        async with node(url, clock):
            pass
    async with opened(url, START) as place:
        assert await place.users() == []
        await move.undo(place)
    async with node(url, clock):
        pass


async def test_while_a_copy_is_not_complete_no_server_starts_on_either_end(path: Path, url: str, clock: Clock) -> None:
    def give_up(step: Step) -> None:
        if step.table == "runs":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await moved(path, url, give_up)
    with pytest.raises(Conflict, match=r"a copy of sqlite:.* not complete") as refused:
        async with node(url, clock):
            pass
    assert f"mainspring migrate --from sqlite:{path} --to " in refused.value.hint
    with pytest.raises(Conflict, match="is being moved to postgresql:"):
        await open_sqlite(path, clock)
    await query(url, "INSERT INTO nodes VALUES (7, 'a server', 'x', 1, 1, 9000000000000)")
    with pytest.raises(Conflict, match="is in use by a server"):
        await moved(path, url, pytest.fail)
    await query(url, "DELETE FROM nodes")
    await moved(path, url)
    async with node(url, clock) as store:
        await store.upkeep.ping()


# ---------------------------------------------------------------------------------------------------------- the kills


def run(source: Path | str, target: Path | str, kill_at: int | str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, str(PROGRAM), str(source), str(target), "500", str(kill_at)]
    environment = {"PYTHONPATH": str(PROGRAM.parents[1]), "PATH": "/usr/bin:/bin"}
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("direction", ["to postgres", "to sqlite"])
async def test_killed_again_and_again_it_goes_on_and_ends_with_the_same(
    direction: str, tmp_path: Path, url: str, clock: Clock
) -> None:
    here: Path | str = tmp_path / "here.db"
    assert isinstance(here, Path)
    await (await open_sqlite(here, clock)).close()
    await fill(here, gaps=3_000)
    there: Path | str = url
    if direction == "to sqlite":
        await moved(here, url)
        here, there = url, tmp_path / "there.db"
    expected = await content(here, leases_ended=True)
    copied = -1
    # Before anything is written, right before and right after a chunk, in the middle of a table, while verifying.
    for kill_at in (1, 2, 3, 9, 20, 25, 38):
        done = await asyncio.to_thread(run, here, there, kill_at)
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        rows = sum(len(rows) for rows in (await content(there)).values())
        assert rows >= copied, "what was copied is not copied again"
        copied = rows
        assert await mark(there, ARRIVING) is not None
    assert copied == sum(map(len, expected.values()))
    done = await asyncio.to_thread(run, here, there, 0)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == copied
    assert await content(there) == expected
    assert await mark(there, ARRIVING) is None


async def test_killed_between_the_last_two_marks_neither_can_be_served_until_it_is_ended(
    path: Path, url: str, clock: Clock
) -> None:
    done = await asyncio.to_thread(run, path, url, "handing over")
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(Conflict, match="has been moved to"):
        await open_sqlite(path, clock)
    with pytest.raises(Conflict, match="not complete"):
        async with node(url, clock):
            pass
    await moved(path, url)
    async with node(url, clock) as store:
        await store.upkeep.ping()


async def test_after_a_lost_connection_it_goes_on(path: Path, url: str) -> None:
    def cut(step: Step) -> None:
        if step.table == "runs" and not lost:
            lost.append(ask(url, OTHERS_CUT))

    expected = await content(path, leases_ended=True)
    lost: list[list[object]] = []
    with pytest.raises(Unavailable):
        await moved(path, url, cut)
    assert await mark(url, ARRIVING) is not None
    await moved(path, url)
    assert await content(url) == expected


# ------------------------------------------------------------------------------------------------------- the refusals


async def refused(source: Path | str, target: Path | str, why: str) -> Conflict:
    """A move that is refused, and has changed neither end."""
    before = [await content(end) for end in (source, target) if not await is_blank(end)]
    with pytest.raises(Conflict, match=why) as found:
        await moved(source, target)
    assert [await content(end) for end in (source, target) if not await is_blank(end)] == before
    return found.value


async def test_a_source_in_use_is_refused(path: Path, tmp_path: Path, url: str, database: str, clock: Clock) -> None:
    lock = FileLock(path)
    await refused(path, url, "is using")
    lock.release()
    async with node(database, clock):
        await refused(database, tmp_path / "new.db", "is in use by")
    assert await is_blank(url)
    assert not (tmp_path / "new.db").exists()


async def test_a_target_that_is_not_empty_or_in_use_is_refused(path: Path, database: str, clock: Clock) -> None:
    async with node(database, clock) as store:
        await refused(path, database, "is in use by")
        await create(store, START)
    await refused(path, database, "not empty: it has rows in counters")
    await query(database, "UPDATE counters SET value = 0")
    await refused(path, database, "not empty: it has rows in targets")
    assert await mark(path, LEAVING) is None


async def test_a_copy_of_another_store_or_of_an_earlier_try_is_not_gone_on_with(
    path: Path, tmp_path: Path, url: str, database: str
) -> None:
    def give_up(step: Step) -> None:
        if step.table == "runs":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await moved(path, url, give_up)
    other = tmp_path / "other.db"
    await (await open_sqlite(other, Clock())).close()
    await refused(other, url, "unfinished copy of sqlite:.*old.db that this move did not begin")
    await refused(url, other, "is a copy that is not complete")
    await moved(path, database)
    await refused(path, url, "did not begin")


async def test_a_server_that_was_started_a_moment_before_the_marks_ends_the_move(
    path: Path, url: str, clock: Clock
) -> None:
    async with opened(path, START) as old:
        what = await move.plan(old, nul_kept=False)
        async with opened(url, START, make=True) as new:
            assert await move.check(old, new, what) is None
            async with node(url, clock):
                with pytest.raises(Conflict, match="is in use by"):
                    await move.move(old, new, what, None, now=START, token="t", report=pytest.fail)
            assert await new.get(ARRIVING) is None
            assert await old.get(LEAVING) is None


async def test_one_database_at_both_ends_is_refused(path: Path, url: str) -> None:
    await moved(path, url)
    with pytest.raises(Conflict) as refused:
        await moved(url, url.replace("?", "?target_session_attrs=any&"))
    assert "two different databases" in refused.value.hint


async def test_a_text_with_nul_is_refused_before_anything_is_done_and_named(
    path: Path, url: str, tmp_path: Path
) -> None:
    connection = connect(path)
    connection.execute("UPDATE schedules SET name = ? WHERE number = 2", ("a\0b",))
    [(key,)] = connection.execute("SELECT id FROM schedules WHERE number = 2")
    connection.close()
    told = await refused(path, url, "U\\+0000, which PostgreSQL cannot keep")
    assert told.message.endswith(f'schedules id {key}, column "name"')
    assert await is_blank(url)
    await moved(path, tmp_path / "keeps.db")


async def test_a_text_that_is_none_is_refused_and_named(path: Path, url: str) -> None:
    connection = connect(path)
    connection.execute("UPDATE schedules SET name = CAST(x'ff' AS TEXT) WHERE number = 1")
    connection.close()
    with pytest.raises(Conflict, match="schedules has a text that is not UTF-8, in its first row"):
        await moved(path, url)


async def test_an_older_schema_is_refused(path: Path, url: str) -> None:
    connection = connect(path)
    connection.execute("DELETE FROM migrations WHERE number > 1")
    connection.close()
    with pytest.raises(Conflict, match="older than this version"):
        await moved(path, url)


# ---------------------------------------------------------------------------------------------------- the verification


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        ("UPDATE runs SET status = 7 WHERE state = 'queued'", "runs id"),
        ("DELETE FROM schedules WHERE number = 2", "schedules id"),
        ("INSERT INTO meta VALUES ('extra', 'row')", "meta name 'extra'"),
    ],
)
async def test_a_copy_that_is_not_true_stays_unfinished(
    damage: str, where: str, path: Path, tmp_path: Path, url: str, clock: Clock
) -> None:
    """The target is a file here, so that it can be damaged between two steps."""
    target = tmp_path / "new.db"
    damaged = []

    def harm(step: Step) -> None:
        if step.stage == "copying" and step.table == tables.COPIED[-1] and not damaged:
            connection = connect(target)
            damaged.append(connection.execute(damage))
            connection.close()

    with pytest.raises(Conflict, match=f"first difference is at {where}"):
        await moved(path, target, harm)
    assert damaged
    with pytest.raises(Conflict, match="first difference"):
        await moved(path, target)
    with pytest.raises(Conflict, match="not complete"):
        await open_sqlite(target, clock)
    await moved(path, url)
