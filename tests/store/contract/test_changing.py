from __future__ import annotations

import msgspec

from mainspring.core.changes import Change, Stale, Timing
from mainspring.core.limits import MINUTE, SECOND
from mainspring.core.model import Entry
from mainspring.store.store import Store
from store.making import PROJECT, START, claim, create, end, entry_of, fire, once, runs_of, schedule, target, trigger

PAUSED = Timing(None, START, None)


async def change(store: Store, now: int, item: Change) -> Entry | Stale:
    [changed] = await store.schedules.change(now, [item])
    assert isinstance(changed, Entry | Stale)
    return changed


async def pause(store: Store, now: int, made: Entry) -> Entry:
    entry = await entry_of(store, made)
    changed = await change(store, now, Change(entry, entry.schedule, timing=Timing(None, now, None), cancel="paused"))
    assert isinstance(changed, Entry)
    return changed


async def test_an_edit_raises_the_version_and_changes_what_it_names(store: Store) -> None:
    entry = await create(store, START)
    edited = msgspec.structs.replace(entry.schedule, name="new", cron_expr="0 * * * *", updated_at=START + 1)
    changed = await change(store, START + 1, Change(entry, edited, timing=Timing(START + 60, None, None)))
    assert changed == await entry_of(store, entry)
    assert isinstance(changed, Entry)
    assert changed.schedule == msgspec.structs.replace(edited, version=2)
    assert changed.progress.next_due_at == START + 60
    assert changed.target == entry.target


async def test_of_two_edits_of_one_version_the_second_is_stale_and_changes_nothing(store: Store) -> None:
    entry = await create(store, START)
    first, second = (
        Change(entry, msgspec.structs.replace(entry.schedule, name=name), target(method=method), PAUSED, "paused")
        for name, method in (("first", "PUT"), ("second", "PATCH"))
    )
    answers = await store.schedules.change(START, [first, second])
    assert isinstance(answers[0], Entry)
    assert answers[1] == Stale()
    assert await change(store, START, second) == Stale()
    seen = await entry_of(store, entry)
    assert (seen.schedule.name, seen.target.method, seen.schedule.version) == ("first", "PUT", 2)


async def test_an_edit_whose_timer_moved_meanwhile_is_stale(store: Store) -> None:
    """The schedule fired between reading and writing: the timer in hand is an old one."""
    entry = await create(store, START)
    await fire(store, START)
    still = Timing(entry.progress.next_due_at, None, None)
    assert await change(store, START, Change(entry, entry.schedule, timing=still)) == Stale()
    assert isinstance(await change(store, START, Change(entry, entry.schedule)), Entry)
    assert (await entry_of(store, entry)).progress.next_due_at == START + MINUTE


async def test_a_stale_edit_under_an_idempotency_key_leaves_no_answer_behind(store: Store) -> None:
    entry = await create(store, START)
    await change(store, START, Change(entry, entry.schedule))
    key = once("k", operation="cron.update")
    assert await change(store, START, Change(entry, entry.schedule, once=key)) == Stale()
    fresh = await entry_of(store, entry)
    assert isinstance(await change(store, START, Change(fresh, fresh.schedule, once=key)), Entry)


async def test_a_run_keeps_the_target_it_was_fired_with(store: Store) -> None:
    entry = await create(store, START, to=target(method="PUT"))
    await fire(store, START)
    changed = await change(store, START, Change(entry, entry.schedule, target(method="PATCH")))
    assert isinstance(changed, Entry)
    await fire(store, START + MINUTE)
    methods = {one.id: one.method for one in (await store.runs.targets([entry.target.id, changed.target.id])).values()}
    assert [methods[run.target_id] for run in await runs_of(store, entry)] == ["PUT", "PATCH"]


async def test_pausing_cancels_what_waits_and_lets_what_flies_end(store: Store) -> None:
    entry = await create(store, START)
    for minute in range(3):
        await fire(store, START + minute * MINUTE)
    first, second = (await claim(store, START + 2 * MINUTE))[:2]
    await end(store, START + 2 * MINUTE, [first], status=500)
    await store.runs.finish(START, [])
    paused = await pause(store, START + 2 * MINUTE + 1, entry)
    states = [(run.state, run.error) for run in await runs_of(store, entry)]
    assert states == [("cancelled", "paused"), ("running", None), ("running", None)]
    assert (paused.progress.active, paused.progress.held, paused.progress.next_due_at) == (2, 0, None)
    await end(store, START + 3 * MINUTE, [second])
    seen = await entry_of(store, entry)
    assert (seen.progress.active, seen.progress.last_state) == (1, "succeeded")


async def test_the_retry_of_an_attempt_that_outlived_a_pause_is_cancelled(store: Store) -> None:
    entry = await create(store, START)
    await fire(store, START)
    claims = await claim(store, START)
    await pause(store, START, entry)
    assert await end(store, START + 1, claims, status=500) == []
    [run] = await runs_of(store, entry)
    assert (run.state, run.error, run.status, run.due_at, run.finished_at) == (
        "cancelled",
        "paused",
        500,
        None,
        START + 1,
    )
    found = await store.runs.get(PROJECT, run.id)
    assert found is not None
    assert [(attempt.attempt, attempt.error) for attempt in found[1]] == [(1, "HTTP status 500")]
    assert (await entry_of(store, entry)).progress.active == 0


async def test_a_run_made_by_hand_during_a_pause_keeps_its_retries(store: Store) -> None:
    entry = await pause(store, START, await create(store, START))
    run = await trigger(store, START + 1, entry)
    await end(store, START + 2, await claim(store, START + 1), status=500)
    [seen] = await runs_of(store, entry)
    assert (seen.id, seen.state, seen.due_at) == (run.id, "retrying", START + 2 + 5 * SECOND)


async def test_a_run_asked_for_by_hand_survives_a_pause_and_gets_its_turn(store: Store) -> None:
    """It was held behind a scheduled run; when the pause cancels that one, nothing stands before it any more."""
    entry = await create(store, START, schedule(overlap="queue"))
    await fire(store, START)
    by_hand = await trigger(store, START, entry)
    paused = await pause(store, START + 1, entry)
    assert [run.state for run in await runs_of(store, entry)] == ["cancelled", "queued"]
    assert (paused.progress.active, paused.progress.held) == (1, 0)
    assert [one.run_id for one in await claim(store, START + 1)] == [by_hand.id]


async def test_a_run_asked_for_by_hand_still_waits_for_the_one_in_flight_when_a_pause_comes(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="queue"))
    await fire(store, START)
    claims = await claim(store, START)
    by_hand = await trigger(store, START, entry)
    paused = await pause(store, START + 1, entry)
    assert (paused.progress.active, paused.progress.held) == (1, 1)
    assert await claim(store, START + 1) == []
    await end(store, START + 2, claims)
    assert [one.run_id for one in await claim(store, START + 2)] == [by_hand.id]


async def test_deleting_cancels_everything_that_waits_by_hand_too(store: Store) -> None:
    entry = await create(store, START, schedule(overlap="queue"))
    await fire(store, START)
    claims = await claim(store, START)
    for _ in range(2):
        await trigger(store, START, entry)
    await change(store, START + 1, Change(entry, entry.schedule, cancel="deleted", delete=True))
    assert [(run.state, run.error) for run in await runs_of(store, entry)] == [
        ("running", None),
        ("cancelled", "deleted"),
        ("cancelled", "deleted"),
    ]
    assert await store.schedules.next_due_at() is None
    await end(store, START + 2, claims, status=500)
    assert [run.state for run in await runs_of(store, entry)] == ["cancelled"] * 3
    assert await claim(store, START + 60 * MINUTE) == []


async def test_a_cancelled_task_says_so_unless_it_was_over(store: Store) -> None:
    task = schedule(kind="task", run_at=START)
    stop = Timing(None, None, START)
    waits = await create(store, START, task, due=START + 9)
    changed = await change(store, START, Change(waits, waits.schedule, timing=stop, cancel="cancelled"))
    assert isinstance(changed, Entry)
    assert (changed.progress.last_state, changed.progress.completed_at, changed.progress.enabled) == (
        "cancelled",
        START,
        False,
    )
    over = await create(store, START, task)
    await fire(store, START)
    running = await entry_of(store, over)
    await end(store, START, await claim(store, START))
    changed = await change(store, START, Change(running, running.schedule, timing=stop, cancel="cancelled"))
    assert isinstance(changed, Entry)
    assert changed.progress.last_state == "succeeded"


async def test_the_retry_of_a_cancelled_task_is_not_sent(store: Store) -> None:
    entry = await create(store, START, schedule(kind="task", run_at=START))
    await fire(store, START)
    claims = await claim(store, START)
    seen = await entry_of(store, entry)
    timer = Timing(None, None, seen.progress.completed_at)
    await change(store, START, Change(seen, seen.schedule, timing=timer, cancel="cancelled"))
    await end(store, START, claims, status=500)
    [run] = await runs_of(store, entry)
    assert (run.state, run.error) == ("cancelled", "cancelled")
