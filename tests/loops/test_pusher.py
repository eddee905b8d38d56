from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from loops.pushing import PushRig, public
from loops.rig import on_the_embedded_store, turn, until
from mainspring.core import queues
from mainspring.core.errors import Unavailable
from mainspring.core.events import MessagesReceived, MessagesSettled, PushEnded, SubscriptionEnded
from mainspring.core.instants import iso
from mainspring.core.limits import HOUR, SECOND
from store.making import PROJECT, START, Bench, Clock, driver


@pytest.fixture
def rig(bench: Bench, clock: Clock) -> PushRig:
    return PushRig(bench.store, clock)


async def test_what_is_published_is_posted_and_a_2xx_acknowledges_it(rig: PushRig) -> None:
    made = await rig.subscribe(headers={"X-Tenant": "7", "User-Agent": "acme"})
    [message_id] = await rig.hand.publish(b'{"a": 1.0}', headers={"x-tenant": "8", "X-Trace": "t"})
    await rig.push()
    [request] = rig.receivers.requests
    assert (request.method, request.url, request.deadline_ms) == ("POST", "http://a/", 30 * SECOND)
    assert json.loads(request.body) == {
        "message_id": public(message_id),
        "id": public(message_id),
        "queue": "q",
        "payload": {"a": 1.0},
        "attempt": 1,
        "published_at": iso(START),
    }
    assert b'"payload":{"a": 1.0}' in request.body
    headers = dict(request.headers)
    assert headers["webhook-id"] == headers["Idempotency-Key"] == headers["X-Mainspring-Run-Id"] == public(message_id)
    assert (headers["X-Mainspring-Attempt"], headers["X-Mainspring-Scheduled-For"]) == ("1", iso(START))
    assert (headers["X-Tenant"], headers["X-Trace"], headers["User-Agent"]) == ("7", "t", "acme")
    assert "x-tenant" not in headers
    stats = await rig.hand.stats()
    assert (stats.available, stats.in_flight) == (0, 0)
    [push] = await rig.log()
    assert (push.subscription_id, push.message_id, push.outcome) == (made.id, message_id, "acked")
    assert (push.status, push.body, push.attempt) == (200, b"said", 1)
    assert rig.hand.bench.said(MessagesReceived) == [MessagesReceived(messages=1)]
    assert rig.hand.bench.said(MessagesSettled) == [MessagesSettled(verb="ack", messages=1)]
    [ended] = rig.hand.bench.said(PushEnded)
    assert isinstance(ended, PushEnded)
    assert (ended.queue, ended.outcome, ended.status, ended.error) == ("q", "acked", 200, None)


async def test_the_bare_payload_is_posted_byte_for_byte(rig: PushRig) -> None:
    await rig.subscribe(format="payload", secret="s3cret")
    await rig.hand.publish(b' {"n": 1e2, "n": 10000000000000000000000} ')
    await rig.push()
    [request] = rig.receivers.requests
    assert request.body == b' {"n": 1e2, "n": 10000000000000000000000} '
    assert dict(request.headers)["webhook-signature"].startswith("v1,")


async def test_what_is_secret_is_sealed_in_the_store(rig: PushRig) -> None:
    made = await rig.subscribe(secret="canary-of-the-secret", headers={"Authorization": "canary-of-the-header"})
    assert b"canary" not in msgspec.json.encode(made)


async def test_failures_back_off_by_message_until_it_is_a_dead_letter(rig: PushRig) -> None:
    await rig.subscribe(max_retries=2)
    rig.receivers.answer("a", 500)
    [message_id] = await rig.hand.publish(b"1")
    await rig.push()
    for wait in (5 * SECOND, 15 * SECOND):
        await rig.push(wait - 1)
        before = len(rig.receivers.requests)
        await rig.push(1)
        assert len(rig.receivers.requests) == before + 1
    [letter] = await rig.hand.dead()
    assert (letter.id, letter.reason, letter.failures, letter.attempt) == (message_id, "max_retries", 3, 3)
    assert await rig.outcomes() == ["nacked"] * 3
    assert [push.error for push in await rig.log()] == ["HTTP status 500"] * 3
    await rig.push(HOUR)
    assert len(rig.receivers.requests) == 3


async def test_failures_by_push_go_by_the_subscription_and_others_by_the_queue(rig: PushRig) -> None:
    await rig.hand.make(max_retries=5)
    await rig.subscribe(max_retries=0, dead_letters="unpushed")
    rig.receivers.answer("a", 500)
    [pushed] = await rig.hand.publish(b"1")
    await rig.push()
    assert [letter.id for letter in await rig.hand.dead("unpushed")] == [pushed]
    [pulled] = await rig.hand.publish(b"2")
    [held] = await rig.hand.consume()
    await rig.hand.nack(held)
    assert await rig.hand.dead("unpushed") == await rig.hand.dead("q")
    assert pulled not in [letter.id for letter in await rig.hand.dead("unpushed")]


async def test_a_lease_that_a_dead_pusher_left_ends_by_the_subscription_too(rig: PushRig) -> None:
    await rig.subscribe(max_retries=0, dead_letters="unpushed")
    rig.receivers.hang("a")
    [message_id] = await rig.hand.publish(b"1")
    await rig.push()
    assert rig.receivers.in_flight["a"] == 1
    rig.clock.advance(35 * SECOND)
    await rig.hand.turn()
    assert [letter.id for letter in await rig.hand.dead("unpushed")] == [message_id]
    rig.receivers.release("a")
    await until(lambda: rig.pusher.in_flight == 0)
    await rig.pusher.step(rig.clock())
    assert await rig.outcomes() == ["lost"]
    assert [letter.id for letter in await rig.hand.dead("unpushed")] == [message_id]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_target_that_asks_for_time_gets_it_and_nothing_is_counted(rig: PushRig, status: int) -> None:
    made = await rig.subscribe(max_retries=0)
    rig.receivers.answer("a", status, 200)
    rig.receivers.asks["a"] = 60 * SECOND
    first, second = await rig.hand.publish(b"1", b"2")
    await rig.subscribe("a", max_retries=0, max_concurrency=1)
    await rig.push()
    assert rig.receivers.posted() == [public(first)]
    assert (await rig.now(made)).state(rig.clock()) == "resting"
    assert (await rig.hand.stats()).delayed == 1
    await rig.push(60 * SECOND - 1)
    assert len(rig.receivers.requests) == 1
    await rig.push(1)
    assert sorted(rig.receivers.posted()[1:]) == sorted([public(first), public(second)])
    assert await rig.outcomes() == ["released", "acked", "acked"]
    assert await rig.hand.dead() == []
    assert (await rig.now(made)).streak == 0


async def test_retry_after_is_at_least_a_second_and_at_most_an_hour(rig: PushRig) -> None:
    made = await rig.subscribe()
    rig.receivers.answer("a", 503)
    rig.receivers.asks["a"] = 0
    await rig.hand.publish(b"1")
    await rig.push()
    assert (await rig.now(made)).resting_until == START + SECOND
    rig.receivers.asks["a"] = 5 * HOUR
    await rig.push(SECOND)
    assert (await rig.now(made)).resting_until == rig.clock() + HOUR
    rig.receivers.answer("a", 200)
    await rig.push(HOUR)
    assert (await rig.outcomes())[-1] == "acked"


async def test_an_unavailable_target_that_names_no_time_has_failed(rig: PushRig) -> None:
    await rig.subscribe(max_retries=0)
    rig.receivers.answer("a", 503)
    await rig.hand.publish(b"1")
    await rig.push()
    assert (await rig.hand.stats()).dead == 1


async def test_a_failure_that_names_a_time_is_not_tried_before_it(rig: PushRig) -> None:
    await rig.subscribe()
    rig.receivers.answer("a", 500, 200)
    rig.receivers.asks["a"] = 60 * SECOND
    await rig.hand.publish(b"1")
    await rig.push()
    await rig.push(59 * SECOND)
    assert await rig.outcomes() == ["nacked"]
    await rig.push(SECOND)
    assert await rig.outcomes() == ["nacked", "acked"]


async def test_a_target_that_is_gone_ends_the_subscription_and_keeps_the_message(rig: PushRig) -> None:
    made = await rig.subscribe(max_retries=0)
    rig.receivers.answer("a", 410)
    [message_id, *_] = await rig.hand.publish(b"1")
    await rig.push()
    await rig.hand.publish(b"2")
    await rig.push(HOUR)
    assert len(rig.receivers.requests) == 1
    ended = await rig.now(made)
    assert (ended.state(rig.clock()), ended.ended_at) == ("ended", START)
    assert "410" in (ended.ended_because or "")
    [said] = rig.hand.bench.said(SubscriptionEnded)
    assert isinstance(said, SubscriptionEnded)
    assert (said.queue, said.subscription_id, said.reason) == ("q", made.id, ended.ended_because)
    found = await rig.hand.consume()
    assert (found[0].id, found[0].failures) == (message_id, 0)
    assert len(found) == 2
    again = await rig.subscribe()
    assert again.id != made.id


@pytest.mark.parametrize("status", [301, 302, 308, 0, 404])
async def test_redirects_and_silence_are_failures(rig: PushRig, status: int) -> None:
    await rig.subscribe(max_retries=0)
    rig.receivers.answer("a", status)
    await rig.hand.publish(b"1")
    await rig.push()
    [push] = await rig.log()
    assert (push.outcome, push.error) == ("nacked", f"HTTP status {status}" if status else "deadline of 1 s")
    assert (await rig.hand.stats()).dead == 1


async def test_no_more_than_max_concurrency_is_in_flight_over_all_nodes(rig: PushRig) -> None:
    await rig.subscribe(max_concurrency=5)
    rig.receivers.hang("a")
    await rig.hand.publish(*[b"1"] * 20)
    others = [rig.another(), rig.another()]
    for pusher in (rig.pusher, *others):
        await rig.push(0, pusher)
    assert rig.receivers.in_flight["a"] == 5
    rig.receivers.release("a")
    for pusher in (*others, rig.pusher) * 2:
        await rig.push(0, pusher)
    assert len(rig.receivers.requests) == 20
    assert rig.receivers.peak["a"] == 5


async def test_the_seats_are_shared_out_in_turn(rig: PushRig) -> None:
    rig.pusher = rig.another(seats=6)
    for host in ("a", "b", "c"):
        rig.receivers.hang(host)
        await rig.subscribe(host, queue="q-" + host)
        await rig.hand.publish(*[b"1"] * 8, queue="q-" + host)
    await rig.push()
    assert {host: rig.receivers.in_flight[host] for host in "abc"} == {"a": 2, "b": 2, "c": 2}
    for host in ("a", "b", "c"):
        rig.receivers.release(host)
    await rig.push()
    assert len(rig.receivers.requests) == 24


async def test_subscriptions_of_one_queue_share_what_comes(rig: PushRig) -> None:
    await rig.subscribe("a")
    await rig.subscribe("b")
    for _ in range(10):
        await rig.hand.publish(b"1")
        await rig.push()
    for _ in range(10):
        await rig.hand.publish(b"1", b"2")
        await rig.push()
    hosts = rig.receivers.hosts()
    assert (hosts.count("a"), hosts.count("b")) == (15, 15)


async def test_those_who_pull_and_those_who_push_both_get_their_share(rig: PushRig) -> None:
    await rig.subscribe(max_concurrency=4)
    await rig.hand.publish(*[b"1"] * 80)
    pulled: list[int] = []
    rig.receivers.hang("a")
    for _ in range(10):
        await rig.push()
        found = await rig.hand.consume(4)
        pulled += [one.id for one in found]
        await rig.hand.ack(*found)
        rig.receivers.release("a")
        await until(lambda: rig.pusher.in_flight == 0)
        rig.receivers.hang("a")
    rig.receivers.release("a")
    assert len(pulled) == len(rig.receivers.requests) == 40
    assert not {public(one) for one in pulled} & set(rig.receivers.posted())


async def test_a_fifo_group_has_one_push_in_flight_and_keeps_its_order_under_failures(rig: PushRig) -> None:
    await rig.hand.make(type="fifo")
    await rig.subscribe(max_concurrency=10)
    sent = {group: await rig.hand.publish(b"1", b"2", b"3", group_id=group) for group in ("x", "y")}
    rig.receivers.hang("a")
    await rig.push()
    assert sorted(rig.receivers.posted()) == sorted(public(group[0]) for group in sent.values())
    rig.receivers.answer("a", 500, 200, 500, 500, 200)
    rig.receivers.release("a")
    for _ in range(20):
        await rig.push(20 * SECOND)
    done = [push.message_id for push in await rig.log() if push.outcome == "acked"]
    for group in sent.values():
        assert [one for one in done if one in group] == group
        first = [rig.receivers.posted().index(public(one)) for one in group]
        assert first == sorted(first)


async def test_a_target_that_is_down_does_not_cost_a_backlog_its_retries(rig: PushRig) -> None:
    made = await rig.subscribe(max_retries=1)
    rig.receivers.answer("a", 0)
    await rig.hand.publish(*[b"1"] * 200)
    await rig.push()
    first = len(rig.receivers.requests)
    assert first == 8
    assert ((await rig.now(made)).streak, (await rig.now(made)).resting_until) == (5, rig.clock() + 5 * SECOND)
    rests = []
    for _ in range(900):
        before = len(rig.receivers.requests)
        await rig.push(4 * SECOND)
        rests.append(len(rig.receivers.requests) - before)
    assert max(rests) == 1, "one probe at a time"
    assert 12 <= sum(rests) <= 20, "in an hour, at most one in 5 minutes once the rests have grown"
    assert len(await rig.hand.dead()) <= 12
    rig.receivers.answer("a", 200)
    for _ in range(3):
        await rig.push(300 * SECOND)
    stats = await rig.hand.stats()
    assert (stats.available, stats.in_flight, stats.delayed) == (0, 0, 0)
    assert (await rig.now(made)).streak == 0


async def test_a_success_between_failures_keeps_the_target_in_use(rig: PushRig) -> None:
    made = await rig.subscribe(max_concurrency=1)
    rig.receivers.answer("a", *([500] * 4 + [200]) * 10)
    await rig.hand.publish(*[b"1"] * 50)
    await rig.push()
    assert len(rig.receivers.requests) == 50
    assert (await rig.now(made)).resting_until == 0


async def test_subscribing_again_tries_a_resting_target_at_once(rig: PushRig) -> None:
    made = await rig.subscribe()
    rig.receivers.answer("a", *[500] * 8, 200)
    await rig.hand.publish(*[b"1"] * 20)
    await rig.push()
    assert (await rig.now(made)).state(rig.clock()) == "resting"
    assert (await rig.subscribe()).id == made.id
    await rig.push()
    assert len(rig.receivers.requests) == 20


async def test_a_push_is_not_posted_again_while_its_lease_lasts(rig: PushRig) -> None:
    await rig.subscribe(timeout_seconds=60, visibility_seconds=1)
    [message_id] = await rig.hand.publish(b"1")
    rig.receivers.hang("a")
    await rig.push()
    other = rig.another()
    for _ in range(64):
        await rig.push(SECOND, other)
    assert rig.receivers.posted() == [public(message_id)]
    await rig.push(SECOND, other)
    assert rig.receivers.posted() == [public(message_id)] * 2
    assert dict(rig.receivers.requests[1].headers)["X-Mainspring-Attempt"] == "2"
    rig.receivers.release("a")
    await rig.push(0, other)
    await rig.push()
    assert await rig.outcomes() == ["acked", "lost"]


async def test_what_was_held_up_since_its_claim_is_not_sent(rig: PushRig) -> None:
    await rig.subscribe()
    [message_id] = await rig.hand.publish(b"1")
    await rig.pusher.step(rig.clock())
    rig.clock.advance(5 * SECOND)
    await until(lambda: rig.pusher.in_flight == 0)
    assert rig.receivers.requests == []
    await rig.pusher.step(rig.clock())
    assert await rig.outcomes() == ["released"]
    await rig.push()
    assert rig.receivers.posted() == [public(message_id)]
    assert dict(rig.receivers.requests[0].headers)["X-Mainspring-Attempt"] == "2"


async def test_a_stop_lets_what_is_in_flight_end_and_gives_the_rest_back_uncounted(rig: PushRig) -> None:
    await rig.subscribe("a", queue="x")
    await rig.subscribe("b", queue="y")
    rig.receivers.hang("a")
    rig.receivers.hang("b")
    await rig.hand.publish(b"1", queue="x")
    [left] = await rig.hand.publish(b"2", queue="y")
    await rig.push()
    draining = asyncio.create_task(rig.pusher.drain(30))
    await turn()
    assert not draining.done()
    rig.receivers.release("a")
    await until(lambda: rig.pusher.in_flight == 1)
    assert not draining.done()
    rig.pusher.hasten()
    await draining
    assert (await rig.outcomes("x"), await rig.outcomes("y")) == (["acked"], ["released"])
    [again] = await rig.hand.consume(queue="y")
    assert (again.id, again.failures) == (left, 0)


async def test_a_paused_queue_pushes_nothing(rig: PushRig) -> None:
    await rig.subscribe()
    await queues.pause(rig.core, rig.clock(), PROJECT, "q", None, paused=True)
    await rig.hand.publish(b"1")
    await rig.push(SECOND)
    assert rig.receivers.requests == []
    await queues.pause(rig.core, rig.clock(), PROJECT, "q", None, paused=False)
    await rig.push()
    assert len(rig.receivers.requests) == 1


async def test_a_deleted_or_purged_queue_leaves_nothing_to_settle(rig: PushRig) -> None:
    await rig.subscribe("a", queue="purged")
    await rig.subscribe("b", queue="deleted")
    for host, queue in (("a", "purged"), ("b", "deleted")):
        rig.receivers.hang(host)
        await rig.hand.publish(b"1", queue=queue)
    await rig.push()
    await rig.hand.purge("purged")
    await queues.delete(rig.core, PROJECT, "deleted", None)
    rig.receivers.release("a")
    rig.receivers.release("b")
    await rig.push()
    assert await rig.outcomes("purged") == ["lost"]
    await rig.hand.publish(b"2", queue="deleted")
    await rig.push(HOUR)
    assert rig.receivers.hosts().count("b") == 1


async def test_a_purge_leaves_room_once_what_it_took_away_has_been_answered(rig: PushRig) -> None:
    await rig.subscribe(max_concurrency=3, timeout_seconds=900)
    rig.receivers.hang("a")
    await rig.hand.publish(*[b"1"] * 5)
    await rig.push()
    await rig.hand.purge()
    new = await rig.hand.publish(b"2", b"3")
    await rig.push()
    assert rig.receivers.in_flight["a"] == 3, "no more at a time, whatever was purged"
    rig.receivers.release("a")
    await rig.push()
    assert rig.receivers.posted()[3:] == [public(one) for one in new]
    assert await rig.outcomes() == ["lost"] * 3 + ["acked"] * 2
    assert (await rig.hand.stats()).in_flight == 0


@on_the_embedded_store
async def test_answers_are_kept_until_the_store_can_take_them(rig: PushRig) -> None:
    await rig.subscribe()
    [message_id] = await rig.hand.publish(b"1")
    await rig.pusher.step(rig.clock())
    await until(lambda: rig.pusher.in_flight == 0)
    connection = driver(rig.store)
    connection.execute("PRAGMA query_only = on")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await rig.pusher.step(rig.clock())
    connection.execute("PRAGMA query_only = off")
    await rig.push()
    assert rig.receivers.posted() == [public(message_id)]
    assert await rig.outcomes() == ["acked"]


@on_the_embedded_store
async def test_what_could_not_be_claimed_is_claimed_when_the_store_is_back(rig: PushRig) -> None:
    made = await rig.subscribe()
    await rig.pusher.step(rig.clock())
    await rig.hand.publish(b"1")
    connection = driver(rig.store)
    connection.execute("PRAGMA query_only = on")
    assert rig.pusher.stir(made.queue_id)
    with pytest.raises(Unavailable):
        await rig.pusher.step(rig.clock())
    connection.execute("PRAGMA query_only = off")
    await rig.pusher.step(rig.clock())
    await until(lambda: rig.pusher.in_flight == 0)
    assert len(rig.receivers.requests) == 1


async def test_only_a_queue_with_subscriptions_is_stirred(rig: PushRig) -> None:
    made = await rig.subscribe()
    other = await rig.hand.make("other")
    await rig.pusher.step(rig.clock())
    assert rig.pusher.stir(made.queue_id)
    assert not rig.pusher.stir(other.id)
    await rig.hand.publish(b"1")
    await rig.pusher.step(rig.clock())
    await until(lambda: rig.pusher.in_flight == 0)
    assert len(rig.receivers.requests) == 1
    assert rig.woken == [False]


async def test_many_pushes_that_have_ended_hurry_the_next_step(rig: PushRig) -> None:
    await rig.subscribe(max_concurrency=20)
    await rig.hand.publish(*[b"1"] * 20)
    await rig.pusher.step(rig.clock())
    await until(lambda: rig.pusher.in_flight == 0)
    assert rig.woken == [True] * 20


@on_the_embedded_store
async def test_a_thousand_idle_subscriptions_cost_two_reads_a_second(rig: PushRig) -> None:
    for number in range(1_000):
        await rig.subscribe(queue=f"q{number}")
    await rig.pusher.step(rig.clock())
    asked: list[str] = []

    def note(_: object, text: str, __: object) -> bool:
        asked.append(text)
        return True

    connection = driver(rig.store)
    connection.exec_trace = note
    try:
        for _ in range(10):
            await rig.pusher.step(rig.clock.advance(99))
        assert asked == []
        assert await rig.pusher.step(rig.clock.advance(10)) == SECOND
        assert len(asked) == 2
    finally:
        connection.exec_trace = None


async def test_a_subscription_made_while_others_are_looked_at_is_not_overlooked(rig: PushRig) -> None:
    await rig.subscribe("a", queue="x")
    await rig.pusher.step(rig.clock())
    await rig.hand.publish(b"1", queue="x")
    await rig.hand.publish(b"2", queue="y")
    store = rig.core.store.subscriptions
    first = asyncio.create_task(rig.pusher.step(rig.clock.advance(SECOND)))
    await rig.subscribe("b", queue="y")
    rig.pusher.reread()
    await first
    assert len(await store.queues()) == 2
    await rig.pusher.step(rig.clock())
    await until(lambda: rig.pusher.in_flight == 0)
    assert sorted(rig.receivers.hosts()) == ["a", "b"]


async def test_where_a_push_has_ended_the_next_one_begins_at_once(rig: PushRig) -> None:
    await rig.subscribe(max_concurrency=2)
    await rig.hand.publish(*[b"1"] * 6)
    for steps in (1, 2, 3):
        await rig.pusher.step(rig.clock())
        await until(lambda: rig.pusher.in_flight == 0)
        assert len(rig.receivers.requests) == 2 * steps


async def test_those_who_found_no_seat_are_next_when_one_is_free(rig: PushRig) -> None:
    pusher = rig.another(seats=1)
    for host in ("a", "b", "c"):
        await rig.subscribe(host, queue=host)
        await rig.hand.publish(b"1", queue=host)
    for steps in (1, 2, 3):
        await pusher.step(rig.clock())
        await until(lambda: pusher.in_flight == 0)
        assert len(rig.receivers.requests) == steps
    assert sorted(rig.receivers.hosts()) == ["a", "b", "c"]


async def test_the_tide_hears_of_leases_and_of_back_off(rig: PushRig) -> None:
    await rig.subscribe(timeout_seconds=60)
    rig.receivers.answer("a", 500)
    await rig.hand.publish(b"1")
    await rig.push()
    assert rig.hand.bench.wakes.tides == [START + 65 * SECOND, START + 5 * SECOND]


async def test_a_paused_queue_asks_for_no_claim(rig: PushRig) -> None:
    await rig.subscribe()
    await rig.hand.publish(b"1")
    assert len(await rig.store.pushes.wanted(rig.clock(), None)) == 1
    await queues.pause(rig.core, rig.clock(), PROJECT, "q", None, paused=True)
    assert await rig.store.pushes.wanted(rig.clock(), None) == []
