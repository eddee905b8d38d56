"""What the service tells of itself: to whom, when, and in which words."""

from __future__ import annotations

import json

import pytest

from loops.rig import Rig
from loops.webhooking import Hooks
from mainspring.core import ids
from mainspring.core.limits import HOUR, MINUTE, SECOND
from store.queueing import Hand

FORM = {"id", "type", "event", "timestamp", "data"}


@pytest.fixture
def hooks(rig: Rig) -> Hooks:
    return Hooks(rig)


async def test_a_run_that_has_finally_failed_is_told_and_the_one_that_recovers(hooks: Hooks) -> None:
    await hooks.endpoint("watcher", events=("cron.run.*",))
    rig = hooks.rig
    rig.targets.answer("job", 500, 500, 200, 200)
    made = await rig.create("job", retry=1, retry_delays=(1.0,), on_failure="http://callback/")
    await rig.tick(MINUTE)
    assert hooks.told("watcher") == [], "not before its retries are over"
    await rig.tick(SECOND)
    await rig.dispatch()
    await rig.tick(MINUTE)
    await rig.dispatch()
    await rig.tick(MINUTE)
    assert await rig.states(made) == ["failed", "succeeded", "succeeded"]
    failed, recovered = hooks.told("watcher")
    assert set(failed) == set(recovered) == FORM
    first, second, _ = await rig.runs(made)
    assert failed["type"] == failed["event"] == "cron.run.failed"
    assert failed["data"]["run_id"] == ids.text("run", first.id)
    assert failed["data"]["response_status"] == 500
    assert recovered["type"] == "cron.run.recovered"
    assert recovered["data"]["run_id"] == ids.text("run", second.id)
    assert recovered["data"]["cron_id"] == ids.text("cron", made.schedule.id)
    [callback] = hooks.told("callback")
    assert callback == failed, "the callback of the job itself gets the same event"


async def test_only_who_listens_is_told_and_only_of_the_project(hooks: Hooks) -> None:
    await hooks.endpoint("orders", events=("order.*",))
    await Hooks(hooks.rig, "other").endpoint("theirs")
    hooks.rig.targets.answer("job", 500)
    await hooks.rig.create("job", retry=0)
    await hooks.rig.tick(MINUTE)
    await hooks.rig.dispatch()
    assert hooks.rig.targets.hosts() == ["job"]


async def test_instants_that_were_missed_are_told_as_one(hooks: Hooks) -> None:
    await hooks.endpoint("watcher", events=("cron.missed",))
    made = await hooks.rig.create("job", catchup="skip")
    await hooks.rig.tick(HOUR)
    await hooks.rig.dispatch()
    [told] = hooks.told("watcher")
    assert told["data"]["cron_id"] == ids.text("cron", made.schedule.id)
    assert told["data"]["count"] == 59


async def test_dead_letters_are_told_in_the_transaction_that_makes_them(hooks: Hooks) -> None:
    await hooks.endpoint("watcher", events=("queue.dead_lettered",))
    hand = Hand(hooks.rig.bench.store, hooks.rig.clock)
    published = await hand.publish(b'{"n":1}', b'{"n":2}', queue="orders")
    for message in await hand.consume(queue="orders"):
        await hand.settle("nack", message, queue="orders", requeue=False)
    bodies = [json.loads(one.run.payload or b"") for one in await hooks.all()]
    assert [one["data"]["message_ids"] for one in bodies] == [[ids.text("msg", one)] for one in published]
    assert bodies[0]["data"] == {
        "queue": "orders",
        "dead_letter_queue": "orders.dlq",
        "count": 1,
        "message_ids": [ids.text("msg", published[0])],
        "reasons": ["rejected"],
    }
    await hooks.rig.dispatch()
    assert hooks.told("watcher") == bodies


async def test_a_change_of_endpoints_is_known_at_once(hooks: Hooks) -> None:
    hooks.rig.targets.answer("job", 500)
    await hooks.rig.create("job", retry=0)
    await hooks.rig.tick(MINUTE)
    watcher = await hooks.endpoint("watcher")
    await hooks.rig.tick(MINUTE)
    await hooks.rig.dispatch()
    assert len(hooks.told("watcher")) == 1
    await hooks.update(watcher, events=("order.*",))
    await hooks.rig.tick(MINUTE)
    await hooks.rig.dispatch()
    assert len(hooks.told("watcher")) == 1
    await hooks.update(watcher, events=("cron.*",), enabled=False)
    await hooks.rig.tick(MINUTE)
    await hooks.update(watcher, enabled=True)
    await hooks.rig.tick(MINUTE)
    await hooks.rig.dispatch()
    assert len(hooks.told("watcher")) == 2
