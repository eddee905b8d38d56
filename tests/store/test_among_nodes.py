"""Several nodes at once: a test stops one of them in the middle of a transaction and lets another one run into it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import pytest

from mainspring.core import runs, timing, tokens
from mainspring.core.changes import Change, Claim, Result, Stale, Timing
from mainspring.core.errors import Conflict
from mainspring.core.idempotency import Answer, Once
from mainspring.core.limits import DAY, IDEMPOTENCY_WINDOW, MINUTE
from mainspring.core.model import Entry, Page, Run
from mainspring.core.seats import Seats
from mainspring.core.timing import Due, Plan
from mainspring.store.store import Store
from mainspring.store.vault import SealedVault, check_canary
from postgres import Postgres
from store.making import (
    LEASE,
    PROJECT,
    START,
    Clock,
    claim,
    create,
    end,
    entry_of,
    fire,
    manual,
    new,
    new_key,
    once,
    replayed,
    reply,
    runs_of,
    schedule,
    target,
    trigger,
)
from store.sharing import Elsewhere, node, query, until_waiting

Pair = tuple[Store, Store]


@asynccontextmanager
async def held(url: str, *statements: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Another node in the middle of a transaction that has run these statements; it commits when the block ends."""
    connection = await asyncpg.connect(url)
    try:
        # A test that waits for what waits for it ends here.
        await connection.execute("SET idle_in_transaction_session_timeout = '20s'")
        async with connection.transaction():
            for text in statements:
                await connection.execute(text)
            yield connection
    finally:
        await connection.close()


async def waits(url: str, count: int = 1) -> None:
    """Until so many wait for a lock."""
    while len(await asyncio.to_thread(until_waiting, url)) < count:
        pass


def in_the_middle(key: Once, act: Any) -> Once:
    """The key, with `act` called while its effect is written and not committed."""

    def answer(result: Any) -> Answer:
        act()
        return key.answer(result)

    return msgspec.structs.replace(key, answer=answer)


def retried(item: Claim, now: int) -> Result:
    """The claim's attempt failed; another one is due."""
    return runs.after(item, target(), reply(now, 500), 0.5)


async def test_of_two_nodes_with_one_new_key_one_creates_and_the_other_gets_its_answer(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    others: list[Elsewhere] = []

    def meanwhile() -> None:
        others.append(Elsewhere(database, clock, lambda other: other.schedules.create(START, [new(once=once("k"))])))
        until_waiting(database)

    [made] = await store_on_postgres.schedules.create(START, [new(once=in_the_middle(once("k"), meanwhile))])
    assert isinstance(made, Entry)
    assert [replayed(item) for item in await others[0].result()] == [b"%d" % made.schedule.id]
    assert await store_on_postgres.schedules.page(PROJECT, "cron", Page(9)) == [made]


async def test_batches_with_the_same_keys_in_another_order_do_not_deadlock(postgres: Postgres, pair: Pair) -> None:
    before = postgres.deadlocks()
    keys = [f"key {number}" for number in range(50)]
    for attempt in range(5):
        batches = [
            node.schedules.create(START, [new(once=once(f"{attempt} {key}")) for key in order])
            for node, order in zip(pair, (keys, keys[::-1]), strict=True)
        ]
        answers = await asyncio.gather(*batches)
        assert sorted(isinstance(item, Entry) for item in answers[0] + answers[1]) == [False] * 50 + [True] * 50
    assert postgres.deadlocks() == before


async def test_numbers_are_given_once_and_without_a_gap(pair: Pair) -> None:
    batches = [store.schedules.create(START, [new()] * 7) for store in pair * 3]
    numbers = [entry.schedule.number for batch in await asyncio.gather(*batches) for entry in batch]
    assert sorted(numbers) == list(range(1, 43))


async def test_what_one_node_is_firing_another_passes_over(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    first = await create(store_on_postgres, START)
    second = await create(store_on_postgres, START)
    others: list[Any] = []

    def plan(due: Due, now: int) -> Plan:
        if not others:
            others.append(Elsewhere(database, clock, lambda other: other.schedules.fire(START, timing.plan, 500)))
            others[0].join()
        return timing.plan(due, now)

    fired = await store_on_postgres.schedules.fire(START, plan, 1)
    other = await others[0].result()
    assert (fired.schedules, fired.runs, other.schedules, other.runs) == (1, 1, 1, 1)
    for entry in (first, second):
        assert [run.scheduled_for for run in await runs_of(store_on_postgres, entry)] == [START]


async def test_after_an_edit_nothing_fires_as_it_was_before(pair: Pair) -> None:
    """A node visits many schedules in one transaction; one of them is edited while it is on its way to it."""
    ahead = [new(schedule(project="ahead"), due=START - MINUTE)] * 400
    await pair[0].schedules.create(START, ahead)
    entry = await create(pair[0], START, schedule(run_at=START), due=START + 1)
    done = asyncio.Event()

    def plan(due: Due, now: int) -> Plan:
        """Those ahead stay as they are."""
        if due.project == "ahead":
            return Plan(due, (), due.next_due_at, False, due.active, due.held, due.run_count)
        return timing.plan(due, now)

    async def keep_firing(store: Store) -> None:
        while not done.is_set():
            await store.schedules.fire(START, plan, 500)

    firing = [asyncio.create_task(keep_firing(store)) for store in pair]
    instants: dict[int, int] = {}
    for number in range(1, 150):
        due = START - number
        while True:
            entry = await entry_of(pair[0], entry)
            edited = msgspec.structs.replace(entry.schedule, run_at=due)
            change = Change(entry, edited, target(timeout_ms=number), Timing(due, None, None))
            [changed] = await pair[0].schedules.change(START, [change])
            if isinstance(changed, Entry):
                break
        instants[changed.target.id] = due
    done.set()
    await asyncio.gather(*firing)
    found = await pair[0].runs.page_of_schedule(entry.schedule.id, None, 0, Page(100_000))
    assert len(found) > 20
    assert [run for run in found if run.scheduled_for != instants[run.target_id]] == []


async def test_of_two_runs_by_hand_at_once_overlap_skip_lets_one_run(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    entry = await create(store_on_postgres, START, schedule(overlap="skip"))
    others: list[Elsewhere] = []

    def meanwhile() -> None:
        again = manual(entry.schedule.id)
        others.append(Elsewhere(database, clock, lambda other: other.runs.trigger(START, [again])))
        until_waiting(database)

    item = manual(entry.schedule.id, once=in_the_middle(once("k", operation="cron.trigger"), meanwhile))
    [run] = await store_on_postgres.runs.trigger(START, [item])
    assert isinstance(run, Run)
    [refused] = await others[0].result()
    assert isinstance(refused, Conflict)
    assert (await entry_of(store_on_postgres, entry)).progress.active == 1


async def test_a_retry_decided_while_a_pause_is_written_does_not_outlive_it(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    entry = await create(store_on_postgres, START)
    await fire(store_on_postgres, START)
    [flying] = await claim(store_on_postgres, START)
    others: list[Elsewhere] = []

    def meanwhile() -> None:
        others.append(Elsewhere(database, clock, lambda other: other.runs.finish(START, [retried(flying, START)])))
        until_waiting(database)

    seen = await entry_of(store_on_postgres, entry)
    key = in_the_middle(once("k", operation="cron.pause"), meanwhile)
    pause = Change(seen, seen.schedule, timing=Timing(None, START, None), cancel="paused", once=key)
    assert isinstance((await store_on_postgres.schedules.change(START, [pause]))[0], Entry)
    assert await others[0].result() == []
    assert [(run.state, run.error) for run in await runs_of(store_on_postgres, entry)] == [("cancelled", "paused")]
    assert (await entry_of(store_on_postgres, entry)).progress.active == 0


async def test_a_run_claimed_while_a_pause_looks_at_it_is_left_to_end(database: str, store_on_postgres: Store) -> None:
    entry = await create(store_on_postgres, START)
    await fire(store_on_postgres, START)
    pause = Change(entry, entry.schedule, timing=Timing(None, START, None), cancel="paused")
    pause = msgspec.structs.replace(pause, entry=await entry_of(store_on_postgres, entry))
    taken = f"UPDATE runs SET state = 'running', due_at = NULL, attempt = 1, node = 7, lease_until = {START + LEASE}"
    async with held(database, taken):
        pausing = asyncio.create_task(store_on_postgres.schedules.change(START, [pause]))
        await waits(database)
    [changed] = await pausing
    assert isinstance(changed, Entry)
    assert (changed.progress.active, changed.progress.held) == (1, 0)
    assert [run.state for run in await runs_of(store_on_postgres, entry)] == ["running"]


async def test_of_two_edits_of_one_version_one_is_stale(database: str, pair: Pair) -> None:
    entry = await create(pair[0], START)
    async with held(database, "SELECT FROM progress FOR UPDATE"):
        edits = [
            asyncio.create_task(
                store.schedules.change(START, [Change(entry, msgspec.structs.replace(entry.schedule, name=name))])
            )
            for store, name in zip(pair, ("a", "b"), strict=True)
        ]
        await waits(database)
    answers = [answer for [answer] in await asyncio.gather(*edits)]
    assert sorted(isinstance(answer, Stale) for answer in answers) == [False, True]
    assert (await entry_of(pair[0], entry)).schedule.version == 2


async def test_batches_of_edits_in_another_order_do_not_deadlock(postgres: Postgres, pair: Pair) -> None:
    entries = [await create(pair[0], START) for _ in range(20)]
    before = postgres.deadlocks()
    for _ in range(5):
        batches = [
            store.schedules.change(START, [Change(one, one.schedule) for one in order])
            for store, order in zip(pair, (entries, entries[::-1]), strict=True)
        ]
        answers = await asyncio.gather(*batches)
        assert sorted(isinstance(item, Entry) for item in answers[0] + answers[1]) == [False] * 20 + [True] * 20
        entries = [await entry_of(pair[0], entry) for entry in entries]
    assert postgres.deadlocks() == before


async def test_two_nodes_never_claim_the_same_run_nor_more_than_they_have_seats_for(pair: Pair) -> None:
    for number in range(12):
        entry = await create(pair[0], START, to=target(origin=f"http://{number}:80"))
        await pair[0].runs.trigger(START, [manual(entry.schedule.id)] * 50)
    taken: list[int] = []
    seats = [Seats(17, per_origin=2), Seats(30, per_origin=2)]
    idle = 0
    while idle < 2:
        both = await asyncio.gather(*(claim(store, START, mine) for store, mine in zip(pair, seats, strict=True)))
        assert [mine.free for mine in seats] == [17 - len(both[0]), 30 - len(both[1])]
        for mine, claims in zip(seats, both, strict=True):
            assert max(Counter(one.origin for one in claims).values(), default=0) <= 2
            for one in claims:
                mine.give_back(one.origin)
            if not claims:
                mine.reread()
        idle = 0 if any(both) else idle + 1
        taken += [one.run_id for claims in both for one in claims]
    assert len(taken) == len(set(taken)) == 600


async def test_a_claim_passes_over_what_another_node_is_claiming(database: str, store_on_postgres: Store) -> None:
    entry = await create(store_on_postgres, START)
    made = await store_on_postgres.runs.trigger(START, [manual(entry.schedule.id)] * 4)
    ids = [run.id for run in made if isinstance(run, Run)]
    seats = Seats(2)
    async with held(database, f"SELECT FROM runs WHERE id IN ({ids[0]}, {ids[2]}) FOR UPDATE"):
        assert [one.run_id for one in await claim(store_on_postgres, START, seats)] == [ids[1], ids[3]]
    assert seats.free == 0
    assert sorted(one.run_id for one in await claim(store_on_postgres, START, Seats())) == [ids[0], ids[2]]


async def test_a_run_written_behind_the_cursor_by_another_node_is_claimed_at_once(pair: Pair) -> None:
    """It was made due a moment before this node looked there, and committed a moment after."""
    seats = Seats()
    assert await claim(pair[1], START + 50, seats) == []
    run = await trigger(pair[0], START + 20, await create(pair[0], START))
    assert [one.run_id for one in await claim(pair[1], START + 60, seats)] == [run.id]


async def test_whoever_finds_an_expired_run_first_takes_it_over(pair: Pair) -> None:
    entry = await create(pair[0], START)
    await fire(pair[0], START)
    [flying] = await claim(pair[0], START, node=pair[0].node)
    now = START + LEASE + 1
    [orphan] = await pair[1].runs.expired(now, 10)
    assert orphan.id == flying.run_id
    assert await pair[0].runs.expired(now, 10) == []
    await pair[0].runs.renew(pair[0].node, [(flying.run_id, flying.attempt)], now + 10 * LEASE)
    [run] = await runs_of(pair[0], entry)
    assert (run.node, run.lease_until) == (None, now + 30_000)
    assert [run.id for run in await pair[0].runs.expired(now + 30_001, 10)] == [flying.run_id]


async def test_results_of_the_same_runs_in_another_order_do_not_deadlock(
    postgres: Postgres, database: str, pair: Pair
) -> None:
    """Calls about failed runs belong to no schedule, so nothing but their order keeps two nodes apart."""
    before = postgres.deadlocks()
    failing = target(retry=0, on_failure="http://pager.example/")
    for _ in range(10):
        await create(pair[0], START, schedule(run_at=START), failing)
    await fire(pair[0], START)
    await end(pair[0], START, await claim(pair[0], START), status=500)
    calls = await claim(pair[0], START)
    async with held(database, f"SELECT FROM runs WHERE id = {calls[5].run_id} FOR UPDATE"):
        ends = [asyncio.create_task(end(*one)) for one in ((pair[0], START, calls), (pair[1], START, calls[::-1]))]
        await waits(database, 2)
    assert sorted(map(len, await asyncio.gather(*ends))) == [0, 10]
    assert postgres.deadlocks() == before


async def test_a_late_owner_and_a_rescuer_at_once_count_once(database: str, pair: Pair) -> None:
    entry = await create(pair[0], START, to=target(retry=0))
    await fire(pair[0], START)
    claims = await claim(pair[0], START)
    async with held(database, "SELECT FROM progress FOR UPDATE"):
        ends = [asyncio.create_task(end(store, START, claims)) for store in pair]
        await waits(database)
    fenced = await asyncio.gather(*ends)
    assert sorted(map(len, fenced)) == [0, 1]
    assert (await entry_of(pair[0], entry)).progress.active == 0


async def test_a_key_that_is_used_anew_while_it_is_pruned_stays(database: str, store_on_postgres: Store) -> None:
    await store_on_postgres.schedules.create(START, [new(once=once("k")), new(once=once("other"))])
    now = START + IDEMPOTENCY_WINDOW
    async with held(database, f"UPDATE idempotency SET created_at = {now} WHERE key = 'k'"):
        assert await store_on_postgres.upkeep.prune_idempotency(now) == 1
    assert await query(database, "SELECT key FROM idempotency") == [("k",)]


async def test_a_key_whose_window_is_over_takes_effect_once_more_on_one_node(pair: Pair) -> None:
    items = [new(once=once("k"))]
    [first] = await pair[0].schedules.create(START, items)
    now = START + IDEMPOTENCY_WINDOW
    answers = await asyncio.gather(*(store.schedules.create(now, items) for store in pair))
    made = [answer for [answer] in answers if isinstance(answer, Entry)]
    assert len(made) == 1
    assert made != [first]


async def test_a_task_run_by_hand_while_it_is_pruned_stays(database: str, store_on_postgres: Store) -> None:
    entry = await create(store_on_postgres, START, schedule(kind="task", run_at=START, retention_days=1))
    await fire(store_on_postgres, START)
    await end(store_on_postgres, START, await claim(store_on_postgres, START))
    async with held(database, "UPDATE progress SET active = 1"):
        pruning = asyncio.create_task(store_on_postgres.upkeep.prune_schedules(START + 2 * DAY, 30))
        await waits(database)
    assert await pruning == 0
    assert (await entry_of(store_on_postgres, entry)).progress.active == 1


async def test_two_janitors_remove_everything_once(pair: Pair) -> None:
    gone = [await create(pair[0], START, schedule(overlap="skip")) for _ in range(5)]
    for minute in range(3):
        await fire(pair[0], START + minute * MINUTE)
    for entry in gone:
        seen = await entry_of(pair[0], entry)
        await pair[0].schedules.change(START, [Change(seen, seen.schedule, cancel="deleted", delete=True)])
    removed = await asyncio.gather(*(store.upkeep.prune_schedules(START + 31 * DAY, 30) for store in pair * 3))
    assert sum(removed) == 5
    assert await pair[0].upkeep.counts() == {"schedules": 0, "schedules_due": 0}


async def test_one_janitor_removes_at_a_time(database: str, store_on_postgres: Store) -> None:
    entry = await create(store_on_postgres, START)
    await store_on_postgres.schedules.change(START, [Change(entry, entry.schedule, cancel="deleted", delete=True)])
    upkeep, later = store_on_postgres.upkeep, START + 31 * DAY
    async with held(database, "SELECT pg_advisory_xact_lock(19795, 3)"):
        removals = [
            asyncio.create_task(upkeep.prune_old(later)),
            asyncio.create_task(upkeep.prune_surplus(entry.schedule.id, 1)),
            asyncio.create_task(upkeep.prune_apart(later, 30)),
            asyncio.create_task(upkeep.prune_targets(later)),
            asyncio.create_task(upkeep.prune_schedules(later, 30)),
        ]
        await waits(database, len(removals))
    assert [await removal for removal in removals] == [(0, 0), 0, 0, 0, 1]


async def test_nodes_that_start_with_one_new_key_make_one_of_it(database: str, pair: Pair) -> None:
    key = tokens.bootstrap_key("a secret of sixteen", START)
    async with held(database, "SELECT pg_advisory_xact_lock(19795, 2)"):
        starting = [asyncio.create_task(store.credentials.ensure_bootstrap(START, key)) for store in pair]
        await waits(database)
    await asyncio.gather(*starting)
    [found] = await query(database, "SELECT digest, revoked_at FROM credentials")
    assert (found["digest"], found["revoked_at"]) == (key.digest, None)


async def test_the_first_node_decides_with_which_key_the_store_is_sealed(database: str, pair: Pair) -> None:
    sealed = SealedVault("one key").seal(b"mainspring", "canary").hex()
    async with held(database, f"INSERT INTO meta VALUES ('canary', '{sealed}')"):
        checks = [
            asyncio.create_task(check_canary(SealedVault(key), store.upkeep))
            for key, store in zip(("one key", "another key"), pair, strict=True)
        ]
        await waits(database)
    await checks[0]
    with pytest.raises(Conflict):
        await checks[1]


async def test_when_a_key_was_last_used_never_goes_back(pair: Pair) -> None:
    [key] = await pair[0].credentials.create(START, [new_key()])
    assert not isinstance(key, Exception)
    await pair[0].credentials.touch({key.id: START + 9})
    await pair[1].credentials.touch({key.id: START + 3})
    found = await pair[0].credentials.by_digest(b"digest")
    assert found is not None
    assert found.last_used_at == START + 9


async def test_a_schedule_edited_while_zones_are_followed_keeps_its_instant(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    entry = await create(store_on_postgres, START, schedule(timezone="Europe/Berlin"), due=START + MINUTE)
    edited = msgspec.structs.replace(entry.schedule, cron_expr="*/2 * * * *")
    others: list[Elsewhere] = []

    def next_of(*_: object) -> int:
        change = Change(entry, edited)
        others.append(Elsewhere(database, clock, lambda other: other.schedules.change(START, [change])))
        others[0].join()
        return START + 2 * MINUTE

    await store_on_postgres.schedules.rezone(START, next_of)
    assert isinstance((await others[0].result())[0], Entry)
    assert (await entry_of(store_on_postgres, entry)).progress.next_due_at == START + MINUTE


async def test_each_node_makes_keys_under_a_number_of_its_own(database: str, clock: Clock, pair: Pair) -> None:
    async with node(database, clock) as third:
        assert len({store.node for store in (*pair, third)}) == 3
        made = [await create(store, START) for store in (*pair, third)]
        assert {entry.schedule.id >> 12 & 1023 for entry in made} == {store.node for store in (*pair, third)}
