from __future__ import annotations

import msgspec

from mainspring.core import runs
from mainspring.core.changes import Result
from mainspring.core.limits import SECOND
from mainspring.core.model import Attempt, Progress, Run
from mainspring.store.store import Store
from store.making import (
    ORIGIN,
    PROJECT,
    START,
    claim,
    create,
    end,
    entry_of,
    fire,
    reply,
    runs_of,
    schedule,
    target,
    trigger,
)


async def found(store: Store, run_id: int) -> tuple[Run, list[Attempt]]:
    both = await store.runs.get(PROJECT, run_id)
    assert both is not None
    return both


async def apart(store: Store) -> list[Run]:
    """Claim the runs that belong to no schedule and return their rows."""
    claims = await claim(store, START + 3_600 * SECOND)
    return [(await found(store, one.run_id))[0] for one in claims if one.schedule_id is None]


async def test_a_success_is_over_with_everything_it_said(store: Store) -> None:
    entry = await create(store, START)
    await fire(store, START)
    claims = await claim(store, START)
    assert await end(store, START + 7, claims) == []
    run, attempts = await found(store, claims[0].run_id)
    assert (run.state, run.status, run.body, run.error, run.due_at) == ("succeeded", 200, b"said", None, None)
    assert (run.sent_at, run.finished_at, run.lease_until, run.node) == (START + 7, START + 7, None, None)
    assert attempts == []
    progress = (await entry_of(store, entry)).progress
    assert (progress.active, progress.held, progress.last_state) == (0, 0, "succeeded")


async def test_a_failure_waits_for_its_retry_and_still_counts_as_active(store: Store) -> None:
    entry = await create(store, START)
    await fire(store, START)
    claims = await claim(store, START)
    await end(store, START + 7, claims, status=500)
    run, attempts = await found(store, claims[0].run_id)
    assert (run.state, run.due_at, run.finished_at, run.attempt) == ("retrying", START + 7 + 5 * SECOND, None, 1)
    assert [(one.attempt, one.started_at, one.sent_at, one.ended_at, one.status) for one in attempts] == [
        (1, START, START + 7, START + 7, 500)
    ]
    progress = (await entry_of(store, entry)).progress
    assert (progress.active, progress.last_state) == (1, None)


async def test_a_run_remembers_every_attempt_and_its_first_byte(store: Store) -> None:
    entry = await create(store, START, to=target(retry=2))
    await fire(store, START)
    now = START
    for status in (500, 502, 503):
        claims = await claim(store, now)
        await end(store, now + 1, claims, status=status)
        now += 60 * SECOND
    run, attempts = await found(store, claims[0].run_id)
    assert [(one.attempt, one.status, one.error) for one in attempts] == [
        (1, 500, "HTTP status 500"),
        (2, 502, "HTTP status 502"),
        (3, 503, "HTTP status 503"),
    ]
    assert (run.state, run.attempt, run.status, run.sent_at) == ("failed", 3, 503, START + 1)
    assert (await entry_of(store, entry)).progress.last_state == "failed"


async def test_a_late_worker_cannot_finish_a_rescued_run(store: Store) -> None:
    entry = await create(store, START)
    await fire(store, START)
    [stale] = await claim(store, START)
    [orphan] = await store.runs.expired(START, 10, everything=True)
    await store.runs.finish(START, [runs.interrupted(orphan, entry.target, START)])
    [current] = await claim(store, START)
    before = await found(store, current.run_id), await entry_of(store, entry)
    [refused] = await end(store, START + 1, [stale])
    assert refused.claim == stale
    assert (await found(store, current.run_id), await entry_of(store, entry)) == before
    assert await end(store, START + 2, [current]) == []
    assert [refused.claim.attempt for refused in await end(store, START + 3, [current], status=500)] == [2]
    run, attempts = await found(store, current.run_id)
    assert (run.state, run.finished_at) == ("succeeded", START + 2)
    assert [(one.attempt, one.error) for one in attempts] == [(1, "interrupted"), (2, None)]
    assert (await entry_of(store, entry)).progress.active == 0


async def test_in_one_batch_late_results_do_not_touch_the_others(store: Store) -> None:
    entry = await create(store, START)
    for _ in range(2):
        await trigger(store, START, entry)
    first, second = await claim(store, START)
    await end(store, START, [first])
    late = await end(store, START + 1, [first, second], status=500)
    assert [result.claim.run_id for result in late] == [first.run_id]
    assert [run.state for run in await runs_of(store, entry)] == ["succeeded", "retrying"]
    assert (await entry_of(store, entry)).progress.active == 1


async def test_the_failure_call_is_made_once_in_the_transaction_of_the_failure(store: Store) -> None:
    entry = await create(store, START, to=target(retry=0, on_failure="https://pager.example/alarm"))
    await fire(store, START)
    claims = await claim(store, START)
    await end(store, START, claims, status=500)
    assert len(await end(store, START, claims, status=500)) == 1
    [call] = await apart(store)
    assert (call.kind, call.origin, call.schedule_id, call.trigger) == (
        "failure",
        "https://pager.example:443",
        None,
        "manual",
    )
    assert (await store.runs.targets([call.target_id]))[call.target_id].address == "https://pager.example/alarm"
    assert msgspec.json.decode(call.payload or b"")["data"]["response_status"] == 500
    assert call.id not in [run.id for run in await runs_of(store, entry)]


async def test_no_failure_call_for_a_retry_a_success_or_a_cancelled_run(store: Store) -> None:
    to = target(retry=1, on_failure="https://pager.example/alarm")
    entry = await create(store, START, to=to)
    await fire(store, START)
    await end(store, START, await claim(store, START), status=500)
    await end(store, START, await claim(store, START + 60 * SECOND))
    assert [run.state for run in await runs_of(store, entry)] == ["succeeded"]
    assert await apart(store) == []


async def test_the_failure_call_may_fail_without_calling_again(store: Store) -> None:
    await create(store, START, to=target(retry=0, on_failure="https://pager.example/alarm"))
    await fire(store, START)
    await end(store, START, await claim(store, START), status=500)
    now = START
    for _ in range(4):
        now += 3_600 * SECOND
        calls = [one for one in await claim(store, now) if one.kind == "failure"]
        assert len(calls) == 1
        await end(store, now, calls, status=500)
    assert [one for one in await claim(store, now + 3_600 * SECOND) if one.kind == "failure"] == []


async def test_one_batch_settles_several_runs_of_one_schedule(store: Store) -> None:
    entry = await create(store, START)
    for _ in range(3):
        await trigger(store, START, entry)
    await end(store, START, await claim(store, START))
    assert (await entry_of(store, entry)).progress == Progress(
        next_due_at=START,
        paused_at=None,
        completed_at=None,
        run_count=0,
        active=0,
        held=0,
        last_run_at=START,
        last_state="succeeded",
        gap_id=None,
        gap_key=None,
    )


async def test_a_result_of_a_run_that_is_gone_is_refused(store: Store) -> None:
    entry = await create(store, START, schedule(run_at=START, kind="task", retention_days=0))
    await fire(store, START)
    claims = await claim(store, START)
    await end(store, START, claims)
    await store.upkeep.prune_schedules(START + 1, 30)
    [refused] = await store.runs.finish(START, [runs.after(claims[0], entry.target, reply(START), 0.5)])
    assert isinstance(refused, Result)
    assert await store.runs.get(PROJECT, claims[0].run_id) is None


async def test_nothing_to_finish_is_fine(store: Store) -> None:
    assert await store.runs.finish(START, []) == []
    assert (await create(store, START)).schedule.origin == ORIGIN
