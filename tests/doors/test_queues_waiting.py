"""Consumers that wait: woken at once by whatever brings them a message, and by nothing for those that have gone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest

from doors.live import KEY, Live
from doors.queueing import Desk, counts, payloads
from mainspring.core import messages
from mainspring.core.limits import LONG_POLLS_PER_KEY
from mainspring.core.messages import Ask

# What a wake-up may take on a busy machine; whoever polls instead needs up to a second.
AT_ONCE = 0.6


def waiting(live: Live) -> int:
    return live.wakeups.bells.waiting


async def until(holds: Callable[[], bool]) -> None:
    """Until the condition holds."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def consumer(live: Live, desk: Desk, **ask: Any) -> asyncio.Task[list[Any]]:
    """A consumer that waits by now."""
    before = waiting(live)
    task = asyncio.create_task(desk.consume(**{"wait_seconds": 20} | ask))
    await until(lambda: waiting(live) > before)
    return task


async def woken_by(task: asyncio.Task[list[Any]], act: Awaitable[Any]) -> tuple[list[Any], float]:
    """What the consumer gets by an act, and how many seconds after it."""
    await act
    began = time.monotonic()
    found = await task
    return found, time.monotonic() - began


async def test_a_publish_wakes_at_once_the_consumer_that_has_waited_longest(both: Live) -> None:
    desk = Desk(both)
    first, second = await consumer(both, desk), await consumer(both, desk)
    found, took = await woken_by(first, desk.publish(1))
    assert (payloads(found), took < AT_ONCE) == ([1], True)
    assert not second.done()
    found, took = await woken_by(second, desk.publish(2))
    assert (payloads(found), took < AT_ONCE) == ([2], True)
    assert waiting(both) == 0


async def test_a_batch_wakes_as_many_as_there_are_messages_for(both: Live) -> None:
    desk = Desk(both)
    tasks = [await consumer(both, desk, max_messages=1) for _ in range(5)]
    await desk.say("publish_batch", messages=[{"payload": number} for number in range(5)])
    began = time.monotonic()
    found = await asyncio.gather(*tasks)
    assert time.monotonic() - began < AT_ONCE
    assert sorted(payloads([message for one in found for message in one])) == [0, 1, 2, 3, 4]


async def test_the_end_of_a_lease_wakes_at_once(both: Live) -> None:
    desk = Desk(both)
    await desk.publish(1)
    await desk.consume(visibility_timeout=1.2)
    ends = time.monotonic() + 1.2
    [message] = await desk.consume(wait_seconds=20)
    assert message["attempt"] == 2
    assert -0.3 < time.monotonic() - ends < AT_ONCE


async def test_a_delayed_message_wakes_at_its_instant(both: Live) -> None:
    desk = Desk(both)
    task = await consumer(both, desk)
    await desk.publish(1, delay_seconds=1.3)
    due = time.monotonic() + 1.3
    assert payloads(await task) == [1]
    assert -0.3 < time.monotonic() - due < AT_ONCE


@pytest.mark.parametrize("verb", ["nack", "release"])
async def test_a_message_that_is_given_back_wakes_at_once(both: Live, verb: str) -> None:
    desk = Desk(both)
    await desk.publish(1)
    [message] = await desk.consume()
    found, took = await woken_by(await consumer(both, desk), desk.settle(verb, message))
    assert (payloads(found), took < AT_ONCE) == ([1], True)


async def test_so_do_a_redrive_a_resume_and_an_ack_that_lets_the_next_of_a_group_go(both: Live) -> None:
    desk = Desk(both)
    await desk.make(type="fifo")
    await desk.say("publish_batch", messages=[{"payload": 1}, {"payload": 2}])
    [message] = await desk.consume()
    found, took = await woken_by(await consumer(both, desk), desk.settle("ack", message))
    assert (payloads(found), took < AT_ONCE) == ([2], True)
    await desk.settle("nack", found[0], requeue=False)
    found, took = await woken_by(await consumer(both, desk), desk.to("dlq/redrive"))
    assert (payloads(found), took < AT_ONCE) == ([2], True)
    await desk.to("pause")
    await desk.settle("release", found[0])
    found, took = await woken_by(await consumer(both, desk), desk.to("resume"))
    assert (payloads(found), took < AT_ONCE) == ([2], True)


async def test_a_wait_ends_with_nothing_when_nothing_comes(both: Live) -> None:
    began = time.monotonic()
    assert await Desk(both).consume(wait_seconds=0.5) == []
    assert 0.45 < time.monotonic() - began < 5
    assert waiting(both) == 0


async def test_a_consumer_that_waits_finds_the_queue_that_took_the_place_of_its_own(both: Live) -> None:
    desk = Desk(both)
    await desk.make()
    task = await consumer(both, desk)
    await desk.to("delete", "DELETE")
    await desk.publish("new")
    assert payloads(await task) == ["new"]


async def test_a_publish_on_one_node_wakes_the_consumer_on_another(two_nodes: tuple[Live, Live]) -> None:
    here, there = two_nodes
    desk = Desk(here)
    await desk.make()
    for number in range(3):
        task = await consumer(there, Desk(there))
        found, took = await woken_by(task, desk.publish(number))
        assert (payloads(found), took < AT_ONCE) == ([number], True)
        await Desk(there).settle("ack", found[0])
    assert await desk.stats() == counts()


async def test_a_delayed_message_of_one_node_wakes_the_consumer_on_another(two_nodes: tuple[Live, Live]) -> None:
    here, there = two_nodes
    await Desk(here).publish(1, delay_seconds=1.3)
    due = time.monotonic() + 1.3
    assert payloads(await Desk(there).consume(wait_seconds=20)) == [1]
    assert -0.3 < time.monotonic() - due < AT_ONCE


async def test_the_end_of_a_lease_on_one_node_wakes_the_consumer_on_another(two_nodes: tuple[Live, Live]) -> None:
    here, there = two_nodes
    await Desk(here).publish(1)
    await Desk(here).consume(visibility_timeout=1.2)
    ends = time.monotonic() + 1.2
    [message] = await Desk(there).consume(wait_seconds=20)
    assert message["attempt"] == 2
    assert -0.3 < time.monotonic() - ends < AT_ONCE


async def hanging_up(live: Live, wait_seconds: float = 20) -> Callable[[], None]:
    """A consumer that waits by now, and what hangs up for it."""
    before = waiting(live)
    _, writer = await asyncio.open_connection("127.0.0.1", live.port)
    body = json.dumps({"queue": "q", "wait_seconds": wait_seconds}).encode()
    writer.write(
        b"POST /v1/queue/consume HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
        % (KEY.encode(), len(body), body)
    )
    await until(lambda: waiting(live) > before)
    return writer.close


async def test_who_hangs_up_while_waiting_is_handed_nothing(both: Live) -> None:
    desk = Desk(both)
    await desk.make()
    hang_up = await hanging_up(both)
    hang_up()
    await until(lambda: waiting(both) == 0)
    await desk.publish(1)
    assert await desk.stats() == counts(available=1)
    [message] = await desk.consume()
    assert message["attempt"] == 1


async def test_who_has_gone_by_the_time_there_is_a_message_leaves_it_for_the_next(both: Live) -> None:
    desk = Desk(both)
    await desk.publish(1)

    async def at_once() -> None:
        """The caller hangs up while the store is being asked."""

    _, found = await messages.consume(both.core, both.clock(), "default", "q", Ask(wait_seconds=20), 1, at_once)
    assert found == []
    assert await desk.stats() == counts(available=1)
    assert waiting(both) == 0


async def test_hanging_up_and_publishing_at_the_same_time_loses_nothing(both: Live) -> None:
    """Who was answered just before has got its message; else it is there for the next."""
    desk = Desk(both)
    await desk.make()
    for turns in range(10):
        hang_up = await hanging_up(both)
        publishing = asyncio.create_task(desk.publish(turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        hang_up()
        await publishing
        await until(lambda: waiting(both) == 0)
        here = (await desk.to("purge")).data["purged"]
        assert here == 1


async def test_one_who_hangs_up_does_not_take_the_wake_up_of_another(both: Live) -> None:
    desk = Desk(both)
    await desk.make()
    hang_up = await hanging_up(both)
    task = await consumer(both, desk)
    hang_up()
    found, took = await woken_by(task, desk.publish(1))
    assert (payloads(found), took < AT_ONCE) == ([1], True)


async def test_only_so_many_may_wait_under_one_key(live: Live) -> None:
    desk, other = Desk(live), Desk(live, key=await live.key("queue:consume"))
    await desk.make()
    queue = await live.store.queues.named("default", "q")
    assert queue is not None
    holder = (await live.auth.principal(live.clock(), KEY)).key_id
    with ExitStack() as crowd:
        for _ in range(LONG_POLLS_PER_KEY):
            crowd.enter_context(live.wakeups.bells.listen(queue.id, 20_000, holder))
        refused = await desk.say("consume", wait_seconds=1)
        assert refused.code == (429, "RATE_LIMITED")
        assert int(refused.headers["retry-after"]) >= 1
        assert await desk.consume() == []
        assert await other.consume(wait_seconds=0.1) == []
    assert await desk.consume(wait_seconds=0.1) == []


async def test_nobody_waits_on_a_server_that_stops(live: Live) -> None:
    task = await consumer(live, Desk(live))
    live.wakeups.bells.silence()
    async with asyncio.timeout(5):
        assert await task == []
        assert await Desk(live).consume(wait_seconds=20) == []
