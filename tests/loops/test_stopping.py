"""A dispatcher that stops: what is in flight ends under its lease, and the rest is somebody else's at once."""

from __future__ import annotations

import asyncio

from loops.rig import Rig, public, turn
from mainspring.core.events import Rescued
from mainspring.core.limits import HEARTBEAT, LEASE, MINUTE


async def test_while_one_attempt_is_waited_for_the_results_of_others_are_written_and_its_lease_is_renewed(
    rig: Rig,
) -> None:
    rig.targets.hang("a")
    rig.targets.hang("b")
    slow, quick = await rig.create("a"), await rig.create("b")
    await rig.tick(MINUTE)
    draining = asyncio.create_task(rig.dispatcher.drain(20))
    rig.clock.advance(HEARTBEAT)
    rig.targets.release("b")
    async with asyncio.timeout(20):
        while await rig.states(quick) != ["succeeded"]:
            await turn()
        while (await rig.runs(slow))[0].lease_until != rig.clock() + LEASE:
            await turn()
    assert not draining.done()
    rig.targets.release("a")
    await draining
    assert await rig.states(slow) == ["succeeded"]


async def test_what_was_cut_off_is_handed_over_without_waiting_for_its_lease(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create(retry_delays=(1,))
    await rig.tick(MINUTE)
    await rig.dispatcher.drain(0)
    assert await rig.dispatcher.hand_over() == 1
    assert await rig.dispatcher.hand_over() == 0
    assert rig.bench.said(Rescued) == [Rescued(runs=1)]
    [run] = await rig.runs(entry)
    assert (run.state, run.lease_until, run.node) == ("retrying", None, None)
    rig.targets.release("a")
    rig.start(node=1)
    rig.clock.advance(1_000)
    await rig.dispatch()
    assert await rig.states(entry) == ["succeeded"]
    assert rig.attempts() == [(public(run), "1"), (public(run), "2")]


async def test_what_ended_is_not_handed_over(rig: Rig) -> None:
    entry = await rig.create()
    await rig.tick(MINUTE)
    await rig.dispatcher.drain(0)
    assert await rig.dispatcher.hand_over() == 0
    assert await rig.states(entry) == ["succeeded"]


async def test_a_second_request_to_stop_ends_the_wait(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create()
    await rig.tick(MINUTE)
    draining = asyncio.create_task(rig.dispatcher.drain(3600))
    await turn()
    rig.dispatcher.hasten()
    await draining
    assert await rig.states(entry) == ["running"]
    rig.targets.release("a")
