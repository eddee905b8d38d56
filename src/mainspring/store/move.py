"""Moves everything that lasts from one store to another, in chunks; stopped at any moment, it goes on where it was.

A chunk and the note of how far the copy is are one transaction of the new store. The source does not change meanwhile:
no server starts on a marked store. In the end both are read again, in order of key, and every row compared.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from hashlib import sha256
from itertools import zip_longest

import msgspec

from mainspring.core.errors import Conflict, NotFound
from mainspring.core.instants import iso
from mainspring.store import tables
from mainspring.store.db import Row
from mainspring.store.moved import ARRIVING, LEAVING, Arriving, Leaving, arriving, command, leaving, written
from mainspring.store.places import Place, fresh
from mainspring.store.tables import Table

CHUNK_ROWS = 10_000
CHUNK_BYTES = 8 * 1_048_576


class Plan(msgspec.Struct, frozen=True):
    """What is to be copied: tables in order, and the rows of each."""

    moved: tuple[Table, ...]
    rows: dict[str, int]


class Step(msgspec.Struct, frozen=True):
    """How far a move is: rows done of all rows, in this stage: `copying`, `verifying`, `handing over`."""

    stage: str
    table: str
    done: int
    total: int


class Copied(msgspec.Struct, frozen=True):
    """A verified table: its rows, and the SHA-256 of their canonical bytes in order of key, on either side."""

    table: str
    rows: int
    sha256: str


Report = Callable[[Step], None]


async def plan(source: Place, *, nul_kept: bool, look: bool = False) -> Plan:
    """What moves. `look`: only to tell; servers may be using the source.

    Raises `Conflict` when the source is in use or is itself an unfinished copy, or when `nul_kept` is false and it has
    a text that the new store cannot keep.
    """
    if arriving(await source.get(ARRIVING)) is not None:
        raise Conflict(f"{source.shown} is a copy that is not complete", hint="Complete it first, or name another.")
    if not look:
        await _unused(source)
    moved = tuple((await source.tables()).values())
    if not nul_kept:
        for table in moved:
            if found := await source.find_nul(table):
                raise Conflict(
                    f"{source.shown} has a text with the character U+0000, which PostgreSQL cannot keep: {found}",
                    hint="Change or delete that with the server running on it, then move. Nothing was changed.",
                )
    return Plan(moved, {table.name: await source.count(table) for table in moved})


async def check(source: Place, target: Place, what: Plan) -> Arriving | None:
    """The mark of an earlier copy of this source, interrupted, in the target; None for an empty target.

    Raises `Conflict` for every other target, and when the source has been moved.
    """
    other = await target.tables()
    for table in what.moved:
        found = other.get(table.name)
        if found is None or _shape(found) != _shape(table):
            raise Conflict(f"the table {table.name} is another one in {target.shown} than in {source.shown}")
    await _unused(target)
    gone = leaving(await source.get(LEAVING))
    coming = arriving(await target.get(ARRIVING))
    if coming is not None:
        if gone is None or gone.id != coming.id:
            raise Conflict(
                f"{target.shown} holds an unfinished copy of {coming.source} that this move did not begin",
                hint="Empty it (make the database or the file anew), or name another.",
            )
        return coming
    if gone is not None and gone.done:
        undoing = command("--undo", "--from", source.shown)
        raise Conflict(
            f"{source.shown} has been moved to {gone.to} already ({iso(gone.since)})",
            hint=f"To move it anew, remove that one and take this one up again: {undoing}",
        )
    blank = fresh()
    for table in what.moved:
        async with aclosing(target.pages(table)) as there, aclosing(blank.pages(table)) as here:
            if await anext(there, []) != await anext(here, []):
                raise Conflict(
                    f"{target.shown} is not empty: it has rows in {table.name}",
                    hint="Move into a new database or file. Nothing was changed.",
                )
    if await target.get(LEAVING) is not None:
        raise Conflict(f"{target.shown} is being moved itself", hint="Move into a new database or file.")
    return None


async def move(
    source: Place,
    target: Place,
    what: Plan,
    earlier: Arriving | None,
    *,
    now: int,
    token: str,
    report: Report,
    chunk_rows: int = CHUNK_ROWS,
) -> list[Copied]:
    """Copy, verify, and hand over; `earlier` is what `check` found, `token` tells this move from all others.

    Raises `Conflict` when the two differ in the end (the target stays marked as unfinished), or a server was started.
    """
    if earlier is None:
        earlier = Arriving(token, source.shown, now)
        await source.write({LEAVING: written(Leaving(token, target.shown, now))})
        await target.write({ARRIVING: written(earlier)})
        try:
            # Those that looked at the marks a moment too early have their lease by now.
            await _unused(source)
            await _unused(target)
        except Conflict:
            await target.write({ARRIVING: None})
            await source.write({LEAVING: None})
            raise
    total = sum(what.rows.values())
    mark = earlier
    for table in what.moved:
        # Whatever stands before the last table of the mark is complete.
        if table.name not in mark.rows or table.name == list(mark.rows)[-1]:
            mark = await _copy(source, target, table, mark, chunk_rows, report, total)
    await target.settle(what.moved)
    copied = await _verify(source, target, what, report)
    # In this order: at every moment at most one of the two can be served.
    await source.write({LEAVING: written(Leaving(mark.id, target.shown, now, done=True))})
    report(Step("handing over", "", total, total))
    await target.write({ARRIVING: None})
    return copied


async def undo(source: Place) -> str:
    """Take the mark off a store that was moved or is being moved; where to. Raises `NotFound` without one."""
    gone = leaving(await source.get(LEAVING))
    if gone is None:
        raise NotFound(f"{source.shown} has not been moved")
    await source.write({LEAVING: None})
    return gone.to


async def _copy(
    source: Place, target: Place, table: Table, mark: Arriving, chunk_rows: int, report: Report, total: int
) -> Arriving:
    """The rest of one table; the mark after it."""
    first = table.name not in mark.rows
    after = None if first or mark.after is None else tables.key_from(mark.after)
    mark = msgspec.structs.replace(
        mark, rows=mark.rows | {table.name: 0} if first else mark.rows, after=None if first else mark.after
    )
    async for rows in _chunks(source, table, after, chunk_rows):
        done = {**mark.rows, table.name: mark.rows[table.name] + len(rows)}
        mark = msgspec.structs.replace(mark, rows=done, after=tables.key_text(table.key_of(rows[-1])) if rows else None)
        report(Step("copying", table.name, sum(done.values()) - len(rows), total))
        await target.write({ARRIVING: written(mark)}, table, rows, first=first)
        report(Step("copying", table.name, sum(done.values()), total))
        first = False
    return mark


async def _chunks(source: Place, table: Table, after: Row | None, most: int) -> AsyncGenerator[list[Row], None]:
    """Rows in portions bounded in number and in bytes; an empty one for an empty table."""
    rows: list[Row] = []
    size, begun = 0, after is not None
    async with aclosing(source.pages(table, after, leases_ended=True)) as pages:
        async for page in pages:
            rows += page
            size += len(tables.packed(page))
            if len(rows) >= most or size >= CHUNK_BYTES:
                yield rows
                rows, size, begun = [], 0, True
    if rows or not begun:
        yield rows


async def _verify(source: Place, target: Place, what: Plan, report: Report) -> list[Copied]:
    copied: list[Copied] = []
    total = sum(what.rows.values())
    for table in what.moved:
        hashes = sha256(), sha256()
        counts = [0, 0]
        async with (
            aclosing(source.pages(table, leases_ended=True)) as left,
            aclosing(target.pages(table)) as right,
        ):
            while True:
                pages: list[list[Row]] = [await anext(left, []), await anext(right, [])]
                for side, page in enumerate(pages):
                    hashes[side].update(tables.packed(page))
                    counts[side] += len(page)
                if hashes[0].digest() != hashes[1].digest():
                    raise _differing(target, table, pages[0], pages[1])
                if not any(pages):
                    break
                report(Step("verifying", table.name, sum(one.rows for one in copied) + counts[0], total))
        if not counts[0] == counts[1] == what.rows[table.name]:
            raise Conflict(f"{table.name} has {counts[0]} rows here, {counts[1]} there, {what.rows[table.name]} before")
        copied.append(Copied(table.name, counts[0], hashes[0].hexdigest()))
    return copied


def _differing(target: Place, table: Table, left: list[Row], right: list[Row]) -> Conflict:
    pairs = zip_longest(left, right)
    row = next(
        one or other for one, other in pairs if (one and tables.packed([one])) != (other and tables.packed([other]))
    )
    return Conflict(
        f"{target.shown} is not a true copy: the first difference is at {table.shown(table.key_of(row))}",
        hint="It stays marked as unfinished, and no server starts on it. Empty it and move again.",
    )


async def _unused(place: Place) -> None:
    if users := await place.users():
        raise Conflict(
            f"{place.shown} is in use by {', '.join(users[:5])}{' and others' if len(users) > 5 else ''}",
            hint="Stop every server on it. One that was killed still counts for half a minute.",
        )


def _shape(table: Table) -> tuple[object, ...]:
    return table.key, tuple((column.name, column.kind) for column in table.columns)
