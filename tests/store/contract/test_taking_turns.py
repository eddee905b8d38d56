"""What changes places at the seats: results written and the next runs claimed in one call."""

from __future__ import annotations

import pytest

from mainspring.core import runs
from mainspring.core.changes import Claim, Result
from mainspring.core.errors import Unavailable
from mainspring.core.limits import LEASE
from mainspring.core.seats import Seats
from mainspring.store.store import Store
from store.making import START, claim, create, fire, reply, runs_of, schedule, target


async def ended(store: Store, now: int, claims: list[Claim], status: int = 200) -> list[Result]:
    targets = await store.runs.targets(list({one.target_id for one in claims}))
    return [runs.after(one, targets[one.target_id], reply(now, status), 0.5) for one in claims]


async def take_turns(store: Store, now: int, results: list[Result], seats: Seats) -> tuple[list[Result], list[Claim]]:
    return await store.runs.take_turns(now, results, node=0, lease_until=now + LEASE, seats=seats)


async def test_what_has_ended_makes_room_for_the_next(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="queue"))
    await fire(store, START)
    await fire(store, START + 60_000)
    seats = Seats()
    first = await claim(store, START + 60_000, seats)
    assert len(first) == 1
    seats.give_back(first[0].origin)
    fenced, [second] = await take_turns(store, START + 60_001, await ended(store, START + 60_001, first), seats)
    assert fenced == []
    assert [run.state for run in await runs_of(store, entry)] == ["succeeded", "running"], "held until the other ended"
    assert (second.attempt, seats.free) == (1, Seats().free - 1)
    late = await ended(store, START, [second, first[0]])
    fenced, nothing = await take_turns(store, START + 60_002, late, seats)
    assert [one.claim for one in fenced] == first
    assert nothing == []


async def test_a_run_that_follows_is_claimed_in_the_same_call(store: Store) -> None:
    entry = await create(store, START, schedule(), target(on_failure="http://127.0.0.1:9/told", retry=0))
    await fire(store, START)
    seats = Seats()
    claims = await claim(store, START, seats)
    fenced, follow_ups = await take_turns(store, START + 1, await ended(store, START + 1, claims, 500), seats)
    assert fenced == []
    assert [run.state for run in await runs_of(store, entry)] == ["failed"]
    assert [one.kind for one in follow_ups] == ["failure"]


async def test_when_it_cannot_be_written_no_seat_is_taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = await create(store, START, schedule(overlap="allow"))
    await fire(store, START)
    await fire(store, START + 60_000)
    seats = Seats(per_origin=1)
    first = await claim(store, START + 60_000, seats)
    assert len(first) == 1
    seats.give_back(first[0].origin)
    results = await ended(store, START + 60_001, first)
    claimed = store.runs._claim

    async def claimed_and_lost(*args: object) -> list[Claim]:
        assert len(await claimed(*args)) == 1  # type: ignore[arg-type]  # as they come
        raise Unavailable("lost")

    with monkeypatch.context() as patched:
        patched.setattr(store.runs, "_claim", claimed_and_lost)
        with pytest.raises(Unavailable):
            await take_turns(store, START + 60_001, results, seats)
    assert seats.free == Seats().free
    assert [run.state for run in await runs_of(store, entry)] == ["running", "queued"], "all or nothing"
    fenced, [second] = await take_turns(store, START + 60_001, results, seats)
    assert (fenced, second.run_id > first[0].run_id) == ([], True)
