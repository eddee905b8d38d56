"""Seeds of a simulated life. A failure prints its seed, with which it happens again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sim import ledger
from sim.world import World

STEPS = 250
FRESH = random.SystemRandom().randrange(1 << 32)


@pytest.mark.parametrize("sync_aside", [False, True], ids=["inline", "aside"])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, pytest.param(FRESH, id="fresh")])
async def test_whatever_happens_the_ledger_is_exact(seed: int, sync_aside: bool, tmp_path: Path) -> None:
    print(f"seed {seed}")
    world = await World.begin(tmp_path, seed, sync_aside=sync_aside)
    story = []
    for _ in range(STEPS):
        story.append(await world.happen())
        assert not ledger.at_every_moment(world), (seed, story[-5:])
    await world.fire()
    assert not await ledger.of_every_ledger(world), seed
    await world.calm_down()
    assert not ledger.at_every_moment(world), seed
    assert not await ledger.of_every_ledger(world), seed
    assert not ledger.at_the_end(world), seed
    assert not ledger.out_of_order(world), seed
    await world.store.close()
