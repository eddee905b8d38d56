"""Deliveries from acceptance to their end, on both databases."""

from __future__ import annotations

import pytest

from loops.rig import Rig, until
from loops.webhooking import Hooks, header, public
from mainspring.core import webhooks, webhooks_endpoints
from mainspring.core.errors import Conflict, NotFound
from mainspring.core.limits import DAY, DELIVERY_DELAYS, MINUTE, SECOND
from mainspring.core.model import Page
from mainspring.core.ports import Outcome, Request
from mainspring.core.webhooks import RetryDraft, TargetDraft
from mainspring.core.webhooks_model import DeliveryFilter, Emitted, Replayed
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.janitor import Janitor
from store.making import PROJECT


@pytest.fixture
def hooks(rig: Rig) -> Hooks:
    return Hooks(rig)


async def test_what_is_sent_is_delivered_byte_for_byte_under_its_own_id(hooks: Hooks) -> None:
    sent = await hooks.send("a", b'{"n" : 1.50}')
    assert await hooks.state(sent) == "queued"
    await hooks.rig.dispatch()
    assert await hooks.state(sent) == "delivered"
    [request] = hooks.to("a")
    assert request.body == b'{"n" : 1.50}'
    for name in ("webhook-id", "Idempotency-Key", "X-Mainspring-Run-Id"):
        assert header(request, name) == public(sent)
    assert await hooks.attempts(sent) == [(1, 200)]


async def test_an_event_goes_to_the_endpoints_whose_filters_match(hooks: Hooks) -> None:
    await hooks.endpoint("all")
    await hooks.endpoint("orders", events=("order.*",))
    await hooks.endpoint("exact", events=("order.paid",))
    await hooks.endpoint("other", events=("invoice.*", "order"))
    made = await hooks.emit("order.paid", b'{"n":1}')
    assert len(made) == 3
    await hooks.rig.dispatch()
    assert await hooks.states(made) == ["delivered"] * 3
    assert sorted(hooks.rig.targets.hosts()) == ["all", "exact", "orders"]
    [body] = hooks.told("exact")
    assert body["type"] == body["event"] == "order.paid"
    assert body["data"] == {"n": 1}
    assert body["id"].startswith("evt_")
    assert {one["id"] for host in ("all", "orders", "exact") for one in hooks.told(host)} == {body["id"]}


async def test_an_event_of_one_project_never_reaches_another(hooks: Hooks) -> None:
    await Hooks(hooks.rig, "other").endpoint("theirs")
    assert await hooks.emit() == []


async def test_retries_follow_the_list_of_standard_webhooks(hooks: Hooks) -> None:
    hooks.rig.targets.answer("a", 500)
    sent = await hooks.send("a")
    await hooks.rig.dispatch()
    for number, delay in enumerate(DELIVERY_DELAYS, 2):
        await hooks.pass_time((delay - 1) / SECOND)
        assert len(hooks.to("a")) == number - 1
        await hooks.pass_time(0.001)
        assert len(hooks.to("a")) == number
    assert await hooks.state(sent) == "failed"
    assert [number for number, _ in await hooks.attempts(sent)] == list(range(1, 11))
    assert [header(one, "X-Mainspring-Attempt") for one in hooks.to("a")] == [str(n) for n in range(1, 11)]
    assert len({header(one, "webhook-id") for one in hooks.to("a")}) == 1
    assert len({header(one, "webhook-timestamp") for one in hooks.to("a")}) == 10


async def test_a_delivery_has_the_retries_that_were_asked_for(hooks: Hooks) -> None:
    hooks.rig.targets.answer("a", 500)
    sent = await hooks.send("a", retry=RetryDraft(delays=(1, 60)))
    await hooks.rig.dispatch()
    await hooks.pass_time(1)
    assert (await hooks.state(sent), len(hooks.to("a"))) == ("retrying", 2)
    await hooks.pass_time(60)
    assert (await hooks.state(sent), len(hooks.to("a"))) == ("failed", 3)


async def test_who_says_gone_is_not_asked_again(hooks: Hooks) -> None:
    hooks.rig.targets.answer("a", 410)
    sent = await hooks.send("a")
    await hooks.rig.dispatch()
    assert await hooks.state(sent) == "failed"


class _OnRecord:
    """A target that looks, while it is called, what is on disk of the attempt."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self.durable = 0
        self.seen: list[tuple[str, int]] = []

    async def send(self, request: Request) -> Outcome:
        [delivery] = await self._hooks.all()
        self.seen.append((delivery.state, delivery.run.attempt))
        return Outcome("reply", self._hooks.rig.clock(), sent_at=self._hooks.rig.clock(), status=200)


async def test_an_attempt_is_on_record_before_its_request_goes_out(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = _OnRecord(hooks)
    store, order = hooks.core.store, []
    durable = store.runs.durable

    async def noted() -> None:
        await durable()
        order.append(len(target.seen))

    monkeypatch.setattr(store.runs, "durable", noted)
    rig = hooks.rig
    rig.dispatcher = Dispatcher(rig.bench.core, target, rig.clock, lambda: 0.5)
    await hooks.send("a")
    await rig.dispatcher.step(rig.clock())
    await until(lambda: rig.dispatcher.in_flight == 0)
    assert target.seen == [("sending", 1)]
    assert order == [0], "the claim was made durable before the request"


async def test_an_attempt_cut_short_by_a_crash_counts_and_is_made_again(hooks: Hooks) -> None:
    rig = hooks.rig
    rig.targets.hang("a")
    sent = await hooks.send("a")
    await rig.dispatch()
    assert await hooks.state(sent) == "sending"
    rig.start()
    rig.targets.release("a")
    rig.clock.advance(31 * SECOND)
    await rig.dispatcher.rescue(rig.clock())
    await rig.dispatch()
    assert await hooks.state(sent) == "delivered"
    assert [number for number, _ in await hooks.attempts(sent)] == [1, 2]
    assert len({header(one, "webhook-id") for one in hooks.to("a")}) == 1


async def test_a_replay_keeps_the_id_its_receiver_knows_unless_told_otherwise(hooks: Hooks) -> None:
    hooks.rig.targets.answer("a", 500, 200)
    sent = await hooks.send("a", retry=RetryDraft(count=0))
    await hooks.rig.dispatch()
    again = await hooks.replay(sent)
    third = await hooks.replay(sent, new_id=True)
    await hooks.rig.dispatch()
    assert await hooks.states([sent, again, third]) == ["failed", "delivered", "delivered"]
    assert len({sent, again, third}) == 3
    shown = [header(one, "webhook-id") for one in hooks.to("a")]
    assert shown == [public(sent), public(sent), public(third)]
    assert [header(one, "X-Mainspring-Run-Id") for one in hooks.to("a")] == [public(sent), public(again), public(third)]
    assert len({one.body for one in hooks.to("a")}) == 1


async def test_a_replay_to_an_endpoint_goes_to_its_present_address(hooks: Hooks) -> None:
    hooks.rig.targets.answer("old", 500)
    endpoint = await hooks.endpoint("old", retry=RetryDraft(count=0))
    [made] = await hooks.emit()
    await hooks.rig.dispatch()
    await hooks.update(endpoint, TargetDraft(url="http://new/hook"))
    again = await hooks.replay(made)
    await hooks.rig.dispatch()
    assert await hooks.state(again) == "delivered"
    assert len(hooks.to("new")) == 1


async def test_what_is_under_way_cannot_be_replayed(hooks: Hooks) -> None:
    sent = await hooks.send("a")
    with pytest.raises(Conflict):
        await hooks.replay(sent)


async def test_many_are_replayed_by_status_and_time_each_of_them_once(hooks: Hooks) -> None:
    hooks.rig.targets.answer("a", 500)
    early = await hooks.send("a", retry=RetryDraft(count=0))
    await hooks.rig.dispatch()
    since = hooks.rig.clock.advance(MINUTE)
    late = [await hooks.send("a", retry=RetryDraft(count=0)) for _ in range(3)]
    fine = await hooks.send("b")
    await hooks.rig.dispatch()
    assert await hooks.states([early, *late, fine]) == ["failed"] * 4 + ["delivered"]
    wanted = DeliveryFilter(state="failed", since=since, unreplayed=True)
    assert await webhooks.replayable(hooks.core, PROJECT, wanted) == 3
    first = await webhooks.replay_many(hooks.core, PROJECT, wanted, 2, None)
    assert isinstance(first, Replayed)
    assert ([one.replay_of for one in first.deliveries], first.more) == (late[:2], True)
    second = await webhooks.replay_many(hooks.core, PROJECT, wanted, 2, None)
    assert isinstance(second, Replayed)
    assert ([one.replay_of for one in second.deliveries], second.more) == (late[2:], False)
    assert await webhooks.replayable(hooks.core, PROJECT, wanted) == 0


async def test_what_waits_can_be_cancelled_and_what_is_being_sent_ends_first(hooks: Hooks) -> None:
    hooks.rig.targets.answer("a", 500)
    waiting = await hooks.send("a")
    await hooks.rig.dispatch()
    hooks.rig.targets.hang("b")
    sending = await hooks.send("b")
    hooks.rig.targets.answer("b", 500)
    await hooks.rig.dispatch()
    for one in (waiting, sending):
        await webhooks.cancel(hooks.core, PROJECT, one, None)
    assert await hooks.states([waiting, sending]) == ["cancelled", "sending"]
    hooks.rig.targets.release("b")
    await hooks.rig.quiet()
    await hooks.pass_time(0)
    await hooks.pass_time(DAY / SECOND)
    assert await hooks.states([waiting, sending]) == ["cancelled", "cancelled"]
    assert len(hooks.to("a")) == len(hooks.to("b")) == 1
    await webhooks.cancel(hooks.core, PROJECT, waiting, None)
    delivered = await hooks.send("c")
    await hooks.rig.dispatch()
    with pytest.raises(Conflict):
        await webhooks.cancel(hooks.core, PROJECT, delivered, None)
    with pytest.raises(NotFound):
        await webhooks.cancel(hooks.core, "other", waiting, None)


async def test_after_a_cancelled_one_the_next_gets_its_place(hooks: Hooks) -> None:
    await hooks.endpoint("a", max_concurrency=1)
    hooks.rig.targets.hang("a")
    first, second, third = [(await hooks.emit())[0] for _ in range(3)]
    await hooks.rig.dispatch()
    await webhooks.cancel(hooks.core, PROJECT, second, None)
    hooks.rig.targets.release("a")
    await hooks.rig.dispatch()
    assert await hooks.states([first, second, third]) == ["delivered", "cancelled", "delivered"]


async def test_a_test_event_reaches_an_endpoint_that_listens_for_other_things(hooks: Hooks) -> None:
    endpoint = await hooks.endpoint("a", events=("order.paid",))
    await hooks.endpoint("b")
    made = await webhooks_endpoints.test(hooks.core, PROJECT, endpoint.endpoint.id, None)
    assert isinstance(made, Emitted)
    await hooks.rig.dispatch()
    assert [body["type"] for body in hooks.told("a")] == ["test"]
    assert hooks.told("b") == []


async def test_deliveries_are_not_among_the_runs(hooks: Hooks) -> None:
    await hooks.send("a")
    await hooks.rig.dispatch()
    assert await hooks.core.store.runs.page(PROJECT, None, 0, 1 << 62, 100) == []
    assert len(await hooks.all()) == 1


async def test_deliveries_are_kept_as_long_as_runs_and_endpoints_keep_their_targets(hooks: Hooks) -> None:
    await hooks.endpoint("a")
    await hooks.emit()
    await hooks.send("b")
    await hooks.rig.dispatch()
    janitor = Janitor(hooks.core)
    await janitor.step(hooks.rig.clock.advance(29 * DAY))
    assert len(await hooks.all()) == 2
    await janitor.step(hooks.rig.clock.advance(2 * DAY))
    assert await hooks.all() == []
    [made] = await hooks.emit()
    await hooks.rig.dispatch()
    assert await hooks.state(made) == "delivered"


async def test_a_page_of_deliveries_shows_those_that_are_asked_for(hooks: Hooks) -> None:
    hooks.rig.targets.answer("bad", 500)
    endpoint = await hooks.endpoint("a", events=("order.*",))
    [paid] = await hooks.emit("order.paid")
    [sent] = await hooks.emit("order.sent")
    failed = await hooks.send("bad", retry=RetryDraft(count=0))
    await hooks.rig.dispatch()

    async def shown(**fields: object) -> list[int]:
        return [one.run.id for one in await hooks.all(DeliveryFilter(**fields))]  # type: ignore[arg-type]  # by name

    assert await shown() == [paid, sent, failed]
    assert await shown(event="order.paid") == [paid]
    assert await shown(endpoint_id=endpoint.endpoint.id) == [paid, sent]
    assert await shown(state="failed") == [failed]
    assert await shown(state="succeeded") == [paid, sent]
    assert await shown(state="failed", endpoint_id=endpoint.endpoint.id) == []
    page = await webhooks.page(hooks.core, PROJECT, DeliveryFilter(), Page(limit=2, before=(failed, 0)))
    assert [one.run.id for one in page] == [sent, paid]
