"""How endpoints are treated: their limits, their order, their failures and their end."""

from __future__ import annotations

import pytest

from loops.rig import Rig
from loops.webhooking import SECRET, Hooks, header
from mainspring.core import webhooks, webhooks_endpoints
from mainspring.core.errors import Conflict, NotFound
from mainspring.core.events import EndpointDisabled
from mainspring.core.limits import DAY, DOUBTFUL_MAX, HOUR, MINUTE, SECOND
from mainspring.core.ports import Outcome, Request
from mainspring.core.signing import verify
from mainspring.core.webhooks import RetryDraft, TargetDraft
from mainspring.core.webhooks_model import Replayed
from mainspring.loops.dispatcher import Dispatcher
from store.making import PROJECT

OTHER_SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ONCE = RetryDraft(count=0)


@pytest.fixture
def hooks(rig: Rig) -> Hooks:
    return Hooks(rig)


async def test_an_endpoint_has_no_more_in_flight_than_it_may(hooks: Hooks) -> None:
    await hooks.endpoint("a", max_concurrency=3)
    await hooks.emit()
    await hooks.rig.dispatch()
    hooks.rig.targets.hang("a")
    made = [(await hooks.emit())[0] for _ in range(7)]
    await hooks.rig.dispatch()
    assert hooks.rig.targets.in_flight["a"] == 3
    hooks.rig.targets.release("a")
    await hooks.rig.dispatch()
    assert await hooks.states(made) == ["delivered"] * 7
    assert hooks.rig.targets.peak["a"] == 3


async def test_an_endpoint_gets_no_more_per_second_than_it_may(hooks: Hooks) -> None:
    await hooks.endpoint("a", rate_limit=2.0, max_concurrency=100)
    for _ in range(9):
        await hooks.emit()
    await hooks.rig.dispatch()
    assert len(hooks.to("a")) == 2
    for second in range(1, 4):
        await hooks.pass_time(0.5)
        await hooks.pass_time(0.5)
        assert len(hooks.to("a")) == 2 + 2 * second


async def test_an_ordered_endpoint_gets_one_after_the_other_and_the_head_blocks(hooks: Hooks) -> None:
    await hooks.endpoint("a", ordered=True)
    hooks.rig.targets.answer("a", 500, 500, 200)
    made = [(await hooks.emit(data=b"%d" % number))[0] for number in range(4)]
    await hooks.rig.dispatch()
    assert await hooks.states(made) == ["retrying", "queued", "queued", "queued"]
    late = (await hooks.emit(data=b"4"))[0]
    await hooks.pass_time(5.5)
    assert [body["data"] for body in hooks.told("a")] == [0, 0]
    await hooks.pass_time(330)
    assert await hooks.states([*made, late]) == ["delivered"] * 5
    assert [body["data"] for body in hooks.told("a")] == [0, 0, 0, 1, 2, 3, 4]
    assert hooks.rig.targets.peak["a"] == 1


async def test_the_order_goes_on_after_a_head_that_failed_or_was_cancelled(hooks: Hooks) -> None:
    await hooks.endpoint("a", ordered=True, retry=RetryDraft(delays=(60,)))
    hooks.rig.targets.answer("a", 500, 500, 500, 200)
    made = [(await hooks.emit(data=b"%d" % number))[0] for number in range(3)]
    await hooks.rig.dispatch()
    await hooks.pass_time(60)
    assert await hooks.states(made) == ["failed", "retrying", "queued"]
    await webhooks.cancel(hooks.core, PROJECT, made[1], None)
    await hooks.pass_time(0)
    assert await hooks.states(made) == ["failed", "cancelled", "delivered"]


async def _broken(hooks: Hooks, host: str, count: int = 12) -> list[int]:
    """So many deliveries to a host that fails each of them, at their first attempts."""
    hooks.rig.targets.answer(host, 500)
    made = [await hooks.send(host) for _ in range(count)]
    for _ in range(count):
        await hooks.pass_time(0.05)
    return made


async def test_a_target_that_fails_again_and_again_is_left_alone_and_tried_now_and_then(hooks: Hooks) -> None:
    made = await _broken(hooks, "a")
    tried = len(hooks.to("a"))
    assert 10 <= tried <= 16
    await hooks.pass_time(25)
    assert len(hooks.to("a")) == tried, "open: nothing is sent, although retries are due"
    await hooks.pass_time(9)
    assert len(hooks.to("a")) == tried + 1, "one probe"
    await hooks.pass_time(50)
    assert len(hooks.to("a")) == tried + 1, "each rest is twice the one before"
    await hooks.pass_time(17)
    assert len(hooks.to("a")) == tried + 2
    hooks.rig.targets.answer("a", 200)
    await hooks.pass_time(140)
    assert await hooks.states(made) == ["delivered"] * len(made)


async def test_what_waits_for_a_target_that_is_down_keeps_its_retries(hooks: Hooks) -> None:
    hooks.rig.targets.answer("a", 500)
    made = [await hooks.send("a", retry=RetryDraft(delays=(1, 1))) for _ in range(12)]
    for _ in range(4):
        await hooks.pass_time(0.05)
    before = len(hooks.to("a"))
    for _ in range(40):
        await hooks.pass_time(10 * MINUTE / SECOND)
    probes = len(hooks.to("a")) - before
    assert probes >= 20
    waiting = [one for one in await hooks.states(made) if one in ("queued", "retrying")]
    assert waiting, "probes cost nothing"
    hooks.rig.targets.answer("a", 200)
    for _ in range(3):
        await hooks.pass_time(11 * MINUTE / SECOND)
    states = await hooks.states(made)
    assert states.count("delivered") == len(waiting)


async def test_a_lone_delivery_is_tried_as_often_as_it_may(hooks: Hooks) -> None:
    hooks.rig.targets.answer("a", 500)
    sent = await hooks.send("a", retry=RetryDraft(delays=(1,) * 20))
    await hooks.rig.dispatch()
    for _ in range(20):
        await hooks.pass_time(1)
    assert (await hooks.state(sent), len(hooks.to("a"))) == ("failed", 21)


async def test_what_waits_for_a_target_that_never_comes_back_fails_after_five_days(hooks: Hooks) -> None:
    made = await _broken(hooks, "a")
    for _ in range(6 * 24):
        await hooks.pass_time(HOUR / SECOND)
    assert set(await hooks.states(made)) == {"failed"}
    assert await hooks.core.store.runs.next_waiting("http", 0) is None


async def test_a_target_that_asks_to_be_left_alone_is(hooks: Hooks) -> None:
    class Busy:
        calls = 0

        async def send(self, request: Request) -> Outcome:
            self.calls += 1
            now = hooks.rig.clock()
            wait = 20_000 if self.calls == 1 else None
            return Outcome("reply", now, sent_at=now, status=429 if wait else 200, retry_after_ms=wait)

    target = Busy()
    rig = hooks.rig
    rig.dispatcher = Dispatcher(rig.bench.core, target, rig.clock, lambda: 0.5)
    await hooks.endpoint("a", max_concurrency=1)
    made = [(await hooks.emit())[0] for _ in range(3)]
    await rig.dispatch()
    await hooks.pass_time(0)
    assert target.calls == 1
    await hooks.pass_time(19)
    assert target.calls == 1
    await hooks.pass_time(1)
    for _ in range(3):
        await hooks.pass_time(0.05)
    assert target.calls == 4
    assert await hooks.states(made) == ["delivered"] * 3


async def test_an_endpoint_that_is_gone_is_switched_off_and_the_others_are_told_why(hooks: Hooks) -> None:
    gone = await hooks.endpoint("gone", events=("order.*",))
    await hooks.endpoint("watcher", events=("webhook.*",))
    hooks.rig.targets.answer("gone", 410)
    made = [(await hooks.emit())[0] for _ in range(3)]
    await hooks.rig.dispatch()
    await hooks.pass_time(0.05)
    off = await hooks.now(gone)
    assert off.endpoint.disabled_because == "the endpoint answered 410: it is gone"
    assert set(await hooks.states(made)) == {"failed"}
    assert hooks.rig.bench.said(EndpointDisabled) == [
        EndpointDisabled(project=PROJECT, endpoint_id=gone.endpoint.id, reason=off.endpoint.disabled_because)
    ]
    [told] = hooks.told("watcher")
    assert told["type"] == "webhook.endpoint_disabled"
    assert told["data"]["url"] == "http://gone/hook"
    assert told["data"]["reason"] == off.endpoint.disabled_because
    assert await hooks.emit() == []


async def test_an_endpoint_that_fails_for_five_days_is_switched_off_and_can_recover(hooks: Hooks) -> None:
    endpoint = await hooks.endpoint("a")
    hooks.rig.targets.answer("a", 500)
    since = hooks.rig.clock()
    made = [(await hooks.emit())[0] for _ in range(2)]
    for _ in range(5 * 24 - 1):
        await hooks.pass_time(HOUR / SECOND)
        if hooks.rig.clock() - since == DAY * 4:
            made += await hooks.emit()
    assert (await hooks.now(endpoint)).endpoint.disabled_at is None
    for _ in range(30):
        await hooks.pass_time(HOUR / SECOND)
    off = (await hooks.now(endpoint)).endpoint
    assert off.disabled_because == "every attempt has failed for 5 days"
    assert set(await hooks.states(made)) == {"failed"}
    with pytest.raises(Conflict):
        await webhooks_endpoints.recover(hooks.core, PROJECT, endpoint.endpoint.id, since, 100, None)
    hooks.rig.targets.answer("a", 200)
    await hooks.update(endpoint, enabled=True)
    for more in (len(made), 0):
        again = await webhooks_endpoints.recover(hooks.core, PROJECT, endpoint.endpoint.id, since, 100, None)
        assert isinstance(again, Replayed)
        assert len(again.deliveries) == more
        for _ in range(4):
            await hooks.pass_time(0.05)
        assert {await hooks.state(one.run.id) for one in again.deliveries} <= {"delivered"}
    assert (await hooks.now(endpoint)).state(hooks.rig.clock()) == "active"


async def test_what_waits_for_a_deleted_endpoint_is_cancelled(hooks: Hooks) -> None:
    endpoint = await hooks.endpoint("a", max_concurrency=1)
    hooks.rig.targets.answer("a", 500)
    made = [(await hooks.emit())[0] for _ in range(3)]
    await hooks.rig.dispatch()
    assert await webhooks_endpoints.delete(hooks.core, PROJECT, endpoint.endpoint.id, None) is not None
    await hooks.pass_time(0.05)
    assert await hooks.states(made) == ["cancelled"] * 3
    assert await webhooks_endpoints.delete(hooks.core, PROJECT, endpoint.endpoint.id, None) is None
    with pytest.raises(NotFound):
        await hooks.now(endpoint)
    assert await hooks.emit() == []


async def test_a_waiting_retry_goes_to_the_present_address_with_the_present_secret(hooks: Hooks) -> None:
    endpoint = await hooks.endpoint("old")
    hooks.rig.targets.answer("old", 500)
    [made] = await hooks.emit()
    await hooks.rig.dispatch()
    await hooks.update(endpoint, TargetDraft(url="http://new/hook"))
    await webhooks_endpoints.rotate(hooks.core, hooks.rig.clock(), PROJECT, endpoint.endpoint.id, OTHER_SECRET, 0, None)
    await hooks.pass_time(6)
    assert await hooks.state(made) == "delivered"
    [request] = hooks.to("new")
    assert _signed_by(hooks, request) == [OTHER_SECRET]


def _signed_by(hooks: Hooks, request: Request) -> list[str]:
    """The secrets whose signature a request carries, in its order."""
    return [
        secret
        for one in header(request, "webhook-signature").split(" ")
        for secret in (SECRET, OTHER_SECRET)
        if verify(
            secrets=[secret],
            message_id=header(request, "webhook-id"),
            timestamp_s=int(header(request, "webhook-timestamp")),
            body=request.body,
            signature=one,
            now_s=hooks.rig.clock() // SECOND,
        )
    ]


async def test_both_secrets_sign_while_a_rotation_lasts(hooks: Hooks) -> None:
    endpoint = await hooks.endpoint("a")
    await webhooks_endpoints.rotate(hooks.core, hooks.rig.clock(), PROJECT, endpoint.endpoint.id, OTHER_SECRET, 1, None)
    await hooks.emit()
    await hooks.rig.dispatch()
    await hooks.pass_time(HOUR / SECOND)
    await hooks.emit()
    await hooks.rig.dispatch()
    during, afterwards = hooks.to("a")
    hooks.rig.clock.now -= HOUR
    assert _signed_by(hooks, during) == [OTHER_SECRET, SECRET]
    hooks.rig.clock.now += HOUR
    assert _signed_by(hooks, afterwards) == [OTHER_SECRET]


async def test_however_many_targets_hang_those_that_answer_have_seats(hooks: Hooks) -> None:
    rig = hooks.rig
    await hooks.endpoint("healthy", events=("good",))
    await hooks.emit("good")
    await rig.dispatch()
    hanging = [f"down{number}" for number in range(DOUBTFUL_MAX + 50)]
    for host in hanging:
        rig.targets.hang(host)
    for host in hanging:
        await hooks.send(host)
    for _ in range(80):
        rig.clock.advance(25)
        await rig.dispatch()
    assert rig.dispatcher.in_flight == DOUBTFUL_MAX
    [made] = await hooks.emit("good")
    await rig.dispatch()
    assert await hooks.state(made) == "delivered"
    for host in hanging:
        if host in rig.targets._gates:
            rig.targets.release(host)


async def test_a_project_without_endpoints_asks_the_store_nothing_about_them(hooks: Hooks) -> None:
    made = await hooks.rig.create("a")
    await hooks.rig.tick(MINUTE)
    announcer = hooks.core.store.webhooks.announcer  # type: ignore[attr-defined]  # looked behind the port
    assert announcer._heard == {PROJECT: {}}
    asked: list[str] = []
    read = announcer._db.read

    async def noted(query: str, **scalars: object) -> list[tuple[object, ...]]:
        asked.append(query)
        return await read(query, **scalars)  # type: ignore[no-any-return]  # as it is

    announcer._db.read = noted
    try:
        await hooks.rig.tick(MINUTE)
    finally:
        del announcer._db.read
    assert await hooks.rig.states(made) == ["succeeded"] * 2
    assert "find_listeners" not in asked


async def test_of_many_that_fail_a_few_are_tried_at_a_time_and_a_new_target_comes_first(hooks: Hooks) -> None:
    rig = hooks.rig
    failing = [f"down{number}" for number in range(60)]
    for host in failing:
        rig.targets.answer(host, 500)
        await hooks.send(host, retry=RetryDraft(delays=(1, 1)))
    for _ in range(10):
        await hooks.pass_time(0.02)
    assert len(rig.targets.requests) == 60
    rig.clock.advance(5 * SECOND)
    await rig.dispatcher.step(rig.clock())
    await rig.quiet()
    assert len(rig.targets.requests) - 60 <= 5, "all of them are due, and next to none goes"
    new = await hooks.send("new")
    await hooks.pass_time(0.02)
    assert await hooks.state(new) == "delivered"
    for _ in range(60):
        await hooks.pass_time(0.1)
    assert len(rig.targets.requests) >= 120
