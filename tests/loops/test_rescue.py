"""What becomes of runs whose process is gone."""

from __future__ import annotations

from typing import Any

from loops.rig import Rig, public
from mainspring.core import schedules
from mainspring.core.events import AttemptEnded, Rescued
from mainspring.core.limits import HEARTBEAT, LEASE, MINUTE, SECOND
from mainspring.core.model import Entry
from mainspring.loops.dispatcher import Dispatcher
from store.making import START, claim, manual


async def crash_with(rig: Rig, **fields: Any) -> Entry:
    """A schedule whose run was in flight when the process died."""
    rig.targets.hang("a")
    entry = await rig.create(**fields)
    await rig.tick(MINUTE)
    await rig.dispatcher.drain(0)
    rig.targets.release("a")
    rig.start()
    return entry


async def test_at_start_every_running_run_is_an_orphan_whatever_its_lease(rig: Rig) -> None:
    entry = await crash_with(rig)
    assert await rig.dispatcher.rescue(rig.clock(), everything=True) == 1
    await rig.dispatch()
    [run] = await rig.runs(entry)
    assert (run.state, run.attempt) == ("succeeded", 2)
    assert rig.attempts() == [(public(run), "1"), (public(run), "2")]
    assert rig.bench.said(Rescued) == [Rescued(runs=1)]


async def test_an_attempt_cut_short_is_on_record(rig: Rig) -> None:
    entry = await crash_with(rig)
    await rig.dispatcher.rescue(rig.clock(), everything=True)
    [run] = await rig.runs(entry)
    found = await rig.bench.store.runs.get(entry.schedule.project, run.id)
    assert found is not None
    assert [(attempt.attempt, attempt.error, attempt.status) for attempt in found[1]] == [(1, "interrupted", None)]
    [ended] = rig.bench.said(AttemptEnded)
    assert isinstance(ended, AttemptEnded)
    assert (ended.state, ended.error) == ("retrying", "interrupted")


async def test_without_retries_left_the_run_ends_as_interrupted_and_is_not_sent_again(rig: Rig) -> None:
    entry = await crash_with(rig, retry=0, on_failure="http://pager/")
    await rig.dispatcher.rescue(rig.clock(), everything=True)
    await rig.dispatch()
    [run] = await rig.runs(entry)
    assert (run.state, run.error, run.attempt) == ("failed", "interrupted", 1)
    assert rig.targets.hosts() == ["a", "pager"]


async def test_crash_upon_crash_uses_the_retries_up(rig: Rig) -> None:
    entry = await crash_with(rig, retry=2)
    for _ in range(2):
        rig.targets.hang("a")
        await rig.dispatcher.rescue(rig.clock(), everything=True)
        await rig.dispatch()
        await rig.dispatcher.drain(0)
        rig.targets.release("a")
        rig.start()
    await rig.dispatcher.rescue(rig.clock(), everything=True)
    await rig.dispatch()
    [run] = await rig.runs(entry)
    assert (run.state, run.error, len(rig.targets.requests)) == ("failed", "interrupted", 3)


async def test_another_node_takes_over_when_the_lease_is_over_and_not_before(rig: Rig) -> None:
    entry = await crash_with(rig)
    rig.start(node=1)
    await rig.tick(LEASE)
    assert await rig.states(entry) == ["running"]
    await rig.tick(HEARTBEAT)
    assert await rig.states(entry) == ["succeeded"]
    assert [number for _, number in rig.attempts()] == ["1", "2"]


async def test_a_dispatcher_does_not_rescue_what_it_is_sending_itself(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create()
    await rig.tick(MINUTE)
    assert await rig.dispatcher.rescue(rig.clock(), everything=True) == 0
    rig.targets.release("a")
    await rig.dispatch()
    assert await rig.states(entry) == ["succeeded"]


async def test_what_was_waiting_or_held_at_the_crash_goes_on_in_order(rig: Rig) -> None:
    entry = await crash_with(rig, overlap="queue")
    for _ in range(2):
        await rig.scheduler.step(rig.clock.advance(MINUTE))
    await rig.dispatcher.rescue(rig.clock(), everything=True)
    await rig.dispatch()
    runs = await rig.runs(entry)
    assert [run.state for run in runs] == ["succeeded"] * 3
    assert [run for run, _ in rig.attempts()] == [public(runs[0]), *(public(run) for run in runs)]


async def test_a_paused_schedule_does_not_send_again_what_the_crash_cut_short(rig: Rig) -> None:
    entry = await crash_with(rig)
    await schedules.pause(rig.bench.core, rig.clock(), "default", "cron", entry.schedule.id, None)
    await rig.dispatcher.rescue(rig.clock(), everything=True)
    await rig.dispatch()
    [run] = await rig.runs(entry)
    assert (run.state, run.error, len(rig.targets.requests)) == ("cancelled", "paused", 1)


async def test_more_than_a_batch_is_rescued_completely(rig: Rig) -> None:
    entry = await rig.create(run_at=START + MINUTE, overlap="allow")
    other = await rig.create("b", run_at=START + MINUTE, overlap="allow", retry=0)
    for made in (entry, other):
        await rig.bench.store.runs.trigger(START, [manual(made.schedule.id)] * 600)
    while len(await rig.bench.store.runs.expired(0, 2_000, everything=True)) < 1_200:
        await claim(rig.bench.store, START)
    fresh = Dispatcher(rig.bench.core, rig.targets, rig.clock, lambda: 0.5)
    assert await fresh.rescue(START + SECOND, everything=True) == 1_200
    assert await rig.bench.store.runs.expired(0, 10, everything=True) == []
    assert {run.state for run in await rig.runs(other)} == {"failed"}
