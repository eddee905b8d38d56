from __future__ import annotations

from mainspring.core import ids
from mainspring.core.limits import MINUTE
from mainspring.core.model import Page, Run, RunState
from mainspring.store.store import Store
from store.making import PROJECT, START, claim, create, end, fire, runs_of, schedule, target, trigger


async def listed(store: Store, **narrowed: object) -> list[Run]:
    where = {"project": PROJECT, "state": None, "since_id": 0, "before_id": ids.KEY_MAX, "limit": 100} | narrowed
    return await store.runs.page(**where)  # type: ignore[arg-type] # the arguments above, some replaced


async def test_runs_of_a_schedule_page_by_their_instant_while_new_ones_arrive(store: Store) -> None:
    entry = await create(store, START)
    await create(store, START)
    for minute in range(5):
        await fire(store, START + minute * MINUTE)
    ids_there = [run.id for run in await runs_of(store, entry)][::-1]
    first = await store.runs.page_of_schedule(entry.schedule.id, None, 0, Page(limit=2))
    await fire(store, START + 5 * MINUTE)
    where = Page(limit=2, before=(first[-1].scheduled_for, first[-1].id))
    second = await store.runs.page_of_schedule(entry.schedule.id, None, 0, where)
    assert [run.id for run in first + second] == ids_there[:4]


async def test_runs_of_one_instant_are_told_apart_by_their_id(store: Store) -> None:
    entry = await create(store, START)
    made = [(await trigger(store, START, entry)).id for _ in range(5)]
    paged: list[int] = []
    where = Page(limit=2)
    while found := await store.runs.page_of_schedule(entry.schedule.id, None, 0, where):
        paged += [run.id for run in found]
        where = Page(limit=2, before=(found[-1].scheduled_for, found[-1].id))
    assert paged == made[::-1]


async def test_runs_of_a_schedule_narrow_by_state_and_instant(store: Store) -> None:
    entry = await create(store, START)
    for minute in range(3):
        await fire(store, START + minute * MINUTE)
    await end(store, START, (await claim(store, START + 2 * MINUTE))[:1])

    async def minutes(state: RunState | None, since: int) -> list[int]:
        found = await store.runs.page_of_schedule(entry.schedule.id, state, since, Page(limit=9))
        return [(run.scheduled_for - START) // MINUTE for run in found]

    assert await minutes("succeeded", 0) == [0]
    assert await minutes("running", 0) == [2, 1]
    assert await minutes(None, START + MINUTE) == [2, 1]
    assert await minutes("succeeded", START + MINUTE) == []


async def test_runs_of_a_project_page_newest_first_over_crons_and_tasks(store: Store) -> None:
    cron, task = await create(store, START), await create(store, START, schedule(kind="task", run_at=START))
    foreign = await create(store, START, schedule(project="other"))
    made = [(await trigger(store, START + at, (cron, task)[at % 2])).id for at in range(6)]
    await trigger(store, START, foreign)
    paged: list[int] = []
    before = ids.KEY_MAX
    while found := await listed(store, before_id=before, limit=4):
        paged += [run.id for run in found]
        before = found[-1].id
    assert paged == made[::-1]
    assert [run.id for run in await listed(store, since_id=made[2], before_id=made[4])] == [made[3], made[2]]


async def test_runs_of_a_project_narrow_by_state(store: Store) -> None:
    failing = await create(store, START, to=target(retry=0, on_failure="http://pager.example/"))
    await fire(store, START)
    await end(store, START, await claim(store, START), status=500)
    await trigger(store, START, failing)
    states: list[RunState] = ["failed", "queued", "running"]
    assert [[run.state for run in await listed(store, state=state)] for state in states] == [["failed"], ["queued"], []]
    assert {run.kind for run in await listed(store)} == {"cron"}
    assert await listed(store, state="failed", project="other") == []


async def test_failed_runs_page_like_the_others(store: Store) -> None:
    await create(store, START, to=target(retry=0))
    for minute in range(5):
        await fire(store, START + minute * MINUTE)
        await end(store, START, await claim(store, START + minute * MINUTE), status=500)
    every = [run.id for run in await listed(store, state="failed")]
    assert every == sorted(every, reverse=True)
    assert len(every) == 5
    first = await listed(store, state="failed", limit=2)
    rest = await listed(store, state="failed", before_id=first[-1].id)
    assert [run.id for run in first + rest] == every
    assert [run.id for run in await listed(store, state="failed", since_id=every[2])] == every[:3]


async def test_a_run_is_seen_by_its_own_project_alone(store: Store) -> None:
    run = await trigger(store, START, await create(store, START))
    assert await store.runs.get(PROJECT, run.id) == (run, [])
    assert await store.runs.get("other", run.id) is None
    assert await store.runs.get(PROJECT, run.id + 1) is None


async def test_jobs_of_agents_are_in_the_list_of_their_schedule_and_not_in_that_of_all(store: Store) -> None:
    entry = await create(store, START, schedule(lane="agent:0b3c"))
    await fire(store, START)
    assert len(await runs_of(store, entry)) == 1
    assert await listed(store) == []
    assert await listed(store, state="failed") == []
