from __future__ import annotations

import pytest

from mainspring.core.errors import Conflict, NotFound
from mainspring.core.limits import MINUTE, OVERLAP_QUEUE_MAX, SECOND
from mainspring.core.model import Entry, Run
from mainspring.store.store import Store
from store.making import START, claim, create, end, entry_of, fire, manual, runs_of, schedule, target, trigger


async def counters(store: Store, entry: Entry) -> tuple[int, int]:
    progress = (await entry_of(store, entry)).progress
    return progress.active, progress.held


async def test_queued_runs_go_one_after_the_other_in_order(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="queue"))
    for minute in range(4):
        await fire(store, START + minute * MINUTE)
    assert await counters(store, entry) == (1, 3)
    served = []
    for left in (2, 1, 0):
        [one] = await claim(store, START + 4 * MINUTE)
        served.append(one.scheduled_for)
        await end(store, START + 4 * MINUTE, [one])
        assert await counters(store, entry) == (1, left)
    [last] = await claim(store, START + 4 * MINUTE)
    await end(store, START + 4 * MINUTE, [last])
    assert await counters(store, entry) == (0, 0)
    assert [*served, last.scheduled_for] == [START + minute * MINUTE for minute in range(4)]


async def test_a_retry_keeps_its_turn(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="queue"), target(retry=1))
    await fire(store, START)
    await fire(store, START + MINUTE)
    await end(store, START + MINUTE, await claim(store, START + MINUTE), status=500)
    assert await counters(store, entry) == (1, 1)
    assert await claim(store, START + MINUTE) == []
    [again] = await claim(store, START + MINUTE + 6 * SECOND)
    assert (again.scheduled_for, again.attempt) == (START, 2)
    await end(store, START + 2 * MINUTE, [again], status=500)
    assert [one.scheduled_for for one in await claim(store, START + 2 * MINUTE)] == [START + MINUTE]


async def test_runs_caught_up_go_one_after_the_other_although_overlap_is_skip(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="skip", catchup="all"))
    assert await fire(store, START + 3 * MINUTE + 30 * SECOND) == 4
    assert await counters(store, entry) == (1, 3)
    assert {run.trigger for run in await runs_of(store, entry)} == {"catchup"}
    for minute in range(4):
        [one] = await claim(store, START + 4 * MINUTE)
        assert one.scheduled_for == START + minute * MINUTE
        await end(store, START + 4 * MINUTE, [one])


async def test_a_full_queue_skips(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="queue"))
    await store.runs.trigger(START, [manual(entry.schedule.id)] * (OVERLAP_QUEUE_MAX + 1))
    assert await counters(store, entry) == (1, OVERLAP_QUEUE_MAX)
    assert await fire(store, START) == 0
    [gap] = await store.schedules.gaps(entry.schedule.id, 1 << 60, 10)
    assert (gap.outcome, gap.reason) == ("skipped", "queue_full")
    [refused] = await store.runs.trigger(START, [manual(entry.schedule.id)])
    assert isinstance(refused, Conflict)


@pytest.mark.parametrize(("overlap", "expected"), [("allow", (2, 0)), ("queue", (1, 1))])
async def test_a_run_by_hand_follows_the_overlap_policy(store: Store, overlap: str, expected: tuple[int, int]) -> None:
    entry = await create(store, START, schedule(overlap=overlap))
    await fire(store, START)
    run = await trigger(store, START + 1, entry)
    assert await counters(store, entry) == expected
    assert (run.trigger, run.scheduled_for, run.state) == ("manual", START + 1, "queued")
    assert run.due_at == (START + 1 if overlap == "allow" else None)


async def test_a_run_by_hand_is_refused_while_one_is_under_way_and_overlap_is_skip(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="skip"))
    answers = await store.runs.trigger(START, [manual(entry.schedule.id)] * 2)
    assert isinstance(answers[0], Run)
    assert isinstance(answers[1], Conflict)
    await end(store, START, await claim(store, START))
    await trigger(store, START, entry)


async def test_a_run_by_hand_has_no_occurrence_and_does_not_count(store: Store) -> None:
    entry = await create(store, START, schedule(max_runs=1))
    await store.runs.trigger(START, [manual(entry.schedule.id)] * 2)
    assert len(await runs_of(store, entry)) == 2
    assert await store.schedules.occurrences(entry.schedule.id, 1 << 60, 10) == []
    progress = (await entry_of(store, entry)).progress
    assert (progress.run_count, progress.last_run_at, progress.completed_at) == (0, START, None)


async def test_no_run_by_hand_for_another_project(store: Store) -> None:
    entry = await create(store, START, schedule(project="other"))
    answers = await store.runs.trigger(START, [manual(entry.schedule.id), manual(123)])
    assert [type(answer) for answer in answers] == [NotFound, NotFound]
    assert await claim(store, START) == []


async def test_a_one_shot_waits_for_a_run_by_hand_instead_of_being_lost(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="skip", run_at=START + MINUTE), due=START + MINUTE)
    await trigger(store, START, entry)
    [by_hand] = await claim(store, START)
    assert await fire(store, START + MINUTE) == 1
    assert await claim(store, START + MINUTE) == []
    await end(store, START + 2 * MINUTE, [by_hand])
    assert [one.scheduled_for for one in await claim(store, START + 2 * MINUTE)] == [START + MINUTE]
