"""The client for code that runs on asyncio."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

import httpx2

from mainspring_client import answers, clock, operations
from mainspring_client.async_nouns.account import AsyncAccount, AsyncDiscovery
from mainspring_client.async_nouns.cron import AsyncCron
from mainspring_client.async_nouns.queue import AsyncQueue
from mainspring_client.async_nouns.task import AsyncRun, AsyncTask
from mainspring_client.async_nouns.webhook import AsyncWebhook
from mainspring_client.errors import MainspringError, NotFound
from mainspring_client.operation import Operation, Request
from mainspring_client.records import Activation, Page
from mainspring_client.retrying import DEADLINE_S, RETRIES, TIMEOUT_S, Patience
from mainspring_client.session import Session, named
from mainspring_client.trial import Trial

T = TypeVar("T")
P = ParamSpec("P")


class AsyncClient:
    """As `Client`, with methods that are awaited: `await client.cron.create(…)`. Belongs to one event loop.

    `session`: what another client found; `Client.for_asyncio` hands it over.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        retries: int = RETRIES,
        timeout_seconds: float = TIMEOUT_S,
        deadline_seconds: float = DEADLINE_S,
        http: httpx2.AsyncClient | None = None,
        session: Session | None = None,
    ) -> None:
        self._session = session or Session(api_key, base_url, Patience(retries, timeout_seconds, deadline_seconds))
        self._http = http
        self._owns_http = http is None
        self.cron = AsyncCron(self._call)
        self.task = AsyncTask(self._call)
        self.run = AsyncRun(self._call)
        self.queue = AsyncQueue(self._call)
        self.webhook = AsyncWebhook(self._call)
        self.account = AsyncAccount(self._call)
        self.discovery = AsyncDiscovery(self._call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. A client that is used again opens new ones."""
        if self._owns_http and self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def activate(
        self, *, region: str = "auto", device_kind: str = "cli", write_credentials: bool = True
    ) -> Activation:
        """As `Client.activate`."""
        try:
            got = await self._call(operations.ACTIVATE, {"region": region, "device_kind": device_kind})
        except NotFound as refused:
            kept = self._session.already_active(refused)
            await self.account.balance()
            return cast("Activation", kept)
        self._session.adopt(got, write=write_credentials)
        return got

    async def call(self, operation: str, given: Mapping[str, Any] | None = None) -> answers.Result:
        """As `Client.call`."""
        return cast("answers.Result", await self._call(named(operation), given or {}))

    async def each(
        self, method: Callable[P, Awaitable[Page[T]]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[T]:
        """As `Client.each`: `async for job in client.each(client.cron.list): …`."""
        while True:
            page = await method(*args, **kwargs)
            for item in page["items"]:
                yield item
            if page["next_cursor"] is None:
                return
            kwargs["cursor"] = page["next_cursor"]

    async def _call(self, operation: Operation[T], given: Mapping[str, Any]) -> T:
        request = self._session.request(operation, given)
        trial = Trial(self._session.patience, request, clock.monotonic())
        while True:
            try:
                return cast("T", await self._send(request, trial))
            except MainspringError as failure:
                pause = trial.pause(failure, clock.monotonic(), random.random())  # noqa: S311  # jitter, no secret
                if pause is None:
                    raise
            await clock.sleep_async(pause)

    async def _send(self, request: Request, trial: Trial) -> answers.Result:
        """One attempt, cut at the call's deadline."""
        silence, remaining = trial.silence(clock.monotonic()), trial.remaining(clock.monotonic())
        try:
            async with asyncio.timeout(remaining):
                reply = await self._connections().request(
                    request.method, request.target, content=request.body, headers=request.headers, timeout=silence
                )
        except (httpx2.RequestError, TimeoutError) as error:
            said = f"{request.target}: {str(error) or type(error).__name__}"
            raise trial.unanswered(clock.monotonic(), said) from error
        return answers.read(reply.status_code, reply.headers, reply.content, clock.wall(), bare=request.bare)

    def _connections(self) -> httpx2.AsyncClient:
        if self._http is None:
            # The server is where the caller says: a proxy from the environment is for other things.
            self._http = httpx2.AsyncClient(
                trust_env=False, limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100)
            )
        return self._http
