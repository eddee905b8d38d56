"""What the first screen shows of schedules, runs, queues and endpoints."""

from __future__ import annotations

import pytest

from mainspring.core import schedules
from mainspring.core.agents_model import STALE
from mainspring.core.limits import DAY, GRACE, HOUR, MINUTE
from mainspring.core.model import Page
from mainspring.core.views.overview import Alike, MessageCounts, RunCounts, ScheduleCounts
from mainspring.store.store import Store
from store.making import PROJECT, START, Bench, Clock, claim, create, end, fire, schedule, target, trigger
from store.queueing import Hand

UNTIL = START + DAY


@pytest.fixture
def hand(store: Store, clock: Clock) -> Hand:
    return Hand(store, clock)


async def run_once(store: Store, now: int, status: int) -> None:
    """Send all that waits, and let it end with this answer."""
    assert await end(store, now, await claim(store, now), status) == []


async def test_schedules_are_counted_by_whether_they_fire_and_how_they_last_ran(store: Store, clock: Clock) -> None:
    no_retry = target(retry=0)
    made = [await create(store, START, to=no_retry) for _ in range(4)]
    await create(store, START, schedule(project="another"), no_retry)
    await create(store, START, schedule(kind="task", run_at=START), no_retry)
    await fire(store, START)
    await run_once(store, START, 500)
    core = Bench(store).core
    await trigger(store, START, made[0])
    await run_once(store, START, 200)
    await schedules.pause(core, START, PROJECT, "cron", made[1].schedule.id, None)
    await schedules.delete(core, START, PROJECT, "cron", made[2].schedule.id, None)
    views = store.views.overview
    assert await views.schedules(PROJECT) == ScheduleCounts(all=3, enabled=2, failing=2)
    assert await views.schedules("another") == ScheduleCounts(1, 1, 1)
    assert await views.schedules("nobody") == ScheduleCounts(0, 0, 0)
    assert [one.schedule_id for one in await views.failing(PROJECT, 20)] == [made[3].schedule.id, made[1].schedule.id]


async def test_what_fails_is_told_with_its_newest_failed_run_the_last_that_ran_first(store: Store) -> None:
    first = await create(store, START, schedule(name="first"), target(retry=0))
    second = await create(store, START + MINUTE, schedule(name="second"), target(retry=0))
    for now in (START, START + MINUTE):
        await fire(store, now)
        await run_once(store, now, 503)
    await schedules.pause(Bench(store).core, START, PROJECT, "cron", second.schedule.id, None)
    other, one = await store.views.overview.failing(PROJECT, 20)
    newest = (await store.runs.page_of_schedule(first.schedule.id, None, 0, Page(limit=1)))[0]
    assert {(other.name, other.paused), (one.name, one.paused)} == {("first", False), ("second", True)}
    shown = one if one.name == "first" else other
    assert (shown.run_id, shown.status, shown.failed_at) == (newest.id, 503, START + MINUTE)
    assert shown.next_due_at == START + 2 * MINUTE
    assert len(await store.views.overview.failing(PROJECT, 1)) == 1


async def test_runs_that_wait_are_late_after_the_grace(store: Store) -> None:
    made = await create(store, START)
    await trigger(store, START, made)
    taken = await claim(store, START)
    await trigger(store, START, made)
    await create(store, START, schedule(project="another"))
    await fire(store, START)
    views = store.views.overview
    assert await views.runs(PROJECT, START + GRACE) == RunCounts(waiting=2, late=0, running=1)
    assert await views.runs(PROJECT, START + GRACE + 1) == RunCounts(waiting=2, late=2, running=1)
    await end(store, START, taken, 500)
    assert await views.runs(PROJECT, START + GRACE + 1) == RunCounts(waiting=3, late=2, running=0)


async def test_messages_are_counted_where_they_are_and_dead_ones_apart(store: Store, hand: Hand) -> None:
    await hand.make("shared")
    await hand.make("named", dead_letters="shared")
    await hand.publish(b"1", b"2", b"3", queue="q")
    await hand.publish(b"later", queue="q", delay_seconds=60)
    await hand.publish(b"own", queue="shared")
    await hand.publish(b"dead", queue="named")
    for queue in ("q", "named"):
        [message] = await hand.consume(1, queue=queue)
        await hand.nack(message, queue=queue, requeue=False)
    await hand.consume(1, queue="q")
    assert await store.views.overview.messages(PROJECT) == MessageCounts(
        queues=4, available=3, delayed=1, in_flight=1, dead=2
    )
    assert await store.views.overview.messages("another") == MessageCounts(0, 0, 0, 0, 0)
    found = await store.views.overview.deepest(PROJECT, 10)
    assert [(one.name, one.available, one.delayed, one.in_flight) for one in found] == [
        ("shared", 2, 0, 0),
        ("q", 1, 1, 1),
    ]
    assert [one.name for one in await store.views.overview.deepest(PROJECT, 1)] == ["shared"]


async def test_what_is_due_comes_in_its_order_and_only_of_the_project(store: Store) -> None:
    later = await create(store, START, schedule(name="later"), due=START + HOUR)
    soon = await create(store, START, schedule(name="soon"), due=START + MINUTE)
    task = await create(store, START, schedule(kind="task", run_at=START + 2 * MINUTE), due=START + 2 * MINUTE)
    await create(store, START, schedule(name="not today"), due=UNTIL)
    await create(store, START, schedule(project="another"), due=START)
    found = await store.views.overview.upcoming(PROJECT, UNTIL, 10)
    assert [(one.schedule_id, one.task, one.next_due_at) for one in found] == [
        (soon.schedule.id, False, START + MINUTE),
        (task.schedule.id, True, START + 2 * MINUTE),
        (later.schedule.id, False, START + HOUR),
    ]
    assert found[1].cron_expr is None
    assert len(await store.views.overview.upcoming(PROJECT, UNTIL, 2)) == 2


async def test_schedules_with_one_expression_are_counted_together(store: Store) -> None:
    for _ in range(3):
        await create(store, START, due=START + MINUTE)
    await create(store, START, schedule(timezone="Asia/Shanghai"), due=START + MINUTE)
    await create(store, START, schedule(cron_expr="@every 90s", anchor_at=START - 7), due=START + MINUTE)
    await create(store, START, schedule(cron_expr="@daily"), due=UNTIL)
    await create(store, START, schedule(project="another"), due=START + MINUTE)
    found = await store.views.overview.alike(PROJECT, UNTIL, 100)
    assert found[0] == Alike("* * * * *", "standard", "UTC", START, 3)
    assert found[1:] == [
        Alike("* * * * *", "standard", "Asia/Shanghai", START, 1),
        Alike("@every 90s", "standard", "UTC", START - 7, 1),
    ]
    assert [one.cron_expr for one in await store.views.overview.alike(PROJECT, UNTIL, 2)] == ["@every 90s"]


async def test_what_is_due_once_is_counted_by_the_hour(store: Store) -> None:
    for due in (START - 5, START, START + HOUR - 1, START + HOUR, UNTIL):
        await create(store, START, schedule(kind="task", run_at=due), due=due)
    await create(store, START, due=START)
    await create(store, START, schedule(project="another", kind="task", run_at=START), due=START)
    views = store.views.overview
    assert await views.once(PROJECT, START, UNTIL, 100) == {0: 3, 1: 1}
    assert await views.once(PROJECT, START, UNTIL, 1) == {0: 1}


async def test_agents_are_online_while_their_sockets_are_confirmed(store: Store) -> None:
    for name in ("a", "b"):
        await store.attach_agent((name, 1))
    assert await store.views.overview.agents_online(store.clock()) == 2
    assert await store.views.overview.agents_online(store.clock() + STALE + 1) == 0
