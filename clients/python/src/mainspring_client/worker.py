"""The consumer loop: take messages, handle them, acknowledge; keep their leases meanwhile; stop in good order."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from mainspring_client import clock
from mainspring_client.async_client import AsyncClient
from mainspring_client.client import Client
from mainspring_client.errors import LeaseExpired, MainspringError, NotFound
from mainspring_client.queue_records import Leased, MessageRecord
from mainspring_client.retrying import DELAY_S_MAX, is_worth_a_retry
from mainspring_client.threads import in_thread

SIGNALS = (signal.SIGTERM, signal.SIGINT)
BATCH_MAX = 1000
# A poll that finds messages is back at once; one that waits is worth hanging up on.
_LAST_POLL_S = 1.0
_log = logging.getLogger("mainspring_client.worker")


class GiveBack(Exception):
    """Raised by a handler: the message is for another time or worker, and no failure."""

    def __init__(self, delay_seconds: float = 0.0) -> None:
        super().__init__(delay_seconds)
        self.delay_seconds = delay_seconds


class Retry(Exception):
    """Raised by a handler: it failed, and the message should come back after so many seconds."""

    def __init__(self, delay_seconds: float = 0.0) -> None:
        super().__init__(delay_seconds)
        self.delay_seconds = delay_seconds


class Reject(Exception):
    """Raised by a handler: no retry can help; the message is a dead letter at once."""


def backing_off(attempt: int) -> float:
    """Seconds until a failed message comes back: 1, 2, 4 and so on, 15 minutes at most."""
    return float(min(900, 2 ** (min(attempt, 11) - 1)))


class Options(TypedDict, total=False):
    """How a worker works; `AsyncWorker` says what each means."""

    concurrency: int
    prefetch: int | None
    visibility_timeout: float
    wait_seconds: float
    retry_delay: float | Callable[[int], float]
    grace_seconds: float
    signals: Sequence[signal.Signals]


@dataclass(slots=True, eq=False)
class _Held:
    """A message in hand. `extend_at`: when its lease is to be extended, by the monotonic clock."""

    message: MessageRecord
    extend_at: float
    begun: bool = False
    handled: bool = False
    lost: bool = False
    task: asyncio.Task[None] | None = None


class AsyncWorker:
    """Hands each message of a queue to `handler`, at least once, until it is stopped. It runs once.

    What the handler returns from is acknowledged; what it raises from comes back after `retry_delay` seconds (a number,
    or a function of the attempt) until the queue's `max_retries` make it a dead letter. Raise `Retry`, `Reject` or
    `GiveBack` to decide otherwise. `concurrency`: messages handled at a time; `prefetch`: further ones taken in
    advance, as many when left out. `visibility_timeout`: seconds after which others get the messages of a worker that
    died; one that is alive extends its leases. `wait_seconds`: of one long poll. `grace_seconds`: for handlers to end
    after `stop`. `signals`: those of the process that stop it; none when it runs beside a server that has its own.
    """

    def __init__(
        self,
        client: AsyncClient,
        queue: str,
        handler: Callable[[MessageRecord], Awaitable[object]],
        **options: Unpack[Options],
    ) -> None:
        concurrency = options.get("concurrency", 8)
        prefetch = options.get("prefetch")
        self._client = client
        self._queue = queue
        self._handler = handler
        self._room = concurrency + (concurrency if prefetch is None else prefetch)
        self._visibility = options.get("visibility_timeout", 30.0)
        self._wait = options.get("wait_seconds", 20.0)
        self._retry_delay = options.get("retry_delay", backing_off)
        self._grace = options.get("grace_seconds", 30.0)
        self._signals = options.get("signals", SIGNALS)
        if concurrency < 1 or self._room < concurrency or self._visibility < 1:
            raise ValueError("concurrency and visibility_timeout are at least 1, prefetch is at least 0")
        self._slots = asyncio.Semaphore(concurrency)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._freed = asyncio.Event()
        self._to_ack = asyncio.Event()
        self._acks: list[_Held] = []
        self._held: set[_Held] = set()  # by lease: one that was lost may come back while its handler is still at it
        self._extending: set[asyncio.Task[None]] = set()
        self._cancels_handlers = True

    def stop(self) -> None:
        """Take no more messages; `run` returns when those being handled are done. From any thread."""
        if self._loop is None:
            self._stopping.set()
            return
        with suppress(RuntimeError):  # the loop is closed: it has stopped
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def run(self) -> None:
        """Work until stopped: by `stop`, by a signal, or by being cancelled, each of them in good order.

        Goes on while the server is away. Raises what cannot get better by waiting: no key, no right, no queue.
        """
        self._loop = asyncio.get_running_loop()
        poller = asyncio.create_task(self._poll())
        keeper = asyncio.create_task(self._keep_leases())
        acker = asyncio.create_task(self._acknowledge())
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            with self._stopped_by_signals():
                await asyncio.wait({poller, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            self._freed.set()
            await asyncio.wait({poller}, timeout=_LAST_POLL_S)
            poller.cancel()
            await asyncio.wait({poller, stopped})
            await self._drain()
            self._to_ack.set()
            await asyncio.wait({acker})
            for task in (keeper, *self._extending):
                task.cancel()
            await asyncio.wait({keeper, *self._extending})
        if not poller.cancelled():
            poller.result()

    async def _poll(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            if len(self._held) >= self._room:
                self._freed.clear()
                await self._freed.wait()
                continue
            asked_at = clock.monotonic()
            try:
                got = await self._client.queue.consume(
                    self._queue,
                    max_messages=min(self._room - len(self._held), BATCH_MAX),
                    visibility_timeout=self._visibility,
                    wait_seconds=self._wait,
                )
            except MainspringError as failure:
                if not is_worth_a_retry(failure):
                    raise
                failures += 1
                _log.warning("no messages of %s for now: %s", self._queue, failure)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), min(DELAY_S_MAX, 2.0 ** min(failures, 9)))
                continue
            failures = 0
            # The lease began while the server was at it, or at an earlier attempt whose answer got lost.
            elsewhere = clock.monotonic() - asked_at - got["_metadata"]["latency_ms"] / 1000
            extend_at = clock.monotonic() - max(0.0, elsewhere) + self._visibility / 2
            for message in got["messages"]:
                held = _Held(message, extend_at)
                self._held.add(held)
                held.task = asyncio.create_task(self._bring_to_its_end(held))

    async def _bring_to_its_end(self, held: _Held) -> None:
        """Handle a message and settle it; or give it back, when it is time to stop before its turn has come."""
        try:
            await self._slots.acquire()
        except asyncio.CancelledError:
            return await self._settle(held, self._client.queue.release)
        try:
            if held.lost:
                return self._let_go(held)
            if self._stopping.is_set():
                return await self._settle(held, self._client.queue.release)
            held.begun = True
            settle = await self._handle(held)
            held.handled = True
        finally:
            self._slots.release()
        if settle is None:
            self._acks.append(held)
            self._to_ack.set()
            return None
        verb, how = settle
        return await self._settle(held, verb, **how)

    async def _handle(self, held: _Held) -> tuple[Callable[..., Awaitable[object]], dict[str, Any]] | None:
        """Call the handler. How the message is to be settled, None when it is done with."""
        message, queue = held.message, self._client.queue
        try:
            await self._handler(message)
        except GiveBack as wish:
            return queue.release, {"delay_seconds": wish.delay_seconds}
        except Retry as wish:
            return queue.nack, {"delay_seconds": wish.delay_seconds}
        except Reject:
            _log.warning("message %s of %s is rejected", message["message_id"], self._queue, exc_info=True)
            return queue.nack, {"requeue": False}
        except asyncio.CancelledError:
            if not self._cancels_handlers:
                raise  # its thread is still at it: nobody else may have the message before the lease is over
            if self._stopping.is_set():
                return queue.release, {}
            _log.warning("message %s of %s: its handler was cancelled", message["message_id"], self._queue)
        except Exception:  # noqa: BLE001  # whatever a handler raises is a failure of its message alone
            _log.exception("message %s of %s failed", message["message_id"], self._queue)
        else:
            return None
        delay = self._retry_delay
        return queue.nack, {"delay_seconds": delay(message["attempt"]) if callable(delay) else delay}

    async def _settle(self, held: _Held, verb: Callable[..., Awaitable[object]], **how: Any) -> None:
        message = held.message
        try:
            await verb(self._queue, message["message_id"], receipt=message["receipt"], **how)
        except MainspringError as failure:
            _log.warning("message %s of %s comes back by itself: %s", message["message_id"], self._queue, failure)
        finally:
            self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        self._held.discard(held)
        self._freed.set()

    async def _acknowledge(self) -> None:
        """Acknowledge what is handled: each time all that has gathered while the last batch was under way."""
        while self._acks or self._held or not self._stopping.is_set():
            if not self._acks:
                self._to_ack.clear()
                await self._to_ack.wait()
                continue
            batch, self._acks = self._acks[:BATCH_MAX], self._acks[BATCH_MAX:]
            try:
                await self._acknowledge_all(batch)
            finally:
                for held in batch:
                    self._let_go(held)

    async def _acknowledge_all(self, batch: list[_Held]) -> None:
        leases: list[Leased] = [
            {"message_id": held.message["message_id"], "receipt": held.message["receipt"]} for held in batch
        ]
        try:
            done = await self._client.queue.ack_batch(self._queue, leases)
        except MainspringError as failure:
            _log.warning("%d handled messages of %s come back: %s", len(batch), self._queue, failure)
            return
        for one in done["results"]:
            if one["error"] is not None:
                said = one["error"]["message"]
                _log.warning("message %s of %s was handled too late: %s", one["message_id"], self._queue, said)

    async def _keep_leases(self) -> None:
        """Extend each lease when half of it is over, and once more soon if that fails."""
        while True:
            await clock.sleep_async(self._visibility / 8)
            now = clock.monotonic()
            for held in self._held:
                if held.extend_at <= now and not held.handled and not held.lost:
                    held.extend_at = now + self._visibility / 4
                    task = asyncio.create_task(self._extend(held, now))
                    self._extending.add(task)
                    task.add_done_callback(self._extending.discard)

    async def _extend(self, held: _Held, now: float) -> None:
        message = held.message
        try:
            await self._client.queue.extend(
                self._queue,
                message["message_id"],
                receipt=message["receipt"],
                visibility_timeout=self._visibility,
            )
        except (LeaseExpired, NotFound) as refused:
            held.lost = True
            if not held.handled:
                _log.warning("message %s of %s is another's now: %s", message["message_id"], self._queue, refused)
        except MainspringError as failure:
            _log.warning("message %s of %s was not extended: %s", message["message_id"], self._queue, failure)
        else:
            held.extend_at = now + self._visibility / 2

    async def _drain(self) -> None:
        """Give back what has not begun, and wait for what has; cancel what does not end within the grace."""
        for held in list(self._held):
            if not held.begun and held.task is not None:
                held.task.cancel()
        tasks = [held.task for held in self._held if held.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._grace)
        if late:
            _log.warning("%d handlers of %s did not end within %g s", len(late), self._queue, self._grace)
            for task in late:
                task.cancel()
            await asyncio.wait(late)
            for held in [held for held in self._held if held.task in late]:
                self._let_go(held)

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """Stop at the first of the signals; a second one does what it would have done without this."""
        previous: dict[signal.Signals, Any] = {}

        def restore() -> None:
            for number, handler in previous.items():
                signal.signal(number, handler)
            previous.clear()

        def stop(*_: object) -> None:
            restore()
            self.stop()

        with suppress(ValueError):  # only the main thread may have signals
            for number in self._signals:
                previous[number] = signal.signal(number, stop)
        try:
            yield
        finally:
            restore()


class Worker:
    """As `AsyncWorker`, with a handler that blocks: each call has a thread of its own. `run` blocks too.

    A thread cannot be cancelled: a handler that goes on after `grace_seconds` is left behind, and its message comes
    back when its lease is over.
    """

    def __init__(
        self, client: Client, queue: str, handler: Callable[[MessageRecord], object], **options: Unpack[Options]
    ) -> None:
        async def handle(message: MessageRecord) -> object:
            return await in_thread(handler, message)

        self._client = client.for_asyncio()
        self._worker = AsyncWorker(self._client, queue, handle, **options)
        self._worker._cancels_handlers = False

    def run(self) -> None:
        """As `AsyncWorker.run`."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """As `AsyncWorker.stop`; another thread's to call."""
        self._worker.stop()

    async def _run(self) -> None:
        async with self._client:
            await self._worker.run()
