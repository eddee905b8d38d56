"""A run is replayed on one node while another one removes it: the replay has its target, or there is none."""

from __future__ import annotations

import asyncio

import msgspec

from mainspring.core.changes import Change, ManualRun
from mainspring.core.errors import NotFound
from mainspring.core.idempotency import Answer
from mainspring.core.limits import DAY, MINUTE
from mainspring.core.model import Entry, Run
from mainspring.store.store import Store
from store.making import PROJECT, START, Clock, claim, create, end, entry_of, fire, once, runs_of, schedule, target
from store.sharing import Elsewhere, until_waiting
from store.test_among_nodes import held

LATER = START + 2 * DAY


async def old_run(store: Store) -> tuple[Entry, Run]:
    """A finished run that retention does not keep, to a target that an edit has replaced."""
    entry = await create(store, START, schedule(retention_days=0))
    await ran(store, START)
    seen = await entry_of(store, entry)
    edit = Change(seen, seen.schedule, target=target(address="http://target.example/other"))
    assert isinstance((await store.schedules.change(START, [edit]))[0], Entry)
    await ran(store, START + MINUTE)
    run, newest = await runs_of(store, entry)
    assert run.target_id != newest.target_id
    return entry, run


async def ran(store: Store, now: int) -> None:
    assert await fire(store, now) == 1
    await end(store, now, await claim(store, now))


async def pruned(store: Store) -> tuple[int, int]:
    """How many runs and targets a janitor removes."""
    return (await store.upkeep.prune_old(LATER))[0], await store.upkeep.prune_targets(LATER)


async def test_what_is_being_replayed_keeps_its_target_although_its_retention_is_over(
    database: str, clock: Clock, store_on_postgres: Store
) -> None:
    entry, run = await old_run(store_on_postgres)
    key, janitors = once("k"), list[Elsewhere]()

    def written(result: Run) -> Answer:
        janitors.append(Elsewhere(database, clock, pruned))
        until_waiting(database)
        return key.answer(result)

    in_the_middle = msgspec.structs.replace(key, answer=written)
    again = ManualRun(PROJECT, entry.schedule.id, "replay", None, in_the_middle, again=run)
    [made] = await store_on_postgres.runs.trigger(LATER, [again])
    assert await janitors[0].result() == (1, 0)
    assert isinstance(made, Run)
    assert made.target_id == run.target_id
    assert run.target_id in await store_on_postgres.runs.targets([run.target_id])


async def test_a_run_that_is_removed_before_its_replay_is_written_is_not_there(
    database: str, store_on_postgres: Store
) -> None:
    entry, run = await old_run(store_on_postgres)
    again = ManualRun(PROJECT, entry.schedule.id, "replay", None, None, again=run)
    async with held(database, f"DELETE FROM runs WHERE id = {run.id}"):
        replaying = asyncio.create_task(store_on_postgres.runs.trigger(LATER, [again]))
        await asyncio.to_thread(until_waiting, database)
    [refused] = await replaying
    assert isinstance(refused, NotFound)
    assert str(refused) == "there is no such run"
    assert len(await runs_of(store_on_postgres, entry)) == 1
