"""Pushes messages: write how pushes have ended, claim for the subscriptions that have room, post each in a task.

Two writes per push, shared by all that are in flight, as with runs. A lease is longer than a request may take, so it is
never renewed: a node that is killed costs what it held one lease.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from mainspring.core import pushes
from mainspring.core.errors import Refused, Unavailable
from mainspring.core.events import MessagesReceived, MessagesSettled, PushEnded, QueueDeadLettered
from mainspring.core.limits import PUSH_SEATS, SECOND
from mainspring.core.messages import tell
from mainspring.core.ports import Core, Outcome, Sender
from mainspring.core.push_model import Push, Pushed, PushResult
from mainspring.core.subscriptions import tell_ended

POLL = SECOND
# Results that are worth a step of their own.
_ENOUGH = 16


class Pusher:
    """step: write results, claim, start posting. `stir` says that a queue has messages, `reread` that subscriptions
    have changed; both are hints, for everything is looked at once a second. `wake` asks for a step, soon or at once.
    """

    def __init__(
        self,
        core: Core,
        sender: Sender,
        clock: Callable[[], int],
        dice: Callable[[], float],
        wake: Callable[[bool], None],
        *,
        seats: int = PUSH_SEATS,
    ) -> None:
        self._core = core
        self._sender = sender
        self._clock = clock
        self._dice = dice
        self._wake = wake
        self._seats = seats
        self._subscribed: set[int] = set()
        self._stirred: set[int] = set()
        self._looked_at = 0
        self._unread = True
        self._behind = False
        self._flying: dict[asyncio.Task[None], Push] = {}
        self._ended: list[PushResult] = []
        self._hastened = False

    @property
    def in_flight(self) -> int:
        return len(self._flying)

    def stir(self, queue_id: int) -> bool:
        """Messages of a queue can be had; whether that is a reason for a step."""
        if queue_id not in self._subscribed:
            return False
        self._stirred.add(queue_id)
        return True

    def reread(self) -> None:
        """Subscriptions are not what they were."""
        self._unread = True

    async def step(self, now: int) -> int:
        """Write results, then claim and post as far as there is room; ms until everything is looked at again."""
        await self._finish(now)
        if len(self._flying) < self._seats:
            await self._claim(now, self._seats - len(self._flying))
        return max(1, self._looked_at + POLL - now)

    async def _claim(self, now: int, free: int) -> None:
        everything = self._unread or self._behind
        self._unread, self._behind = False, True
        wanted = await self._wanted(now, everything=everything)
        claimed = await self._core.store.pushes.claim(now, wanted, free) if wanted else []
        # Without seats for all, and after whatever raises here, the next step does not go by what was stirred.
        self._behind = len(claimed) >= free
        if claimed:
            self._core.emit(MessagesReceived(messages=len(claimed)))
            self._core.wakeup.tide(min(push.message.lease_until or now for push in claimed))
        for push in claimed:
            self._launch(push)

    async def _wanted(self, now: int, *, everything: bool) -> list[int]:
        """Subscriptions with messages and room: of the queues that were stirred, and once a second of all."""
        store, stirred = self._core.store, self._stirred
        self._stirred = set()
        if everything or not self._looked_at <= now < self._looked_at + POLL:
            self._subscribed = await store.subscriptions.queues()
            wanted = await store.pushes.wanted(now, None) if self._subscribed else []
            self._looked_at = now
            return wanted
        return await store.pushes.wanted(now, stirred) if stirred else []

    def _launch(self, push: Push) -> None:
        task = asyncio.get_running_loop().create_task(self._post(push))
        self._flying[task] = push
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        push = self._flying.pop(task)
        if task.cancelled():
            self._ended.append(pushes.given_back(push, self._clock(), pushes.UNANSWERED))
        else:
            task.result()
        self._wake(len(self._ended) >= _ENOUGH)

    async def _post(self, push: Push) -> None:
        started_at = self._clock()
        if not pushes.fits(push, started_at):
            # Held up since the claim: the request could outlast the lease, and somebody else post the same message.
            self._ended.append(pushes.given_back(push, started_at))
            return
        try:
            request = pushes.request(self._core.vault, push, started_at)
        except Refused as refused:
            outcome = Outcome(kind="forbidden", ended_at=started_at, error=refused.message)
        else:
            outcome = await self._sender.send(request)
        self._ended.append(pushes.after(push, outcome, started_at, self._dice()))

    async def _finish(self, now: int) -> None:
        if not self._ended:
            return
        results, self._ended = self._ended, []
        try:
            pushed = await self._core.store.pushes.finish(now, results)
        except BaseException:
            self._ended = results + self._ended
            raise
        # Where a push has ended there is room for the next.
        self._stirred |= {result.push.queue.id for result in results}
        tell(self._core, pushed.ready, pushed.visible_at)
        self._say(results, pushed)

    def _say(self, results: Sequence[PushResult], pushed: Pushed) -> None:
        emit = self._core.emit
        for result, outcome in zip(results, pushed.outcomes, strict=True):
            push = result.push
            emit(
                PushEnded(
                    project=push.queue.project,
                    queue=push.queue.name,
                    subscription_id=push.subscription.id,
                    message_id=push.message.id,
                    attempt=push.message.attempt,
                    outcome=outcome,
                    status=result.status,
                    error=result.error,
                    duration_ms=result.ended_at - result.started_at,
                )
            )
            if outcome != "lost":
                emit(MessagesSettled(verb=result.verb, messages=1))
        for project, queue, messages in pushed.dead:
            emit(QueueDeadLettered(project=project, queue=queue, messages=messages))
        queues = {result.push.queue.id: result.push.queue for result in results}
        for ended in pushed.ended:
            tell_ended(self._core, queues[ended.queue_id], ended)
        if pushed.ended:
            self.reread()

    async def drain(self, seconds: float) -> None:
        """After the last step: wait until what is in flight has ended, at most `seconds`, and write all results.

        What is in flight still is cut off and given back, uncounted: its message may be had at once.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._flying and not self._hastened and (left := until - loop.time()) > 0:
            await asyncio.wait(self._flying, timeout=min(left, 1), return_when=asyncio.FIRST_COMPLETED)
            with contextlib.suppress(Unavailable):
                await self._finish(self._clock())
        flying = list(self._flying)
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)
        await self._finish(self._clock())

    def hasten(self) -> None:
        """A `drain` under way, or the next one, waits no longer (it looks once a second)."""
        self._hastened = True
