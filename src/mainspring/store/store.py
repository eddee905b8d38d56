"""The store: its slices by noun, and the folds through which concurrent callers share a transaction and a sync."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mainspring.core.changes import Change, ManualRun, NewKey, NewSchedule, Stale
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KeySource
from mainspring.core.model import Entry, Key, Run
from mainspring.store.credentials import CredentialStore
from mainspring.store.db import Db
from mainspring.store.fold import Fold
from mainspring.store.migrate import migrate
from mainspring.store.once import recall
from mainspring.store.runs import RunStore
from mainspring.store.schedules import ScheduleStore
from mainspring.store.sqlite import SqliteDb
from mainspring.store.upkeep import UpkeepStore


class Store:
    """Everything that lasts. `clock` gives `now` for the folds, whose batches begin later than their callers."""

    def __init__(self, db: Db, keys: KeySource, clock: Callable[[], int]) -> None:
        self.db = db
        self.schedules = ScheduleStore(db, keys)
        self.runs = RunStore(db, keys)
        self.credentials = CredentialStore(db, keys)
        self.upkeep = UpkeepStore(db)
        self.create_schedule: Fold[NewSchedule, Entry | Replay] = Fold(
            lambda items: self.schedules.create(clock(), items), _schedule_size
        )
        self.change_schedule: Fold[Change, Entry | Replay | Stale] = Fold(
            lambda items: self.schedules.change(clock(), items)
        )
        self.trigger_run: Fold[ManualRun, Run | Replay] = Fold(
            lambda items: self.runs.trigger(clock(), items), lambda item: len(item.payload or b"")
        )
        self.create_key: Fold[NewKey, Key | Replay] = Fold(lambda items: self.credentials.create(clock(), items))

    async def recall(self, now: int, project: str, operation: str, key: str, body_hash: bytes) -> Replay | None:
        """The answer kept for an idempotency key, None for a new one. Raises `Invalid` for another body."""
        return await recall(self.db, now, (project, operation, key), body_hash)

    async def close(self) -> None:
        await self.db.close()


async def open_sqlite(
    path: Path,
    clock: Callable[[], int],
    *,
    say: Callable[[str], None] = lambda _: None,
    vfs: str | None = None,
    sync_aside: bool = False,
) -> Store:
    """Open (or make) the embedded store at `path` and bring its schema up to date.

    `sync_aside`: commits are made durable by a helper process, for disks that take long to sync. Raises `Conflict` when
    another process uses the store or when it was made by a newer version.
    """
    db = SqliteDb(path, vfs=vfs)
    try:
        migrate(db.connection, path, clock(), say)
        [(largest,)] = await db.read("largest_key")
        if sync_aside:
            db.sync_aside()
    except BaseException:
        await db.close()
        raise
    return Store(db, KeySource(floor=largest or 0), clock)


def _schedule_size(item: NewSchedule) -> int:
    return len(item.target.payload or b"") + len(item.target.headers or b"")
