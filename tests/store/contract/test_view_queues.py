from __future__ import annotations

import pytest

from mainspring.core import queues
from mainspring.core.limits import SECOND
from mainspring.core.model import Page
from mainspring.core.push_model import NewSubscription, PushResult, Subscription, SubscriptionSettings
from mainspring.core.queue_model import Queue
from mainspring.core.views.queues import MessageState, QueueOrder, QueueRow, QueueWish
from mainspring.store.store import Store
from store.making import PROJECT, Clock
from store.queueing import Hand

SETTINGS = SubscriptionSettings(
    url="http://target.example/in",
    secret=None,
    headers=None,
    signature_style="body",
    format="message",
    max_retries=None,
    dead_letters=None,
    visibility_ms=None,
    timeout_ms=30 * SECOND,
    max_concurrency=2,
)
ENOUGH = 1_000


async def subscribe(store: Store, clock: Clock, queue: Queue) -> Subscription:
    [made] = await store.subscriptions.subscribe(clock(), [NewSubscription(queue, SETTINGS)])
    assert isinstance(made, Subscription)
    return made


async def named(store: Store, name: str) -> Queue:
    found = await store.queues.named(PROJECT, name, fresh=True)
    assert found is not None
    return found


async def names(store: Store, clock: Clock, wish: QueueWish) -> list[str]:
    return [row.name for row in await store.views.queues.page(clock(), PROJECT, wish)]


async def paged(store: Store, clock: Clock, order: QueueOrder) -> list[str]:
    """Every name, two rows at a time."""
    seen: list[QueueRow] = []
    while True:
        after = (seen[-1].depth, seen[-1].id, seen[-1].name) if seen else None
        rows = await store.views.queues.page(clock(), PROJECT, QueueWish(order, after=after, limit=2))
        if not rows:
            return [row.name for row in seen]
        seen += rows


async def test_the_numbers_of_a_list_are_those_of_each_queue(store: Store, clock: Clock) -> None:
    hand = Hand(store, clock)
    await hand.make("q", max_retries=0)
    await hand.publish(b"1", b"2", b"3", b"4", b"5")
    await hand.publish(b"6", delay_seconds=60)
    await hand.publish(b"7", delay_seconds=1)
    [dead, held, *_] = await hand.consume(2)
    await hand.nack(dead)
    line = await hand.make("line", type="fifo")
    await hand.publish(b"1", b"2", queue="line", group_id="a")
    await hand.publish(b"3", queue="line", group_id="a", delay_seconds=60)
    await subscribe(store, clock, line)
    clock.advance(2 * SECOND)
    rows = {row.name: row for row in await store.views.queues.page(clock(), PROJECT, QueueWish())}
    assert set(rows) == {"q", "q.dlq", "line"}
    for name, row in rows.items():
        stats = await hand.stats(name)
        assert (row.available, row.delayed, row.in_flight) == (stats.available, stats.delayed, stats.in_flight)
        assert (row.dead, row.oldest_at) == (stats.dead, stats.oldest_at)
        assert row == await store.views.queues.one(clock(), await named(store, name))
    assert rows["q"].depth == 6
    assert (rows["q"].dead, rows["q"].in_flight, rows["q"].pushes) == (1, 1, 0)
    assert (rows["q.dlq"].holds_dead, rows["q.dlq"].available) == (True, 1)
    assert (rows["line"].type, rows["line"].pushes, rows["line"].delayed) == ("fifo", 1, 1)
    assert held.attempt == 1


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("newest", ["ten", "none", "two", "b.one", "a:one"]),
        ("name", ["a:one", "b.one", "none", "ten", "two"]),
        ("depth", ["ten", "two", "b.one", "a:one", "none"]),
    ],
)
async def test_a_list_goes_on_where_its_page_ended(
    store: Store, clock: Clock, order: QueueOrder, expected: list[str]
) -> None:
    hand = Hand(store, clock)
    for name, count in (("a:one", 1), ("b.one", 1), ("two", 2), ("none", 0), ("ten", 10)):
        clock.advance(1)
        await hand.make(name)
        await hand.publish(*[b"x"] * count, queue=name)
    assert await paged(store, clock, order) == expected


async def test_a_list_is_searched_and_filtered(store: Store, clock: Clock) -> None:
    hand = Hand(store, clock)
    for name in ("Orders.eu", "orders_us", "ordersXus", "mail"):
        await hand.make(name, max_retries=0)
    other = Hand(store, clock, project="other")
    await other.make("orders.other")
    assert await names(store, clock, QueueWish("name", search="ORDERS")) == ["Orders.eu", "ordersXus", "orders_us"]
    assert await names(store, clock, QueueWish("name", search="s_u")) == ["orders_us"]
    assert await names(store, clock, QueueWish("name", search="%")) == []
    await hand.publish(b"1", queue="mail")
    for order in ("newest", "name", "depth"):
        assert await names(store, clock, QueueWish(order, holding=True)) == ["mail"]  # type: ignore[arg-type]  # one of them
    await hand.nack(*await hand.consume(queue="mail"), queue="mail")
    assert await names(store, clock, QueueWish(dead=True)) == ["mail"]
    await queues.pause(hand.core, clock(), PROJECT, "mail", None, paused=True)
    assert await names(store, clock, QueueWish(paused=True)) == ["mail"]


STATES: dict[MessageState, list[bytes]] = {
    "available": [b"first", b"second", b"third"],
    "delayed": [b"soon", b"later"],
    "in_flight": [b"held"],
    "behind": [],
}


@pytest.mark.parametrize("state", STATES)
async def test_messages_are_looked_at_by_state_without_being_taken(
    store: Store, clock: Clock, state: MessageState
) -> None:
    hand = Hand(store, clock)
    queue = await hand.make()
    await hand.make("other")
    for name in ("q", "other"):
        await hand.publish(b"held", queue=name, headers={"a": "b"})
        await hand.consume(queue=name)
        await hand.publish(b"second", b"third", queue=name)
        await hand.publish(b"first", queue=name, priority=9)
        await hand.publish(b"later", queue=name, delay_seconds=60)
        await hand.publish(b"soon", queue=name, delay_seconds=30)
    before = await hand.stats()
    whole = await store.views.queues.messages(queue, state, None, 10, ENOUGH)
    assert [row.payload for row in whole.rows] == STATES[state]
    assert whole.following is None
    seen, after = [], None
    for _ in range(len(STATES[state])):
        page = await store.views.queues.messages(queue, state, after, 1, 2)
        seen += page.rows
        after = page.following
    assert after is None
    assert [(row.payload, row.size) for row in seen] == [(one[:2], len(one)) for one in STATES[state]]
    assert await hand.stats() == before
    for row in whole.rows:
        found = await store.views.queues.message(queue, row.id, ENOUGH)
        assert found is not None
        assert (found.state, found.payload, found.attempt, found.until) == (state, row.payload, row.attempt, row.until)


async def test_messages_behind_others_of_their_group_are_shown_in_their_order(store: Store, clock: Clock) -> None:
    hand = Hand(store, clock)
    queue = await hand.make(type="fifo")
    await hand.publish(b"1", b"2", b"3", group_id="a")
    page = await store.views.queues.messages(queue, "behind", None, 10, ENOUGH)
    assert [(row.payload, row.group_id) for row in page.rows] == [(b"2", "a"), (b"3", "a")]
    found = await store.views.queues.message(queue, page.rows[0].id, ENOUGH)
    assert found is not None
    assert found.state == "behind"


async def test_a_message_of_another_queue_is_not_shown(store: Store, clock: Clock) -> None:
    hand = Hand(store, clock)
    queue = await hand.make()
    await hand.make("other")
    [message_id] = await hand.publish(b"1", queue="other")
    assert await store.views.queues.message(queue, message_id, ENOUGH) is None
    assert await store.views.queues.dead_letter(queue, message_id, ENOUGH) is None


async def test_dead_letters_are_shown_of_a_queue_in_their_queue_and_of_all(store: Store, clock: Clock) -> None:
    hand = Hand(store, clock)
    for name in ("a", "b", "c"):
        await hand.make(name, max_retries=0)
    for number in range(6):
        name = "abc"[number % 3]
        clock.advance(number % 2)
        await hand.publish(b"%d" % number, queue=name)
        await hand.nack(*await hand.consume(queue=name), queue=name)
    other = Hand(store, clock, project="other")
    await other.make("z", max_retries=0)
    await other.publish(b"z", queue="z")
    await other.nack(*await other.consume(queue="z"), queue="z")
    views = store.views.queues
    seen, before = [], None
    while rows := await views.all_dead_letters(PROJECT, before, 2, ENOUGH):
        seen += rows
        before = rows[-1].dead_at, rows[-1].id
    assert [row.payload for row in seen] == [b"5", b"4", b"3", b"2", b"1", b"0"]
    assert {(row.source, row.queue) for row in seen} == {("a", "a.dlq"), ("b", "b.dlq"), ("c", "c.dlq")}
    source, grave = await hand.make("a", max_retries=0), await named(store, "a.dlq")
    [newest] = await views.dead_letters(source, None, 1, ENOUGH, by_source=True)
    assert newest.payload == b"3"
    rest = await views.dead_letters(source, (newest.dead_at, newest.id), 5, ENOUGH, by_source=True)
    assert [row.payload for row in rest] == [b"0"]
    assert await views.dead_letters(grave, None, 5, ENOUGH, by_source=False) == [newest, *rest]
    assert (newest.reason, newest.failures, newest.leased, newest.error) == ("max_retries", 1, False, None)
    await hand.consume(1, queue="a.dlq")
    found = await views.dead_letter(source, rest[0].id, ENOUGH)
    assert found is not None
    assert found.leased


async def test_a_dead_letter_tells_how_its_last_push_ended(store: Store, clock: Clock) -> None:
    hand = Hand(store, clock)
    queue = await hand.make(max_retries=0)
    one = await subscribe(store, clock, queue)
    await hand.publish(b"1", b"2")
    pushes = await store.pushes.claim(clock(), [one.id], 10)
    assert await store.views.queues.pushing(clock(), queue) == {one.id: 2}
    clock.advance(SECOND)
    results = [
        PushResult(push, "nack", clock(), clock(), clock(), clock(), status=500, error="answered 500")
        for push in pushes
    ]
    await store.pushes.finish(clock(), results)
    found = await store.views.queues.dead_letters(queue, None, 5, ENOUGH, by_source=True)
    assert [(row.error, row.status) for row in found] == [("answered 500", 500)] * 2
    assert await store.views.queues.pushing(clock(), queue) == {one.id: 0}


async def test_whose_dead_letters_come_to_a_queue_is_known(store: Store, clock: Clock) -> None:
    hand = Hand(store, clock)
    for name in ("b", "a"):
        await hand.make(name, dead_letters="lost")
    lost = await named(store, "lost")
    assert await store.views.queues.dependents(lost, 10) == ["a", "b"]
    assert await store.views.queues.dependents(await hand.make("b", dead_letters="lost"), 10) == []
    assert len(await store.queues.page(PROJECT, Page(limit=10))) == 3
