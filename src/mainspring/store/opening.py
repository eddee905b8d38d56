"""Which database the store is in: a file, or a PostgreSQL that nodes share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mainspring.store.shared import open_postgres
from mainspring.store.store import Store, open_sqlite
from mainspring.store.syncer import sync_ms

# Beyond this, syncing on the event loop holds up too much (measured: below it, inline is the faster of the two).
SLOW_SYNC_MS = 0.5


async def open_store(
    where: Path | str,
    wall: Callable[[], int],
    ticks: Callable[[], int],
    *,
    say: Callable[[str], None] = lambda _: None,
    sync: str = "auto",
) -> Store:
    """Open the store in a file, or at a `postgresql://…` URL. `wall`: the clock, ms UTC; `ticks`: a steady one, ns.

    `sync`: who waits for the disk of an embedded store: `inline`, the event loop; `helper`, a process; `auto`, by the
    disk's speed. Both drivers are loaded whichever is used: the second one costs 14 ms and 3 MiB, once.
    """
    if isinstance(where, Path):
        aside = sync == "helper" or (sync == "auto" and sync_ms(where.parent, ticks) > SLOW_SYNC_MS)
        return await open_sqlite(where, wall, say=say, sync_aside=aside)
    return await open_postgres(where, wall, ticks, say=say)
