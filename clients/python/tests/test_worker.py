"""The consumer loop against a real server."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mainspring_client import AsyncClient, AsyncWorker, Client, GiveBack, Reject, Retry, Unauthorized, Worker

if TYPE_CHECKING:
    from conftest import Server

_numbers = itertools.count()


@pytest.fixture
def queue(client: Client) -> str:
    name = f"work-{next(_numbers)}"
    client.queue.create(name, max_retries=2)
    return name


class Running:
    """A worker in a thread of its own."""

    all: ClassVar[list[Running]] = []

    def __init__(self, client: Client, queue: str, handler: Callable[[Any], object], **options: Any) -> None:
        usual = {"wait_seconds": 2, "retry_delay": 0, "grace_seconds": 10}
        self.worker = Worker(client, queue, handler, **{**usual, **options})
        self.all.append(self)
        self.raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)  # a failed test does not stop it
        self._thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:  # noqa: BLE001  # raised again by `stop`, in the test's own thread
            self.raised = error

    def stop(self) -> None:
        self.worker.stop()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.raised is not None:
            raise self.raised


@pytest.fixture(autouse=True)
def no_worker_outlives_its_test(server: Server) -> Iterator[None]:
    yield
    for running in Running.all:
        running.worker.stop()
        running._thread.join()
    Running.all.clear()


def counts(client: Client, queue: str) -> tuple[int, int, int, int]:
    found = client.queue.stats(queue)
    return found["available"], found["delayed"], found["in_flight"], found["dlq"]


def test_what_is_handled_is_acknowledged(client: Client, queue: str, until: Callable[..., Any]) -> None:
    seen: list[Any] = []
    running = Running(client, queue, lambda message: seen.append(message["payload"]))
    for number in range(20):
        client.queue.publish(queue, number)
    until("all of them", lambda: len(seen) == 20)
    running.stop()
    assert sorted(seen) == list(range(20))
    assert counts(client, queue) == (0, 0, 0, 0)


def test_what_fails_comes_back_and_then_is_a_dead_letter(client: Client, queue: str, until: Callable[..., Any]) -> None:
    attempts: list[int] = []

    def fail(message: Any) -> None:
        attempts.append(message["attempt"])
        raise RuntimeError("no luck")

    client.queue.publish(queue, "bad")
    running = Running(client, queue, fail)
    until("the dead letter", lambda: client.queue.stats(queue)["dlq"] == 1)
    running.stop()
    assert attempts == [1, 2, 3]


def test_a_handler_may_decide_otherwise(client: Client, queue: str, until: Callable[..., Any]) -> None:
    seen: Counter[str] = Counter()

    def decide(message: Any) -> None:
        wish = message["payload"]
        seen[wish] += 1
        if wish == "reject":
            raise Reject
        if wish == "retry" and seen[wish] == 1:
            raise Retry(delay_seconds=0)
        if wish == "give back" and seen[wish] <= 5:
            raise GiveBack

    for wish in ("reject", "retry", "give back"):
        client.queue.publish(queue, wish)
    running = Running(client, queue, decide)
    until("the last of them", lambda: seen["give back"] == 6 and seen["retry"] == 2)
    running.stop()
    assert seen["reject"] == 1
    assert counts(client, queue) == (0, 0, 0, 1)


def test_a_failed_message_comes_back_after_its_delay(client: Client, queue: str, until: Callable[..., Any]) -> None:
    attempts: list[int] = []

    def delay(attempt: int) -> float:
        attempts.append(attempt)
        return 3600

    def fail(_: Any) -> None:
        raise RuntimeError("later")

    client.queue.publish(queue, "bad")
    running = Running(client, queue, fail, retry_delay=delay)
    until("the delay", lambda: counts(client, queue) == (0, 1, 0, 0))
    running.stop()
    assert attempts == [1]


def test_a_slow_handler_keeps_its_message(client: Client, queue: str, until: Callable[..., Any]) -> None:
    begun, done = threading.Event(), threading.Event()
    attempts: list[int] = []

    def slow(message: Any) -> None:
        attempts.append(message["attempt"])
        begun.set()
        assert done.wait(60)

    client.queue.publish(queue, "slow")
    running = Running(client, queue, slow, visibility_timeout=1)
    assert begun.wait(60)
    # Five times the visibility: without extensions the others would get it, or it would be a dead letter.
    until_at = time.monotonic() + 5
    while time.monotonic() < until_at:
        assert client.queue.consume(queue, wait_seconds=0.5)["messages"] == []
        assert attempts == [1]
    done.set()
    until("the acknowledgement", lambda: counts(client, queue) == (0, 0, 0, 0))
    running.stop()
    assert attempts == [1]


def test_a_message_that_waits_its_turn_is_kept_too(client: Client, queue: str, until: Callable[..., Any]) -> None:
    done = threading.Event()
    attempts: Counter[int] = Counter()

    def slow(message: Any) -> None:
        attempts[message["payload"]] += 1
        assert done.wait(60)

    for number in range(4):
        client.queue.publish(queue, number)
    running = Running(client, queue, slow, visibility_timeout=1, concurrency=1, prefetch=3)
    until("all in hand", lambda: counts(client, queue) == (0, 0, 4, 0))
    until_at = time.monotonic() + 3
    while time.monotonic() < until_at:
        assert client.queue.consume(queue, wait_seconds=0.5)["messages"] == []
    done.set()
    until("the acknowledgements", lambda: counts(client, queue) == (0, 0, 0, 0))
    running.stop()
    assert attempts == {0: 1, 1: 1, 2: 1, 3: 1}


def test_stopping_ends_what_has_begun_and_gives_back_the_rest(
    client: Client, queue: str, until: Callable[..., Any]
) -> None:
    begun, done = threading.Event(), threading.Event()
    ended: list[Any] = []

    def slow(message: Any) -> None:
        begun.set()
        assert done.wait(60)
        ended.append(message["payload"])

    client.queue.update(queue, max_retries=0)  # so that a failure would show: as a dead letter
    for number in range(4):
        client.queue.publish(queue, number)
    running = Running(client, queue, slow, concurrency=1, prefetch=3)
    assert begun.wait(60)
    until("all in hand", lambda: counts(client, queue) == (0, 0, 4, 0))
    running.worker.stop()
    until("what has not begun", lambda: counts(client, queue) == (3, 0, 1, 0))
    done.set()
    running.stop()
    assert len(ended) == 1
    assert counts(client, queue) == (3, 0, 0, 0)


def test_an_idle_worker_stops_at_once(client: Client, queue: str) -> None:
    running = Running(client, queue, print, wait_seconds=20)
    client.queue.stats(queue)
    before = time.monotonic()
    running.stop()
    assert time.monotonic() - before < 15  # of a long poll of 20


def test_a_handler_that_does_not_end_is_left_behind(client: Client, queue: str) -> None:
    begun, done = threading.Event(), threading.Event()

    def stuck(_: Any) -> None:
        begun.set()
        done.wait(60)

    client.queue.publish(queue, "stuck")
    running = Running(client, queue, stuck, grace_seconds=0.2, visibility_timeout=30)
    assert begun.wait(60)
    running.stop()
    assert counts(client, queue) == (0, 0, 1, 0)  # its lease goes on, as its thread does
    done.set()


def test_a_wrong_key_is_raised(server: Server, queue: str) -> None:
    with Client("not-a-key", server.url) as stranger, pytest.raises(Unauthorized):
        Worker(stranger, queue, print).run()


def test_what_a_worker_cannot_be_is_refused(client: Client) -> None:
    for options in ({"concurrency": 0}, {"visibility_timeout": 0.5}, {"prefetch": -1}):
        with pytest.raises(ValueError, match="at least"):
            Worker(client, "q", print, **options)  # type: ignore[arg-type]  # one at a time, whatever their types


async def test_messages_are_handled_side_by_side(async_client: AsyncClient, client: Client, queue: str) -> None:
    together = asyncio.Barrier(4)

    async def meet(_: Any) -> None:
        await together.wait()

    await async_client.queue.publish_batch(queue, [{"payload": number} for number in range(4)])
    worker = AsyncWorker(async_client, queue, meet, concurrency=4, wait_seconds=1, signals=())
    task = asyncio.create_task(worker.run())
    while (await async_client.queue.stats(queue))["in_flight"] or (await async_client.queue.stats(queue))["available"]:
        await asyncio.sleep(0.02)
    worker.stop()
    await task
    assert counts(client, queue) == (0, 0, 0, 0)


async def test_cancelling_is_a_stop_in_good_order(async_client: AsyncClient, client: Client, queue: str) -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    async def slow(_: Any) -> None:
        begun.set()
        await done.wait()

    await async_client.queue.publish(queue, "slow")
    task = asyncio.create_task(AsyncWorker(async_client, queue, slow, signals=()).run())
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    done.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counts(client, queue) == (0, 0, 0, 0)


async def test_what_does_not_end_in_time_is_cancelled_and_given_back(
    async_client: AsyncClient, client: Client, queue: str
) -> None:
    begun = asyncio.Event()

    async def stuck(_: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    await async_client.queue.publish(queue, "stuck")
    worker = AsyncWorker(async_client, queue, stuck, signals=(), grace_seconds=0.1)
    task = asyncio.create_task(worker.run())
    await begun.wait()
    worker.stop()
    await task
    assert counts(client, queue) == (1, 0, 0, 0)


def test_ten_thousand_messages_with_a_hundred_failing_ones(
    client: Client, queue: str, until: Callable[..., Any]
) -> None:
    total = 10_000
    for at in range(0, total, 1000):
        client.queue.publish_batch(queue, [{"payload": number} for number in range(at, at + 1000)])
    handled: Counter[int] = Counter()
    lock = threading.Lock()

    def handle(message: Any) -> None:
        if message["payload"] % 100 == 7:
            raise RuntimeError("one in a hundred")
        with lock:
            handled[message["payload"]] += 1

    running = Running(client, queue, handle, concurrency=32, prefetch=200)
    until("the last one", lambda: counts(client, queue) == (0, 0, 0, total // 100), 300)
    running.stop()
    assert set(handled) == {number for number in range(total) if number % 100 != 7}
    dead = list(client.each(client.queue.dlq.list, queue, limit=500))
    assert sorted(letter["payload"] for letter in dead) == list(range(7, total, 100))
    assert {letter["failures"] for letter in dead} == {3}
