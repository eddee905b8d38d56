"""What holds of the embedded database alone: one process, all or nothing, honest about a disk that is full."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from mainspring.core.errors import Conflict, Unavailable
from mainspring.core.ids import KeySource
from mainspring.core.limits import HOUR
from mainspring.core.model import Entry
from mainspring.store import sqlite
from mainspring.store.sqlite import FileLock
from mainspring.store.store import Store, open_sqlite
from store.making import (
    ALL,
    PROJECT,
    START,
    Clock,
    create,
    driver,
    entry_of,
    fire,
    manual,
    new,
    number,
    runs_of,
    schedule,
    target,
)

HOLDER = """
import sys
from pathlib import Path
from mainspring.store.sqlite import FileLock
lock = FileLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_second_process_is_refused_and_told_who_holds_the_store(tmp_path: Path) -> None:
    database = tmp_path / "store.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Conflict) as caught:
            await open_sqlite(database, Clock())
        assert f"process {holder.pid})" in caught.value.message
        holder.send_signal(signal.SIGKILL)
    store = await open_sqlite(database, Clock())
    await store.close()


async def test_a_store_that_was_closed_can_be_opened_again_with_everything_in_it(tmp_path: Path) -> None:
    clock = Clock()
    store = await open_sqlite(tmp_path / "store.db", clock)
    entry = await create(store, START)
    await store.close()
    store = await open_sqlite(tmp_path / "store.db", clock)
    assert await entry_of(store, entry) == entry
    await store.close()


async def test_keys_go_on_above_those_in_the_store_although_the_clock_stepped_back(tmp_path: Path) -> None:
    clock = Clock()
    store = await open_sqlite(tmp_path / "store.db", clock)
    before = await create(store, START)
    await store.close()
    clock.advance(-HOUR)
    store = await open_sqlite(tmp_path / "store.db", clock)
    assert (await create(store, clock())).schedule.id > before.target.id
    await store.close()


async def test_a_store_that_could_not_be_opened_is_not_held(tmp_path: Path) -> None:
    database = tmp_path / "store.db"
    database.write_bytes(b"this is no database " * 100)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await open_sqlite(database, Clock())
    FileLock(database).release()


async def half_way(store: Store, error: BaseException) -> None:
    """Write something and fail before the end."""
    async with store.db.transaction() as tx:
        await tx.fetch("set_meta", name="a", value="1")
        raise error


async def test_an_error_inside_a_transaction_leaves_nothing_of_it(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        await half_way(store, ZeroDivisionError())
    assert await store.upkeep.get_meta("a") is None
    await store.upkeep.set_meta("a", "2")


async def test_a_cancelled_transaction_leaves_nothing_of_it(store: Store) -> None:
    with pytest.raises(asyncio.CancelledError):
        await half_way(store, asyncio.CancelledError())
    assert await store.upkeep.get_meta("a") is None


async def test_a_transaction_within_another_is_a_mistake_that_shows(store: Store) -> None:
    async with store.db.transaction():
        with pytest.raises(AssertionError):
            async with store.db.transaction():
                pass


async def test_a_full_disk_is_said_to_the_callers_and_nothing_is_accepted(tmp_path: Path) -> None:
    clock = Clock()
    store = await open_sqlite(tmp_path / "store.db", clock)
    entry = await create(store, START)
    limit = number(store, "PRAGMA page_count") + 4
    driver(store).execute(f"PRAGMA max_page_count = {limit}")
    large = target(payload=b"x" * 100_000)
    answers = await asyncio.gather(*(store.create_schedule(new(to=large)) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert [one.schedule.id for one in await store.schedules.page(PROJECT, "cron", ALL)] == [entry.schedule.id]
    assert await store.schedules.get(PROJECT, "cron", entry.schedule.id) == entry
    driver(store).execute("PRAGMA max_page_count = 1000000")
    assert isinstance(await store.create_schedule(new(to=large)), Entry)
    await store.close()


async def test_of_a_batch_that_does_not_fit_those_that_do_are_written(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db", Clock())
    limit = number(store, "PRAGMA page_count") + 10
    driver(store).execute(f"PRAGMA max_page_count = {limit}")
    items = [new(), new(to=target(payload=b"x" * 200_000)), new()]
    answers = await asyncio.gather(*(store.create_schedule(item) for item in items), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Entry, Unavailable, Entry]
    await store.close()


async def test_a_store_that_is_gone_is_unavailable_whatever_is_asked_of_it(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db", Clock())
    entry = await create(store, START)
    driver(store).close()
    for asked in (
        entry_of(store, entry),
        store.schedules.next_due_at(),
        store.upkeep.ping(),
        store.upkeep.maintain(),
        store.create_schedule(new()),
        fire(store, START),
    ):
        with pytest.raises(Unavailable):
            await asked
    await store.close()


async def test_long_reads_do_not_hold_up_writes_and_see_what_was_committed_before_them(store: Store) -> None:
    entry = await create(store, START)
    await store.runs.trigger(START, [manual(entry.schedule.id)] * 500)
    reads = [asyncio.ensure_future(runs_of(store, entry)) for _ in range(3)]
    await store.upkeep.set_meta("a", "1")
    assert [len(found) for found in await asyncio.gather(*reads)] == [500] * 3
    await create(store, START)
    assert len(await store.schedules.page(PROJECT, "cron", ALL)) == 2


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 127, 129, 200])
async def test_a_statement_over_many_rows_gives_each_of_them_its_result(store: Store, count: int) -> None:
    """Rows go in chunks of powers of two."""
    rows = [new(schedule(name=f"number {number}")) for number in range(count)]
    made = [entry for entry in await store.schedules.create(START, rows) if isinstance(entry, Entry)]
    there = {entry.schedule.id: entry for entry in await store.schedules.page(PROJECT, "cron", ALL)}
    assert there == {entry.schedule.id: entry for entry in made}
    found = await store.db.read_in("get_entries", [(entry.schedule.id,) for entry in made])
    assert {row[0] for row in found} == set(there)


async def test_few_texts_are_prepared_however_many_rows_there_are(tmp_path: Path) -> None:
    """Every number of rows would otherwise be a statement of its own."""
    store = await open_sqlite(tmp_path / "store.db", Clock())
    for count in range(1, 200):
        await store.runs.targets(list(range(count)))
    texts = [rows for name, rows in sqlite._texts if name == "get_targets"]
    assert set(texts) <= {1, 2, 4, 8, 16, 32, 64, 128, 256}
    await store.close()


async def test_the_house_settings_hold(store: Store) -> None:
    answers = {
        name: next(driver(store).execute(f"PRAGMA {name}"))[0]
        for name in (
            *("page_size", "auto_vacuum", "journal_mode", "synchronous"),
            *("wal_autocheckpoint", "cache_size", "temp_store", "journal_size_limit"),
        )
    }
    assert answers == {
        "page_size": 8192,
        "auto_vacuum": 2,
        "journal_mode": "wal",
        "synchronous": 2,
        "wal_autocheckpoint": 2000,
        "cache_size": -16384,
        "temp_store": 2,
        "journal_size_limit": 64 * 1024 * 1024,
    }


async def test_freed_pages_are_given_back_a_few_at_a_time(store: Store) -> None:
    connection = driver(store)
    connection.execute("CREATE TABLE heap (block BLOB)")
    connection.executemany("INSERT INTO heap VALUES (randomblob(8000))", [()] * 300)
    connection.execute("DROP TABLE heap")
    before = number(store, "PRAGMA freelist_count")
    await store.upkeep.maintain()
    assert before - number(store, "PRAGMA freelist_count") == 64


async def test_what_was_read_back_is_a_whole_row_or_nothing(store: Store) -> None:
    """The schema refuses what no code path may write."""
    entry = await create(store, START)
    for nonsense in (
        f"UPDATE schedules SET run_at = 1 WHERE id = {entry.schedule.id}",
        f"UPDATE schedules SET overlap = 'maybe' WHERE id = {entry.schedule.id}",
        f"UPDATE schedules SET max_runs = 'many' WHERE id = {entry.schedule.id}",
    ):
        with pytest.raises(apsw.ConstraintError):
            driver(store).execute(nonsense)
    assert KeySource(floor=entry.target.id).next(START) > entry.target.id
