"""A receiver of pushes on a real socket, and a pusher that posts to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from doors.live import Live
from mainspring.loops.pusher import Pusher
from mainspring.outbound.guard import Guard
from mainspring.outbound.sender import HttpSender


@dataclass
class Post:
    """What came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Answers 200, unless `answers` has something else for a path: (status, headers), one after the other, the last one
    from then on. A path in `gates` is answered when its gate opens."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answers: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.at_a_time: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Note it, and answer as planned."""
        post = Post(
            request.path, {name.lower(): value for name, value in request.headers.items()}, await request.read()
        )
        self.posts.append(post)
        for name in (post.message, "all"):
            self.at_a_time[name] += 1
            self.peak[name] = max(self.peak[name], self.at_a_time[name])
        try:
            if (gate := self.gates.get(request.path)) is not None:
                await gate.wait()
        finally:
            for name in (post.message, "all"):
                self.at_a_time[name] -= 1
        planned = self.answers.get(request.path, [(200, {})])
        status, headers = planned.pop(0) if len(planned) > 1 else planned[0]
        return web.Response(status=status, headers=headers, text="said")

    def on(self, path: str) -> list[Post]:
        return [post for post in self.posts if post.path == path]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver until the block ends."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Posting:
    """The pusher of a live server, stepped by hand."""

    def __init__(self, live: Live, pusher: Pusher) -> None:
        self.live = live
        self.pusher = pusher

    async def until_quiet(self, ahead: int = 0) -> None:
        """Move the clock on by `ahead` ms, then push until nothing is left to do."""
        self.live.clock.ahead += ahead
        turned: Any = await self.live.store.tides.turn(self.live.clock())
        while turned.more:
            turned = await self.live.store.tides.turn(self.live.clock())
        async with asyncio.timeout(30):
            while True:
                self.pusher.reread()
                await self.pusher.step(self.live.clock())
                if self.pusher.in_flight == 0 and not self.pusher._ended:
                    return
                await self._landing()

    async def _landing(self) -> None:
        if flying := list(self.pusher._flying):
            await asyncio.wait(flying)

    async def begin(self) -> None:
        """Claim and post, without waiting for the answers."""
        self.pusher.reread()
        await self.pusher.step(self.live.clock())


@asynccontextmanager
async def posting(live: Live, allow: Sequence[str] = ("127.0.0.0/8",)) -> AsyncIterator[Posting]:
    """A pusher until the block ends."""
    sender = HttpSender(Guard(allow), live.clock)
    await sender.start()
    pusher = Pusher(live.core, sender, live.clock, lambda: 0.5, lambda _: None)
    try:
        yield Posting(live, pusher)
        await pusher.drain(0)
    finally:
        await sender.close()
