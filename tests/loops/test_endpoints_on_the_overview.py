from __future__ import annotations

import pytest

from loops.rig import Rig
from loops.webhooking import Hooks
from mainspring.core.limits import DELIVERY_REST_FIRST
from mainspring.core.views.overview import EndpointCounts
from mainspring.core.webhooks import RetryDraft
from store.making import PROJECT


@pytest.fixture
def hooks(rig: Rig) -> Hooks:
    return Hooks(rig)


async def test_endpoints_are_counted_with_those_that_are_disabled_or_rest(rig: Rig, hooks: Hooks) -> None:
    views = rig.bench.store.views.overview
    await Hooks(rig, "another").endpoint("x")
    await hooks.endpoint("good")
    off = await hooks.endpoint("off")
    await hooks.update(off, enabled=False)
    bad = await hooks.endpoint("bad", retry=RetryDraft(count=0))
    rig.targets.answer("bad", 500)
    for _ in range(12):
        await hooks.emit()
        await rig.tick(1)
    assert (await hooks.now(bad)).state(rig.clock()) == "resting"
    assert await views.endpoints(PROJECT, rig.clock()) == EndpointCounts(all=3, disabled=1, resting=1)
    assert (await views.endpoints(PROJECT, rig.clock() + 100 * DELIVERY_REST_FIRST)).resting == 0
    assert await views.endpoints("another", rig.clock()) == EndpointCounts(1, 0, 0)
