"""Sends runs: finish what has ended, claim what is due, send each in a task of its own.

Two writes per run, both shared by all runs in flight: the results of the last few milliseconds are written in one
transaction, the next runs taken in another.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from mainspring.core import runs
from mainspring.core.changes import Claim, Result
from mainspring.core.errors import Refused
from mainspring.core.events import AttemptEnded, Claimed, Rescued, ResultFenced
from mainspring.core.limits import HEARTBEAT, LEASE, SEATS_PER_ORIGIN, SECOND
from mainspring.core.model import Target
from mainspring.core.ports import Core, Outcome, Sender
from mainspring.core.seats import Seats

LANE = "http"
_TARGETS_KEPT = 20_000
_RESCUE_BATCH = 500
# Results that are worth a step of their own: half of an origin's seats, so that it is never without work.
_ENOUGH = SEATS_PER_ORIGIN // 2


class Dispatcher:
    """step: write results, claim, start sending. Leases of what is in flight are renewed on the way."""

    def __init__(
        self,
        core: Core,
        sender: Sender,
        clock: Callable[[], int],
        dice: Callable[[], float],
        *,
        node: int = 0,
    ) -> None:
        self._core = core
        self._sender = sender
        self._clock = clock
        self._dice = dice
        self._node = node
        self._seats = Seats()
        self._flying: dict[int, asyncio.Task[None]] = {}
        self._ended: list[Result] = []
        self._targets: OrderedDict[int, Target] = OrderedDict()
        self._renewed_at = 0
        self._reread_at = 0

    @property
    def in_flight(self) -> int:
        return len(self._flying)

    async def step(self, now: int) -> int:
        """Write results, then claim and send as far as seats allow; ms until something more is due."""
        await self._finish(now)
        await self._renew(now)
        if now >= self._reread_at or now < self._reread_at - SECOND:
            # Writes of other nodes, and clocks that stepped back, may have put work behind the cursor.
            self._seats.reread()
            self._reread_at = now + SECOND
        claims = await self._core.store.runs.claim(
            now, lane=LANE, node=self._node, lease_until=now + LEASE, seats=self._seats
        )
        if claims:
            self._core.emit(Claimed(runs=len(claims)))
            try:
                await self._load_targets(claims)
            except BaseException:
                # Claimed but not sent: their leases run out, but their seats must not stay taken.
                for claim in claims:
                    self._seats.give_back(claim.origin)
                raise
            for claim in claims:
                self._launch(claim)
        waiting = await self._core.store.runs.next_waiting(LANE, now)
        return SECOND if waiting is None else min(SECOND, max(1, waiting - now))

    async def rescue(self, now: int, *, everything: bool = False) -> int:
        """Take back runs whose lease is over (all running ones at the start of a lone node); returns how many."""
        rescued = 0
        while found := await self._core.store.runs.expired(now, _RESCUE_BATCH, everything=everything):
            mine = [run for run in found if run.id not in self._flying]
            if not mine:
                break
            targets = await self._core.store.runs.targets(list({run.target_id for run in mine}))
            results = [runs.interrupted(run, targets[run.target_id], now) for run in mine]
            await self._write(now, results)
            rescued += len(mine)
            if len(found) < _RESCUE_BATCH:
                break
        if rescued:
            self._core.emit(Rescued(runs=rescued))
            self._core.wakeup.dispatcher()
        return rescued

    async def drain(self, seconds: float) -> None:
        """After the last step: wait until what is in flight has ended, at most `seconds`, and write all results.

        What is still in flight then is cut off and stays leased: its node's next start, or another node, rescues it.
        """
        if self._flying:
            await asyncio.wait(self._flying.values(), timeout=seconds)
        for task in list(self._flying.values()):
            task.cancel()
        await asyncio.gather(*self._flying.values(), return_exceptions=True)
        await self._finish(self._clock())

    def _launch(self, claim: Claim) -> None:
        task = asyncio.get_running_loop().create_task(self._send(claim, self._targets[claim.target_id]))
        self._flying[claim.run_id] = task

    async def _send(self, claim: Claim, target: Target) -> None:
        try:
            if target.retry == 0:
                # Without retries, sent at most once: not before it is on disk that this attempt has begun.
                await self._core.store.runs.durable()
            try:
                request = runs.request(self._core.vault, claim, target, self._clock())
            except Refused as refused:
                outcome = Outcome(kind="forbidden", ended_at=self._clock(), error=refused.message)
            else:
                outcome = await self._sender.send(request)
            self._ended.append(runs.after(claim, target, outcome, self._dice()))
            self._core.wakeup.dispatcher(hurry=len(self._ended) >= _ENOUGH)
        finally:
            del self._flying[claim.run_id]
            self._seats.give_back(claim.origin)

    async def _finish(self, now: int) -> None:
        if not self._ended:
            return
        results, self._ended = self._ended, []
        try:
            await self._write(now, results)
        except BaseException:
            self._ended = results + self._ended
            raise

    async def _write(self, now: int, results: list[Result]) -> None:
        fenced = await self._core.store.runs.finish(now, results)
        late = {result.claim.run_id for result in fenced}
        for result in results:
            if result.claim.run_id in late:
                self._core.emit(ResultFenced(run_id=result.claim.run_id, attempt=result.claim.attempt))
            else:
                self._core.emit(_ended(result))
                if result.due_at is not None:
                    self._seats.reread(result.due_at)

    async def _renew(self, now: int) -> None:
        if now - self._renewed_at < HEARTBEAT and now >= self._renewed_at:
            return
        self._renewed_at = now
        held = [*self._flying, *(result.claim.run_id for result in self._ended)]
        if held:
            await self._core.store.runs.renew(self._node, held, now + LEASE)
        await self.rescue(now)

    async def _load_targets(self, claims: list[Claim]) -> None:
        """Targets never change, so they are kept; the ones longest unused go first."""
        for claim in claims:
            if claim.target_id in self._targets:
                self._targets.move_to_end(claim.target_id)
        missing = list({claim.target_id for claim in claims if claim.target_id not in self._targets})
        for at in range(0, len(missing), _RESCUE_BATCH):
            self._targets.update(await self._core.store.runs.targets(missing[at : at + _RESCUE_BATCH]))
        while len(self._targets) > _TARGETS_KEPT:
            self._targets.popitem(last=False)


def _ended(result: Result) -> AttemptEnded:
    claim = result.claim
    first = claim.attempt == 1 and result.sent_at is not None
    return AttemptEnded(
        project=claim.project,
        run_id=claim.run_id,
        schedule_id=claim.schedule_id,
        trigger=claim.trigger,
        attempt=claim.attempt,
        state=result.state,
        status=result.status,
        error=result.error,
        lateness_ms=result.sent_at - claim.scheduled_for if first and result.sent_at is not None else None,
        duration_ms=result.ended_at - claim.started_at,
    )
