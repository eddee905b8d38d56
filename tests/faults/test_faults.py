"""All faults in one go: what happens to three nodes and their database within a minute, and that it leaves no trace."""

from __future__ import annotations

import signal
from pathlib import Path

from e2e.harness import wait_for
from faults.cluster import kill_outright, set_clock
from faults.receiver import clock
from faults.trial import TERMINATE, cut_short, trial
from mainspring.core.limits import LEASE, SECOND
from postgres import server


def test_nothing_is_lost_or_doubled_whatever_happens_to_nodes_network_clocks_and_database(tmp_path: Path) -> None:
    with server() as database, trial(database, tmp_path) as running:
        *directly, third = running.nodes
        stopped = running.busiest(directly)
        stopped.signal(signal.SIGSTOP)
        since = clock()
        running.away.add(stopped)
        with running.fault("a node killed, another one stopped"):
            killed = running.busiest(set(directly) - running.away)
            killed.kill()
            killed.start()
        with running.fault("PostgreSQL killed"):
            kill_outright(database)
            running.go_on(0.5)
            database.start()
        with running.fault("all backends terminated, 5 times"):
            for _ in range(5):
                running.ask(TERMINATE)
                running.go_on(0.2)
        for mode in ("deaf", "lose", "refuse"):
            with running.fault(f"the network of a node: {mode}"):
                running.proxy.set(mode)
                running.go_on(1.5)
                running.proxy.set("pass")
        with running.fault("a clock 1,500 ms ahead"):
            set_clock(tmp_path / "clock", 1_500)
            running.go_on(2)
            assert third.readiness() == 200
        with running.fault("a clock 5 s behind"):
            set_clock(tmp_path / "clock", -5_000)
            wait_for("the node to say so", lambda: third.readiness() == 503)
            running.go_on(2)
            set_clock(tmp_path / "clock", 0)
        with running.fault("a node stopped for longer than its leases last"):
            running.go_on((since + LEASE + 3 * SECOND - clock()) / SECOND)
            stopped.signal(signal.SIGCONT)
            running.away.clear()
        assert cut_short(running.conclude()) > 0
