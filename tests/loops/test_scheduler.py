from __future__ import annotations

from loops.rig import Rig
from mainspring.core import schedules
from mainspring.core.drafts import Draft
from mainspring.core.events import Fired, ScheduleBroken
from mainspring.core.limits import FIRE_BATCH, HOUR, MINUTE, SECOND
from mainspring.core.model import Entry
from store.making import PROJECT, START, new, schedule


async def minutes(rig: Rig, entry: Entry) -> list[tuple[str, int]]:
    """(trigger, minute) of every occurrence that ran."""
    found = await rig.bench.store.schedules.occurrences(entry.schedule.id, 1 << 60, 10_000)
    return [(how, (at - START) // MINUTE) for at, how, _ in found[::-1]]


async def gaps(rig: Rig, entry: Entry) -> list[tuple[str, int, int, int]]:
    found = await rig.bench.store.schedules.gaps(entry.schedule.id, 1 << 60, 10_000)
    return [
        (gap.reason, (gap.from_at - START) // MINUTE, (gap.to_at - START) // MINUTE, gap.count) for gap in found[::-1]
    ]


async def test_a_step_fires_what_is_due_and_says_when_the_next_is(rig: Rig) -> None:
    entry = await rig.create()
    assert await rig.scheduler.step(START) == SECOND
    assert await rig.scheduler.step(START + MINUTE - 300) == 300
    assert await minutes(rig, entry) == []
    assert await rig.scheduler.step(START + MINUTE) == SECOND
    assert await minutes(rig, entry) == [("schedule", 1)]
    assert rig.bench.said(Fired) == [Fired(schedules=1, runs=1, skipped=0, missed=0)]


async def test_a_step_with_nothing_to_do_says_nothing_and_comes_back_soon(rig: Rig) -> None:
    """At most a second: the clock may be set forward meanwhile, and no timer tells."""
    assert await rig.scheduler.step(START) == SECOND
    assert rig.bench.events == []


async def test_a_run_that_was_fired_wakes_the_dispatcher(rig: Rig) -> None:
    await rig.create()
    await rig.scheduler.step(START)
    assert rig.bench.wakes.dispatchers == 0
    await rig.scheduler.step(START + MINUTE)
    assert rig.bench.wakes.dispatchers == 1


async def test_more_than_a_batch_is_fired_in_steps_without_a_pause(rig: Rig) -> None:
    for _ in range(2):
        await rig.bench.store.schedules.create(START, [new(schedule(run_at=START)) for _ in range(FIRE_BATCH)])
    await rig.create(run_at=START)
    assert [await rig.scheduler.step(START) for _ in range(3)] == [0, 0, SECOND]
    fired = [event.runs for event in rig.bench.said(Fired) if isinstance(event, Fired)]
    assert fired == [FIRE_BATCH, FIRE_BATCH, 1]


async def test_a_backlog_too_large_for_one_step_leaves_the_next_one_no_pause(rig: Rig) -> None:
    for _ in range(3):
        await rig.create(cron_expr="* * * * * *", catchup="all", overlap="allow")
    assert [await rig.scheduler.step(START + HOUR + 500) for _ in range(4)] == [0, 0, 500, 500]


async def test_after_a_gap_every_policy_does_what_it_says(rig: Rig) -> None:
    made = {name: await rig.create(catchup=name, overlap="allow") for name in ("latest", "skip", "all")}
    await rig.tick(MINUTE)
    await rig.tick(4 * MINUTE + 30 * SECOND)
    ran = {name: await minutes(rig, entry) for name, entry in made.items()}
    missed = {name: await gaps(rig, entry) for name, entry in made.items()}
    assert ran == {
        "latest": [("schedule", 1), ("catchup", 5)],
        "skip": [("schedule", 1)],
        "all": [("schedule", 1), *(("catchup", minute) for minute in (2, 3, 4, 5))],
    }
    assert missed == {"latest": [("not_running", 2, 4, 3)], "skip": [("not_running", 2, 5, 4)], "all": []}


async def test_a_clock_set_back_an_hour_repeats_nothing_and_loses_nothing(rig: Rig) -> None:
    entry = await rig.create(overlap="allow", catchup="all")
    for _ in range(3):
        await rig.tick(MINUTE)
    rig.clock.advance(-HOUR)
    for _ in range(62):
        await rig.tick(MINUTE)
    assert await minutes(rig, entry) == [("schedule", minute) for minute in (1, 2, 3, 4, 5)]
    assert await gaps(rig, entry) == []
    assert set(await rig.states(entry)) == {"succeeded"}


async def test_a_clock_set_forward_an_hour_is_a_gap_like_any_other(rig: Rig) -> None:
    entry = await rig.create(overlap="allow")
    await rig.tick(MINUTE)
    await rig.tick(HOUR)
    assert await minutes(rig, entry) == [("schedule", 1), ("schedule", 61)]
    assert await gaps(rig, entry) == [("not_running", 2, 60, 59)]
    rig.clock.advance(-HOUR)
    for _ in range(62):
        await rig.tick(MINUTE)
    assert await minutes(rig, entry) == [("schedule", minute) for minute in (1, 61, 62, 63)]


async def test_a_clock_that_jumps_about_gives_every_instant_one_entry(rig: Rig) -> None:
    entry = await rig.create(overlap="allow", catchup="all")
    for step in (5, -3, 20, -60, 30, 60, -1, 1, 90, -90, 91):
        await rig.tick(step * MINUTE)
    ran = [minute for _, minute in await minutes(rig, entry)]
    assert ran == list(range(1, 144))


async def test_two_schedulers_make_each_occurrence_once(rig: Rig) -> None:
    entry = await rig.create(overlap="allow")
    first = rig.scheduler
    rig.start(node=1)
    for minute in range(1, 6):
        for scheduler in (first, rig.scheduler):
            await scheduler.step(START + minute * MINUTE)
    assert await minutes(rig, entry) == [("schedule", minute) for minute in range(1, 6)]


async def test_a_schedule_that_cannot_be_planned_stops_no_other_and_can_be_cured(rig: Rig) -> None:
    [broken] = await rig.bench.store.schedules.create(
        START, [new(schedule(cron_expr="not a cron expression"), due=START + MINUTE)]
    )
    assert isinstance(broken, Entry)
    sound = await rig.create()
    await rig.scheduler.step(START + MINUTE)
    assert await minutes(rig, sound) == [("schedule", 1)]
    assert await gaps(rig, broken) == [("error", 1, 1, 1)]
    assert [type(event) for event in rig.bench.said(ScheduleBroken)] == [ScheduleBroken]
    await rig.scheduler.step(START + 2 * MINUTE)
    assert await gaps(rig, broken) == [("error", 1, 2, 2)]
    cure = Draft(cron_expr="* * * * *")
    await schedules.update(rig.bench.core, START + 2 * MINUTE, PROJECT, "cron", broken.schedule.id, cure, None)
    await rig.scheduler.step(START + 3 * MINUTE)
    assert await minutes(rig, broken) == [("schedule", 3)]
