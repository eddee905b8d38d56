from __future__ import annotations

import asyncio

import pytest

from loops.rig import turn, until
from mainspring.core.events import Event, LoopFailed
from mainspring.core.limits import SECOND
from mainspring.loops import service
from mainspring.loops.scheduler import Scheduler
from mainspring.loops.service import Service
from store.making import START

LONG_S = 3_600
LONG_MS = LONG_S * 1_000


class Steps:
    """A step that answers what it is told to and notes when it was called."""

    def __init__(self, *answers: int | Exception) -> None:
        self._answers = list(answers)
        self.calls: list[int] = []
        self.times: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.ended = 0
        self.events: list[Event] = []

    async def __call__(self, now: int) -> int:
        self.calls.append(now)
        self.times.append(asyncio.get_running_loop().time())
        await self.gate.wait()
        self.ended += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def service(self, pace_s: float = 0.0) -> Service:
        return Service("counter", self, lambda: START + len(self.calls), self.events.append, pace_s=pace_s)

    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await turn()


async def test_it_steps_at_once_and_again_when_the_step_said_so() -> None:
    steps = Steps(1, 0, LONG_MS)
    running = steps.service()
    running.start()
    await until(lambda: len(steps.calls) == 3)
    await turns()
    assert steps.calls == [START, START + 1, START + 2]
    await running.stop()


async def test_a_wake_up_ends_the_wait() -> None:
    steps = Steps(LONG_MS)
    running = steps.service()
    running.start()
    await until(lambda: len(steps.calls) == 1)
    await turns()
    assert len(steps.calls) == 1
    running.wake()
    await until(lambda: len(steps.calls) == 2)
    await running.stop()


async def test_a_wake_up_during_a_step_is_not_lost() -> None:
    steps = Steps(LONG_MS)
    steps.gate.clear()
    running = steps.service()
    running.start()
    await until(lambda: len(steps.calls) == 1)
    running.wake()
    steps.gate.set()
    await until(lambda: len(steps.calls) == 2)
    await turns()
    assert len(steps.calls) == 2
    await running.stop()


async def test_the_pace_keeps_two_steps_apart_unless_there_is_a_hurry() -> None:
    steps = Steps(0)
    running = steps.service(pace_s=LONG_S)
    running.start()
    await until(lambda: len(steps.calls) == 1)
    running.wake()
    await turns()
    assert len(steps.calls) == 1
    running.hurry()
    await until(lambda: len(steps.calls) == 2)
    await running.stop()


async def test_after_a_quiet_time_the_pace_costs_nothing() -> None:
    steps = Steps(LONG_MS)
    running = steps.service(pace_s=0.05)
    running.start()
    await until(lambda: len(steps.calls) == 1)
    quiet = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.06, quiet.set_result, None)
    await quiet
    woken = asyncio.get_running_loop().time()
    running.wake()
    await until(lambda: len(steps.calls) == 2)
    assert steps.times[1] - woken < steps.times[1] - steps.times[0]
    await running.stop()


async def test_under_load_the_pace_is_kept() -> None:
    steps = Steps(0)
    running = steps.service(pace_s=0.02)
    running.start()
    await until(lambda: len(steps.calls) == 5)
    await running.stop()
    assert min(steps.gaps()) >= 0.019


async def test_a_step_that_raises_is_reported_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BACKOFF_FIRST", 0.001)
    steps = Steps(ZeroDivisionError("by nought"), LONG_MS)
    running = steps.service()
    running.start()
    await until(lambda: len(steps.calls) == 2)
    await running.stop()
    assert steps.events == [LoopFailed(loop="counter", error="ZeroDivisionError: by nought")]


async def test_the_pause_after_failures_grows_to_a_limit_and_a_success_resets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "BACKOFF_FIRST", 0.01)
    monkeypatch.setattr(service, "BACKOFF_MAX", 0.08)
    failure = ZeroDivisionError()
    steps = Steps(*[failure] * 5, 0, failure, LONG_MS)
    running = steps.service()
    running.start()
    await until(lambda: len(steps.calls) == 8)
    await running.stop()
    waited = steps.gaps()
    assert [gap >= least for gap, least in zip(waited, (0.009, 0.019, 0.039, 0.079, 0.079), strict=False)] == [True] * 5
    assert waited[6] < waited[4]


def test_a_loop_that_fails_is_tried_again_as_often_as_an_idle_one_looks() -> None:
    """After a fail-over loops wait for one another: first the lease, then what is due, then what waits to be sent."""
    assert Scheduler.__init__.__kwdefaults__["poll_ms"] >= service.BACKOFF_MAX * SECOND


async def test_a_wake_up_does_not_shorten_the_pause_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BACKOFF_FIRST", LONG_S)
    steps = Steps(ZeroDivisionError())
    running = steps.service()
    running.start()
    await until(lambda: len(steps.events) == 1)
    running.wake()
    running.hurry()
    await turns()
    assert len(steps.calls) == 1
    await running.stop()


async def test_stopping_lets_the_step_under_way_end_and_begins_no_other() -> None:
    steps = Steps(0)
    steps.gate.clear()
    running = steps.service()
    running.start()
    await until(lambda: len(steps.calls) == 1)
    stopping = asyncio.ensure_future(running.stop())
    await turns()
    assert not stopping.done()
    steps.gate.set()
    await stopping
    assert (len(steps.calls), steps.ended) == (1, 1)


@pytest.mark.parametrize("answer", [LONG_MS, ZeroDivisionError()])
async def test_stopping_ends_every_wait(monkeypatch: pytest.MonkeyPatch, answer: int | Exception) -> None:
    """The wait for the next step, the pace, and the pause after a failure."""
    monkeypatch.setattr(service, "BACKOFF_FIRST", LONG_S)
    steps = Steps(answer)
    running = steps.service(pace_s=LONG_S)
    running.start()
    await until(lambda: steps.ended == 1)
    await turns()
    async with asyncio.timeout(20):
        await running.stop()
    assert len(steps.calls) == 1


async def test_what_never_started_can_be_stopped() -> None:
    steps = Steps(0)
    running = steps.service()
    await running.stop()
    running.start()
    await turns()
    assert steps.calls == []
