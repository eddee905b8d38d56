"""SIGKILL at random moments while schedules fire and clients create: nothing lost, nothing doubled."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from http.client import HTTPException
from pathlib import Path

import apsw
import pytest

from e2e.harness import ServerProcess, Target, call
from mainspring.core import cron, ids


class Clients:
    """Threads that create schedules all the time and remember which were acknowledged."""

    def __init__(self, server: ServerProcess, target: Target) -> None:
        self.acknowledged: list[str] = []
        self._server, self._target = server, target
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._create, args=(number,)) for number in range(4)]
        for thread in self._threads:
            thread.start()

    def _create(self, number: int) -> None:
        while not self._stop.wait(0.01):
            body = {
                "cron_expr": ("* * * * * *", "@every 1s", "*/2 * * * * *", "0 0 1 1 *")[number],
                "task": self._target.url + "/tick",
                "overlap_policy": "allow",
                "catchup": "all",
                "retry_delays": [0, 0, 0],
            }
            try:
                status, answer = call(self._server.url, "POST", "/v1/cron/create", body)
            except (OSError, ValueError, HTTPException):
                continue  # killed in mid-call: nothing was promised
            if status == 200:
                self.acknowledged.append(answer["data"]["id"])
            if len(self.acknowledged) > 150:
                return

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def survive(data: Path, kills: int, seed: int) -> None:
    """Kill a loaded server `kills` times, then check everything it wrote."""
    print(f"seed {seed}")
    dice = random.Random(seed)
    target = Target()
    server = ServerProcess(data, MAINSPRING_LOG_LEVEL="error")
    server.start()
    clients = Clients(server, target)
    try:
        for _ in range(kills):
            time.sleep(dice.uniform(0.05, 1.5))
            server.kill()
            server.start()
    finally:
        clients.stop()
    time.sleep(1.5)
    assert server.stop() == 0
    target.close()
    check(data / "mainspring.db", clients.acknowledged, target)


def check(database: Path, acknowledged: list[str], target: Target) -> None:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    stored = {row[0] for row in connection.execute("SELECT id FROM schedules")}
    wanted = {ids.key_of("cron", public) for public in acknowledged}
    assert wanted <= stored, "an acknowledged schedule is gone"
    assert len(acknowledged) > 20

    [(running,)] = connection.execute("SELECT count(*) FROM runs WHERE state = 'running'")
    assert running == 0, "a run stayed running"

    instants = 0
    for schedule_id, expr, anchor_at, next_due_at in connection.execute(
        "SELECT s.id, s.cron_expr, s.anchor_at, p.next_due_at FROM schedules s JOIN progress p ON p.schedule_id = s.id"
    ):
        entered = Counter(
            row[0] for row in connection.execute("SELECT scheduled_for FROM runs WHERE schedule_id = ?", (schedule_id,))
        )
        expression, zone = cron.parse(expr), cron.zone("UTC")
        instant = cron.next_after(expression, anchor_at, zone, anchor_at)
        while instant is not None and instant < next_due_at:
            assert entered.pop(instant, 0) == 1, f"instant {instant} of {expr} has not exactly one entry"
            instants += 1
            instant = cron.next_after(expression, instant, zone, anchor_at)
        assert not entered, "an entry for an instant that was not due"
    assert instants > 50
    [(gaps,)] = connection.execute("SELECT count(*) FROM gaps")
    assert gaps == 0, "catchup all leaves no gaps after a short outage"

    by_occurrence: dict[tuple[str, str], set[str]] = {}
    owners = dict(connection.execute("SELECT id, schedule_id FROM runs"))
    for _, _, headers, _ in target.received:
        run_id = headers["idempotency-key"]
        owner = owners[ids.key_of("run", run_id) or 0]
        by_occurrence.setdefault((owner, headers["x-mainspring-scheduled-for"]), set()).add(run_id)
    assert all(len(runs) == 1 for runs in by_occurrence.values()), "one instant was sent under two keys"
    connection.close()


def test_eight_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    survive(tmp_path, kills=8, seed=random.randrange(1 << 32))


@pytest.mark.soak
def test_fifty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    survive(tmp_path, kills=50, seed=random.randrange(1 << 32))
