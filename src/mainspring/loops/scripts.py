"""Runs scripts: claims runs of lane `script`, has each run in a process of its own, writes down how it ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from mainspring.core import cron_types, script_runs, scripts
from mainspring.core.changes import Claim, Result
from mainspring.core.errors import Invalid, NotFound, Refused, Unavailable
from mainspring.core.events import AttemptEnded, Claimed, ResultFenced
from mainspring.core.limits import HEARTBEAT, LEASE, RESPONSE_KEPT_BYTES, SCRIPT_SEATS, SECOND
from mainspring.core.ports import Core
from mainspring.core.script_results_model import NewScriptResult, Waiting
from mainspring.core.scripts_model import ScriptEnd
from mainspring.core.seats import Seats

_INTERRUPTED = script_runs.FAILED + "interrupted"


class _Flight(NamedTuple):
    """A run under way. `number`: of its record, if it had one when it was claimed."""

    task: asyncio.Task[None]
    claim: Claim
    number: int | None


class _Ended(msgspec.Struct, frozen=True):
    """A run that is over and not written down yet. `number`: of its record, if it has one."""

    claim: Claim
    number: int | None
    end: ScriptEnd
    began_at: int | None
    ended_at: int


class ScriptRunner:
    """step: write down what has ended, claim, run. `wake` has the next step come soon."""

    def __init__(self, core: Core, clock: Callable[[], int], wake: Callable[[], None], *, node: int = 0) -> None:
        self._core = core
        self._clock = clock
        self._wake = wake
        self._node = node
        self._runs = script_runs.Runs(core, clock)
        self._seats = Seats(SCRIPT_SEATS, SCRIPT_SEATS)
        self._flying: dict[tuple[int, int], _Flight] = {}
        self._ended: list[_Ended] = []
        self._renewed_at = 0
        self._reread_at = 0
        self._hastened = False

    @property
    def in_flight(self) -> int:
        return len(self._flying)

    async def begin(self, now: int) -> None:
        """At the start of a node that is alone: what was under way is over."""
        await self._core.store.script_results.abandon(now)

    async def step(self, now: int) -> int:
        """Write down, renew leases, claim and start as far as seats allow; ms until something more is due."""
        await self._finish(now)
        await self._hold(now)
        if now >= self._reread_at or now < self._reread_at - SECOND:
            # Writes of other nodes, and clocks that stepped back, may have put work behind the cursor.
            self._seats.reread()
            self._reread_at = now + SECOND
        store = self._core.store
        claims = await store.runs.claim(
            now, lane=cron_types.SCRIPT, node=self._node, lease_until=now + LEASE, seats=self._seats
        )
        if claims:
            self._core.emit(Claimed(runs=len(claims)))
            try:
                # A script is run at most once: not before it is on disk that it has begun.
                await store.runs.durable()
                waiting = await store.script_results.waiting([claim.run_id for claim in claims])
            except BaseException:
                for claim in claims:
                    self._seats.give_back(claim.origin)
                raise
            for claim in claims:
                self._launch(claim, waiting.get(claim.run_id), now + LEASE)
        due = await store.runs.next_waiting(cron_types.SCRIPT, now)
        return SECOND if due is None else min(SECOND, max(1, due - now))

    async def drain(self, seconds: float) -> None:
        """After the last step: wait for what is under way, at most so long; the rest is cut off, and that is written
        down."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._flying and not self._hastened and (left := until - loop.time()) > 0:
            tasks = [flight.task for flight in self._flying.values()]
            await asyncio.wait(tasks, timeout=min(left, 1), return_when=asyncio.FIRST_COMPLETED)
            with contextlib.suppress(Unavailable):
                await self._finish(self._clock())
                await self._hold(self._clock())
        cut_off = list(self._flying.values())
        for flight in cut_off:
            flight.task.cancel()
        await asyncio.gather(*(flight.task for flight in cut_off), return_exceptions=True)
        for flight in list(self._flying.values()):
            # Cancelled before its first step, a task does not even get as far as its end.
            self._end(flight.claim, flight.number, ScriptEnd(error=_INTERRUPTED), None)
        await self._finish(self._clock())

    def hasten(self) -> None:
        """A `drain` under way, or the next one, waits no longer (it looks once a second)."""
        self._hastened = True

    def _launch(self, claim: Claim, waiting: Waiting | None, lease_until: int) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(claim, waiting, lease_until))
        number = None if waiting is None else waiting.number
        self._flying[claim.run_id, claim.attempt] = _Flight(task, claim, number)

    def _end(self, claim: Claim, number: int | None, end: ScriptEnd, began_at: int | None) -> None:
        del self._flying[claim.run_id, claim.attempt]
        self._seats.give_back(claim.origin)
        self._ended.append(_Ended(claim, number, end, began_at, self._clock()))
        self._wake()

    async def _serve(self, claim: Claim, waiting: Waiting | None, lease_until: int) -> None:
        number = None if waiting is None else waiting.number
        began_at = None
        end = ScriptEnd(error=_INTERRUPTED)
        try:
            if self._clock() >= lease_until:
                # Held up since the claim: somebody else has taken it for dead by now.
                return
            if waiting is None:
                waiting = await self._fired(claim)
                number = waiting.number
            began_at = self._clock()
            end = await self._run(waiting, began_at)
        except Refused as refused:
            end = ScriptEnd(error=refused.message)
        finally:
            self._end(claim, number, end, began_at)

    async def _run(self, waiting: Waiting, now: int) -> ScriptEnd:
        try:
            script = await scripts.find(self._core, waiting.script_name)
        except NotFound as gone:
            return ScriptEnd(error=script_runs.FAILED + gone.message)
        ends_by = now + script.limits.run_ms + script_runs.MARGIN
        await self._core.store.script_results.begin(waiting.number, ends_by)
        env = scripts.env_of(self._core, waiting.env)
        return await self._runs.run(script, waiting.run_type, waiting.param, env)

    async def _fired(self, claim: Claim) -> Waiting:
        """A crontab has fired: put on record that it has, and what is to be run. Raises `Refused` when there is nothing
        to run, after that was put on record."""
        now = self._clock()
        assert claim.schedule_id is not None
        results = self._core.store.script_results
        name = ""
        try:
            job = await self._job_of(claim)
            name = job.script
            script = await scripts.find(self._core, name)
        except Refused as refused:
            why = f"Not found in database: {refused.message}" if isinstance(refused, NotFound) else refused.message
            await results.refuse_fired(now, claim.run_id, claim.schedule_id, why, name)
            raise
        params = msgspec.json.encode(job.params) if claim.payload is None else claim.payload
        item = NewScriptResult(script.number, script.name, "cron", now, params)
        return await results.begin_fired(now, claim.run_id, claim.schedule_id, item)

    async def _job_of(self, claim: Claim) -> cron_types.ScriptJob:
        """What its schedule said when it fired. Raises `Invalid`."""
        target = (await self._core.store.runs.targets([claim.target_id]))[claim.target_id]
        try:
            job = cron_types.read(msgspec.json.decode(target.payload or b""))
        except (msgspec.DecodeError, RecursionError) as error:
            raise Invalid(str(error)) from None
        if not isinstance(job, cron_types.ScriptJob):
            raise Invalid("this is no script")
        return job

    async def _finish(self, now: int) -> None:
        """Write down what has ended; what cannot be written now is written with the next step."""
        while self._ended:
            one = self._ended[0]
            if one.number is not None:
                await self._core.store.script_results.finish(one.number, one.ended_at, one.end.result, one.end.error)
            fenced = await self._core.store.runs.finish(now, [_result(one)])
            self._ended.pop(0)
            claim = one.claim
            if fenced:
                self._core.emit(ResultFenced(run_id=claim.run_id, attempt=claim.attempt))
            else:
                self._core.emit(_event(one))

    async def _hold(self, now: int) -> None:
        """Lengthen the leases of what is held here, when it is time to."""
        if now - self._renewed_at < HEARTBEAT and now >= self._renewed_at:
            return
        self._renewed_at = now
        held = {*self._flying, *((one.claim.run_id, one.claim.attempt) for one in self._ended)}
        if held:
            await self._core.store.runs.renew(self._node, list(held), now + LEASE)


def _result(one: _Ended) -> Result:
    end = one.end
    return Result(
        claim=one.claim,
        state="succeeded" if end.error is None else "failed",
        due_at=None,
        sent_at=one.began_at,
        ended_at=one.ended_at,
        status=None,
        body=None if end.result is None else end.result[:RESPONSE_KEPT_BYTES],
        error=end.error,
    )


def _event(one: _Ended) -> AttemptEnded:
    claim, result = one.claim, _result(one)
    return AttemptEnded(
        project=claim.project,
        run_id=claim.run_id,
        schedule_id=claim.schedule_id,
        trigger=claim.trigger,
        attempt=claim.attempt,
        state=result.state,
        status=None,
        error=result.error,
        lateness_ms=None if one.began_at is None else one.began_at - claim.scheduled_for,
        duration_ms=one.ended_at - claim.started_at,
    )
