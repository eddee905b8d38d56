"""Where messages wait: the narrow rows, FIFO groups, and how many there are of each kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mainspring.core.queue_model import Queue
from mainspring.store.db import Row, Tx

# Which of a node's counters a transaction adds to, so that those of different kinds never wait for each other.
WRITER_PUBLISH, WRITER_CLAIM, WRITER_SETTLE, WRITER_TURN, WRITER_REDRIVE, WRITER_PRUNE = range(6)
WRITERS = 8


class Waiting(NamedTuple):
    """A narrow row: a message that is somewhere. Column order of every statement that takes one away."""

    id: int
    generation: int
    rank: int
    attempt: int
    failures: int
    group_key: int | None


class Tally:
    """What one transaction changed in the numbers of each generation."""

    def __init__(self) -> None:
        self._changes: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])

    def ready(self, generation: int, count: int) -> None:
        self._changes[generation][0] += count

    def leased(self, generation: int, count: int) -> None:
        self._changes[generation][1] += count

    def postponed(self, generation: int, count: int) -> None:
        self._changes[generation][2] += count

    def blocked(self, generation: int, count: int) -> None:
        self._changes[generation][3] += count

    async def write(self, tx: Tx, writer: int) -> None:
        """Last in its transaction: the rows are this writer's own, so nobody waits for them."""
        changed = [(generation, *counts) for generation, counts in self._changes.items() if any(counts)]
        if changed:
            await tx.many("add_counts", changed, writer=writer)


class Arrived:
    """What one transaction made available: how many messages by generation, and the first instant at which more are."""

    def __init__(self) -> None:
        self.ready: defaultdict[int, int] = defaultdict(int)
        self.visible_at: int | None = None
        self._queues: dict[int, int] = {}

    def at(self, queue: Queue) -> None:
        """Say whose generation this is."""
        self._queues[queue.generation] = queue.id

    def told(self) -> tuple[tuple[int, int], ...]:
        """How many can be had now, by queue id."""
        return tuple((self._queues[one], count) for one, count in self.ready.items() if one in self._queues)

    def later(self, instant: int) -> None:
        if self.visible_at is None or instant < self.visible_at:
            self.visible_at = instant


async def settle_down(
    tx: Tx, rows: Sequence[tuple[Waiting, int | None]], now: int, tally: Tally, arrived: Arrived
) -> None:
    """Let messages wait to be had: at once, or from an instant on. FIFO messages must be the first of their group."""
    ready: list[Row] = []
    postponed: list[Row] = []
    for row, visible_at in rows:
        if visible_at is not None and visible_at > now:
            postponed.append((visible_at, *row))
            tally.postponed(row.generation, 1)
            arrived.later(visible_at)
        else:
            ready.append((row.generation, row.rank, row.id, row.attempt, row.failures, row.group_key))
            tally.ready(row.generation, 1)
            arrived.ready[row.generation] += 1
    if ready:
        await tx.many("insert_ready", ready)
    if postponed:
        await tx.many("insert_postponed", postponed)


async def line_up(
    tx: Tx, rows: Sequence[tuple[Waiting, int | None]], now: int, places: int, tally: Tally, arrived: Arrived
) -> None:
    """Put messages at the end of their FIFO groups, in this order. `places`: a row key as large as any before it."""
    groups: dict[tuple[int, int], list[tuple[Waiting, int | None]]] = {}
    for row, visible_at in rows:
        assert row.group_key is not None
        groups.setdefault((row.generation, row.group_key), []).append((row, visible_at))
    joined = await tx.many("join_groups", [(*group, len(members), places) for group, members in sorted(groups.items())])
    heads: list[tuple[Waiting, int | None]] = []
    behind: list[Row] = []
    for generation, group_key, tail, waiting in joined:
        members = groups[generation, group_key]
        first = tail - len(members) + 1
        if waiting == len(members) - 1:
            heads.append(members[0])
        for at, (row, visible_at) in enumerate(members):
            if at > 0 or waiting >= len(members):
                hidden = visible_at if visible_at is not None and visible_at > now else None
                behind.append((generation, group_key, first + at, row.id, row.rank, row.attempt, row.failures, hidden))
        tally.blocked(generation, min(waiting, len(members)))
    if behind:
        await tx.many("insert_blocked", behind)
    await settle_down(tx, heads, now, tally, arrived)


async def move_up(tx: Tx, gone: Iterable[Waiting], now: int, tally: Tally, arrived: Arrived) -> None:
    """After the first of some FIFO groups are gone for good: the next of each may be had."""
    groups = sorted({(row.generation, row.group_key) for row in gone if row.group_key is not None})
    if not groups:
        return
    left = await tx.many("leave_groups", groups)
    empty = sorted((generation, group_key) for generation, group_key, waiting in left if waiting < 0)
    others = sorted((generation, group_key) for generation, group_key, waiting in left if waiting >= 0)
    if empty:
        await tx.many("drop_groups", empty)
    if others:
        taken = await tx.many("take_blocked", others)
        for row in taken:
            tally.blocked(row[1], -1)
        await settle_down(tx, [(Waiting(*row[:6]), row[6]) for row in taken], now, tally, arrived)
