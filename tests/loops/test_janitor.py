from __future__ import annotations

from loops.rig import Rig, on_the_embedded_store
from mainspring.core.events import Pruned
from mainspring.core.limits import DAY, MINUTE, PRUNE_BATCH
from mainspring.loops.janitor import BREATH, SWEEP, Janitor
from store.making import PROJECT, START, driver, manual, new, number, once


async def test_with_nothing_to_remove_it_says_nothing_and_comes_back_later(rig: Rig) -> None:
    await rig.create()
    await rig.tick(MINUTE)
    assert await Janitor(rig.bench.core).step(rig.clock()) == SWEEP
    assert rig.bench.said(Pruned) == []


async def test_a_step_removes_what_is_old_of_every_kind(rig: Rig) -> None:
    entry = await rig.create(retention_days=1)
    await rig.create("b", "task", run_at=START, retention_days=1)
    await rig.bench.store.schedules.create(START, [new(due=START + 40 * DAY, once=once("k"))])
    for _ in range(3):
        await rig.tick(MINUTE)
    now = rig.clock.advance(2 * DAY)
    assert await Janitor(rig.bench.core).step(now) == BREATH
    assert rig.bench.said(Pruned) == [Pruned(runs=2, gaps=0, schedules=1)]
    assert len(await rig.runs(entry)) == 1
    assert await rig.bench.store.recall(now - 2 * DAY, PROJECT, "cron.create", "k", b"body") is None


@on_the_embedded_store
async def test_what_a_removal_frees_is_given_back_to_the_disk(rig: Rig) -> None:
    await rig.create("b", "task", run_at=START, retention_days=1)
    await rig.tick()
    connection = driver(rig.bench.store)
    connection.execute("CREATE TABLE heap (block BLOB)")
    connection.executemany("INSERT INTO heap VALUES (randomblob(8000))", [()] * 300)
    connection.execute("DROP TABLE heap")
    janitor = Janitor(rig.bench.core)
    free = [number(rig.bench.store, "PRAGMA freelist_count")]
    for days in (0, 2, 2):
        await janitor.step(START + days * DAY)
        free.append(number(rig.bench.store, "PRAGMA freelist_count"))
    assert free[0] == free[1] > free[2] == free[3]


async def test_a_crowded_schedule_is_thinned_out_a_batch_at_a_time(rig: Rig) -> None:
    crowded = [await rig.create(f"h{number}", retention_runs=2, overlap="allow") for number in range(3)]
    for entry in crowded:
        await rig.bench.store.runs.trigger(START, [manual(entry.schedule.id)] * (PRUNE_BATCH + 10))
    await rig.dispatch()
    janitor = Janitor(rig.bench.core)
    waits: list[int] = []
    while not waits or waits[-1] == BREATH:
        waits.append(await janitor.step(rig.clock()))
    assert [len(await rig.runs(entry)) for entry in crowded] == [2, 2, 2]
    removed = [event.runs for event in rig.bench.said(Pruned) if isinstance(event, Pruned)]
    assert max(removed) <= PRUNE_BATCH + 3 * 10
    assert sum(removed) == 3 * (PRUNE_BATCH + 8)
    assert 4 <= len(waits) <= 8


async def test_what_is_in_flight_survives_every_removal(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create(retention_days=0, retention_runs=1, overlap="queue")
    for _ in range(3):
        await rig.tick(MINUTE)
    janitor = Janitor(rig.bench.core)
    for _ in range(3):
        await janitor.step(rig.clock() + 365 * DAY)
    assert await rig.states(entry) == ["running", "queued", "queued"]
    rig.targets.release("a")
    await rig.dispatch()
    assert await rig.states(entry) == ["succeeded"] * 3
