"""Create, edit, pause, resume, delete, run now: what every door calls, on a real store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mainspring.core import schedules
from mainspring.core.drafts import Draft
from mainspring.core.errors import Conflict, Invalid, NotFound, TooLarge
from mainspring.core.events import Fired
from mainspring.core.limits import HOUR, MINUTE, PAYLOAD_BYTES_MAX, SECOND
from mainspring.core.model import Entry, Run, ScheduleKind
from store.making import ALL, START, Bench, Clock, claim, end, entry_of, once, replayed, runs_of

PROJECT = "acme"
URL = "http://target.example/hook"


async def create(bench: Bench, now: int = START, kind: ScheduleKind = "cron", **fields: Any) -> Entry:
    if "run_at" not in fields:
        fields.setdefault("cron_expr", "* * * * *")
    made = await schedules.create(bench.core, now, PROJECT, kind, Draft(url=URL, **fields), None)
    assert isinstance(made, Entry)
    return made


async def update(bench: Bench, now: int, entry: Entry, **fields: Any) -> Entry:
    kind, schedule_id = entry.schedule.kind, entry.schedule.id
    made = await schedules.update(bench.core, now, PROJECT, kind, schedule_id, Draft(**fields), None)
    assert isinstance(made, Entry)
    return made


async def pause(bench: Bench, now: int, entry: Entry) -> Entry:
    made = await schedules.pause(bench.core, now, PROJECT, entry.schedule.kind, entry.schedule.id, None)
    assert isinstance(made, Entry)
    return made


async def resume(bench: Bench, now: int, entry: Entry) -> Entry:
    made = await schedules.resume(bench.core, now, PROJECT, entry.schedule.kind, entry.schedule.id, None)
    assert isinstance(made, Entry)
    return made


async def fire(bench: Bench, now: int) -> int:
    return (await schedules.fire_due(bench.core, now)).runs


async def ledger(bench: Bench, entry: Entry) -> list[tuple[str, int, int]]:
    """(what, first minute, last minute) of every entry, in order."""
    found = [
        ("ran" if how == "schedule" else "caught up", at, at)
        for at, how, _ in await bench.store.schedules.occurrences(entry.schedule.id, 1 << 60, 1000)
    ]
    gaps = await bench.store.schedules.gaps(entry.schedule.id, 1 << 60, 1000)
    found += [(f"{gap.outcome} {gap.reason}", gap.from_at, gap.to_at) for gap in gaps]
    return sorted(
        ((what, (first - START) // MINUTE, (last - START) // MINUTE) for what, first, last in found),
        key=lambda line: line[1],
    )


async def test_a_new_schedule_is_due_at_its_next_match_and_wakes_the_scheduler(bench: Bench) -> None:
    entry = await create(bench, START + 1)
    assert entry.progress.next_due_at == START + MINUTE
    schedule = entry.schedule
    assert (schedule.project, schedule.anchor_at, schedule.created_at, schedule.updated_at) == (
        PROJECT,
        START + 1,
        START + 1,
        START + 1,
    )
    assert bench.wakes.schedulers == 1


async def test_a_match_at_the_very_instant_of_creation_is_over(bench: Bench) -> None:
    assert (await create(bench, START)).progress.next_due_at == START + MINUTE


async def test_a_past_instant_fires_at_once(bench: Bench) -> None:
    entry = await create(bench, START, "task", run_at=START - HOUR)
    assert await fire(bench, START) == 1
    assert await ledger(bench, entry) == [("ran", -60, -60)]


async def test_an_interval_counts_from_creation_and_anew_from_an_edit_of_the_timing(bench: Bench) -> None:
    entry = await create(bench, START + 5, cron_expr="@every 90s")
    assert entry.progress.next_due_at == START + 5 + 90 * SECOND
    named = await update(bench, START + 10, entry, name="other")
    assert named.progress.next_due_at == START + 5 + 90 * SECOND
    edited = await update(bench, START + 10, entry, cron_expr="@every 60s")
    assert edited.progress.next_due_at == START + 10 + 60 * SECOND


@pytest.mark.parametrize("expr", ["0 0 30 2 *", "0 0 9 20 11 * 2024"])
async def test_what_never_fires_is_refused_with_the_reason(bench: Bench, expr: str) -> None:
    with pytest.raises(Invalid) as caught:
        await create(bench, cron_expr=expr)
    assert (caught.value.code, caught.value.field) == ("NEVER_FIRES", "cron_expr")
    entry = await create(bench)
    with pytest.raises(Invalid):
        await update(bench, START, entry, cron_expr=expr)
    assert await schedules.page(bench.core, PROJECT, "cron", ALL) == [entry]


async def test_an_edit_of_the_timing_fires_next_by_the_new_one(bench: Bench) -> None:
    entry = await create(bench, timezone="Europe/Berlin", cron_expr="0 12 * * *")
    edited = await update(bench, START + 1, entry, timezone="UTC")
    assert edited.progress.next_due_at == START + 3 * HOUR
    assert edited.schedule.updated_at == START + 1
    for fields, due in (({"cron_expr": "30 * * * *"}, START + 30 * MINUTE), ({"run_at": START - 5}, START - 5)):
        assert (await update(bench, START + 2, entry, **fields)).progress.next_due_at == due


async def test_an_edit_of_anything_else_leaves_the_timer_alone(bench: Bench) -> None:
    entry = await create(bench)
    edited = await update(bench, START + 30 * SECOND, entry, name="other", payload=b"1", overlap="allow")
    assert edited.progress == entry.progress
    assert edited.schedule.anchor_at == entry.schedule.anchor_at


async def test_what_was_due_before_an_edit_has_its_entry(bench: Bench) -> None:
    """The scheduler did not get to it yet; the edit must not cut it out of the ledger."""
    entry = await create(bench, overlap="allow")
    await update(bench, START + MINUTE + 3, entry, cron_expr="*/5 * * * *")
    assert await ledger(bench, entry) == [("ran", 1, 1)]
    await fire(bench, START + 5 * MINUTE)
    assert await ledger(bench, entry) == [("ran", 1, 1), ("ran", 5, 5)]


async def test_what_was_due_before_a_pause_has_its_entry(bench: Bench) -> None:
    entry = await create(bench)
    paused = await pause(bench, START + 3 * MINUTE + 3, entry)
    assert await ledger(bench, entry) == [("missed not_running", 1, 2), ("ran", 3, 3)]
    assert [(run.state, run.error) for run in await runs_of(bench.store, entry)] == [("cancelled", "paused")]
    assert (paused.progress.enabled, paused.progress.next_due_at, paused.progress.active) == (False, None, 0)
    assert len(bench.said(Fired)) == 1


async def test_a_thousand_others_that_are_due_do_not_keep_an_edit_from_its_schedule(bench: Bench) -> None:
    others = [Draft(url=URL, run_at=START) for _ in range(1_200)]
    await asyncio.gather(*(schedules.create(bench.core, START, PROJECT, "task", one, None) for one in others))
    entry = await create(bench, START)
    await pause(bench, START + MINUTE, entry)
    assert await ledger(bench, entry) == [("ran", 1, 1)]


async def test_instants_of_a_pause_are_not_caught_up(bench: Bench) -> None:
    entry = await create(bench, catchup="all")
    await fire(bench, START + MINUTE)
    await end(bench.store, START + MINUTE, await claim(bench.store, START + MINUTE))
    await pause(bench, START + MINUTE + 1, entry)
    assert await fire(bench, START + 5 * MINUTE) == 0
    resumed = await resume(bench, START + 7 * MINUTE, entry)
    assert (resumed.progress.enabled, resumed.progress.next_due_at) == (True, START + 8 * MINUTE)
    await fire(bench, START + 8 * MINUTE)
    assert await ledger(bench, entry) == [("ran", 1, 1), ("ran", 8, 8)]


async def test_pausing_twice_keeps_the_first_instant(bench: Bench) -> None:
    entry = await create(bench)
    await pause(bench, START + 1, entry)
    assert (await pause(bench, START + 2, entry)).progress.paused_at == START + 1


async def test_a_one_shot_that_came_due_during_a_pause_fires_on_resume(bench: Bench) -> None:
    entry = await create(bench, run_at=START + MINUTE)
    await pause(bench, START, entry)
    assert (await resume(bench, START + HOUR, entry)).progress.next_due_at == START + MINUTE
    assert await fire(bench, START + HOUR) == 1
    assert (await resume(bench, START + HOUR, entry)).progress.next_due_at is None


async def test_editing_a_one_shot_that_has_fired_does_not_fire_it_again(bench: Bench) -> None:
    entry = await create(bench, run_at=START)
    await fire(bench, START)
    for fields in ({"name": "other"}, {"max_runs": 5}, {"max_runs": None}, {"run_at": START}):
        edited = await update(bench, START + 1, entry, **fields)
        assert (edited.progress.next_due_at, edited.progress.completed_at) == (None, START)
    again = await update(bench, START + 1, entry, run_at=START + MINUTE)
    assert (again.progress.next_due_at, again.progress.enabled) == (START + MINUTE, True)


async def test_resuming_what_runs_leaves_its_timer_alone_even_while_it_fires(bench: Bench) -> None:
    """Both happen between reading and writing: the instant that fired must not come back and be skipped as well."""
    entry = await create(bench, overlap="skip")
    before = bench.wakes.dispatchers
    resuming = asyncio.ensure_future(resume(bench, START + MINUTE - 1, entry))
    await asyncio.ensure_future(fire(bench, START + MINUTE))
    await resuming
    assert bench.wakes.dispatchers == before + 1
    await fire(bench, START + MINUTE)
    assert bench.wakes.dispatchers == before + 1
    assert await ledger(bench, entry) == [("ran", 1, 1)]
    assert (await entry_of(bench.store, entry)).progress.next_due_at == START + 2 * MINUTE


async def test_an_edit_that_meets_a_fire_is_made_again_on_what_the_fire_left(bench: Bench) -> None:
    entry = await create(bench, overlap="skip", max_runs=1)
    pausing = asyncio.ensure_future(pause(bench, START + MINUTE - 1, entry))
    await asyncio.ensure_future(fire(bench, START + MINUTE))
    await pausing
    progress = (await entry_of(bench.store, entry)).progress
    assert progress.completed_at == START + MINUTE
    assert progress.paused_at == START + MINUTE - 1


async def test_an_instant_that_fired_while_the_edit_was_on_its_way_is_not_due_again(bench: Bench) -> None:
    entry = await create(bench, overlap="skip")
    editing = asyncio.ensure_future(update(bench, START + MINUTE - 1, entry, cron_expr="0 * * * * *"))
    await asyncio.ensure_future(fire(bench, START + MINUTE))
    assert (await editing).progress.next_due_at == START + 2 * MINUTE
    await fire(bench, START + MINUTE + 1)
    assert await ledger(bench, entry) == [("ran", 1, 1)]


async def test_an_edit_after_the_clock_was_set_back_makes_the_schedule_follow_it_again(bench: Bench) -> None:
    entry = await create(bench)
    await fire(bench, START + HOUR)
    edited = await update(bench, START + MINUTE, entry, cron_expr="*/2 * * * *")
    assert edited.progress.next_due_at == START + 2 * MINUTE


async def test_a_schedule_that_has_nothing_left_completes_on_resume(bench: Bench) -> None:
    entry = await create(bench, cron_expr="0 0 10 20 11 * 2025")
    await pause(bench, START, entry)
    resumed = await resume(bench, START + 2 * HOUR, entry)
    assert (resumed.progress.completed_at, resumed.progress.enabled) == (START + 2 * HOUR, False)


async def test_a_lower_cap_completes_and_a_higher_one_revives(bench: Bench) -> None:
    entry = await create(bench, max_runs=1)
    await fire(bench, START + MINUTE)
    assert (await entry_of(bench.store, entry)).progress.completed_at == START + MINUTE
    renamed = await update(bench, START + 2 * MINUTE, entry, name="still complete", cron_expr="*/2 * * * *")
    assert (renamed.progress.completed_at, renamed.progress.next_due_at) == (START + MINUTE, None)
    revived = await update(bench, START + 5 * MINUTE, entry, max_runs=2)
    assert (revived.progress.completed_at, revived.progress.next_due_at) == (None, START + 6 * MINUTE)
    capped = await update(bench, START + 5 * MINUTE, entry, max_runs=1)
    assert (capped.progress.completed_at, capped.progress.next_due_at) == (START + 5 * MINUTE, None)
    assert (await update(bench, START + 5 * MINUTE, entry, max_runs=None)).progress.enabled


async def test_a_cap_counts_the_run_that_was_made_while_the_edit_was_on_its_way(bench: Bench) -> None:
    entry = await create(bench)
    editing = asyncio.ensure_future(update(bench, START + MINUTE - 1, entry, max_runs=1))
    await asyncio.ensure_future(fire(bench, START + MINUTE))
    edited = await editing
    assert (edited.progress.run_count, edited.progress.next_due_at, edited.progress.enabled) == (1, None, False)


async def test_editing_a_paused_schedule_leaves_it_paused(bench: Bench) -> None:
    entry = await create(bench)
    await pause(bench, START, entry)
    edited = await update(bench, START, entry, cron_expr="0 * * * *")
    assert (edited.progress.next_due_at, edited.progress.paused_at) == (None, START)
    assert (await resume(bench, START + 1, entry)).progress.next_due_at == START + HOUR


async def test_an_edit_makes_a_new_target_only_when_something_about_it_changed(bench: Bench) -> None:
    entry = await create(bench, headers={"X-Token": "canary"}, secret="s")
    same = await update(bench, START, entry, name="other", headers={"X-Token": "***"}, secret="s")
    assert same.target == entry.target
    changed = await update(bench, START, entry, headers={"X-Token": "new"})
    assert changed.target.id != entry.target.id
    assert changed.schedule.target_id == changed.target.id


async def test_twenty_edits_at_once_all_take_effect_or_say_that_they_did_not(bench: Bench) -> None:
    entry = await create(bench)
    edits = [update(bench, START, entry, name=f"name {number}") for number in range(20)]
    answers = await asyncio.gather(*edits, return_exceptions=True)
    done = [answer for answer in answers if isinstance(answer, Entry)]
    assert len(done) >= 10
    assert all(isinstance(answer, Entry | Conflict) for answer in answers)
    assert (await entry_of(bench.store, entry)).schedule.version == 1 + len(done)


async def test_concurrent_edits_under_idempotency_keys_take_effect_once_each(bench: Bench) -> None:
    entry = await create(bench)

    async def rename(key: str) -> object:
        draft = Draft(name=f"named by {key}")
        return await schedules.update(
            bench.core, START, PROJECT, "cron", entry.schedule.id, draft, once(key, operation="cron.update")
        )

    answers = await asyncio.gather(*(rename(key) for key in "aabbcc"))
    assert [isinstance(answer, Entry) for answer in answers].count(True) == 3
    assert (await entry_of(bench.store, entry)).schedule.version == 4


async def test_deleting_is_final_and_can_be_said_twice(bench: Bench) -> None:
    entry = await create(bench)
    await fire(bench, START + MINUTE)
    gone = await schedules.delete(bench.core, START + MINUTE, PROJECT, "cron", entry.schedule.id, None)
    assert isinstance(gone, Entry)
    assert await schedules.delete(bench.core, START, PROJECT, "cron", entry.schedule.id, None) is None
    assert await fire(bench, START + HOUR) == 0
    for attempt in (
        schedules.get(bench.core, PROJECT, "cron", entry.schedule.id),
        schedules.trigger(bench.core, PROJECT, "cron", entry.schedule.id, None, None),
        schedules.delete(bench.core, START, "other", "cron", entry.schedule.id, None),
        schedules.delete(bench.core, START, PROJECT, "task", entry.schedule.id, None),
        schedules.update(bench.core, START, PROJECT, "cron", entry.schedule.id, Draft(name="x"), None),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_running_now_works_also_during_a_pause_and_wakes_the_dispatcher(bench: Bench, clock: Clock) -> None:
    entry = await create(bench)
    await pause(bench, START, entry)
    clock.advance(7)
    before = bench.wakes.dispatchers
    run = await schedules.trigger(bench.core, PROJECT, "cron", entry.schedule.id, b"[1]", None)
    assert isinstance(run, Run)
    assert (run.trigger, run.scheduled_for, run.payload) == ("manual", START + 7, b"[1]")
    assert bench.wakes.dispatchers == before + 1
    with pytest.raises(Conflict):
        await schedules.trigger(bench.core, PROJECT, "cron", entry.schedule.id, None, None)
    too_large = b"x" * (PAYLOAD_BYTES_MAX + 1)
    with pytest.raises(TooLarge):
        await schedules.trigger(bench.core, PROJECT, "cron", entry.schedule.id, too_large, None)


async def test_running_now_under_a_key_runs_once(bench: Bench) -> None:
    entry = await create(bench, overlap="allow")
    key = once("k", operation="cron.trigger")
    run, again = await asyncio.gather(
        *(schedules.trigger(bench.core, PROJECT, "cron", entry.schedule.id, None, key) for _ in range(2))
    )
    assert isinstance(run, Run)
    assert replayed(again) == b"%d" % run.id
    assert len(await runs_of(bench.store, entry)) == 1


async def test_a_task_that_is_cancelled_in_time_never_runs(bench: Bench) -> None:
    entry = await create(bench, START, "task", run_at=START + MINUTE)
    cancelled = await schedules.cancel_task(bench.core, START + 1, PROJECT, entry.schedule.id, None)
    assert isinstance(cancelled, Entry)
    assert (cancelled.progress.last_state, cancelled.progress.completed_at) == ("cancelled", START + 1)
    assert await fire(bench, START + HOUR) == 0


async def test_a_task_that_is_over_stays_as_it_is(bench: Bench) -> None:
    entry = await create(bench, START, "task", run_at=START)
    await fire(bench, START)
    await end(bench.store, START, await claim(bench.store, START))
    cancelled = await schedules.cancel_task(bench.core, START + 1, PROJECT, entry.schedule.id, None)
    assert isinstance(cancelled, Entry)
    assert (cancelled.progress.last_state, cancelled.schedule.updated_at) == ("succeeded", START)


async def test_a_task_waiting_for_its_retry_stops_when_cancelled(bench: Bench) -> None:
    entry = await create(bench, START, "task", run_at=START)
    await fire(bench, START)
    await end(bench.store, START, await claim(bench.store, START), status=500)
    await schedules.cancel_task(bench.core, START + 1, PROJECT, entry.schedule.id, None)
    assert [(run.state, run.error) for run in await runs_of(bench.store, entry)] == [("cancelled", "cancelled")]
    assert await claim(bench.store, START + HOUR) == []


async def test_a_visit_that_fired_says_so(bench: Bench) -> None:
    await create(bench, overlap="skip")
    for minute in (1, 2, 4):
        await schedules.fire_due(bench.core, START + minute * MINUTE + 11 * SECOND)
    await schedules.fire_due(bench.core, START + 4 * MINUTE + 12 * SECOND)
    assert bench.said(Fired) == [
        Fired(schedules=1, runs=1, skipped=0, missed=0),
        Fired(schedules=1, runs=0, skipped=1, missed=0),
        Fired(schedules=1, runs=0, skipped=1, missed=1),
    ]
