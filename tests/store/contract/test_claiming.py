from __future__ import annotations

import pytest

from mainspring.core.limits import SECOND
from mainspring.core.model import Entry
from mainspring.core.seats import Seats
from mainspring.store.store import Store
from store.making import LEASE, START, at_most, claim, create, end, manual, runs_of, target


async def waiting(store: Store, origin: str, count: int, now: int = START) -> Entry:
    """A schedule with `count` runs that are due at `now`."""
    entry = await create(store, now, to=target(origin=origin), due=now + 3_600_000)
    await store.runs.trigger(now, [manual(entry.schedule.id)] * count)
    return entry


async def test_a_claim_takes_what_is_due_in_due_order_and_nothing_else(store: Store) -> None:
    late = await waiting(store, "http://a:80", 1, START + 2)
    early = await waiting(store, "http://b:80", 2, START)
    await waiting(store, "http://c:80", 1, START + 3)
    claims = await claim(store, START + 2)
    assert [one.schedule_id for one in claims] == [early.schedule.id, early.schedule.id, late.schedule.id]


async def test_a_claimed_run_says_who_holds_it_and_is_not_claimed_again(store: Store) -> None:
    entry = await waiting(store, "http://a:80", 1)
    [taken] = await claim(store, START + 5, node=7)
    [run] = await runs_of(store, entry)
    assert (run.state, run.due_at, run.node, run.lease_until) == ("running", None, 7, START + 5 + LEASE)
    assert (run.attempt, run.started_at, run.attempt_started_at) == (1, START + 5, START + 5)
    assert (taken.run_id, taken.attempt, taken.started_at, taken.origin) == (run.id, 1, START + 5, "http://a:80")
    assert await claim(store, START + 5) == []


async def test_a_retry_is_claimed_under_the_next_attempt_and_keeps_its_first_start(store: Store) -> None:
    entry = await waiting(store, "http://a:80", 1)
    await end(store, START, await claim(store, START), status=500)
    [again] = await claim(store, START + 10 * SECOND)
    [run] = await runs_of(store, entry)
    assert (again.attempt, run.started_at, run.attempt_started_at) == (2, START, START + 10 * SECOND)


async def test_a_payload_given_by_hand_travels_with_the_claim(store: Store) -> None:
    entry = await create(store, START, due=START + 60_000)
    await store.runs.trigger(START, [manual(entry.schedule.id, payload=b'{"x":1}')])
    assert [one.payload for one in await claim(store, START)] == [b'{"x":1}']


async def test_no_origin_gets_more_than_its_seats_and_no_dispatcher_more_than_all(store: Store) -> None:
    await waiting(store, "http://a:80", 5)
    await waiting(store, "http://b:80", 5)
    seats = Seats(5, per_origin=3)
    assert [one.origin for one in await claim(store, START, seats)] == ["http://a:80"] * 3 + ["http://b:80"] * 2
    assert seats.free == 0
    assert await claim(store, START, seats) == []


async def test_what_was_passed_over_is_taken_once_its_origin_has_a_seat(store: Store) -> None:
    await waiting(store, "http://a:80", 3)
    seats = Seats(100, per_origin=1)
    first = await claim(store, START, seats)
    seats.give_back("http://a:80")
    second = await claim(store, START, seats)
    seats.give_back("http://a:80")
    third = await claim(store, START, seats)
    assert sorted(one.run_id for one in first + second + third) == [one.run_id for one in first + second + third]
    assert [len(first), len(second), len(third)] == [1, 1, 1]


async def test_many_origins_passed_over_at_once_do_not_hold_up_the_claim(store: Store) -> None:
    """Nine origins had more than their share waiting; then all their seats are free and everything is read anew."""
    for number in range(9):
        await waiting(store, f"http://{number}:80", 63)
    seats = Seats()
    first = await claim(store, START, seats)
    for one in first:
        seats.give_back(one.origin)
    seats.reread()
    with at_most(20):
        second = await claim(store, START, seats)
    assert (len(first), len(second)) == (9 * 32, 9 * 31)


class Shaky(Seats):
    """Seats that break when the second one is taken."""

    def take(self, origin: str) -> bool:
        if self.free == 9:
            raise ZeroDivisionError
        return super().take(origin)


async def test_a_claim_that_fails_leaves_the_seats_and_the_runs_free(store: Store) -> None:
    await waiting(store, "http://a:80", 2)
    shaky = Shaky(10, per_origin=2)
    with pytest.raises(ZeroDivisionError):
        await claim(store, START, shaky)
    assert (shaky.free, shaky.room("http://a:80"), shaky.cursor) == (10, 2, (0, 0))
    assert len(await claim(store, START)) == 2


async def test_other_lanes_are_left_alone(store: Store) -> None:
    await waiting(store, "http://a:80", 1)
    assert await store.runs.claim(START, lane="script", node=0, lease_until=START, seats=Seats()) == []
    assert await store.runs.next_waiting("script", 0) is None


async def test_the_next_waiting_instant_is_the_first_one_after_now(store: Store) -> None:
    entry = await waiting(store, "http://a:80", 1)
    assert await store.runs.next_waiting("http", START) is None
    await end(store, START, await claim(store, START), status=500)
    [run] = await runs_of(store, entry)
    assert await store.runs.next_waiting("http", START) == run.due_at == START + 5 * SECOND
    await waiting(store, "http://b:80", 1, START + 7 * SECOND)
    assert await store.runs.next_waiting("http", START) == START + 5 * SECOND
    assert await store.runs.next_waiting("http", START + 5 * SECOND) == START + 7 * SECOND


async def test_a_lease_is_renewed_only_for_its_own_node_and_only_while_running(store: Store) -> None:
    await waiting(store, "http://a:80", 2)
    claims = await claim(store, START, node=1)
    await end(store, START, claims[:1])
    await store.runs.renew(2, [(one.run_id, one.attempt) for one in claims], START + 2 * LEASE)
    assert len(await store.runs.expired(START + LEASE + 1, 10)) == 1
    await store.runs.renew(1, [(one.run_id, one.attempt) for one in claims], START + 2 * LEASE)
    assert await store.runs.expired(START + LEASE + 1, 10) == []
    assert [run.id for run in await store.runs.expired(START, 10, everything=True)] == [claims[1].run_id]


async def test_an_attempt_that_was_taken_over_does_not_renew_the_lease_of_the_next(store: Store) -> None:
    """Its node may have lost its number to the one that took over."""
    await waiting(store, "http://a:80", 1)
    [one] = await claim(store, START, node=1)
    await store.runs.renew(1, [(one.run_id, one.attempt - 1)], START + 9 * LEASE)
    assert len(await store.runs.expired(START + LEASE + 1, 10)) == 1


async def test_a_lease_is_over_only_after_its_last_instant(store: Store) -> None:
    await waiting(store, "http://a:80", 1)
    await claim(store, START)
    assert await store.runs.expired(START + LEASE, 10) == []
    assert len(await store.runs.expired(START + LEASE + 1, 10)) == 1


async def test_two_dispatchers_never_claim_the_same_run(store: Store) -> None:
    await waiting(store, "http://a:80", 40)
    seats = [Seats(3), Seats(4)]
    taken: list[int] = []
    while claims := [one for two in seats for one in await claim(store, START, two)]:
        taken += [(one.run_id, one.attempt) for one in claims]
        for two in seats:
            while two.free < (3 if two is seats[0] else 4):
                two.give_back("http://a:80")
    assert len(taken) == len(set(taken)) == 40
