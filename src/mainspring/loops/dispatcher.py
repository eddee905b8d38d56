"""Sends runs: finish what has ended, claim what is due, send each in a task of its own.

Two writes per run, both shared by all runs in flight: in one transaction the results of the last few milliseconds are
written and the next runs taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mainspring.core import queue_targets, runs
from mainspring.core.changes import Claim, Result
from mainspring.core.errors import Refused, Unavailable
from mainspring.core.events import AttemptEnded, Claimed, EndpointDisabled, Rescued, ResultFenced
from mainspring.core.limits import HEARTBEAT, LEASE, SEATS_PER_ORIGIN, SECOND
from mainspring.core.model import Run, Target
from mainspring.core.ports import Core, Outcome, Sender
from mainspring.core.seats import Seats
from mainspring.core.webhooks_model import Outgoing

LANE = "http"
_TARGETS_KEPT = 20_000
_RESCUE_BATCH = 500
# Results that are worth a step of their own: as many as one origin can have at a time.
_ENOUGH = SEATS_PER_ORIGIN
_MOMENT_S = 0.005
# That a target still fails, nobody waits to hear: it is written with what is let through to the others that fail.
_PATIENCE_S = 0.3
# To targets in doubt one request after the other is begun, not all in a row: a connection that is refused takes half a
# millisecond, in which no other request moves.
_APART_S = 0.002


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
        rpc: Sender | None = None,
        everywhere: Core | None = None,
    ) -> None:
        self._core = core
        # Whose wake-ups reach the consumers of all nodes.
        self._everywhere = everywhere or core
        self._sender = sender
        self._rpc = rpc
        self._clock = clock
        self._dice = dice
        self._node = node
        self._seats = Seats()
        # By attempt: a run that was taken over while this node was cut off may come back to it as the next attempt.
        self._flying: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._ended: list[Result] = []
        self._in_doubt: deque[Callable[[], None]] = deque()
        self._writing: asyncio.TimerHandle | None = None
        self._targets: OrderedDict[int, Target] = OrderedDict()
        self._cut_off: list[tuple[int, int]] = []
        self._hastened = False
        self._renewed_at = 0
        self._reread_at = 0

    @property
    def in_flight(self) -> int:
        return len(self._flying) + len(self._in_doubt)

    async def step(self, now: int) -> int:
        """Write results, claim and send as far as seats allow; ms until something more is due."""
        await self._renew(now)
        if now >= self._reread_at or now < self._reread_at - SECOND:
            # Writes of other nodes, and clocks that stepped back, may have put work behind the cursor.
            self._seats.reread()
            self._reread_at = now + SECOND
        claims = await self._take_turns(now)
        if claims:
            self._core.emit(Claimed(runs=len(claims)))
            try:
                outgoing = await self._outgoing(claims)
                await self._load_targets(claims, outgoing)
            except BaseException:
                # Claimed but not sent: their leases run out, but their seats must not stay taken.
                for claim in claims:
                    self._seats.give_back(claim.origin)
                raise
            self._launch(claims, now + LEASE, outgoing)
        waiting = await self._core.store.runs.next_waiting(LANE, now)
        gate = self._core.store.webhooks.deliveries.next_turn(now)
        return min(gate, SECOND if waiting is None else min(SECOND, max(1, waiting - now)))

    async def _take_turns(self, now: int) -> list[Claim]:
        """Write how attempts have ended, and claim for the seats that they leave."""
        results, self._ended = self._ended, []
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        for result in results:
            if result.due_at is not None:
                self._seats.reread(result.due_at)
        try:
            fenced, claims = await self._core.store.runs.take_turns(
                now, results, node=self._node, lease_until=now + LEASE, seats=self._seats
            )
        except BaseException:
            self._ended = results + self._ended
            raise
        self._tell(results, fenced)
        return claims

    async def rescue(self, now: int, *, everything: bool = False) -> int:
        """Take back runs whose lease is over (all running ones at the start of a lone node); returns how many."""
        rescued = 0
        while found := await self._core.store.runs.expired(now, _RESCUE_BATCH, everything=everything):
            mine = [run for run in found if (run.id, run.attempt) not in self._flying]
            if not mine:
                break
            outgoing = await self._outgoing(mine)
            wanted = {run.id: _target_id(outgoing.get(run.id), run.target_id) for run in mine}
            targets = await self._core.store.runs.targets(list(set(wanted.values())))
            results = [runs.interrupted(run, targets[wanted[run.id]], now, outgoing.get(run.id)) for run in mine]
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

        Meanwhile results are written as they come and leases renewed, or another node would send again what is sent
        here. What is still in flight then is cut off and stays leased: `hand_over`, its node's next start, or another
        node when the lease ends, rescues it.
        """
        while self._in_doubt:
            self._in_doubt.popleft()()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._flying and not self._hastened and (left := until - loop.time()) > 0:
            await asyncio.wait(self._flying.values(), timeout=min(left, 1), return_when=asyncio.FIRST_COMPLETED)
            with contextlib.suppress(Unavailable):
                await self._finish(self._clock())
                await self._hold(self._clock())
        self._cut_off += self._flying
        for task in list(self._flying.values()):
            task.cancel()
        await asyncio.gather(*self._flying.values(), return_exceptions=True)
        ended = {(result.claim.run_id, result.claim.attempt) for result in self._ended}
        self._cut_off = [attempt for attempt in self._cut_off if attempt not in ended]
        await self._finish(self._clock())

    def hasten(self) -> None:
        """A `drain` under way, or the next one, waits no longer (it looks once a second)."""
        self._hastened = True

    async def hand_over(self) -> int:
        """After `drain`: give up the leases of what it cut off, and take it back as after a crash; returns how many."""
        given_up, self._cut_off = self._cut_off, []
        if not given_up:
            return 0
        now = self._clock()
        await self._core.store.runs.renew(self._node, given_up, now - 1)
        return await self.rescue(now)

    async def _outgoing(self, found: Sequence[Claim] | Sequence[Run]) -> dict[int, Outgoing]:
        """What is to be known of the webhook deliveries among these, by run."""
        asked = [_run_id(one) for one in found if one.kind == "webhook"]
        return await self._core.store.webhooks.deliveries.outgoing(asked) if asked else {}

    def _launch(self, claims: Sequence[Claim], lease_until: int, outgoing: Mapping[int, Outgoing]) -> None:
        waiting = len(self._in_doubt)
        for claim in claims:
            delivery = outgoing.get(claim.run_id)
            target = self._targets[_target_id(delivery, claim.target_id)]
            begin = partial(self._begin, claim, target, lease_until, delivery)
            if delivery is None or delivery.trusted:
                begin()
            else:
                self._in_doubt.append(begin)
        if self._in_doubt and not waiting:
            asyncio.get_running_loop().call_soon(self._begin_in_doubt)

    def _begin(self, claim: Claim, target: Target, lease_until: int, delivery: Outgoing | None) -> None:
        sending = self._send(claim, target, lease_until, delivery)
        task = asyncio.get_running_loop().create_task(sending)
        self._flying[claim.run_id, claim.attempt] = task

    def _begin_in_doubt(self) -> None:
        if self._in_doubt:
            self._in_doubt.popleft()()
        if self._in_doubt:
            asyncio.get_running_loop().call_later(_APART_S, self._begin_in_doubt)

    async def _send(self, claim: Claim, target: Target, lease_until: int, delivery: Outgoing | None) -> None:
        try:
            if target.retry == 0 or delivery is not None:
                # Without retries, sent at most once: not before it is on disk that this attempt has begun. Of a
                # webhook delivery each attempt is on record before it goes out.
                await self._core.store.runs.durable()
            if self._clock() >= lease_until:
                # Held up since the claim (a process stopped, a network cut): somebody else may have sent it by now.
                return
            outcome = await self._attempt(claim, target, delivery)
            self._gather(runs.after(claim, target, outcome, self._dice(), delivery))
        finally:
            del self._flying[claim.run_id, claim.attempt]
            self._seats.give_back(claim.origin)

    def _gather(self, ended: Result) -> None:
        """Results are written together: when there are enough, when no other is in flight, or a moment after the first.

        This wakes this loop alone: nothing that has ended here is work for another.
        """
        loop = asyncio.get_running_loop()
        self._ended.append(ended)
        patient = ended.delivery is not None and not ended.delivery.trusted and ended.state == "retrying"
        if len(self._ended) >= _ENOUGH or (self.in_flight == 1 and not patient):
            self._core.wakeup.dispatcher(hurry=True)
            return
        at = loop.time() + (_PATIENCE_S if patient else _MOMENT_S)
        if self._writing is None or self._writing.when() > at:
            if self._writing is not None:
                self._writing.cancel()
            self._writing = loop.call_at(at, self._write_soon)

    def _write_soon(self) -> None:
        self._writing = None
        if self._ended:
            self._core.wakeup.dispatcher(hurry=True)

    async def _attempt(self, claim: Claim, target: Target, delivery: Outgoing | None) -> Outcome:
        if target.kind == "queue":
            return await queue_targets.publish(self._everywhere, self._clock, claim, target)
        if delivery is not None and delivery.stopped is not None:
            return Outcome(kind="forbidden", ended_at=self._clock(), error=delivery.stopped)
        try:
            request = runs.request(self._core.vault, claim, target, self._clock(), delivery)
        except Refused as refused:
            return Outcome(kind="forbidden", ended_at=self._clock(), error=refused.message)
        return await self._sender_for(target).send(request)

    def _sender_for(self, target: Target) -> Sender:
        return self._rpc if target.kind == "rpc" and self._rpc is not None else self._sender

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
        self._tell(results, await self._core.store.runs.finish(now, results))

    def _tell(self, results: list[Result], fenced: list[Result]) -> None:
        late = {result.claim.run_id for result in fenced}
        for result in results:
            if result.claim.run_id in late:
                self._core.emit(ResultFenced(run_id=result.claim.run_id, attempt=result.claim.attempt))
            else:
                self._core.emit(_ended(result))
                if result.due_at is not None:
                    self._seats.reread(result.due_at)
        for off in self._core.store.webhooks.deliveries.switched_off():
            self._core.emit(EndpointDisabled(project=off.project, endpoint_id=off.endpoint_id, reason=off.reason))

    async def _renew(self, now: int) -> None:
        if await self._hold(now):
            await self.rescue(now)

    async def _hold(self, now: int) -> bool:
        """Lengthen the leases of what is held here, when it is time to; whether it was."""
        if now - self._renewed_at < HEARTBEAT and now >= self._renewed_at:
            return False
        self._renewed_at = now
        held = {*self._flying, *((result.claim.run_id, result.claim.attempt) for result in self._ended)}
        if held:
            await self._core.store.runs.renew(self._node, list(held), now + LEASE)
        return True

    async def _load_targets(self, claims: list[Claim], outgoing: Mapping[int, Outgoing]) -> None:
        """Targets never change, so they are kept; the ones longest unused go first."""
        wanted = {_target_id(outgoing.get(claim.run_id), claim.target_id) for claim in claims}
        missing = []
        for target_id in wanted:
            if target_id in self._targets:
                self._targets.move_to_end(target_id)
            else:
                missing.append(target_id)
        for at in range(0, len(missing), _RESCUE_BATCH):
            self._targets.update(await self._core.store.runs.targets(missing[at : at + _RESCUE_BATCH]))
        while len(self._targets) > _TARGETS_KEPT:
            self._targets.popitem(last=False)


def _run_id(one: Claim | Run) -> int:
    return one.run_id if isinstance(one, Claim) else one.id


def _target_id(delivery: Outgoing | None, target_id: int) -> int:
    """A delivery to an endpoint goes to what the endpoint's target is by now."""
    return target_id if delivery is None else delivery.target_id


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
