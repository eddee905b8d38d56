from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mainspring.core import ids, schedules
from mainspring.core.limits import DAY, MINUTE, SECOND
from mainspring.core.model import Entry
from mainspring.core.views.schedules import Filters, ListedSchedule, Order, Place
from mainspring.store.store import Store
from mainspring.store.views.schedules import ScheduleViewStore
from store.making import PROJECT, START, Bench, claim, create, end, fire, schedule, target, trigger

# Beyond so many matches, pages are read in another way; every rule holds for both.
WAYS = (2, 10_000)


async def listed(store: Store, order: Order = "newest", most: int = 10_000, **chosen: Any) -> list[str]:
    """The names of all that match, page by page of two."""
    seen: list[ListedSchedule] = []
    views = ScheduleViewStore(store.db, most)
    while True:
        after = None
        if seen:
            last = seen[-1]
            after = Place(last.id, last.next_due_at, last.name, last.number)
        page = await views.page(PROJECT, Filters(**chosen), order, after, 2)
        if not page.rows:
            return [row.name for row in seen]
        seen += page.rows


async def some(store: Store) -> dict[str, Entry]:
    """Five schedules: due at different instants, one paused, one of another project, one one-shot task."""
    made = {}
    for at, name in enumerate(("beta", "alpha", "Delta", "alpha")):
        made[f"{name}{at}"] = await create(store, START, schedule(name=name), due=START + (5 - at) * MINUTE)
    await schedules.pause(Bench(store).core, START, PROJECT, "cron", made["alpha1"].schedule.id, None)
    await create(store, START, schedule(name="foreign", project="other"))
    await create(store, START, schedule(name="task", kind="task", run_at=START))
    return made


@pytest.mark.parametrize("most", WAYS)
@pytest.mark.parametrize("chosen", [{}, {"text": "a"}])
async def test_a_list_is_whole_in_every_order(store: Store, most: int, chosen: dict[str, str]) -> None:
    await some(store)
    assert await listed(store, "newest", most, **chosen) == ["alpha", "Delta", "alpha", "beta"]
    assert await listed(store, "due", most, **chosen) == ["alpha", "Delta", "beta", "alpha"]
    by_name = await listed(store, "name", most, **chosen)
    assert sorted(by_name) == ["Delta", "alpha", "alpha", "beta"]
    assert [name for name in by_name if name != "Delta"] == ["alpha", "alpha", "beta"]


@pytest.mark.parametrize("order", ["newest", "due", "name"])
async def test_tasks_are_a_list_of_their_own(store: Store, order: Order) -> None:
    await some(store)
    assert await listed(store, order, kind="task") == ["task"]


@pytest.mark.parametrize("most", WAYS)
@pytest.mark.parametrize(
    ("text", "found"),
    [("ALPH", 2), ("hook", 4), ("target.EXAMPLE", 4), ("50%", 0), ("_", 0), ("!", 0), ("'", 0), ("\x00", 0), ("", 4)],
)
async def test_a_text_is_looked_for_in_names_and_targets(store: Store, most: int, text: str, found: int) -> None:
    await some(store)
    assert len(await listed(store, most=most, text=text)) == found


async def test_signs_that_mean_something_to_the_search_are_found_as_they_are(store: Store) -> None:
    await create(store, START, schedule(name="50% of_it!"))
    await create(store, START, schedule(name="50 of it"))
    for text in ("50%", "f_i", "t!", "% OF_IT!"):
        assert await listed(store, text=text) == ["50% of_it!"]


async def test_deleted_schedules_are_not_listed(store: Store) -> None:
    made = await some(store)
    await schedules.delete(Bench(store).core, START, PROJECT, "cron", made["Delta2"].schedule.id, None)
    for chosen in ({}, {"text": "a"}):
        for order in ("newest", "due", "name"):
            assert "Delta" not in await listed(store, order, **chosen)
    assert (await store.views.schedules.page(PROJECT, Filters(), "newest", None, 9)).count == 3


async def run_once(store: Store, status: int, **changes: Any) -> Entry:
    """A schedule without retries whose run has ended with that answer."""
    made = await create(store, START, schedule(**changes), target(retry=0))
    await fire(store, START)
    assert await end(store, START, await claim(store, START), status) == []
    return made


async def test_each_state_of_a_schedule_is_told_and_found(store: Store) -> None:
    await run_once(store, 200, name="active")
    await run_once(store, 500, name="failing")
    await run_once(store, 500, name="completed", max_runs=1)
    paused = await run_once(store, 500, name="paused")
    await schedules.pause(Bench(store).core, START, PROJECT, "cron", paused.schedule.id, None)
    rows = (await store.views.schedules.page(PROJECT, Filters(), "newest", None, 9)).rows
    assert [(row.name, row.state) for row in rows] == [(row.name, row.name) for row in rows]
    for state in ("active", "failing", "completed", "paused"):
        assert await listed(store, state=state) == [state]


async def test_each_state_of_a_task_is_told_and_found(store: Store) -> None:
    await run_once(store, 200, name="succeeded", kind="task", run_at=START)
    await run_once(store, 500, name="failed", kind="task", run_at=START)
    cancelled = await create(store, START, schedule(name="cancelled", kind="task", run_at=START + DAY), due=START + DAY)
    await schedules.cancel_task(Bench(store).core, START, PROJECT, cancelled.schedule.id, None)
    await create(store, START, schedule(name="scheduled", kind="task", run_at=START + DAY), due=START + DAY)
    await create(store, START, schedule(name="running", kind="task", run_at=START))
    await fire(store, START)
    for state in ("succeeded", "failed", "cancelled", "scheduled", "running"):
        assert await listed(store, kind="task", state=state) == [state]


@pytest.mark.parametrize("most", WAYS)
async def test_each_kind_of_target_is_found(store: Store, most: int) -> None:
    await create(store, START, schedule(name="http"))
    await create(store, START, schedule(name="queue"), target(kind="queue", address="queue:q", origin="queue:q"))
    for lane in ("agents", "server", "script"):
        to = target(kind=lane.removesuffix("s"), address=f"mainspring:{lane}", origin=f"mainspring:{lane}")
        await create(store, START, schedule(name=lane.removesuffix("s"), lane=lane), to)
    for kind in ("http", "queue", "agent", "server", "script"):
        assert await listed(store, most=most, target=kind) == [kind]


async def test_matches_are_counted_up_to_a_bound(store: Store) -> None:
    await some(store)
    for chosen in (Filters(), Filters(text="a")):
        assert (await store.views.schedules.page(PROJECT, chosen, "newest", None, 1)).count == 4
        assert (await ScheduleViewStore(store.db, 2).page(PROJECT, chosen, "newest", None, 1)).count == 3


async def test_the_ids_of_matches_go_down_step_by_step(store: Store) -> None:
    made = [entry.schedule.id for entry in (await some(store)).values()]
    views = store.views.schedules
    first = await views.ids(PROJECT, Filters(text="a"), ids.KEY_MAX, 3)
    assert first == made[:0:-1]
    assert await views.ids(PROJECT, Filters(text="a"), first[-1], 3) == made[:1]


async def test_past_runs_are_the_last_ones_of_each_oldest_first(store: Store) -> None:
    one, other = await create(store, START), await create(store, START)
    for minute in range(4):
        await fire(store, START + minute * MINUTE)
    runs = await store.views.schedules.past_runs([other.schedule.id, one.schedule.id], 3)
    instants = [START + minute * MINUTE for minute in (1, 2, 3)]
    assert [(run.schedule_id, run.scheduled_for) for run in runs] == [
        (entry.schedule.id, at) for entry in (one, other) for at in instants
    ]
    assert await store.views.schedules.past_runs([], 3) == []


async def test_a_past_run_says_how_long_it_took_once_it_is_over(store: Store) -> None:
    entry = await create(store, START)
    await fire(store, START)
    [waiting] = await store.views.schedules.past_runs([entry.schedule.id], 9)
    assert (waiting.state, waiting.took_ms) == ("queued", None)
    claims = await claim(store, START + SECOND)
    await end(store, START + 3 * SECOND, claims)
    [over] = await store.views.schedules.past_runs([entry.schedule.id], 9)
    assert (over.state, over.took_ms, over.status) == ("succeeded", 2 * SECOND, 200)


async def test_attempts_before_the_last_are_told_with_their_error(store: Store) -> None:
    entry = await create(store, START, to=target(retry=1))
    run = await trigger(store, START, entry)
    await end(store, START, await claim(store, START), 503)
    await end(store, START + DAY, await claim(store, START + DAY), 500)
    found = await store.views.schedules.past_attempts([run.id])
    assert [(one.run_id, one.attempt, one.status) for one in found] == [(run.id, 1, 503), (run.id, 2, 500)]
    assert await store.views.schedules.past_attempts([]) == []


async def test_days_count_scheduled_runs_by_their_state(store: Store) -> None:
    entry = await create(store, START, to=target(retry=0))
    for at in (START, START + MINUTE, START + DAY):
        await fire(store, at)
    await trigger(store, START, entry)
    await end(store, START, (await claim(store, START))[:1], 500)
    views, first = store.views.schedules, START // DAY
    days = [msgspec.structs.astuple(day) for day in await views.days(entry.schedule.id, START, 100)]
    assert (first, "failed", 1) in days
    assert sum(count for _, _, count in days) == 3
    assert {day for day, _, _ in days} == {first, first + 1}
    assert [day.day for day in await views.days(entry.schedule.id, START + DAY, 100)] == [first + 1]
    assert sum(day.count for day in await views.days(entry.schedule.id, START, 2)) == 2


async def test_stretches_are_those_that_reach_into_the_time_asked_for(store: Store) -> None:
    entry = await create(store, START, schedule(catchup="skip"))
    await fire(store, START + 2 * DAY)
    views = store.views.schedules
    [gap] = await views.stretches(entry.schedule.id, START + DAY, 9)
    assert (gap.outcome, gap.reason, gap.from_at) == ("missed", "not_running", START)
    assert gap.count == (gap.to_at - gap.from_at) // MINUTE + 1
    assert await views.stretches(entry.schedule.id, START + 3 * DAY, 9) == []
