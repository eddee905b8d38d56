"""Opens the store on PostgreSQL, for this process as one of its nodes."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.core.ids import KeySource
from mainspring.store.membership import Membership
from mainspring.store.migrate import migrate_shared
from mainspring.store.moved import refuse_moved
from mainspring.store.postgres import PostgresDb
from mainspring.store.store import Store


async def open_postgres(
    url: str,
    wall: Callable[[], int],
    ticks: Callable[[], int],
    *,
    clock: Callable[[], int] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Store:
    """Open the store at `postgresql://…`, bring its schema up to date and join its nodes.

    `wall` is this machine's clock (ms UTC), `ticks` a steady one (ns); `clock` stands in for the database's clock.
    Raises `Unavailable` when the database cannot be reached, `Conflict` when it was made by a newer version.
    """
    db = PostgresDb(url)
    try:
        await db.open()
        await migrate_shared(db, wall(), say)
        membership = Membership(db, wall, ticks)
        await membership.join()
        try:
            # With the lease: a move that begins now sees this node, and one that began before is seen here.
            await refuse_moved(db, url)
        except BaseException:
            await membership.leave()
            raise
        [(largest,)] = await db.read("largest_key")
    except BaseException:
        await db.close()
        raise
    keys = KeySource(membership.lease.number, largest or 0)
    return Store(db, keys, clock or membership.clock, membership)
