"""The client for code that waits for its answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

import httpx2

from mainspring_client import answers, clock, operations
from mainspring_client.async_client import AsyncClient
from mainspring_client.errors import MainspringError, NotFound
from mainspring_client.nouns.account import Account, Discovery
from mainspring_client.nouns.cron import Cron
from mainspring_client.nouns.queue import Queue
from mainspring_client.nouns.task import Run, Task
from mainspring_client.nouns.webhook import Webhook
from mainspring_client.operation import Operation, Request
from mainspring_client.records import Activation, Page
from mainspring_client.retrying import DEADLINE_S, RETRIES, TIMEOUT_S, Patience
from mainspring_client.session import Session, named
from mainspring_client.trial import Trial

T = TypeVar("T")
P = ParamSpec("P")


class Client:
    """Every operation of a Mainspring server as a method: `client.cron.create(…)`. May be shared by threads.

    `api_key`, `base_url`: found in the environment or in files when left out (`address.find` says where). `retries`:
    attempts after the first; `timeout_seconds`: of silence within one attempt; `deadline_seconds`: of a whole call.
    `http`: an httpx2 client of your own, for a proxy or certificates; you close it.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        retries: int = RETRIES,
        timeout_seconds: float = TIMEOUT_S,
        deadline_seconds: float = DEADLINE_S,
        http: httpx2.Client | None = None,
    ) -> None:
        self._session = Session(api_key, base_url, Patience(retries, timeout_seconds, deadline_seconds))
        self._http = http
        self._owns_http = http is None
        self._lock = Lock()
        self.cron = Cron(self._call)
        self.task = Task(self._call)
        self.run = Run(self._call)
        self.queue = Queue(self._call)
        self.webhook = Webhook(self._call)
        self.account = Account(self._call)
        self.discovery = Discovery(self._call)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A client that is used again opens new ones."""
        with self._lock:
            if self._owns_http and self._http is not None:
                self._http.close()
                self._http = None

    def for_asyncio(self) -> AsyncClient:
        """A client with the same address, key and patience for code that runs on asyncio.

        Raises `ValueError` for a client with an `http` of its own: make an `AsyncClient` with its like.
        """
        if not self._owns_http:
            raise ValueError("this client has an http of its own; give an AsyncClient its like")
        return AsyncClient(session=self._session)

    def activate(self, *, region: str = "auto", device_kind: str = "cli", write_credentials: bool = True) -> Activation:
        """Get the key of a development server, use it from now on, and keep it in ~/.mainspring/credentials.

        On another server it only makes sure that the key already found is valid. Raises `NoKey` without one.
        """
        try:
            got = self._call(operations.ACTIVATE, {"region": region, "device_kind": device_kind})
        except NotFound as refused:
            kept = self._session.already_active(refused)
            self.account.balance()
            return cast("Activation", kept)
        self._session.adopt(got, write=write_credentials)
        return got

    def call(self, operation: str, given: Mapping[str, Any] | None = None) -> answers.Result:
        """Any operation by its id, with any fields, also those that its method does not know: `call("cron.list")`."""
        return cast("answers.Result", self._call(named(operation), given or {}))

    def each(self, method: Callable[P, Page[T]], *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        """Every item of a listing, over all its pages: `for job in client.each(client.cron.list): …`."""
        while True:
            page = method(*args, **kwargs)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            kwargs["cursor"] = page["next_cursor"]

    def _call(self, operation: Operation[T], given: Mapping[str, Any]) -> T:
        request = self._session.request(operation, given)
        trial = Trial(self._session.patience, request, clock.monotonic())
        while True:
            try:
                return cast("T", self._send(request, trial))
            except MainspringError as failure:
                pause = trial.pause(failure, clock.monotonic(), random.random())  # noqa: S311  # jitter, no secret
                if pause is None:
                    raise
            clock.sleep(pause)

    def _send(self, request: Request, trial: Trial) -> answers.Result:
        """One attempt. The library's timeout is of silence; an answer that drips is cut at the deadline here."""
        parts = []
        silence = trial.silence(clock.monotonic())
        try:
            with self._connections().stream(
                request.method, request.target, content=request.body, headers=request.headers, timeout=silence
            ) as reply:
                for part in reply.iter_bytes():
                    parts.append(part)
                    if trial.remaining(clock.monotonic()) <= 0:
                        raise httpx2.ReadTimeout("the answer is not whole", request=reply.request)
        except httpx2.RequestError as error:
            said = f"{request.target}: {str(error) or type(error).__name__}"
            raise trial.unanswered(clock.monotonic(), said) from error
        return answers.read(reply.status_code, reply.headers, b"".join(parts), clock.wall(), bare=request.bare)

    def _connections(self) -> httpx2.Client:
        with self._lock:
            if self._http is None:
                # The server is where the caller says: a proxy from the environment is for other things.
                self._http = httpx2.Client(
                    trust_env=False, limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100)
                )
            return self._http
