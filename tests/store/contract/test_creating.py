from __future__ import annotations

from mainspring.core.changes import Change
from mainspring.core.ids import made_at
from mainspring.core.model import Entry, Expect, Page
from mainspring.store.store import Store
from store.making import ALL, PROJECT, START, Clock, create, entry_of, new, schedule, target, trigger


async def test_what_was_created_is_what_is_read(store: Store) -> None:
    made = schedule(
        name="näme",
        timezone="Europe/Berlin",
        overlap="queue",
        catchup="all",
        catchup_window_ms=None,
        max_runs=7,
        retention_days=1,
        retention_runs=2,
    )
    to = target(
        method="PUT",
        payload=b'{"a": 1 }',
        headers=b"\x01sealed",
        secret=b"\x01secret",
        signature_style="timestamp.body",
        retry=2,
        retry_delays_ms=(1_000, 2_500),
        expect=Expect(statuses=(200, 409), body_regexp="ok"),
        on_failure="http://elsewhere.example/",
    )
    entry = await create(store, START, made, to, due=START + 5)
    assert await entry_of(store, entry) == entry
    schedule_id, number, target_id = entry.schedule.id, entry.schedule.number, entry.target.id
    assert (made_at(schedule_id), number, entry.schedule.target_id) == (START, 1, target_id)
    assert entry.schedule == schedule(
        **{name: getattr(made, name) for name in made.__struct_fields__}
        | {"id": schedule_id, "number": number, "target_id": target_id}
    )
    assert entry.target == target(**{name: getattr(to, name) for name in to.__struct_fields__} | {"id": target_id})
    assert (entry.progress.next_due_at, entry.progress.enabled, entry.progress.run_count) == (START + 5, True, 0)
    assert (await store.runs.targets([target_id, 12345])) == {target_id: entry.target}


async def test_a_one_shot_keeps_its_instant(store: Store) -> None:
    entry = await create(store, START, schedule(run_at=START + 9, kind="task"), due=START + 9)
    assert (entry.schedule.run_at, entry.schedule.cron_expr) == (START + 9, None)
    assert await store.schedules.get(PROJECT, "task", entry.schedule.id) == entry


async def test_a_batch_gets_rising_ids_and_numbers_without_a_gap(store: Store) -> None:
    entries = await store.schedules.create(START, [new() for _ in range(150)])
    assert all(isinstance(entry, Entry) for entry in entries)
    made = [entry for entry in entries if isinstance(entry, Entry)]
    assert [entry.schedule.number for entry in made] == list(range(1, 151))
    keys = [entry.schedule.id for entry in made]
    assert keys == sorted(set(keys))
    assert (await create(store, START)).schedule.number == 151


async def test_another_project_or_kind_sees_nothing(store: Store) -> None:
    entry = await create(store, START)
    assert await store.schedules.get("other", "cron", entry.schedule.id) is None
    assert await store.schedules.get(PROJECT, "task", entry.schedule.id) is None
    assert await store.schedules.page("other", "cron", ALL) == []
    assert await store.schedules.page(PROJECT, "task", ALL) == []
    assert not await store.schedules.was_deleted("other", "cron", entry.schedule.id)


async def test_a_deleted_schedule_is_gone_and_known_to_have_been(store: Store) -> None:
    entry = await create(store, START)
    await store.schedules.change(START, [Change(entry, entry.schedule, cancel="deleted", delete=True)])
    assert await store.schedules.get(PROJECT, "cron", entry.schedule.id) is None
    assert await store.schedules.page(PROJECT, "cron", ALL) == []
    assert await store.schedules.was_deleted(PROJECT, "cron", entry.schedule.id)
    assert not await store.schedules.was_deleted("other", "cron", entry.schedule.id)
    assert not await store.schedules.was_deleted(PROJECT, "task", entry.schedule.id)


async def test_pages_stand_still_while_schedules_are_added(store: Store, clock: Clock) -> None:
    made = [(await create(store, clock.advance(1))).schedule.id for _ in range(7)]
    first = await store.schedules.page(PROJECT, "cron", Page(limit=3))
    await create(store, clock.advance(1))
    second = await store.schedules.page(PROJECT, "cron", Page(limit=3, before=(first[-1].schedule.id, 0)))
    await create(store, clock.advance(1))
    third = await store.schedules.page(PROJECT, "cron", Page(limit=3, before=(second[-1].schedule.id, 0)))
    assert [entry.schedule.id for entry in first + second + third] == made[::-1]


async def test_a_restart_never_hands_out_an_old_id_again(store: Store) -> None:
    """The largest key in the store is the floor of the next process's keys, whatever its clock says."""
    await create(store, START)
    entry = await create(store, START)
    [(largest,)] = await store.db.read("largest_key")
    assert largest == entry.target.id > entry.schedule.id
    run = await trigger(store, START, entry)
    [(largest,)] = await store.db.read("largest_key")
    assert largest == run.id


async def test_the_first_due_instant_is_the_earliest_of_all(store: Store) -> None:
    assert await store.schedules.next_due_at() is None
    await create(store, START, due=START + 9)
    await create(store, START, due=START + 3)
    assert await store.schedules.next_due_at() == START + 3
