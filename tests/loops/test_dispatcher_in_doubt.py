"""Webhooks to targets that are not known to work: begun one after the other, and written when it suits."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from loops.rig import Rig, on_the_embedded_store
from loops.webhooking import Hooks
from mainspring.core.limits import DOUBTFUL_MAX, SEATS_PER_ORIGIN, SECOND
from mainspring.core.webhooks import RetryDraft
from mainspring.loops import dispatcher as module
from mainspring.loops.dispatcher import Dispatcher


@pytest.fixture
def hooks(rig: Rig) -> Hooks:
    return Hooks(rig)


class Listens:
    """Counts how often the loop is woken."""

    def __init__(self) -> None:
        self.woken = 0

    def scheduler(self) -> None: ...

    def dispatcher(self, *, hurry: bool = False) -> None:
        self.woken += 1


@on_the_embedded_store
async def test_requests_to_targets_in_doubt_begin_one_by_one(hooks: Hooks) -> None:
    rig = hooks.rig
    hosts = [f"new{number}" for number in range(6)]
    made = [await hooks.send(host) for host in hosts]
    await rig.dispatcher.step(rig.clock())
    assert rig.dispatcher.in_flight == 6, "those that wait for their turn count"
    counts = set()
    while rig.dispatcher.in_flight:
        await asyncio.sleep(0)
        counts.add(len(rig.targets.requests))
    assert counts == set(range(7)), "never two between two looks of the event loop"
    await rig.dispatch()
    assert await hooks.states(made) == ["delivered"] * 6
    for host in hosts:
        await hooks.send(host)
    before = len(rig.targets.requests)
    await rig.dispatcher.step(rig.clock())
    await asyncio.sleep(0)
    assert len(rig.targets.requests) == before + 6, "known to work: all at once"


@on_the_embedded_store
async def test_a_stop_begins_what_waits_for_its_turn_and_sees_it_end(hooks: Hooks) -> None:
    rig = hooks.rig
    made = [await hooks.send(f"new{number}") for number in range(6)]
    await rig.dispatcher.step(rig.clock())
    await rig.dispatcher.drain(20)
    assert await hooks.states(made) == ["delivered"] * 6


@on_the_embedded_store
async def test_that_a_target_still_fails_waits_for_company(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    rig, listens = hooks.rig, Listens()
    core = msgspec.structs.replace(rig.bench.core, wakeup=listens)
    rig.dispatcher = dispatcher = Dispatcher(core, rig.targets, rig.clock, lambda: 0.5)
    monkeypatch.setattr(module, "_PATIENCE_S", 3_600)
    rig.targets.answer("down", 500)
    await hooks.send("down", retry=RetryDraft(delays=(1, 1)))
    await dispatcher.step(rig.clock())
    await rig.quiet()
    assert (len(dispatcher._ended), listens.woken) == (1, 0)
    await hooks.send("works")
    await dispatcher.step(rig.clock.advance(SECOND))
    assert dispatcher._ended == [], "it was written on the way"
    await rig.quiet()
    assert listens.woken == 1, "a success is written at once"
    await dispatcher.drain(0)


async def test_a_group_that_hangs_keeps_no_new_target_waiting(hooks: Hooks) -> None:
    rig = hooks.rig
    rig.targets.hang("hangs")
    for _ in range(SEATS_PER_ORIGIN + DOUBTFUL_MAX):
        await hooks.endpoint("hangs", events=("many",))
    await hooks.emit("many")
    for _ in range(60):
        await hooks.pass_time(0.05)
    assert rig.targets.in_flight["hangs"] == SEATS_PER_ORIGIN
    new = await hooks.send("new")
    await hooks.pass_time(0.05)
    assert await hooks.state(new) == "delivered"
    rig.targets.release("hangs")
    for _ in range(400):
        await hooks.pass_time(0.05)
    assert len(hooks.to("hangs")) == SEATS_PER_ORIGIN + DOUBTFUL_MAX, "they have waited, and all went"
