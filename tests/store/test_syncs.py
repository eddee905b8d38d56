"""What an acknowledgement costs: how often the disk is asked to sync, counted below SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from mainspring.core.changes import Change
from mainspring.core.errors import Refused
from mainspring.core.model import Entry, Key
from mainspring.store.store import open_sqlite
from store.making import PROJECT, Clock, create, driver, entry_of, fire, manual, new, new_key, schedule, target


class CountedFile(apsw.VFSFile):
    """A file of SQLite whose syncs are counted."""

    def __init__(self, disk: CountedDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk
        self.is_log = bool(flags[1] & apsw.SQLITE_OPEN_WAL)

    def xSync(self, flags: int) -> None:  # noqa: N802  # the name is SQLite's
        self.disk.log_syncs += self.is_log
        super().xSync(flags)


class CountedDisk(apsw.VFS):
    """The usual files, with a counter."""

    def __init__(self, name: str) -> None:
        self.log_syncs = 0
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> CountedFile:  # noqa: N802  # as above
        return CountedFile(self, name, flags)


@pytest.fixture
def disk() -> Iterator[CountedDisk]:
    counted = CountedDisk("counted")
    yield counted
    counted.unregister()


async def test_a_hundred_calls_at_once_cost_one_sync_and_are_on_disk_when_they_return(
    disk: CountedDisk, tmp_path: Path
) -> None:
    store = await open_sqlite(tmp_path / "store.db", Clock(), vfs="counted")
    await store.create_schedule(new())
    before = disk.log_syncs
    made = await asyncio.gather(*(store.create_schedule(new()) for _ in range(100)))
    assert disk.log_syncs - before == 1
    assert len({entry.schedule.id for entry in made if isinstance(entry, Entry)}) == 100
    await store.close()


async def test_large_writes_go_to_the_disk_a_few_mib_at_a_time(disk: CountedDisk, tmp_path: Path) -> None:
    """One caller's megabytes must not make everybody's transaction a long one."""
    store = await open_sqlite(tmp_path / "store.db", Clock(), vfs="counted")
    driver(store).execute("PRAGMA wal_autocheckpoint = 0")
    large = target(payload=b"x" * 250_000)
    before = disk.log_syncs
    made = await asyncio.gather(*(store.create_schedule(new(to=large)) for _ in range(40)))
    assert disk.log_syncs - before == 3
    before = disk.log_syncs
    edits = [Change(entry, entry.schedule, large) for entry in made if isinstance(entry, Entry)]
    await asyncio.gather(*(store.change_schedule(edit) for edit in edits))
    assert disk.log_syncs - before == 3
    await store.close()


async def test_one_call_alone_costs_one_sync(disk: CountedDisk, tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db", Clock(), vfs="counted")
    entry = await create(store, Clock()(), schedule(), due=Clock()())
    counts = [disk.log_syncs]
    for write in (
        store.create_schedule(new()),
        store.trigger_run(manual(entry.schedule.id)),
        fire(store, Clock()()),
        store.create_key(new_key()),
    ):
        await write
        counts.append(disk.log_syncs)
    assert counts == [counts[0] + number for number in range(5)]
    await store.close()


async def test_what_only_reads_costs_no_sync(disk: CountedDisk, tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db", Clock(), vfs="counted")
    entry = await create(store, Clock()())
    before = disk.log_syncs
    await entry_of(store, entry)
    await fire(store, Clock()() - 1)
    await store.schedules.next_due_at()
    await store.runs.get(PROJECT, 1)
    assert disk.log_syncs == before
    await store.close()


async def test_two_keys_with_one_digest_fail_for_one_caller_alone(tmp_path: Path) -> None:
    """The database refuses the second row; the strangers in the same transaction are written nevertheless."""
    store = await open_sqlite(tmp_path / "store.db", Clock())
    digests = [b"a", b"same", b"same", b"b"]
    made = await asyncio.gather(*(store.create_key(new_key(digest)) for digest in digests), return_exceptions=True)
    assert [isinstance(one, Key) for one in made] == [True, True, False, True]
    assert isinstance(made[2], apsw.ConstraintError | Refused)
    keys = [await store.credentials.by_digest(digest) for digest in (b"a", b"same", b"b")]
    assert [key.id for key in keys if key] == [key.id for key in made if isinstance(key, Key)]
    await store.close()
