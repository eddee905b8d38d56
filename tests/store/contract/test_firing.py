from __future__ import annotations

from collections.abc import Callable

import pytest

from mainspring.core import timing
from mainspring.core.changes import Change, Timing
from mainspring.core.limits import DAY, HOUR, MINUTE, SECOND
from mainspring.core.model import Entry, Gap
from mainspring.core.timing import Due, Plan
from mainspring.store.store import Store
from store.making import START, claim, create, end, entry_of, fire, manual, new, runs_of, schedule, trigger


async def gaps_of(store: Store, entry: Entry) -> list[tuple[str, str, int, int, int]]:
    """The stretches in which nothing ran, oldest first, in minutes since the start."""
    found: list[Gap] = await store.schedules.gaps(entry.schedule.id, 1 << 60, 1000)
    minutes = [(gap.outcome, gap.reason, gap.from_at - START, gap.to_at - START, gap.count) for gap in found]
    return [(a, b, c // MINUTE, d // MINUTE, n) for a, b, c, d, n in minutes[::-1]]


async def rewind(store: Store, made: Entry, to: int) -> None:
    """An edit after the clock stepped back: the timer stands before what was fired already."""
    entry = await entry_of(store, made)
    await store.schedules.change(to, [Change(entry, entry.schedule, timing=Timing(to, None, None))])


async def test_firing_makes_the_run_and_moves_the_timer_in_one_step(store: Store) -> None:
    entry = await create(store, START)
    fired = await store.schedules.fire(START + 4, timing.plan, 500)
    assert (fired.schedules, fired.runs, fired.skipped, fired.missed) == (1, 1, 0, 0)
    assert fired.next_due_at == START + MINUTE
    [run] = await runs_of(store, entry)
    assert (run.scheduled_for, run.due_at, run.created_at, run.trigger, run.state, run.attempt, run.nth) == (
        START,
        START + 4,
        START + 4,
        "schedule",
        "queued",
        0,
        0,
    )
    assert (run.target_id, run.origin, run.lane) == (entry.target.id, entry.target.origin, "http")
    progress = (await entry_of(store, entry)).progress
    assert (progress.next_due_at, progress.active, progress.run_count, progress.last_run_at) == (
        START + MINUTE,
        1,
        1,
        START + 4,
    )


async def test_what_is_not_due_is_left_alone(store: Store) -> None:
    await create(store, START, due=START + 1)
    fired = await store.schedules.fire(START, timing.plan, 500)
    assert (fired.schedules, fired.runs, fired.next_due_at) == (0, 0, START + 1)


async def test_a_visit_takes_the_longest_due_first_and_no_more_than_asked(store: Store) -> None:
    late = [await create(store, START, due=START + at) for at in (2, 0, 1)]
    fired = await store.schedules.fire(START + 2, timing.plan, 2)
    assert (fired.schedules, fired.next_due_at) == (2, START + 2)
    assert [len(await runs_of(store, entry)) for entry in late] == [0, 1, 1]


async def test_a_visit_writes_no_more_entries_than_it_may(store: Store) -> None:
    """After a long absence the backlog comes in several transactions, so that none of them holds everything up."""
    every_second = schedule(cron_expr="* * * * * *", catchup="all")
    await store.schedules.create(START, [new(every_second) for _ in range(5)])
    visits = []
    while (fired := await store.schedules.fire(START + HOUR, timing.plan, 500)).schedules:
        visits.append((fired.schedules, fired.runs))
    assert visits == [(1, 1011)] * 5


async def test_an_instant_that_ran_is_never_run_again(store: Store) -> None:
    entry = await create(store, START)
    await fire(store, START)
    await rewind(store, entry, START)
    assert await fire(store, START + 1) == 0
    progress = (await entry_of(store, entry)).progress
    assert [run.scheduled_for for run in await runs_of(store, entry)] == [START]
    assert (progress.next_due_at, progress.active, progress.run_count) == (START + MINUTE, 1, 1)
    assert progress.last_run_at == START


async def test_two_nodes_with_the_same_plan_make_one_run(store: Store) -> None:
    """The second one planned from what it read before the first had written: the key decides."""
    entry = await create(store, START)
    plans: list[Plan] = []

    def remember(due: Due, now: int) -> Plan:
        plans.append(timing.plan(due, now))
        return plans[-1]

    await store.schedules.fire(START, remember, 500)
    await rewind(store, entry, START)
    assert (await store.schedules.fire(START, lambda due, now: plans[0], 500)).runs == 0
    assert len(await runs_of(store, entry)) == 1


async def test_a_run_is_not_held_behind_one_that_was_there_already(store: Store) -> None:
    entry = await create(store, START, schedule(cron_expr="* * * * * *", overlap="queue"))
    await fire(store, START)
    await end(store, START, await claim(store, START))
    await rewind(store, entry, START)
    assert await fire(store, START + 2 * SECOND) == 2
    progress = (await entry_of(store, entry)).progress
    assert (progress.active, progress.held) == (1, 1)
    assert [one.scheduled_for for one in await claim(store, START + 2 * SECOND)] == [START + SECOND]


async def test_a_plan_that_raises_changes_nothing(store: Store) -> None:
    entries = [await create(store, START) for _ in range(3)]

    def fails_last() -> Callable[[Due, int], Plan]:
        seen = []

        def plan(due: Due, now: int) -> Plan:
            seen.append(due)
            if len(seen) == 3:
                raise ZeroDivisionError
            return timing.plan(due, now)

        return plan

    with pytest.raises(ZeroDivisionError):
        await store.schedules.fire(START, fails_last(), 500)
    assert [await entry_of(store, entry) for entry in entries] == entries
    assert await fire(store, START) == 3


async def test_skipped_instants_in_a_row_share_one_entry(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="skip"))
    for minute in range(5):
        await fire(store, START + minute * MINUTE)
    assert await gaps_of(store, entry) == [("skipped", "overlap", 1, 4, 4)]
    await end(store, START + 5 * MINUTE - 1, await claim(store, START))
    for minute in range(5, 8):
        await fire(store, START + minute * MINUTE)
    assert await gaps_of(store, entry) == [("skipped", "overlap", 1, 4, 4), ("skipped", "overlap", 6, 7, 2)]


async def test_another_reason_begins_another_entry(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="skip", catchup="skip"))
    await fire(store, START)
    await fire(store, START + MINUTE)
    await fire(store, START + 4 * MINUTE)
    assert await gaps_of(store, entry) == [
        ("skipped", "overlap", 1, 1, 1),
        ("missed", "not_running", 2, 3, 2),
        ("skipped", "overlap", 4, 4, 1),
    ]


async def test_an_entry_that_may_still_grow_is_not_pruned(store: Store) -> None:
    """Weeks lie between two instants, the history is kept for a day: the next instant still needs its entry."""
    entry = await create(store, START, schedule(cron_expr="0 9 * * 4", overlap="skip", retention_days=1))
    week = 7 * DAY
    await fire(store, START)
    await fire(store, START + week)
    await store.upkeep.prune_old(START + week + 6 * DAY)
    await fire(store, START + 2 * week)
    [gap] = await store.schedules.gaps(entry.schedule.id, 1 << 60, 10)
    assert (gap.from_at, gap.to_at, gap.count) == (START + week, START + 2 * week, 2)


async def test_a_used_up_cap_completes_the_schedule(store: Store) -> None:
    entry = await create(store, START, schedule(max_runs=2))
    await trigger(store, START, entry)
    for minute in range(4):
        await fire(store, START + minute * MINUTE)
    progress = (await entry_of(store, entry)).progress
    assert [run.trigger for run in await runs_of(store, entry)].count("schedule") == 2
    assert (progress.run_count, progress.next_due_at, progress.completed_at) == (2, None, START + MINUTE)


async def test_a_one_shot_completes_by_firing(store: Store) -> None:
    entry = await create(store, START, schedule(run_at=START - HOUR), due=START - HOUR)
    assert await fire(store, START) == 1
    progress = (await entry_of(store, entry)).progress
    assert (progress.next_due_at, progress.completed_at, progress.active) == (None, START, 1)


async def test_new_time_zone_data_moves_what_is_due_by_local_time(store: Store) -> None:
    berlin = await create(store, START, schedule(timezone="Europe/Berlin"), due=START + 5 * MINUTE)
    utc = await create(store, START, due=START + 5 * MINUTE)
    overdue = await create(store, START, schedule(timezone="Europe/Berlin"), due=START)
    shot = await create(store, START, schedule(timezone="Europe/Berlin", run_at=START + 1), due=START + 1)
    asked: list[str] = []

    def next_of(expr: str, dialect: str, timezone: str, anchor_at: int) -> int:
        asked.append(f"{expr} {dialect} {timezone} {anchor_at}")
        return START + MINUTE

    assert await store.schedules.rezone(START, next_of) == 1
    assert asked == [f"* * * * * standard Europe/Berlin {START}"]
    due = [(await entry_of(store, entry)).progress.next_due_at for entry in (berlin, utc, overdue, shot)]
    assert due == [START + MINUTE, START + 5 * MINUTE, START, START + 1]


async def test_new_time_zone_data_reaches_every_schedule_however_many(store: Store) -> None:
    zoned = schedule(timezone="Europe/Berlin")
    await store.schedules.create(START, [new(zoned, due=START + MINUTE) for _ in range(1_001)])
    assert await store.schedules.rezone(START, lambda *_: START + 2 * MINUTE) == 1_001
    assert await store.schedules.next_due_at() == START + 2 * MINUTE


async def test_the_ledger_pages_by_instant_newest_first(store: Store) -> None:
    entry = await create(store, START)
    await store.runs.trigger(START, [manual(entry.schedule.id)])
    for minute in range(4):
        await fire(store, START + minute * MINUTE)
    first = await store.schedules.occurrences(entry.schedule.id, 1 << 60, 2)
    second = await store.schedules.occurrences(entry.schedule.id, first[-1][0], 10)
    assert [at for at, _, _ in first + second] == [START + minute * MINUTE for minute in (3, 2, 1, 0)]
    assert {how for _, how, _ in first + second} == {"schedule"}


async def test_gaps_page_by_their_first_instant_newest_first(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="skip"))
    for minute in range(0, 6, 2):
        await fire(store, START + minute * MINUTE)
        await fire(store, START + (minute + 1) * MINUTE)
        await end(store, START, await claim(store, START + HOUR))
    first = await store.schedules.gaps(entry.schedule.id, 1 << 60, 2)
    rest = await store.schedules.gaps(entry.schedule.id, first[-1].from_at, 10)
    assert [gap.from_at - START for gap in first + rest] == [5 * MINUTE, 3 * MINUTE, MINUTE]
