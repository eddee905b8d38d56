"""Scheduler and dispatcher on a real store, stepped by hand, with targets in memory and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from mainspring.core import ids, schedules
from mainspring.core.drafts import Draft
from mainspring.core.model import Entry, Run, ScheduleKind
from mainspring.core.ports import Outcome, Request
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.scheduler import Scheduler
from store.making import ALL, PROJECT, Bench, Clock

# For tests that look behind the store.
on_the_embedded_store = pytest.mark.parametrize("bench", ["sqlite"], indirect=True)


class Targets:
    """Answers every request at once with 200, unless told otherwise for its host; notes what it was asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._statuses: dict[str, list[int]] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self.requests: list[Request] = []
        self.in_flight: Counter[str] = Counter()
        self.hanging: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()

    def answer(self, host: str, *statuses: int) -> None:
        """Answer with these, one after the other; the last one from then on. 0 is no answer at all."""
        self._statuses[host] = list(statuses)

    def hang(self, host: str) -> None:
        self._gates[host] = asyncio.Event()

    def release(self, host: str) -> None:
        self._gates.pop(host).set()
        self.hanging[host] = 0

    async def send(self, request: Request) -> Outcome:
        host = urlsplit(request.url).hostname or ""
        self.requests.append(request)
        sent_at = self._clock()
        self.in_flight[host] += 1
        self.peak[host] = max(self.peak[host], self.in_flight[host])
        self.peak["all"] = max(self.peak["all"], self.in_flight.total())
        try:
            if host in self._gates:
                await self._hang(host)
        finally:
            self.in_flight[host] -= 1
        left = self._statuses.get(host, [200])
        status = left.pop(0) if len(left) > 1 else left[0]
        if status == 0:
            return Outcome("timeout", self._clock(), sent_at=sent_at, error="deadline of 1 s")
        return Outcome("reply", self._clock(), sent_at=sent_at, status=status, body=b"said")

    async def _hang(self, host: str) -> None:
        gate = self._gates[host]
        self.hanging[host] += 1
        try:
            await gate.wait()
        finally:
            self.hanging[host] -= not gate.is_set()

    def hosts(self) -> list[str]:
        """Who was called, in order."""
        return [urlsplit(request.url).hostname or "" for request in self.requests]


class Rig:
    """One process of the service without its doors."""

    def __init__(self, bench: Bench, clock: Clock, targets: Targets) -> None:
        self.bench = bench
        self.clock = clock
        self.targets = targets
        self.start()

    def start(self, node: int = 0) -> None:
        """Begin anew on the same store, as after a crash: nothing in memory is left."""
        self.scheduler = Scheduler(self.bench.core)
        self.dispatcher = Dispatcher(self.bench.core, self.targets, self.clock, lambda: 0.5, node=node)

    async def create(self, host: str = "a", kind: ScheduleKind = "cron", **fields: Any) -> Entry:
        """A schedule that calls http://HOST/."""
        if "run_at" not in fields:
            fields.setdefault("cron_expr", "* * * * *")
        draft = Draft(url=f"http://{host}/", **fields)
        made = await schedules.create(self.bench.core, self.clock(), PROJECT, kind, draft, None)
        assert isinstance(made, Entry)
        return made

    async def tick(self, ms: int = 0) -> None:
        """Move the clock; fire, send, and write down what has ended."""
        self.clock.advance(ms)
        await self.scheduler.step(self.clock())
        await self.dispatch()

    async def dispatch(self) -> int:
        """Send what is due and write down what has ended; what the last step answered."""
        while True:
            sent = len(self.targets.requests)
            wait = await self.dispatcher.step(self.clock())
            await self.quiet()
            if len(self.targets.requests) == sent and not self.dispatcher._ended:
                return wait

    async def quiet(self) -> None:
        """Until nothing is in flight but what hangs."""
        await until(lambda: self.dispatcher.in_flight <= self.targets.hanging.total())

    async def entry(self, made: Entry) -> Entry:
        return await schedules.get(self.bench.core, PROJECT, made.schedule.kind, made.schedule.id)

    async def runs(self, made: Entry) -> list[Run]:
        """Its runs, oldest instant first."""
        return (await self.bench.store.runs.page_of_schedule(made.schedule.id, None, 0, ALL))[::-1]

    async def states(self, made: Entry) -> list[str]:
        return [run.state for run in await self.runs(made)]

    def attempts(self) -> list[tuple[str, str]]:
        """(run, number) of every request, in order."""
        headers = [dict(request.headers) for request in self.targets.requests]
        return [(one["X-Mainspring-Run-Id"], one["X-Mainspring-Attempt"]) for one in headers]


def public(run: Run) -> str:
    return ids.text("run", run.id)


async def until(holds: Callable[[], bool]) -> None:
    """Give the others turns until a condition holds."""
    async with asyncio.timeout(20):
        while not holds():
            await turn()


async def turn() -> None:
    """Give everybody else one turn."""
    ready = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(ready.set_result, None)
    await ready
