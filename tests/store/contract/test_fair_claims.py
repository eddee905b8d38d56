"""Nobody starves: not behind one origin that hangs, not behind many that are slow."""

from __future__ import annotations

from collections import Counter

from mainspring.core.limits import HOUR
from mainspring.core.seats import Seats
from mainspring.store.store import Store
from store.making import START, claim, create, manual, target


async def waiting(store: Store, origin: str, count: int, now: int) -> None:
    entry = await create(store, now, to=target(origin=origin), due=now + HOUR)
    for at in range(0, count, 500):
        await store.runs.trigger(now, [manual(entry.schedule.id)] * min(500, count - at))


async def test_a_hanging_origin_with_thousands_waiting_leaves_the_others_alone(store: Store) -> None:
    await waiting(store, "http://hangs:80", 3_000, START)
    for number in range(5):
        await waiting(store, f"http://{number}:80", 2, START + 1)
    seats = Seats()
    taken = Counter(one.origin for one in await claim(store, START + 1, seats))
    assert taken == {"http://hangs:80": 32} | {f"http://{number}:80": 2 for number in range(5)}
    await waiting(store, "http://late:80", 1, START + 2)
    assert [one.origin for one in await claim(store, START + 2, seats)] == ["http://late:80"]


async def test_what_a_claim_costs_does_not_grow_with_what_waits_for_a_hanging_origin(store: Store) -> None:
    """Once its seats are taken its runs lie behind the cursor, where nobody reads them again."""
    await waiting(store, "http://hangs:80", 1_000, START)
    seats = Seats()
    await claim(store, START, seats)
    assert seats.cursor == (START, 0)
    assert seats.passed_over() == ["http://hangs:80"]


async def test_when_all_seats_are_taken_every_origin_gets_its_turn(store: Store) -> None:
    """Ten origins with more waiting than they have seats, and seats for three of them: whoever waits is served within
    a round, and so is a newcomer with a single run."""
    for number in range(10):
        await waiting(store, f"http://{number}:80", 60, START)
    seats = Seats(12, per_origin=4)
    flying = [one.origin for one in await claim(store, START, seats)]
    await waiting(store, "http://newcomer:80", 1, START + 1)
    served: Counter[str] = Counter()
    for _ in range(60):
        seats.give_back(flying.pop(0))
        claims = [one.origin for one in await claim(store, START + 1, seats)]
        assert len(claims) == 1
        flying += claims
        served.update(claims)
    assert served["http://newcomer:80"] == 1
    assert min(served[f"http://{number}:80"] for number in range(10)) >= 3


async def test_in_the_end_everything_was_claimed_once(store: Store) -> None:
    for number in range(6):
        await waiting(store, f"http://{number}:80", 40 + number, START)
    seats = Seats(10, per_origin=3)
    taken: list[int] = []
    while claims := await claim(store, START, seats):
        taken += [one.run_id for one in claims]
        for one in claims:
            seats.give_back(one.origin)
    assert len(taken) == len(set(taken)) == 6 * 40 + 15
