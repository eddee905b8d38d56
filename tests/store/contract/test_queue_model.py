"""Lives of a few queues by the dice, beside a model of them: order, contents, numbers and rows agree at every step."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from sim.queue_ledger import asking
from sim.queue_machine import QueueMachine
from store.contract.conftest import BACKENDS
from store.making import Clock

LIVES = {"sqlite": (60, 40), "postgres": (6, 30)}
LONG_LIVES = {"sqlite": (300, 60), "postgres": (40, 60)}


@pytest.fixture(params=LIVES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, type[QueueMachine]]]:
    clock = Clock()
    with asyncio.Runner() as runner:
        store = runner.run(BACKENDS[request.param](request, tmp_path, clock))

        behind = asking(store)

        class Here(QueueMachine):
            pass

        Here.runner, Here.store, Here.clock = runner, store, clock
        Here.ask = staticmethod(runner.run(behind.__aenter__()))
        yield request.param, Here
        runner.run(behind.__aexit__(None, None, None))
        runner.run(store.close())


def live(machine: type[QueueMachine], examples: int, steps: int, number: int | None) -> None:
    settled = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=number is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    if number is not None:
        machine = seed(number)(machine)  # type: ignore[assignment] # it returns what it is given
    run_state_machine_as_test(machine, settings=settled)  # type: ignore[no-untyped-call] # it says nothing of its types


def test_queues_behave_like_their_model(machine: tuple[str, type[QueueMachine]]) -> None:
    backend, lives = machine
    live(lives, *LIVES[backend], None)


@pytest.mark.soak
def test_queues_behave_like_their_model_for_long(machine: tuple[str, type[QueueMachine]]) -> None:
    backend, lives = machine
    number = random.SystemRandom().randrange(1 << 32)
    print(f"seed {number}")
    live(lives, *LONG_LIVES[backend], number)
