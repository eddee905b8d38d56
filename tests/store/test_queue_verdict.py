"""What judges queues under load and in the simulated life does find what it is there to find."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mainspring.store.store import Store
from sim.queue_ledger import asker, wrong
from sim.queue_traffic import LINE, PLAIN, Delivery, Told, complaints
from store.making import Clock, driver
from store.queueing import Hand


def evidence() -> Told:
    """A sound life: a plain message that took two attempts, and two of one group, one after the other."""
    told = Told()
    told.attempted = {"p": (PLAIN, None, 1), "one": (LINE, "g", 1), "two": (LINE, "g", 2)}
    told.published = {"p": "m0", "one": "m1", "two": "m2"}
    told.deliveries = [
        Delivery("m0", "p", PLAIN, None, 1, 1, 0, 10, 2_000, None),
        Delivery("m0", "p", PLAIN, None, 1, 2, 2_001, 2_010, 4_001, 2_020, "ack", sure=True),
        Delivery("m1", "one", LINE, "g", 1, 1, 0, 10, 2_000, 20, "ack", sure=True),
        Delivery("m2", "two", LINE, "g", 2, 1, 25, 30, 2_025, 40, "ack", sure=True),
    ]
    return told


def change(at: int, **fields: object) -> Callable[[Told], None]:
    def changed(told: Told) -> None:
        for name, value in fields.items():
            setattr(told.deliveries[at], name, value)

    return changed


def again(told: Told) -> None:
    told.deliveries.append(Delivery("m0", "p", PLAIN, None, 1, 3, 5_000, 5_001, 7_000))


def lost(told: Told) -> None:
    told.published["x"] = "m9"


BROKEN: dict[str, tuple[Callable[[Told], None], str]] = {
    "lost": (lost, "m9 is lost"),
    "never settled": (change(1, verb=None, settled=None, sure=False), "m0 is lost"),
    "within a lease": (change(1, received=1_500, granted=1_490), "was handed out within"),
    "long before its time": (change(1, granted=100), "was handed out within"),
    "after its acknowledgement": (again, "m0 came again after its acknowledgement"),
    "the same attempt twice": (change(1, attempt=1), "twice as attempt"),
    "attempts nobody saw": (change(1, attempt=9), "were seen by nobody"),
    "another group": (change(3, group="h"), "was published by nobody"),
    "another id": (change(2, id="m7"), "was delivered under another id"),
    "before the one ahead": (change(3, received=15), "began before the one ahead of it was done"),
    "the one ahead again": (change(2, granted=35), "came again after the next one"),
}


def test_a_sound_life_breaks_nothing() -> None:
    assert complaints(evidence(), set(), set()) == []


@pytest.mark.parametrize("name", BROKEN)
def test_every_kind_of_broken_promise_is_found(name: str) -> None:
    told = evidence()
    act, expected = BROKEN[name]
    act(told)
    assert [one for one in complaints(told, set(), set()) if expected in one]


def test_what_is_acknowledged_is_in_no_queue_and_no_dead_letter() -> None:
    assert complaints(evidence(), {"m0"}, set()) == ["m0 is acknowledged and still there"]
    assert complaints(evidence(), set(), {"m1"}) == ["m1 is acknowledged and still there"]


FAULTS = {
    "DELETE FROM ready WHERE id = (SELECT max(id) FROM ready)": "nowhere",
    "INSERT INTO leased SELECT id, generation, rank, 1, 0, group_key, 1, 1, 1, 1 FROM ready LIMIT 1": "two places",
    "DELETE FROM messages WHERE id = (SELECT max(id) FROM ready)": "without its message",
    "UPDATE queue_counts SET ready = ready + 1": "miscounted",
    "UPDATE message_groups SET waiting = waiting + 1": "wait",
    "UPDATE ready SET group_key = NULL": "in no group",
    "DELETE FROM messages WHERE id IN (SELECT id FROM dead)": "dead letter without its message",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_rows_that_do_not_add_up_are_found(store: Store, clock: Clock, fault: str) -> None:
    hand = Hand(store, clock)
    await hand.make("line", type="fifo")
    await hand.publish(b"1", b"2", b"3", queue="line")
    await hand.publish(b"1", b"2")
    [one] = await hand.consume(1)
    await hand.nack(one, requeue=False)
    assert await wrong(asker(store)) == []
    driver(store).execute(fault)
    assert [finding for finding in await wrong(asker(store)) if FAULTS[fault] in finding]
