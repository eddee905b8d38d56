"""A whole store from SQLite to PostgreSQL, killed once half way and gone on with, beside PostgreSQL's own COPY.

python -m bench.move [--json] [--quick]

The reference is the same bytes in COPY's binary form, from a file into the same tables with the same indexes, one
statement per table: what the database can take when nothing reads, compares or notes how far it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import asyncpg

from bench.report import emit
from bench.rig import busy_seconds, cpu_of, wait_until_quiet
from mainspring.store import tables
from mainspring.store.moved import arriving
from mainspring.store.sqlite import connect
from mainspring.store.store import open_sqlite
from postgres import Postgres, server
from store.making import START, create

SCHEDULES, RUNS = (10_000, 100_000) if "--quick" in sys.argv else (100_000, 1_000_000)
_N = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"


async def fill(path: Path) -> None:
    """Schedules with their targets, each with the same number of runs that kept 200 bytes of an answer."""
    store = await open_sqlite(path, lambda: START)
    await create(store, START)
    await store.close()
    connection = connect(path)
    for table, key in (("targets", "id"), ("schedules", "id"), ("progress", "schedule_id")):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        moved = {key: f"t.{key} + n.i", "number": "t.number + n.i", "target_id": "t.target_id + n.i"}
        cells = ", ".join(moved.get(column, f"t.{column}") for column in columns)
        connection.execute(f"{_N} INSERT INTO {table} SELECT {cells} FROM {table} AS t, n", (SCHEDULES - 1,))
    connection.execute(
        f"{_N} INSERT INTO runs (id, schedule_id, project, kind, lane, trigger, scheduled_for, created_at, target_id, "
        "origin, state, attempt, started_at, attempt_started_at, sent_at, finished_at, status, body) "
        "SELECT s.id + 10000000 + n.i, s.id + n.i % ?, s.project, 'cron', 'http', 'schedule', ? + n.i / ? * 60000, ?, "
        "s.target_id + n.i % ?, s.origin, 'succeeded', 1, ?, ?, ?, ?, 200, randomblob(200) "
        "FROM (SELECT * FROM schedules ORDER BY id LIMIT 1) AS s, n",
        (RUNS, SCHEDULES, START, SCHEDULES, START, SCHEDULES, START, START, START, START),
    )
    connection.close()


def start(path: Path, url: str, log: Path) -> subprocess.Popen[str]:
    line = ["migrate", "--from", f"sqlite:{path}", "--to", url, "--json"]
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "mainspring", *line], text=True, stdout=subprocess.PIPE, stderr=file
        )


async def rows_there(url: str) -> dict[str, int]:
    """How far the copy is, by its own note."""
    try:
        connection = await asyncpg.connect(url)
    except OSError:
        return {}
    try:
        mark = arriving(await connection.fetchval("SELECT value FROM meta WHERE name = 'moving_in'"))
    except asyncpg.UndefinedTableError:
        return {}
    finally:
        await connection.close()
    return mark.rows if mark else {}


async def until(url: str, runs: int, mover: subprocess.Popen[str], log: Path) -> None:
    while (await rows_there(url)).get("runs", 0) < runs:
        assert mover.poll() is None, log.read_text()
        await asyncio.sleep(0.1)


def postgres_cpu(process: int) -> float:
    """CPU seconds of the server and of its children, those that have ended too."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    ended = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return cpu_of(process) + ended + sum(cpu_of(int(child)) for child in children)


def move(path: Path, url: str, log: Path) -> dict[str, Any]:
    """The move with its kill; what each part of it took."""
    began = time.monotonic()
    first = start(path, url, log)
    asyncio.run(until(url, RUNS // 2, first, log))
    first.send_signal(signal.SIGKILL)
    first.wait()
    killed = time.monotonic()
    kept = sum(asyncio.run(rows_there(url)).values())
    second = start(path, url, log)
    while "verifying" not in log.read_text():
        assert second.poll() is None, log.read_text()
        time.sleep(0.02)
    verifying = time.monotonic()
    assert second.stdout is not None
    told = json.loads(second.stdout.read())
    assert second.wait() == 0, log.read_text()
    ended = time.monotonic()
    rows = told["rows"]
    return {
        "rows": rows,
        "kept_by_the_killed": kept,
        "first_part_s": round(killed - began, 1),
        "second_part_s": round(verifying - killed, 1),
        "verify_s": round(ended - verifying, 1),
        "copied_rows_per_s": round(rows / (verifying - began)),
        "verified_rows_per_s": round(rows / (ended - verifying)),
        "moved_rows_per_s": round(rows / (ended - began)),
    }


async def reference(postgres: Postgres, moved: str, folder: Path) -> dict[str, Any]:
    """COPY of what arrived, into an empty store."""
    source = await asyncpg.connect(postgres.url(moved))
    names = [name for name in tables.COPIED if name not in ("meta", "counters")]
    for name in names:
        await source.copy_from_table(name, output=folder / name, format="binary")
    await source.close()
    bare = await postgres.fresh()
    target = await asyncpg.connect(postgres.url(bare))
    for file in sorted((Path(__file__).parents[1] / "src/mainspring/store/schema/postgres").glob("*.sql")):
        await target.execute(file.read_text())
    began = time.monotonic()
    rows = 0
    for name in names:
        rows += int((await target.copy_to_table(name, source=folder / name, format="binary")).split()[1])
    spent = time.monotonic() - began
    await target.close()
    await postgres.drop(bare)
    return {
        "mib": round(sum((folder / name).stat().st_size for name in names) / 1_048_576),
        "bare_copy_s": round(spent, 1),
        "bare_copy_rows_per_s": round(rows / spent),
    }


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="mainspring-bench-") as name,
        server(fsync="on", full_page_writes="on", shared_buffers="256MB", max_wal_size="4GB") as postgres,
    ):
        folder = Path(name)
        path = folder / "old.db"
        asyncio.run(fill(path))
        database = asyncio.run(postgres.fresh())
        wait_until_quiet()
        pid = int((postgres.data / "postmaster.pid").read_text().split()[0])
        load, busy, own, began = os.getloadavg()[0], busy_seconds(), postgres_cpu(pid), time.monotonic()
        used = os.times()
        figures: dict[str, Any] = {"schedules": SCHEDULES, "runs": RUNS}
        figures |= move(path, postgres.url(database), folder / "log")
        now = os.times()
        mover = now.children_user + now.children_system - used.children_user - used.children_system
        foreign = busy_seconds() - busy - (postgres_cpu(pid) - own) - mover
        figures["foreign_cpu"] = round(max(0.0, foreign) / (time.monotonic() - began), 2)
        figures["load_before"] = round(load, 1)
        figures |= asyncio.run(reference(postgres, database, folder))
        figures["copy_share_of_bare"] = round(figures["copied_rows_per_s"] / figures["bare_copy_rows_per_s"], 2)
        figures["move_share_of_bare"] = round(figures["moved_rows_per_s"] / figures["bare_copy_rows_per_s"], 2)
        width = max(map(len, figures))
        for key, value in figures.items():
            print(f"  {key:{width}}  {value:,}")
        print("  wanted: copying >= 0.5 of the bare COPY, on a quiet machine and at full size", flush=True)
        emit("move", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
