"""The pusher on a real store, stepped by hand, with receivers in memory and a clock that the test moves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from loops.rig import Targets, until
from mainspring.core import ids, subscriptions
from mainspring.core.model import Page
from mainspring.core.ports import Outcome, Request
from mainspring.core.push_model import LoggedPush, Subscription
from mainspring.core.subscriptions import SubscriptionDraft
from mainspring.loops.pusher import Pusher
from mainspring.store.store import Store
from store.making import PROJECT, Clock
from store.queueing import Hand


class Receivers(Targets):
    """`asks`: by host, the `Retry-After` in ms that comes with an answer of 429, 500 or 503."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asks: dict[str, int] = {}

    async def send(self, request: Request) -> Outcome:
        outcome = await super().send(request)
        asked = self.asks.get(urlsplit(request.url).hostname or "")
        if outcome.status in (429, 500, 503) and asked is not None:
            return msgspec.structs.replace(outcome, retry_after_ms=asked)
        return outcome

    def posted(self) -> list[str]:
        """The ids of the messages that came, in order."""
        return [dict(request.headers)["webhook-id"] for request in self.requests]


class PushRig:
    """One process that pushes. `hand` publishes and consumes beside it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.hand = Hand(store, clock)
        self.core = self.hand.core
        self.receivers = Receivers(clock)
        self.woken: list[bool] = []
        self._pushers: list[Pusher] = []
        self.pusher = self.another()

    def another(self, **options: Any) -> Pusher:
        """A pusher as on another node, or after a crash."""
        made = Pusher(self.core, self.receivers, self.clock, lambda: 0.5, self.woken.append, **options)
        self._pushers.append(made)
        return made

    async def subscribe(self, host: str = "a", queue: str = "q", **draft: Any) -> Subscription:
        """Push to http://HOST/."""
        asked = SubscriptionDraft(url=f"http://{host}/", **draft)
        made = await subscriptions.subscribe(self.core, PROJECT, queue, asked, None)
        assert isinstance(made, Subscription)
        return made

    async def push(self, ms: int = 0, pusher: Pusher | None = None) -> None:
        """Move the clock, let time do what is due, and push until there is nothing left to do but what hangs."""
        one = pusher or self.pusher
        self.clock.advance(ms)
        await self.hand.turn()
        for _ in range(1_000):
            sent = len(self.receivers.requests)
            one.reread()
            await one.step(self.clock())
            await until(lambda: sum(each.in_flight for each in self._pushers) <= self.receivers.hanging.total())
            if len(self.receivers.requests) == sent and not one._ended:
                return
        raise AssertionError("there is no end to it")

    async def now(self, made: Subscription, queue: str = "q") -> Subscription:
        """The subscription as it is."""
        found = await subscriptions.page(self.core, PROJECT, queue, Page(limit=500))
        [one] = [each for each in found if each.id == made.id]
        return one

    async def log(self, queue: str = "q") -> list[LoggedPush]:
        """What was pushed, oldest first."""
        return (await subscriptions.log(self.core, PROJECT, queue, Page(limit=500)))[::-1]

    async def outcomes(self, queue: str = "q") -> list[str]:
        return [push.outcome for push in await self.log(queue)]


def public(message_id: int) -> str:
    return ids.text("msg", message_id)
