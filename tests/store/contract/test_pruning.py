from __future__ import annotations

import msgspec

from mainspring.core.changes import Change
from mainspring.core.limits import DAY, MINUTE, PRUNE_BATCH
from mainspring.core.model import Entry, Schedule, Target
from mainspring.store.store import Store
from store.making import (
    PROJECT,
    SCHEDULE,
    START,
    TARGET,
    claim,
    create,
    end,
    entry_of,
    fire,
    manual,
    runs_of,
    schedule,
    target,
    trigger,
)


async def with_runs(store: Store, count: int, made: Schedule = SCHEDULE, to: Target = TARGET) -> Entry:
    """A schedule that ran `count` times, a minute apart, and has finished."""
    entry = await create(store, START, made, to)
    for minute in range(count):
        await fire(store, START + minute * MINUTE)
        await end(store, START + minute * MINUTE, await claim(store, START + minute * MINUTE))
    return entry


async def kept(store: Store, entry: Entry) -> list[int]:
    """The minutes whose runs are still there."""
    return [(run.scheduled_for - START) // MINUTE for run in await runs_of(store, entry)]


async def test_old_runs_go_by_the_age_their_schedule_allows(store: Store) -> None:
    month = await with_runs(store, 3)
    day = await with_runs(store, 3, schedule(retention_days=1))
    assert await store.upkeep.prune_old(START + DAY) == (0, 0)
    assert await store.upkeep.prune_old(START + DAY + MINUTE + 1) == (2, 0)
    assert (await kept(store, month), await kept(store, day)) == ([0, 1, 2], [2])
    assert await store.upkeep.prune_old(START + DAY + MINUTE + 1) == (0, 0)


async def test_the_newest_finished_run_always_stays(store: Store) -> None:
    entry = await with_runs(store, 3, schedule(retention_days=0))
    assert (await store.upkeep.prune_old(START + 365 * DAY))[0] == 2
    assert await kept(store, entry) == [2]


async def test_what_is_not_over_stays_beside_the_newest_finished_run(store: Store) -> None:
    entry = await with_runs(store, 2, schedule(retention_days=0))
    running = await trigger(store, START + 5 * MINUTE, entry)
    await claim(store, START + 5 * MINUTE)
    waiting = await trigger(store, START + 6 * MINUTE, entry)
    await store.upkeep.prune_old(START + 365 * DAY)
    assert await kept(store, entry) == [1, 5, 6]
    assert await store.runs.get(PROJECT, running.id) is not None
    assert await store.runs.get(PROJECT, waiting.id) is not None


async def test_attempts_go_with_their_run(store: Store) -> None:
    entry = await create(store, START, schedule(retention_days=0), target(retry=0))
    for minute in (0, 1):
        await fire(store, START + minute * MINUTE)
        [first] = await claim(store, START + minute * MINUTE)
        [orphan] = await store.runs.expired(0, 1, everything=True)
        assert orphan.id == first.run_id
        await end(store, START + minute * MINUTE, [first], status=500)
    doomed = (await runs_of(store, entry))[0]
    await store.upkeep.prune_old(START + DAY)
    assert await store.runs.get(PROJECT, doomed.id) is None
    assert await store.db.read("get_attempts", run_id=doomed.id) == []


async def test_old_gaps_go_by_the_same_age(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="skip", retention_days=1))
    for minute in range(0, 4, 2):
        await fire(store, START + minute * MINUTE)
        await fire(store, START + (minute + 1) * MINUTE)
        await end(store, START, await claim(store, START + DAY))
    await store.upkeep.prune_old(START + DAY + MINUTE)
    assert len(await store.schedules.gaps(entry.schedule.id, 1 << 60, 10)) == 2
    assert (await store.upkeep.prune_old(START + DAY + MINUTE + 1))[1] == 1
    assert [gap.from_at for gap in await store.schedules.gaps(entry.schedule.id, 1 << 60, 10)] == [START + 3 * MINUTE]


async def test_a_crowded_schedule_keeps_its_newest_runs(store: Store) -> None:
    entry = await with_runs(store, 5, schedule(retention_runs=2))
    roomy = await with_runs(store, 5, schedule(retention_runs=5))
    assert await store.upkeep.crowded(0, 10) == [(entry.schedule.id, 2)]
    assert await store.upkeep.crowded(entry.schedule.id, 10) == []
    assert await store.upkeep.prune_surplus(entry.schedule.id, 2) == 3
    assert await store.upkeep.prune_surplus(entry.schedule.id, 2) == 0
    assert (await kept(store, entry), await kept(store, roomy)) == ([3, 4], [0, 1, 2, 3, 4])


async def test_runs_by_hand_make_a_schedule_crowded_too(store: Store) -> None:
    entry = await create(store, START, schedule(retention_runs=2))
    await store.runs.trigger(START, [manual(entry.schedule.id)] * 3)
    assert await store.upkeep.crowded(0, 10) == [(entry.schedule.id, 2)]
    assert await store.upkeep.prune_surplus(entry.schedule.id, 2) == 0
    await end(store, START, await claim(store, START))
    assert await store.upkeep.prune_surplus(entry.schedule.id, 2) == 1


async def test_a_removal_is_bounded(store: Store) -> None:
    entry = await create(store, START, schedule(retention_runs=1))
    await store.runs.trigger(START, [manual(entry.schedule.id)] * (PRUNE_BATCH + 2))
    while claims := await claim(store, START):
        await end(store, START, claims)
    assert await store.upkeep.prune_surplus(entry.schedule.id, 1) == PRUNE_BATCH
    assert await store.upkeep.prune_surplus(entry.schedule.id, 1) == 1


async def test_runs_apart_go_with_their_targets(store: Store) -> None:
    entry = await create(store, START, to=target(retry=0, on_failure="http://pager.example/"))
    await fire(store, START)
    await end(store, START, await claim(store, START), status=500)
    [call] = await claim(store, START)
    assert await store.upkeep.prune_apart(START + 40 * DAY, 30) == 0
    await end(store, START, [call])
    assert await store.upkeep.prune_apart(START + 30 * DAY, 30) == 0
    assert await store.upkeep.prune_apart(START + 30 * DAY + 1, 30) == 1
    assert await store.runs.get(PROJECT, call.run_id) is None
    assert set(await store.runs.targets([call.target_id, entry.target.id])) == {entry.target.id}


async def test_a_deleted_schedule_goes_with_all_that_was_its(store: Store) -> None:
    entry = await with_runs(store, 2, schedule(overlap="skip"))
    stays = await with_runs(store, 1)
    await fire(store, START + 2 * MINUTE)
    await fire(store, START + 3 * MINUTE)
    seen = await entry_of(store, entry)
    await store.schedules.change(START, [Change(seen, seen.schedule, cancel="deleted", delete=True)])
    assert await store.upkeep.prune_schedules(START + 30 * DAY, 30) == 0
    assert await store.upkeep.prune_schedules(START + 30 * DAY + 1, 30) == 1
    assert not await store.schedules.was_deleted(PROJECT, "cron", entry.schedule.id)
    assert await runs_of(store, entry) == []
    assert await store.schedules.gaps(entry.schedule.id, 1 << 60, 10) == []
    assert await store.runs.targets([entry.target.id]) == {}
    assert (await entry_of(store, stays)).target == stays.target
    assert await store.upkeep.prune_schedules(START + 30 * DAY + 1, 30) == 0


async def test_a_large_history_goes_in_steps_before_its_schedule(store: Store) -> None:
    entry = await create(store, START)
    await store.runs.trigger(START, [manual(entry.schedule.id)] * (PRUNE_BATCH + 1))
    await store.schedules.change(START, [Change(entry, entry.schedule, cancel="deleted", delete=True)])
    assert await store.upkeep.prune_schedules(START + 31 * DAY, 30) == 1
    assert len(await runs_of(store, entry)) == 1
    assert await store.schedules.was_deleted(PROJECT, "cron", entry.schedule.id)
    assert await store.upkeep.prune_schedules(START + 31 * DAY, 30) == 1
    assert not await store.schedules.was_deleted(PROJECT, "cron", entry.schedule.id)


async def test_a_finished_task_goes_after_its_retention_and_not_before_its_run_is_over(store: Store) -> None:
    entry = await create(store, START, schedule(kind="task", run_at=START, retention_days=1))
    await fire(store, START)
    claims = await claim(store, START)
    assert await store.upkeep.prune_schedules(START + 2 * DAY, 30) == 0
    await end(store, START + 2 * DAY, claims)
    assert await store.upkeep.prune_schedules(START + DAY, 30) == 0
    assert await store.upkeep.prune_schedules(START + DAY + 1, 30) == 1
    assert await store.schedules.get(PROJECT, "task", entry.schedule.id) is None
    assert await store.runs.get(PROJECT, claims[0].run_id) is None


async def test_a_completed_cron_job_stays(store: Store) -> None:
    entry = await with_runs(store, 1, schedule(run_at=START, retention_days=0))
    assert await store.upkeep.prune_schedules(START + 365 * DAY, 30) == 0
    assert (await entry_of(store, entry)).progress.completed_at == START


async def test_a_replaced_target_goes_after_a_day_once_no_run_needs_it(store: Store) -> None:
    entry = await create(store, START)
    await fire(store, START)
    edit = Change(entry, entry.schedule, target(method="PUT"))
    [changed] = await store.schedules.change(START, [edit])
    assert isinstance(changed, Entry)
    [again] = await store.schedules.change(START, [Change(changed, changed.schedule, target(method="PATCH"))])
    assert isinstance(again, Entry)
    olds = [entry.target.id, changed.target.id, again.target.id]
    assert await store.upkeep.prune_targets(START + DAY) == 0
    assert await store.upkeep.prune_targets(START + DAY + 1) == 1
    assert sorted(await store.runs.targets(olds)) == [entry.target.id, again.target.id]
    await end(store, START, await claim(store, START))
    renamed = msgspec.structs.replace(again.schedule, retention_days=0)
    await store.schedules.change(START, [Change(again, renamed)])
    await fire(store, START + MINUTE)
    await end(store, START + MINUTE, await claim(store, START + MINUTE))
    await store.upkeep.prune_old(START + 2 * DAY)
    assert await store.upkeep.prune_targets(START + 2 * DAY) == 1
    assert sorted(await store.runs.targets(olds)) == [again.target.id]


async def test_counts_say_what_there_is(store: Store) -> None:
    entry = await create(store, START)
    await create(store, START, schedule(kind="task", run_at=START + DAY), due=START + DAY)
    await store.runs.trigger(START, [manual(entry.schedule.id)] * 3)
    await end(store, START, (await claim(store, START))[:1])
    assert await store.upkeep.counts() == {"schedules": 2, "schedules_due": 2, "runs_running": 2}
    await store.schedules.change(START, [Change(entry, entry.schedule, cancel="deleted", delete=True)])
    assert await store.upkeep.counts() == {"schedules": 1, "schedules_due": 1, "runs_running": 2}


async def test_notes_about_the_store_are_kept(store: Store) -> None:
    assert await store.upkeep.get_meta("canary") is None
    await store.upkeep.set_meta("canary", "1")
    await store.upkeep.set_meta("canary", "2")
    assert await store.upkeep.get_meta("canary") == "2"
    await store.upkeep.ping()
    await store.upkeep.maintain()
