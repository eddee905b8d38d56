"""The marks on a store that is being moved, and on the one that it is moved to: no server starts on either of them.

Of two stores with the same schedules never both may be served: each would send every run. So the old store is marked
before the first row is copied and stays marked, and the new one loses its mark last of all.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from mainspring.core.errors import Conflict
from mainspring.core.instants import iso
from mainspring.store.db import Db
from mainspring.store.hosts import shown

LEAVING = "moving_out"
ARRIVING = "moving_in"


class Leaving(msgspec.Struct, frozen=True):
    """On the old store: where it goes. `id` tells this move from others; `done`: the new store is the one that counts.

    `since`: ms UTC.
    """

    id: str
    to: str
    since: int
    done: bool = False


class Arriving(msgspec.Struct, frozen=True):
    """On the new store until its copy is complete and verified: how far that is.

    `rows`: by table, in the order in which they are copied; the last of them is under way, and `after` is the key of
    its last row, as hexadecimal MessagePack.
    """

    id: str
    source: str
    since: int
    rows: dict[str, int] = {}
    after: str | None = None


def leaving(value: str | None) -> Leaving | None:
    """Read the mark of an old store."""
    return None if value is None else msgspec.json.decode(value, type=Leaving)


def arriving(value: str | None) -> Arriving | None:
    """Read the mark of a new store."""
    return None if value is None else msgspec.json.decode(value, type=Arriving)


def written(mark: Leaving | Arriving) -> str:
    """A mark as it is stored."""
    return msgspec.json.encode(mark).decode()


def named(where: Path | str) -> str:
    """A store as `--from`, `--to` and `--database` take it, without its password."""
    if isinstance(where, Path):
        return f"sqlite:{where.resolve()}"
    query = [pair for pair in parse_qsl(urlsplit(where).query) if pair[0] != "password"]
    return shown(where) + ("?" + urlencode(query, safe="/") if query else "")


def command(*arguments: str) -> str:
    """`mainspring migrate …` as it can be pasted into a shell."""
    return shlex.join(("mainspring", "migrate", *arguments))


async def refuse_moved(db: Db, where: Path | str) -> None:
    """Raises `Conflict` when the store has been moved away, is being moved, or is a copy that is not complete."""
    here = named(where)
    values = {name: await db.read("get_meta", name=name) for name in (LEAVING, ARRIVING)}
    gone = leaving(values[LEAVING][0][0] if values[LEAVING] else None)
    coming = arriving(values[ARRIVING][0][0] if values[ARRIVING] else None)
    undo = command("--undo", "--from", here)
    if coming is not None:
        raise Conflict(
            f"this store is a copy of {coming.source} that is not complete (begun {iso(coming.since)})",
            hint=f"Go on with it: {command('--from', coming.source, '--to', here)}",
        )
    if gone is not None and gone.done:
        raise Conflict(
            f"this store has been moved to {gone.to} ({iso(gone.since)}); with both served, every job would run twice",
            hint=f"Start with DATABASE set to that. Or remove that one and take this one up again: {undo}",
        )
    if gone is not None:
        raise Conflict(
            f"this store is being moved to {gone.to} (begun {iso(gone.since)})",
            hint=f"Go on: {command('--from', here, '--to', gone.to)}. Or give it up: {undo}",
        )
