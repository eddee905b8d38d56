"""FIFO groups are kept in another way by each database; their order survives a move there and back."""

from __future__ import annotations

from pathlib import Path

from mainspring.store.store import Store, open_sqlite
from store.making import Clock
from store.moving import moved
from store.queueing import Hand, payloads
from store.sharing import node


async def drained(store: Store, clock: Clock) -> list[bytes]:
    """Every message, one after the other."""
    hand, found = Hand(store, clock), []
    while held := await hand.consume():
        found += payloads(held)
        await hand.ack(*held)
    return found


async def test_the_order_of_fifo_groups_survives_a_move_and_the_way_back(
    tmp_path: Path, database: str, clock: Clock
) -> None:
    store = await open_sqlite(tmp_path / "here.db", clock)
    hand = Hand(store, clock)
    await hand.make(type="fifo")
    await hand.publish(b"a1", b"a2", b"a3", group_id="a")
    await hand.publish(b"b1", group_id="b")
    [head, _] = await hand.consume()
    await store.close()
    await moved(tmp_path / "here.db", database)
    async with node(database, clock) as shared:
        there = Hand(shared, clock)
        await there.publish(b"a4", group_id="a")
        assert await there.consume() == []
        await there.ack(head)
        [second] = await there.consume()
        assert second.payload == b"a2"
        await there.nack(second)
    await moved(database, tmp_path / "back.db")
    back = await open_sqlite(tmp_path / "back.db", clock)
    try:
        await Hand(back, clock).publish(b"a5", group_id="a")
        clock.advance(60_000)
        await Hand(back, clock).turn()
        assert sorted(await drained(back, clock)) == [b"a2", b"a3", b"a4", b"a5", b"b1"]
    finally:
        await back.close()


async def test_a_start_finds_the_order_that_was_there(tmp_path: Path, clock: Clock) -> None:
    store = await open_sqlite(tmp_path / "store.db", clock)
    hand = Hand(store, clock)
    await hand.make(type="fifo")
    await hand.publish(b"1", b"2", b"3")
    [head] = await hand.consume()
    await store.close()
    store = await open_sqlite(tmp_path / "store.db", clock)
    try:
        hand = Hand(store, clock)
        await hand.publish(b"4")
        assert await hand.consume() == []
        await hand.ack(head)
        assert await drained(store, clock) == [b"2", b"3", b"4"]
    finally:
        await store.close()
