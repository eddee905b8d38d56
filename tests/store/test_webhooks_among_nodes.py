"""Webhooks on several nodes of one database."""

from __future__ import annotations

import asyncio

from loops.rig import Targets, until
from mainspring.core import webhooks, webhooks_endpoints
from mainspring.core.drafts import Draft
from mainspring.core.limits import MINUTE, SECOND
from mainspring.core.model import Page
from mainspring.core.schedules import create
from mainspring.core.webhooks import RetryDraft, TargetDraft
from mainspring.core.webhooks_endpoints import EndpointDraft
from mainspring.core.webhooks_model import DeliveryFilter, Emitted, EndpointEntry
from mainspring.loops.dispatcher import Dispatcher
from mainspring.loops.scheduler import Scheduler
from mainspring.store.store import Store
from store.making import PROJECT, Bench, Clock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Node:
    """One node with its dispatcher."""

    def __init__(self, store: Store, clock: Clock, targets: Targets) -> None:
        self.core = Bench(store).core
        self.clock = clock
        self.dispatcher = Dispatcher(self.core, targets, clock, lambda: 0.5, node=store.node)

    async def step(self) -> None:
        await self.dispatcher.step(self.clock())

    async def endpoint(self, host: str, **fields: object) -> EndpointEntry:
        draft = EndpointDraft(TargetDraft(url=f"http://{host}/", retry=RetryDraft(count=0)), **fields)  # type: ignore[arg-type]  # by name
        made = await webhooks_endpoints.register(self.core, self.clock(), PROJECT, draft, SECRET, None)
        assert isinstance(made, EndpointEntry)
        return made

    async def emit(self, data: bytes = b"{}") -> None:
        assert isinstance(await webhooks.emit(self.core, PROJECT, "x", data, None), Emitted)

    async def states(self) -> list[str]:
        found = await webhooks.page(self.core, PROJECT, DeliveryFilter(), Page(limit=500))
        return [one.state for one in found[::-1]]


def nodes(pair: tuple[Store, Store], clock: Clock, targets: Targets) -> tuple[Node, Node]:
    first, second = (Node(store, clock, targets) for store in pair)
    return first, second


async def both(clock: Clock, pair: tuple[Node, Node], steps: int) -> None:
    """Both nodes at once, step after step."""
    for _ in range(steps):
        clock.advance(50)
        await asyncio.gather(*(node.step() for node in pair))


async def drained(clock: Clock, pair: tuple[Node, Node], targets: Targets) -> None:
    for _ in range(20):
        await both(clock, pair, 1)
        await until(lambda: sum(node.dispatcher.in_flight for node in pair) <= targets.hanging.total())


async def test_an_endpoint_has_no_more_in_flight_on_all_nodes_than_it_may(
    pair: tuple[Store, Store], clock: Clock
) -> None:
    targets = Targets(clock)
    first, second = nodes(pair, clock, targets)
    await first.endpoint("a", max_concurrency=3)
    await first.emit()
    await drained(clock, (first, second), targets)
    targets.hang("a")
    for number in range(10):
        await (first, second)[number % 2].emit()
    await both(clock, (first, second), 6)
    await until(lambda: targets.hanging["a"] == 3)
    assert targets.peak["a"] == 3
    targets.release("a")
    await drained(clock, (first, second), targets)
    assert targets.peak["a"] == 3
    assert await first.states() == ["delivered"] * 11


async def test_the_order_holds_over_all_nodes(pair: tuple[Store, Store], clock: Clock) -> None:
    targets = Targets(clock)
    first, second = nodes(pair, clock, targets)
    await first.endpoint("a", ordered=True)
    for number in range(12):
        clock.advance(1)
        await (first, second)[number % 2].emit(b"%d" % number)
    await drained(clock, (first, second), targets)
    sent = [int(request.body.rsplit(b":", 1)[1].rstrip(b"}")) for request in targets.requests]
    assert sent == list(range(12))
    assert targets.peak["a"] == 1


async def test_an_endpoint_made_on_one_node_is_known_to_the_others_within_a_second(
    pair: tuple[Store, Store], clock: Clock
) -> None:
    targets = Targets(clock)
    first, second = nodes(pair, clock, targets)
    targets.answer("job", 500)
    draft = Draft(cron_expr="* * * * *", url="http://job/", retry=0)
    await create(second.core, clock(), PROJECT, "cron", draft, None)

    async def fail_once() -> None:
        clock.advance(MINUTE)
        await Scheduler(second.core).step(clock())
        clock.advance(2 * SECOND)
        for _ in range(3):
            await second.step()
            await until(lambda: second.dispatcher.in_flight == 0)

    await fail_once()
    assert await first.states() == []
    await first.endpoint("watcher", events=("cron.run.failed",))
    await fail_once()
    assert len(await first.states()) == 1


async def test_two_nodes_that_send_to_a_new_target_share_one_circuit(pair: tuple[Store, Store], clock: Clock) -> None:
    targets = Targets(clock)
    first, second = nodes(pair, clock, targets)
    await asyncio.gather(
        *(
            webhooks.send(node.core, PROJECT, TargetDraft(url="http://a/"), b"{}", None, None)
            for node in (first, second)
            for _ in range(5)
        )
    )
    await drained(clock, (first, second), targets)
    assert await first.states() == ["delivered"] * 10
    assert len(targets.requests) == 10
    circuits = await pair[0].db.read("next_circuits")
    assert circuits == [(None, None)]
