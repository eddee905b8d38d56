"""A power cut at any moment loses no message whose publish was acknowledged and brings none back that was."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import apsw
import pytest

from mainspring.core.queue_model import Message
from mainspring.store.sqlite import GROUPS
from mainspring.store.store import open_sqlite
from sim.queue_ledger import wrong
from store.making import Clock
from store.queueing import Hand
from store.test_power_cut import Disk, disk

__all__ = ["disk"]

CUTS = 25
WORKERS, EACH = 6, 20


class Noted:
    """When which answer was given: the number of writes the disk had seen by then."""

    def __init__(self) -> None:
        self.published: list[tuple[int, int]] = []
        self.acking: dict[int, int] = {}
        self.acked: list[tuple[int, int]] = []
        self.dead: list[tuple[int, int]] = []


async def work(path: Path, disk: Disk, *, sync_aside: bool) -> Noted:
    """Publish, consume and settle, with payloads big enough for checkpoints."""
    clock, noted = Clock(), Noted()
    store = await open_sqlite(path, clock, vfs="recorded", sync_aside=sync_aside)
    hand = Hand(store, clock)
    await hand.make("line", type="fifo")

    async def worker(at: int) -> None:
        for number in range(EACH):
            queue = "line" if number % 2 else "q"
            made = await hand.publish(b"x" * 60_000, queue=queue, group_id=f"g{at}")
            noted.published += [(len(disk.writes), one) for one in made]
            found: list[Message] = await hand.consume(2, queue=queue)
            for one in found:
                if number % 5 == 4:
                    await hand.nack(one, queue=queue, requeue=False)
                    noted.dead.append((len(disk.writes), one.id))
                elif number % 5 < 3:
                    noted.acking[one.id] = len(disk.writes)
                    await hand.ack(one, queue=queue)
                    noted.acked.append((len(disk.writes), one.id))

    await asyncio.gather(*(worker(at) for at in range(WORKERS)))
    await store.close()
    return noted


async def left_after(disk: Disk, at: int, dice: random.Random, folder: Path) -> tuple[set[int], set[int]]:
    """The messages and the dead letters in the database after a cut and recovery; its rows must add up."""
    folder.mkdir()
    disk.after_cut(at, dice, folder)
    connection = apsw.Connection(str(folder / "m.db"))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.execute(GROUPS)

    async def ask(text: str) -> list[tuple[int, ...]]:
        return list(connection.execute(text))

    assert await wrong(ask) == []
    messages = {row[0] for row in connection.execute("SELECT id FROM messages")}
    dead = {row[0] for row in connection.execute("SELECT id FROM dead")}
    connection.close()
    return messages, dead


@pytest.mark.parametrize("sync_aside", [False, True], ids=["inline", "helper"])
async def test_a_power_cut_at_any_moment_keeps_every_answer_about_messages(
    tmp_path: Path, disk: Disk, sync_aside: bool
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    noted = await work(tmp_path / "m.db", disk, sync_aside=sync_aside)
    assert len(noted.published) == WORKERS * EACH
    assert len(noted.acked) > 20
    assert len(noted.dead) > 5
    dice = random.Random(seed)
    for cut in range(CUTS):
        at = dice.randrange(noted.published[0][0], len(disk.writes) + 1)
        messages, dead = await left_after(disk, at, dice, tmp_path / f"cut-{cut}")
        perhaps_acked = {one for one, began in noted.acking.items() if began < at}
        told = {one for when, one in noted.published if when <= at}
        assert told - perhaps_acked <= messages, "an acknowledged publish is gone"
        assert messages.isdisjoint({one for when, one in noted.acked if when <= at}), "an acknowledged ack is undone"
        assert {one for when, one in noted.dead if when <= at} <= dead, "a dead letter is none any more"


async def test_the_cut_does_lose_answers_that_nobody_synced(tmp_path: Path, disk: Disk) -> None:
    """The check can fail: without the helper's syncs, what was published is gone."""
    noted = await work(tmp_path / "m.db", disk, sync_aside=True)
    disk.synced = [entry for entry in disk.synced if entry[1] != "m.db-wal"]
    folder = tmp_path / "cut"
    folder.mkdir()
    disk.after_cut(noted.published[-1][0], random.Random(1), folder)
    try:
        connection = apsw.Connection(str(folder / "m.db"))
        left = {row[0] for row in connection.execute("SELECT id FROM messages")}
    except apsw.Error:
        return
    assert {one for _, one in noted.published} - set(noted.acking) - left


async def test_row_keys_go_on_above_those_in_the_store_although_the_clock_went_back(tmp_path: Path) -> None:
    """Else a message published after a restart would come before those that have waited, or take another's key."""
    clock = Clock()
    first = await open_sqlite(tmp_path / "m.db", clock)
    hand = Hand(first, clock)
    old = await hand.publish(b"1", b"2")
    await first.close()
    clock.advance(-60_000)
    second = await open_sqlite(tmp_path / "m.db", clock)
    hand = Hand(second, clock)
    new = await hand.publish(b"3", b"4")
    assert min(new) > max(old)
    assert [one.payload for one in await hand.consume()] == [b"1", b"2", b"3", b"4"]
    await second.close()
