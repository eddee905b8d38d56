"""A world in which everything happens by the dice: users, targets that fail and hang, crashes, clocks that jump.

The store is a real one. What a schedule must have in its ledger is kept beside it, from nothing but what users did.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mainspring.core import ids, schedules
from mainspring.core.drafts import Draft
from mainspring.core.errors import Conflict, NotFound
from mainspring.core.limits import DAY, HOUR, MINUTE, SECOND
from mainspring.core.model import Entry, Run
from mainspring.core.ports import Outcome, Request
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.janitor import Janitor
from mainspring.loops.scheduler import Scheduler
from mainspring.store.store import open_sqlite
from sim.timeline import Timeline
from store.making import PROJECT, START, Bench, Clock, driver

# Schedules that are completed, and the last instant in their ledger.
COMPLETED = """
SELECT schedule_id, max(COALESCE((SELECT max(scheduled_for) FROM runs AS r WHERE r.schedule_id = p.schedule_id
                                  AND trigger IN ('schedule', 'catchup')), 0),
                        COALESCE((SELECT max(to_at) FROM gaps AS g WHERE g.schedule_id = p.schedule_id), 0))
FROM progress AS p WHERE completed_at IS NOT NULL
"""
EXPRESSIONS = ("* * * * * *", "*/5 * * * * *", "*/20 * * * * *", "* * * * *", "@every 7s", "0 */2 * * * *")


class Moody:
    """Targets that mostly answer, sometimes fail, and sometimes hang until somebody lets go of them."""

    def __init__(self, dice: random.Random, clock: Clock) -> None:
        self._dice = dice
        self._clock = clock
        self._hanging: list[asyncio.Event] = []
        self.hanging = 0
        self.kind = False
        self.begun: list[tuple[int, int]] = []

    async def send(self, request: Request) -> Outcome:
        headers = dict(request.headers)
        run_id = ids.key_of("run", headers["X-Mainspring-Run-Id"])
        assert run_id is not None
        self.begun.append((run_id, int(headers["X-Mainspring-Attempt"])))
        mood = 1.0 if self.kind else self._dice.random()
        if mood < 0.1:
            await self._hang()
        status = 500 if 0.05 < mood < 0.35 else 200
        if mood < 0.03:
            return Outcome("timeout", self._clock(), sent_at=self._clock())
        return Outcome("reply", self._clock(), sent_at=self._clock(), status=status)

    async def _hang(self) -> None:
        gate = asyncio.Event()
        self._hanging.append(gate)
        self.hanging += 1
        try:
            await gate.wait()
        finally:
            self.hanging -= not gate.is_set()

    def let_go(self, *, all_of_them: bool = False) -> None:
        self._dice.shuffle(self._hanging)
        for _ in range(len(self._hanging) if all_of_them else min(1, len(self._hanging))):
            self._hanging.pop().set()
            self.hanging -= 1

    def forget(self) -> None:
        """The process that waited for them is gone."""
        self._hanging.clear()


class World:
    """One store, one process on it at a time, and the schedules that users made."""

    def __init__(self, bench: Bench, clock: Clock, seed: int) -> None:
        self.dice = random.Random(seed)
        self.bench = bench
        self.store = bench.store
        self.clock = clock
        self.highest = self.visited = clock()
        self.targets = Moody(self.dice, clock)
        self.timelines: dict[int, Timeline] = {}
        self.live: dict[int, Entry] = {}
        self._boot()

    @classmethod
    async def begin(cls, folder: Path, seed: int, *, sync_aside: bool = False) -> World:
        clock = Clock(START)
        store = await open_sqlite(folder / "store.db", clock, sync_aside=sync_aside)
        world = cls(Bench(store), clock, seed)
        if not sync_aside:
            driver(world.store).execute("PRAGMA synchronous = OFF")
        return world

    def _boot(self) -> None:
        core = self.bench.core
        self.scheduler = Scheduler(core)
        self.dispatcher = Dispatcher(core, self.targets, self.clock, self.dice.random)
        self.janitor = Janitor(core)

    async def crash(self, away: int) -> None:
        """The process dies in the middle of everything; `away` ms later another one starts on its store."""
        flights = list(self.dispatcher._flying.values())
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        self.targets.forget()
        self._move(away)
        self._boot()
        await self.dispatcher.rescue(self.clock(), everything=True)

    def _move(self, ms: int) -> None:
        self.clock.advance(ms)
        self.highest = max(self.highest, self.clock())

    @property
    def set_back(self) -> bool:
        """Whether the clock shows an instant that it has passed before."""
        return self.clock() < self.highest

    async def tick(self, ms: int) -> None:
        """Time passes; the loops do what there is to do."""
        self._move(ms)
        await self.fire()
        await self.dispatch()

    async def fire(self) -> None:
        while await self.scheduler.step(self.clock()) == 0:
            pass
        self.visited = max(self.visited, self.clock())
        for schedule_id, last in driver(self.store).execute(COMPLETED):
            if schedule_id in self.live:
                self.timelines[schedule_id].completed(last)

    async def dispatch(self) -> None:
        while True:
            begun = len(self.targets.begun)
            await self.dispatcher.step(self.clock())
            await self._quiet()
            if len(self.targets.begun) == begun and not self.dispatcher._ended:
                return

    async def _quiet(self) -> None:
        async with asyncio.timeout(20):
            while self.dispatcher.in_flight > self.targets.hanging:
                ready = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_soon(ready.set_result, None)
                await ready

    # What users do

    async def create(self) -> None:
        fields: dict[str, Any] = {
            "overlap": self.dice.choice(["allow", "skip", "queue"]),
            "catchup": self.dice.choice(["latest", "skip", "all"]),
            "catchup_window_seconds": self.dice.choice([0, 60, 86_400]),
            "max_runs": self.dice.choice([None, None, 3, 40]),
            "retry_delays": self.dice.choice([(), (0.5,), (1, 5, 20)]),
            "on_failure": self.dice.choice([None, "http://pager.example/"]),
        }
        if self.dice.random() < 0.15:
            fields["run_at"] = self.clock() + self.dice.randrange(-MINUTE, 5 * MINUTE)
        else:
            fields["cron_expr"] = self.dice.choice(EXPRESSIONS)
        url = f"http://{self.dice.choice('abc')}.example/"
        made = await schedules.create(self.bench.core, self.clock(), PROJECT, "cron", Draft(url=url, **fields), None)
        assert isinstance(made, Entry)
        timeline = self.timelines[made.schedule.id] = Timeline(made.schedule)
        timeline.open(made.schedule, self.clock())
        self.live[made.schedule.id] = made

    async def edit(self, schedule_id: int) -> None:
        draft = self.dice.choice(
            [
                Draft(cron_expr=self.dice.choice(EXPRESSIONS)),
                Draft(payload=b"%d" % self.dice.randrange(100)),
                Draft(max_runs=self.dice.choice([None, 2, 60])),
                Draft(run_at=self.clock() + self.dice.randrange(0, MINUTE)),
            ]
        )

        async def change(now: int) -> Entry:
            made = await schedules.update(self.bench.core, now, PROJECT, "cron", schedule_id, draft, None)
            assert isinstance(made, Entry)
            return made

        await self._change(schedule_id, change)

    async def pause(self, schedule_id: int) -> None:
        async def change(now: int) -> Entry:
            made = await schedules.pause(self.bench.core, now, PROJECT, "cron", schedule_id, None)
            assert isinstance(made, Entry)
            return made

        await self._change(schedule_id, change)

    async def resume(self, schedule_id: int) -> None:
        async def change(now: int) -> Entry:
            made = await schedules.resume(self.bench.core, now, PROJECT, "cron", schedule_id, None)
            assert isinstance(made, Entry)
            return made

        await self._change(schedule_id, change)

    async def _change(self, schedule_id: int, change: Callable[[int], Awaitable[Entry]]) -> None:
        """A user changes the schedule, and now and then a fire comes in between."""
        asked, visited, before = self.clock(), self.visited, self.live[schedule_id].schedule
        changing = asyncio.ensure_future(change(asked))
        if self.dice.random() < 0.5:
            self._move(self.dice.choice([1, 400, 1_500]))
            await asyncio.ensure_future(self.fire())
        changed = await changing
        self.timelines[schedule_id].changed(before, changed, visited, asked, self.clock())
        self.live[schedule_id] = changed

    async def delete(self, schedule_id: int) -> None:
        await schedules.delete(self.bench.core, self.clock(), PROJECT, "cron", schedule_id, None)
        del self.live[schedule_id]

    async def trigger(self, schedule_id: int) -> None:
        try:
            run = await schedules.trigger(self.bench.core, PROJECT, "cron", schedule_id, None, None)
        except (Conflict, NotFound):
            return
        assert isinstance(run, Run)

    # One thing after the other

    async def happen(self) -> str:
        """One thing, by the dice; its name."""
        names: list[str] = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
        name = self.dice.choice(names)
        match name:
            case "tick":
                await self.tick(self.dice.choice([100, 1_000, 3_000, 10_000, 10_001, 30_000]))
            case "absence":
                await self.crash(self.dice.choice([11 * SECOND, MINUTE, 4 * MINUTE]))
            case "crash":
                await self.crash(self.dice.choice([0, 1, 5_000]))
            case "set back" if not self.set_back:
                self.clock.advance(-self.dice.choice([500, 30_000, HOUR]))
                await self.tick(0)
                self.clock.now = self.highest
            case "let go":
                self.targets.let_go()
                await self.dispatch()
            case "janitor":
                await self.janitor.step(self.clock() + self.dice.choice([0, DAY]))
            case "create":
                if len(self.live) < 8:
                    await self.create()
            case "edit" | "pause" | "resume" | "delete" | "trigger" if self.live:
                act: Callable[[int], Awaitable[None]] = getattr(self, name)
                await act(self.dice.choice(sorted(self.live)))
            case _:
                pass
        return name

    async def calm_down(self) -> None:
        """No new work, targets that answer: whatever is unfinished gets its chance."""
        for schedule_id in sorted(self.live):
            await self.pause(schedule_id)
        self.targets.kind = True
        self.targets.let_go(all_of_them=True)
        for _ in range(5):
            await self.tick(HOUR)


WEIGHTS: dict[str, int] = {
    "tick": 30,
    "absence": 2,
    "crash": 3,
    "set back": 2,
    "let go": 4,
    "janitor": 1,
    "create": 5,
    "edit": 4,
    "pause": 3,
    "resume": 4,
    "delete": 1,
    "trigger": 4,
}
