from __future__ import annotations

import asyncio

import msgspec
import pytest

from loops.rig import Rig, on_the_embedded_store, public, until
from mainspring.core.errors import Unavailable
from mainspring.core.events import AttemptEnded, Claimed, ResultFenced
from mainspring.core.limits import HEARTBEAT, HOUR, LEASE, MINUTE, SECOND
from mainspring.loops.dispatcher import Dispatcher
from store.making import LEASE as A_LEASE
from store.making import PROJECT, START, claim, driver, end


async def test_what_was_fired_is_sent_and_its_answer_written(rig: Rig) -> None:
    entry = await rig.create(payload=b'{"x": 1}')
    await rig.tick(MINUTE)
    [run] = await rig.runs(entry)
    [request] = rig.targets.requests
    assert (request.url, request.method, request.body) == ("http://a/", "POST", b'{"x": 1}')
    assert dict(request.headers)["Idempotency-Key"] == public(run)
    assert (run.state, run.status, run.body, run.attempt) == ("succeeded", 200, b"said", 1)
    assert rig.dispatcher.in_flight == 0


async def test_a_step_says_when_the_next_waiting_run_is_due(rig: Rig) -> None:
    rig.targets.answer("a", 500)
    rig.targets.hang("b")
    await rig.create("a", retry_delays=(0.2,))
    assert await rig.dispatcher.step(START) == SECOND
    await rig.tick(MINUTE)
    assert await rig.dispatch() == 200
    await rig.create("b", run_at=START)
    await rig.scheduler.step(rig.clock())
    assert await rig.dispatcher.step(rig.clock()) == 200
    rig.targets.release("b")
    await rig.quiet()


async def test_what_happened_is_told_once_it_is_written(rig: Rig) -> None:
    rig.targets.answer("a", 500, 200)
    entry = await rig.create()
    await rig.tick(MINUTE)
    await rig.tick(5 * SECOND)
    assert rig.bench.said(Claimed) == [Claimed(runs=1), Claimed(runs=1)]
    [run] = await rig.runs(entry)
    first, second = rig.bench.said(AttemptEnded)
    assert first == AttemptEnded(
        project=PROJECT,
        run_id=run.id,
        schedule_id=entry.schedule.id,
        trigger="schedule",
        attempt=1,
        state="retrying",
        status=500,
        error="HTTP status 500",
        lateness_ms=0,
        duration_ms=0,
    )
    assert isinstance(second, AttemptEnded)
    assert (second.attempt, second.state, second.lateness_ms) == (2, "succeeded", None)


async def test_retries_come_at_their_instants_under_the_same_key_until_they_are_used_up(rig: Rig) -> None:
    rig.targets.answer("a", 500)
    entry = await rig.create(retry=2)
    await rig.tick(MINUTE)
    for wait in (5 * SECOND, 15 * SECOND):
        before = len(rig.targets.requests)
        await rig.tick(wait - 1)
        assert len(rig.targets.requests) == before
        await rig.tick(1)
        assert len(rig.targets.requests) == before + 1
    [run] = await rig.runs(entry)
    assert rig.attempts() == [(public(run), number) for number in "123"]
    assert (run.state, run.attempt, run.error) == ("failed", 3, "HTTP status 500")
    await rig.dispatcher.step(rig.clock.advance(HOUR))
    assert len(rig.targets.requests) == 3


async def test_a_timeout_is_tried_again_and_a_success_ends_it(rig: Rig) -> None:
    rig.targets.answer("a", 0, 204)
    entry = await rig.create(retry_delays=(1,))
    await rig.tick(MINUTE)
    [run] = await rig.runs(entry)
    assert (run.state, run.error, run.due_at) == ("retrying", "deadline of 1 s", rig.clock() + SECOND)
    await rig.tick(SECOND)
    assert await rig.states(entry) == ["succeeded"]


@on_the_embedded_store
async def test_what_cannot_be_built_is_not_sent_and_not_tried_again(rig: Rig) -> None:
    """A stored secret that no longer opens: the run says so, the loop goes on."""
    entry = await rig.create(secret="hush")
    assert entry.target.secret is not None
    driver(rig.bench.store).execute("UPDATE targets SET secret = x'00'")
    fine = await rig.create("b")
    await rig.tick(MINUTE)
    [run] = await rig.runs(entry)
    assert (run.state, run.error) == ("failed", "a stored secret cannot be opened with this secret key")
    assert await rig.states(fine) == ["succeeded"]
    assert rig.targets.hosts() == ["b"]


async def test_the_failure_call_is_sent_exactly_once(rig: Rig) -> None:
    rig.targets.answer("a", 500)
    await rig.create("a", retry=1, on_failure="http://pager/", run_at=START)
    await rig.tick()
    assert rig.targets.hosts() == ["a"]
    for _ in range(5):
        await rig.tick(5 * SECOND)
        await rig.dispatcher.rescue(rig.clock(), everything=True)
    assert rig.targets.hosts() == ["a", "a", "pager"]


async def test_a_failure_call_that_fails_is_tried_again(rig: Rig) -> None:
    rig.targets.answer("a", 500)
    rig.targets.answer("pager", 500, 200)
    await rig.create("a", retry=0, on_failure="http://pager/", run_at=START)
    for _ in range(5):
        await rig.tick(5 * SECOND)
    assert rig.targets.hosts() == ["a", "pager", "pager"]


async def test_queued_overlaps_are_sent_one_after_the_other_in_order(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create(overlap="queue")
    for _ in range(3):
        await rig.tick(MINUTE)
    assert await rig.states(entry) == ["running", "queued", "queued"]
    rig.targets.release("a")
    await rig.dispatch()
    runs = await rig.runs(entry)
    assert [run.state for run in runs] == ["succeeded"] * 3
    assert rig.attempts() == [(public(run), "1") for run in runs]
    assert rig.targets.peak["a"] == 1


async def test_overlap_allow_sends_all_of_them_at_once(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create(overlap="allow")
    for _ in range(3):
        await rig.tick(MINUTE)
    assert rig.targets.peak["a"] == 3
    rig.targets.release("a")
    await rig.dispatch()
    assert await rig.states(entry) == ["succeeded"] * 3


async def test_leases_of_what_is_in_flight_are_renewed_so_that_nobody_rescues_it(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create(timeout_seconds=900, overlap="skip")
    await rig.tick(MINUTE)
    other = Dispatcher(rig.bench.core, rig.targets, rig.clock, lambda: 0.5, node=1)
    for _ in range(12):
        now = rig.clock.advance(HEARTBEAT)
        await rig.dispatcher.step(now)
        assert await other.rescue(now) == 0
    assert 12 * HEARTBEAT > 3 * LEASE
    rig.targets.release("a")
    await rig.dispatch()
    [run] = await rig.runs(entry)
    assert (run.state, run.attempt, len(rig.targets.requests)) == ("succeeded", 1, 1)


async def test_leases_hold_when_the_clock_jumps(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create(overlap="skip")
    await rig.tick(MINUTE)
    for jump in (HOUR, -2 * HOUR, HOUR):
        await rig.tick(jump)
        [run] = [run for run in await rig.runs(entry) if run.state == "running"]
        assert run.lease_until == rig.clock() + LEASE
        assert run.attempt == 1
    rig.targets.release("a")
    await rig.dispatch()
    assert len(rig.targets.requests) == 1


@on_the_embedded_store
async def test_results_that_cannot_be_written_are_kept_and_written_later(rig: Rig) -> None:
    """The target has been called; forgetting its answer would mean calling it again."""
    entry = await rig.create()
    await rig.scheduler.step(rig.clock.advance(MINUTE))
    await rig.dispatcher.step(rig.clock())
    await rig.quiet()
    connection = driver(rig.bench.store)
    connection.execute("PRAGMA query_only = on")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await rig.dispatcher.step(rig.clock())
    connection.execute("PRAGMA query_only = off")
    assert await rig.states(entry) == ["running"]
    await rig.dispatcher.step(rig.clock())
    assert await rig.states(entry) == ["succeeded"]
    assert len(rig.targets.requests) == 1


@on_the_embedded_store
async def test_seats_are_free_again_when_targets_cannot_be_read(rig: Rig) -> None:
    """Were they not, each such moment would leave fewer of them until nothing is sent any more."""
    await rig.create(retry=5)
    await rig.scheduler.step(rig.clock.advance(MINUTE))
    connection = driver(rig.bench.store)
    connection.execute("ALTER TABLE targets RENAME COLUMN address TO away")
    with pytest.raises(Unavailable):
        await rig.dispatcher.step(rig.clock())
    connection.execute("ALTER TABLE targets RENAME COLUMN away TO address")
    assert (rig.dispatcher._seats.free, rig.dispatcher.in_flight) == (1_000, 0)
    rig.clock.advance(LEASE + HEARTBEAT)
    await rig.dispatch()
    assert [number for _, number in rig.attempts()] == ["2"]


async def test_a_run_that_was_taken_over_is_not_finished_by_its_late_result(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create()
    await rig.tick(MINUTE)
    later = rig.clock() + A_LEASE + 1
    other = Dispatcher(rig.bench.core, rig.targets, rig.clock, lambda: 0.5, node=1)
    assert await other.rescue(later) == 1
    [second] = await claim(rig.bench.store, later, node=1)
    rig.targets.release("a")
    await rig.quiet()
    await rig.dispatcher._finish(later)
    [run] = await rig.runs(entry)
    assert rig.bench.said(ResultFenced) == [ResultFenced(run_id=run.id, attempt=1)]
    assert (run.state, run.attempt) == ("running", 2)
    await end(rig.bench.store, later, [second])
    assert await rig.states(entry) == ["succeeded"]


async def test_draining_waits_for_what_is_in_flight_and_writes_it(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create()
    await rig.tick(MINUTE)
    draining = asyncio.ensure_future(rig.dispatcher.drain(20))
    asyncio.get_running_loop().call_soon(rig.targets.release, "a")
    await draining
    assert await rig.states(entry) == ["succeeded"]
    assert rig.dispatcher.in_flight == 0


async def test_what_does_not_end_in_time_is_cut_off_and_sent_again_by_the_next_start(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create()
    await rig.tick(MINUTE)
    await rig.dispatcher.drain(0.01)
    assert (rig.dispatcher.in_flight, rig.targets.in_flight["a"]) == (0, 0)
    assert await rig.states(entry) == ["running"]
    rig.targets.release("a")
    rig.start()
    assert await rig.dispatcher.rescue(rig.clock(), everything=True) == 1
    await rig.dispatch()
    [run] = await rig.runs(entry)
    assert (run.state, rig.attempts()) == ("succeeded", [(public(run), "1"), (public(run), "2")])


async def test_results_are_gathered_for_a_moment_unless_there_are_enough_or_none_is_to_come(rig: Rig) -> None:
    hurried: list[int] = []

    class Listens:
        def scheduler(self) -> None: ...

        def dispatcher(self, *, hurry: bool = False) -> None:
            hurried.append(len(dispatcher._ended))
            assert hurry

    core = msgspec.structs.replace(rig.bench.core, wakeup=Listens())
    dispatcher = Dispatcher(core, rig.targets, rig.clock, lambda: 0.5)
    rig.targets.hang("a")
    entries = [await rig.create(host) for host in ("a", "b", *["c"] * 15, *["d"] * 16)]
    await rig.scheduler.step(rig.clock.advance(MINUTE))
    await dispatcher.step(rig.clock())
    await until(lambda: dispatcher.in_flight == 1)
    # A slow machine takes longer than that moment for 32 of them.
    assert hurried[-1] == 32
    assert len(hurried) <= 2
    await dispatcher.step(rig.clock())
    assert [await rig.states(entry) for entry in entries[1:]] == [["succeeded"]] * 32
    hurried.clear()
    await rig.create("e", run_at=rig.clock(), cron_expr=None)
    await rig.scheduler.step(rig.clock())
    await dispatcher.step(rig.clock())
    await until(lambda: hurried == [1])
    assert dispatcher.in_flight == 1
    await dispatcher.step(rig.clock())
    rig.targets.release("a")
    await until(lambda: dispatcher.in_flight == 0)
    assert hurried == [1, 1], "none is to come: the last one does not wait"
