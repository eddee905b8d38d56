"""Each fault for minutes, one after the other, with a database that syncs: `make soak`."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest

from e2e.harness import wait_for
from faults.cluster import kill_outright, set_clock
from faults.invariants import SCHEDULED
from faults.load import ENDLESS
from faults.proxy import Mode
from faults.trial import TERMINATE, Trial, cut_short, trial
from mainspring.core.limits import GRACE, LEASE, SECOND
from postgres import server

CLAIM = b"attempt = runs.attempt + 1"

pytestmark = pytest.mark.soak


@pytest.fixture
def running(tmp_path: Path, say: Callable[[str], None]) -> Iterator[Trial]:
    with (
        server(fsync="on", full_page_writes="on") as database,
        trial(database, tmp_path, more=(ENDLESS,), say=say) as started,
    ):
        started.go_on(5)
        yield started


def test_nodes_killed_and_restarted_at_random(running: Trial) -> None:
    dice = random.Random()
    for number in range(12):
        dying = running.nodes if number % 4 == 3 else [running.busiest(running.nodes)]
        with running.fault(f"kill {number + 1}: " + ", ".join(node.name for node in dying)):
            for node in dying:
                node.kill()
            running.go_on(dice.uniform(0, 4))
            for node in dying:
                node.start()
        running.go_on(dice.uniform(0.1, 3))
    assert cut_short(running.conclude()) > 3


def test_a_node_stopped_for_a_minute_and_continued(running: Trial) -> None:
    stopped = running.busiest(running.nodes)
    with running.fault("SIGSTOP for 60 s"):
        stopped.signal(signal.SIGSTOP)
        running.go_on(60)
        stopped.signal(signal.SIGCONT)
    running.go_on(3)
    stopped = running.busiest(running.nodes)
    number = running.number_of(stopped)
    with running.fault("SIGSTOP for 60 s, and another node has its number meanwhile"):
        stopped.signal(signal.SIGSTOP)
        running.go_on(LEASE / SECOND + 5)
        heir = next(node for node in running.nodes if node is not stopped)
        heir.kill()
        heir.start()
        assert running.number_of(heir) == number
        running.go_on(20)
        stopped.signal(signal.SIGCONT)
    assert running.number_of(stopped) != number
    running.go_on(3)
    assert cut_short(running.conclude()) > 0


def test_the_database_killed_and_restarted(running: Trial) -> None:
    for number in range(6):
        with running.fault(f"crash {number + 1} of PostgreSQL"):
            if number % 2:
                running.database.stop(signal.SIGQUIT)
            else:
                kill_outright(running.database)
            running.go_on(2 * number)
            running.database.start()
        running.go_on(4)
    running.conclude()


def test_the_database_away_for_longer_than_leases_last(running: Trial) -> None:
    with running.fault("PostgreSQL away for longer than leases last"):
        running.database.stop(signal.SIGQUIT)
        running.go_on((LEASE + GRACE) / SECOND)
        running.database.start()
    running.go_on(5)
    found = running.conclude()
    assert {run.trigger for run in found.runs} >= {"schedule", "catchup", "manual"}
    assert any(gap.outcome == "missed" for gap in found.gaps)


def test_all_backends_terminated_again_and_again(running: Trial) -> None:
    with running.fault("all backends terminated, 60 times"):
        for _ in range(60):
            running.ask(TERMINATE)
            running.go_on(0.5)
    running.go_on(3)
    running.conclude()


@pytest.mark.parametrize("mode", ["stall", "deaf", "lose", "refuse"])
def test_the_network_between_a_node_and_the_database_cut(running: Trial, mode: Mode) -> None:
    cut_off = running.nodes[2]
    for seconds in (1, 3, 12, LEASE / SECOND + 20):
        running.busiest([cut_off])
        with running.fault(f"the network of a node: {mode} for {seconds} s"):
            running.proxy.set(mode)
            running.go_on(seconds)
            running.proxy.set("pass")
        running.go_on(2)
    assert cut_short(running.conclude()) > 0


def test_the_answer_to_a_claim_comes_when_its_lease_is_over(running: Trial) -> None:
    for number in range(2):
        with running.fault(f"the answer to a claim held back for longer than its lease, time {number + 1}"):
            happened = running.proxy.deafen_after_commit_of(CLAIM)
            wait_for("a claim", happened.is_set, 60)
            running.go_on(LEASE / SECOND + 15)
            running.proxy.set("pass")
        running.go_on(2)
    running.conclude()


def test_the_clock_of_a_node_is_off(running: Trial, tmp_path: Path) -> None:
    wrong = running.nodes[2]
    number = running.number_of(wrong)
    for ahead in (1_500, -1_500, 5_000, -5_000):
        status = 200 if abs(ahead) < 2 * SECOND else 503
        with running.fault(f"a clock {ahead} ms ahead"):
            set_clock(tmp_path / "clock", ahead)
            wait_for("the node to say how it is", lambda status=status: wrong.readiness() == status)  # type: ignore[misc] # the loop's own value
            running.go_on(20)
            assert wrong.readiness() == status
            set_clock(tmp_path / "clock", 0)
    found = running.conclude()
    # What it made was sent no later than what the others made: it goes by the database's clock.
    late: dict[bool, list[int]] = {True: [], False: []}
    for run in found.runs:
        if run.trigger in SCHEDULED and run.id in found.sends_of:
            made_here = run.id >> 12 & 1023 == number
            late[made_here].append(found.sends_of[run.id][0].began - run.scheduled_for)
    assert len(late[True]) > 20
    assert median(late[True]) < median(late[False]) + SECOND
