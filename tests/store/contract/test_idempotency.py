from __future__ import annotations

import msgspec
import pytest

from mainspring.core.errors import Invalid, NotFound
from mainspring.core.idempotency import Replay
from mainspring.core.limits import IDEMPOTENCY_WINDOW, SECRET_REPLAY_WINDOW
from mainspring.core.model import Entry, Key, Run
from mainspring.store.store import Store
from store.making import ALL, PROJECT, START, create, manual, new, new_key, once, replayed, runs_of


async def schedules_there(store: Store) -> int:
    return len(await store.schedules.page(PROJECT, "cron", ALL))


async def test_the_same_request_again_gets_the_first_answer_and_no_second_effect(store: Store) -> None:
    [first] = await store.schedules.create(START, [new(once=once("k"))])
    assert isinstance(first, Entry)
    [again] = await store.schedules.create(START + 5, [new(once=once("k"))])
    assert replayed(again) == b"%d" % first.schedule.id
    assert await schedules_there(store) == 1


async def test_another_body_under_the_same_key_is_refused(store: Store) -> None:
    await store.schedules.create(START, [new(once=once("k"))])
    [refused] = await store.schedules.create(START, [new(once=once("k", b"other"))])
    assert isinstance(refused, Invalid)
    assert refused.code == "IDEMPOTENCY_MISMATCH"
    assert await schedules_there(store) == 1


async def test_a_key_counts_for_its_project_and_operation_alone(store: Store) -> None:
    keys = [once("k"), once("k", operation="cron.update"), once("other")]
    made = await store.schedules.create(START, [new(once=key) for key in keys])
    assert all(isinstance(one, Entry) for one in made)
    assert await schedules_there(store) == 3


async def test_duplicates_within_one_batch_take_effect_once(store: Store) -> None:
    batch = [new(once=once("k")), new(), new(once=once("k")), new(once=once("k", b"other")), new(once=once("l"))]
    first, plain, again, other, fresh = await store.schedules.create(START, batch)
    assert isinstance(first, Entry)
    assert isinstance(plain, Entry)
    assert isinstance(fresh, Entry)
    assert replayed(again) == b"%d" % first.schedule.id
    assert isinstance(other, Invalid)
    assert await schedules_there(store) == 3
    assert [entry.schedule.number for entry in (first, plain, fresh)] == [1, 2, 3]


@pytest.mark.parametrize(("later", "replays"), [(IDEMPOTENCY_WINDOW - 1, True), (IDEMPOTENCY_WINDOW, False)])
async def test_a_key_is_known_for_a_day(store: Store, later: int, replays: bool) -> None:
    await store.schedules.create(START, [new(once=once("k"))])
    await store.upkeep.prune_idempotency(START + later)
    [again] = await store.schedules.create(START + later, [new(once=once("k"))])
    assert isinstance(again, Replay) == replays


async def test_after_its_day_a_key_takes_effect_anew_although_its_row_is_still_there(store: Store) -> None:
    await store.schedules.create(START, [new(once=once("k"))])
    later = START + IDEMPOTENCY_WINDOW
    [second] = await store.schedules.create(later, [new(once=once("k", b"other"))])
    assert isinstance(second, Entry)
    [again] = await store.schedules.create(later + 1, [new(once=once("k", b"other"))])
    assert replayed(again) == b"%d" % second.schedule.id


async def test_pruning_takes_the_keys_whose_day_is_over(store: Store) -> None:
    await store.schedules.create(START, [new(once=once(f"k{number}")) for number in range(3)])
    await store.schedules.create(START + 1, [new(once=once("fresh"))])
    assert await store.upkeep.prune_idempotency(START + IDEMPOTENCY_WINDOW) == 3
    assert await store.upkeep.prune_idempotency(START + IDEMPOTENCY_WINDOW) == 0


@pytest.mark.parametrize(
    ("later", "suffix"), [(SECRET_REPLAY_WINDOW, b" with its secret"), (SECRET_REPLAY_WINDOW + 1, b"")]
)
async def test_a_secret_is_replayed_for_ten_minutes(store: Store, later: int, suffix: bytes) -> None:
    [first] = await store.credentials.create(START, [new_key(once=once("k", secret=True))])
    assert isinstance(first, Key)
    [again] = await store.credentials.create(START + later, [new_key(b"other", once("k", secret=True))])
    assert replayed(again) == b"%d" % first.id + suffix


async def test_a_refusal_is_not_kept(store: Store) -> None:
    """The thing may be there the next time."""
    key = once("k", operation="cron.trigger")
    first, second = await store.runs.trigger(START, [manual(123, once=key), manual(123, once=key)])
    assert isinstance(first, NotFound)
    assert isinstance(second, NotFound)
    entry = await create(store, START)
    [run] = await store.runs.trigger(START, [manual(entry.schedule.id, once=key)])
    assert isinstance(run, Run)


async def test_a_run_by_hand_is_made_once(store: Store) -> None:
    entry = await create(store, START)
    key = once("k", operation="cron.trigger")
    [run] = await store.runs.trigger(START, [manual(entry.schedule.id, once=key)])
    [again] = await store.runs.trigger(START, [manual(entry.schedule.id, once=key)])
    assert isinstance(run, Run)
    assert replayed(again) == b"%d" % run.id
    assert len(await runs_of(store, entry)) == 1


async def test_an_answer_that_cannot_be_rendered_leaves_no_effect_behind(store: Store) -> None:
    """Effect and answer are one transaction."""
    broken = once("k")

    def raises(result: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.schedules.create(START, [new(once=msgspec.structs.replace(broken, answer=raises))])
    assert await schedules_there(store) == 0
    [entry] = await store.schedules.create(START, [new(once=broken)])
    assert isinstance(entry, Entry)


async def test_an_answer_can_be_recalled_without_its_object(store: Store) -> None:
    [entry] = await store.schedules.create(START, [new(once=once("k"))])
    assert isinstance(entry, Entry)
    assert replayed(await store.recall(START, PROJECT, "cron.create", "k", b"body")) == b"%d" % entry.schedule.id
    assert await store.recall(START, PROJECT, "cron.create", "new", b"body") is None
    assert await store.recall(START + IDEMPOTENCY_WINDOW, PROJECT, "cron.create", "k", b"body") is None
    with pytest.raises(Invalid):
        await store.recall(START, PROJECT, "cron.create", "k", b"other")
