"""Eight schedulers and eight dispatchers, each a process, on one database: every occurrence and every run once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from mainspring.core.limits import SECOND
from mainspring.core.model import Entry
from mainspring.store.store import Store
from store.making import START, new, schedule, target
from store.racing import OCCURRENCES, TICKS
from store.sharing import query

NODES = 8
SCHEDULES = OCCURRENCES // TICKS
HERE = Path(__file__).parent


def racer(role: str, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, HERE / "racing.py", role, url],
        env=os.environ | {"PYTHONPATH": str(HERE.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> dict[str, object]:
    """The next line that a racer prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    found: dict[str, object] = json.loads(line)
    return found


async def test_every_occurrence_runs_once_and_every_run_is_claimed_once(
    database: str, store_on_postgres: Store
) -> None:
    every_second = schedule(cron_expr="* * * * * *", overlap="allow")
    items = [new(every_second, target(origin=f"http://{number}:80")) for number in range(SCHEDULES)]
    entries = await store_on_postgres.schedules.create(START, items)
    racers = [racer(role, database) for role in ("scheduler", "dispatcher") for _ in range(NODES)]
    try:
        nodes = [(await asyncio.to_thread(told, process))["node"] for process in racers]
        assert len(set(nodes)) == 2 * NODES
        for process in racers:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        results = [await asyncio.to_thread(told, process) for process in racers]
        assert [await asyncio.to_thread(process.wait, 30) for process in racers] == [0] * len(racers)
    finally:
        for process in racers:
            process.kill()
            process.communicate()

    assert sum(int(str(one["fired"])) for one in results[:NODES]) == OCCURRENCES
    assert sum(int(str(one["visits"])) > 0 for one in results[:NODES]) > 1, "nobody raced"
    claimed = [tuple(item) for one in results[NODES:] for item in one["claimed"]]  # type: ignore[attr-defined] # a list in JSON
    assert len(claimed) == len({run_id for run_id, _ in claimed}) == OCCURRENCES
    assert {attempt for _, attempt in claimed} == {1}
    found = await query(database, "SELECT schedule_id, scheduled_for, state, attempt FROM runs")
    instants = {START + tick * SECOND for tick in range(TICKS)}
    ids = {entry.schedule.id for entry in entries if isinstance(entry, Entry)}
    assert sorted((row[0], row[1]) for row in found) == sorted((one, at) for one in ids for at in instants)
    assert {(row["state"], row["attempt"]) for row in found} == {("succeeded", 1)}
    progress = await query(database, "SELECT DISTINCT active, held, run_count, made, next_due_at FROM progress")
    assert [tuple(row) for row in progress] == [(0, 0, TICKS, TICKS, START + TICKS * SECOND)]
