from __future__ import annotations

import pytest

from loops.rig import Rig, on_the_embedded_store
from mainspring.core import messages
from mainspring.core.errors import Unavailable
from mainspring.core.limits import DAY, HOUR, MINUTE, PRUNE_BATCH
from mainspring.core.messages import MessageDraft
from mainspring.core.samples import Tally
from mainspring.core.views.overview import FirePoint
from mainspring.loops.sampler import BREATH, Sampler
from mainspring.store.store import Store
from store.making import PROJECT, START, driver


def sampler(rig: Rig, *, queues: bool = True) -> tuple[Sampler, Tally]:
    """One that has heard of everything that has happened so far, and its tally."""
    tally = Tally()
    heard(rig, tally)
    return Sampler(rig.bench.core, tally, queues=queues), tally


def heard(rig: Rig, tally: Tally) -> None:
    for event in rig.bench.events:
        tally.on_event(event)


async def fires(store: Store) -> list[FirePoint]:
    return await store.views.overview.fires(PROJECT, START, MINUTE)


async def test_what_ended_in_a_minute_is_kept_for_it_when_it_is_over(rig: Rig) -> None:
    rig.targets.answer("b", 500)
    await rig.create()
    await rig.create("b", retry=0)
    made, tally = sampler(rig)
    assert await made.step(START + MINUTE + 100) == MINUTE - 100
    await rig.tick(MINUTE)
    heard(rig, tally)
    assert await made.step(START + 2 * MINUTE + 3) == MINUTE - 3
    [point] = await fires(rig.bench.store)
    assert (point.at, point.fires, point.failed, sum(point.late)) == (START + MINUTE, 2, 1, 2)
    await made.step(START + 3 * MINUTE)
    assert await fires(rig.bench.store) == [point]


async def test_what_ended_before_a_node_stops_is_added_to_its_minute(rig: Rig) -> None:
    await rig.create()
    made, tally = sampler(rig)
    for _ in range(2):
        await rig.tick(MINUTE)
        heard(rig, tally)
        rig.bench.events.clear()
        await made.keep(START + MINUTE + 10)
    assert [(point.at, point.fires) for point in await fires(rig.bench.store)] == [(START + MINUTE, 2)]


@on_the_embedded_store
async def test_what_cannot_be_kept_now_is_kept_later(rig: Rig) -> None:
    await rig.create()
    await rig.tick(MINUTE)
    made, _ = sampler(rig)
    driver(rig.bench.store).execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable):
        await made.step(rig.clock())
    driver(rig.bench.store).execute("PRAGMA query_only = OFF")
    await made.step(rig.clock())
    assert [point.fires for point in await fires(rig.bench.store)] == [1]


async def test_queues_are_looked_at_once_a_minute_by_those_who_have_that_role(rig: Rig) -> None:
    await messages.publish(rig.bench.core, START, PROJECT, "q", [MessageDraft(b"1")], None, batch=False)
    queue = await rig.bench.store.queues.named(PROJECT, "q")
    assert queue is not None
    await sampler(rig, queues=False)[0].step(START)
    views = rig.bench.store.views.overview
    assert await views.queue_series(queue.id, START, MINUTE) == []
    made, _ = sampler(rig)
    for ahead in (0, 10, MINUTE):
        await made.step(START + ahead)
    assert [one.at for one in await views.queue_series(queue.id, START, MINUTE)] == [START, START + MINUTE]


async def test_old_samples_are_removed_in_steps_that_follow_each_other(rig: Rig) -> None:
    made, tally = sampler(rig)
    await rig.create()
    await rig.tick(MINUTE)
    _, later = sampler(rig)
    [one] = later.take()
    for minute in range(PRUNE_BATCH + 1):
        await rig.bench.store.samples.add(START + minute * MINUTE, [one])
    now = START + 30 * DAY
    assert await made.step(now) == BREATH
    assert await made.step(now) == MINUTE
    assert await rig.bench.store.views.overview.fires(PROJECT, START, HOUR) == []
    assert tally.take() == []
