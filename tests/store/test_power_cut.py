"""A power cut at any moment loses nothing that was acknowledged, whoever syncs.

A disk keeps what was written before its last sync; of later writes it keeps any part, sector by sector. The recorder
notes every write of the database files and every sync of them; the cut builds the files such a disk would hold.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from mainspring.core.changes import NewSchedule
from mainspring.store import sqlite
from mainspring.store.store import open_sqlite
from mainspring.store.syncer import Syncer
from store.making import SCHEDULE, START, TARGET

SECTOR = 512
CUTS = 40
WRITERS, EACH = 8, 25


class Disk:
    """What was written to which file, in order, and how much of it had been synced when."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, int, bytes | None]] = []
        self.synced: list[tuple[int, str, int]] = []
        self.acknowledged: list[tuple[int, str]] = []

    def sync(self, file: str, covers: int) -> None:
        """From now on, the first `covers` writes are kept as far as they went to `file`."""
        self.synced.append((len(self.writes), file, covers))

    def after_cut(self, at: int, dice: random.Random, into: Path) -> None:
        """Write the files as the disk may hold them when the power goes after `at` writes."""
        kept = {file: max([c for when, f, c in self.synced if f == file and when <= at], default=0) for file in FILES}
        images: dict[str, bytearray] = {file: bytearray() for file in FILES}
        for index, (file, offset, data) in enumerate(self.writes[:at]):
            image = images[file]
            if data is None:
                if index < kept[file] or dice.random() < 0.5:
                    del image[offset:]
                continue
            for start in range(0, len(data), SECTOR):
                if index < kept[file] or dice.random() < 0.5:
                    part = data[start : start + SECTOR]
                    if len(image) < offset + start + len(part):
                        image.extend(bytes(offset + start + len(part) - len(image)))
                    image[offset + start : offset + start + len(part)] = part
        for file, image in images.items():
            (into / file).write_bytes(image)


FILES = ("m.db", "m.db-wal")


class RecordedFile(apsw.VFSFile):
    """A database file whose writes and syncs are noted."""

    def __init__(self, disk: Disk, inherit: str, name: str | apsw.URIFilename, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._file, self._disk = Path(path).name, disk
        super().__init__(inherit, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name
        if self._file in FILES:
            self._disk.writes.append((self._file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802  # SQLite's name
        if self._file in FILES:
            self._disk.writes.append((self._file, size, None))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
        super().xSync(flags)
        if self._file in FILES:
            self._disk.sync(self._file, len(self._disk.writes))


class RecordingVfs(apsw.VFS):
    """The default VFS with recorded files."""

    def __init__(self, name: str, disk: Disk) -> None:
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is None:
            return super().xOpen(name, flags)
        return RecordedFile(self._disk, "", name, flags)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A recorded disk; the helper's syncs are noted with what had been written when it was asked."""
    recorded = Disk()
    vfs = RecordingVfs("recorded", recorded)

    class WatchedSyncer(Syncer):
        covers = 0

        def _begin(self) -> None:
            idle = not self._under_way
            super()._begin()
            if idle and self._under_way:
                self.covers = len(recorded.writes)

        def _on_reply(self) -> None:
            recorded.sync("m.db-wal", self.covers)
            super()._on_reply()

    monkeypatch.setattr(sqlite, "Syncer", WatchedSyncer)
    yield recorded
    vfs.unregister()


async def work(path: Path, disk: Disk, *, sync_aside: bool) -> None:
    """Create schedules big enough for several checkpoints, noting when each is acknowledged."""
    store = await open_sqlite(path, lambda: START, vfs="recorded", sync_aside=sync_aside)

    async def writer(number: int) -> None:
        for count in range(EACH):
            name = f"{number}-{count}"
            target = msgspec.structs.replace(TARGET, payload=b"x" * 100_000)
            schedule = msgspec.structs.replace(SCHEDULE, name=name)
            await store.create_schedule(NewSchedule(schedule, target, START + 60_000, None))
            disk.acknowledged.append((len(disk.writes), name))

    await asyncio.gather(*(writer(number) for number in range(WRITERS)))
    await store.close()


def survivors(folder: Path) -> set[str]:
    """The schedules in the database after recovery, which must be sound."""
    connection = apsw.Connection(str(folder / "m.db"))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    names = set()
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schedules'").fetchall():
        names = {row[0] for row in connection.execute("SELECT name FROM schedules")}
    connection.close()
    return names


def lost_at(disk: Disk, at: int, dice: random.Random, folder: Path) -> set[str]:
    folder.mkdir()
    disk.after_cut(at, dice, folder)
    return {name for when, name in disk.acknowledged if when <= at} - survivors(folder)


@pytest.mark.parametrize("sync_aside", [False, True], ids=["inline", "helper"])
async def test_a_power_cut_at_any_moment_loses_nothing_acknowledged(
    tmp_path: Path, disk: Disk, sync_aside: bool
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    await work(tmp_path / "m.db", disk, sync_aside=sync_aside)
    assert len(disk.acknowledged) == WRITERS * EACH
    checkpoints = sum(file == "m.db" for _, file, _ in disk.synced)
    assert checkpoints >= 2, "the work is to run into checkpoints"
    dice = random.Random(seed)
    first = disk.acknowledged[0][0]
    for cut in range(CUTS):
        at = dice.randrange(first, len(disk.writes) + 1)
        assert lost_at(disk, at, dice, tmp_path / f"cut-{cut}") == set()


async def test_the_cut_does_lose_what_nobody_synced(tmp_path: Path, disk: Disk) -> None:
    """The check can fail: without the helper's syncs, acknowledged schedules are gone."""
    await work(tmp_path / "m.db", disk, sync_aside=True)
    helped = [entry for entry in disk.synced if entry[1] == "m.db-wal"]
    assert len(helped) > 10
    disk.synced = [entry for entry in disk.synced if entry[1] != "m.db-wal"]
    dice = random.Random(1)
    at = disk.acknowledged[-1][0]
    folder = tmp_path / "cut"
    folder.mkdir()
    disk.after_cut(at, dice, folder)
    try:
        left = survivors(folder)
    except (AssertionError, apsw.Error):
        return
    assert {name for when, name in disk.acknowledged if when <= at} - left
