"""Fires per second with one, two and three nodes on one PostgreSQL, beside the bare loop of claim + finish.

    python -m bench.nodes [--json] [--quick] [KIND …]     bare, claims, engine, serve

Every kind works off the same number of fires, each of a schedule of its own, as fast as it can:

    bare     hand-written asyncpg: take waiting runs in one transaction, end them in another, nothing around it
    claims   the store's claim and finish, with what decides how a run ends
    engine   whole `mainspring serve` processes whose sender answers at once: fire, claim, finish
    serve    the same, and each fire is a request to a sink

In the last two all are due at one instant, from which the time is taken.

Nodes, PostgreSQL and the sink share this machine. PostgreSQL syncs its commits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import asyncpg
import uvloop
from tests.postgres import Postgres, server

from bench import sink
from bench.report import emit
from bench.rig import busy_seconds, cpu_of, ended, gather, wait_until_quiet
from mainspring import app
from mainspring.cli.main import main as main_of_the_command
from mainspring.core import runs, timing
from mainspring.core.limits import SECOND
from mainspring.core.model import Target
from mainspring.core.ports import Outcome
from mainspring.core.seats import Seats
from mainspring.store.sessions import WORK
from mainspring.store.shared import open_postgres

FIRES = 5_000 if "--quick" in sys.argv else 20_000
ROUNDS = 1 if "--quick" in sys.argv else 3
NODES = (1, 2, 3)
KINDS = ("bare", "claims", "engine", "serve")
# Those that run the whole command, and how it is started.
LOOPS = {"engine": ("bench.nodes", "--part", "engine"), "serve": ("mainspring",)}
BATCH = 1_000
# An origin has 32 seats, a node 1,000: with fewer origins the seats would be what is measured.
ORIGINS = 32
KEY = "bench-key-0123456789"
YEARLY = "0 0 1 1 *"
LEFT = (
    "SELECT EXISTS (SELECT FROM progress WHERE next_due_at <= $1)"
    " OR EXISTS (SELECT FROM runs WHERE state IN ('queued', 'running', 'retrying'))"
)
LIMITS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}


def clock() -> int:
    """Now, in ms UTC."""
    return time.time_ns() // 1_000_000


# ------------------------------------------------------------------------------------------- what one process does


async def bare(url: str) -> None:
    """Take up to 1,000 waiting runs and end them, until none are left. The statements that the store folds its work
    into, by hand."""
    session = await asyncpg.connect(url, server_settings={**WORK, "jit": "off"})
    await go()
    cursor = (0, 0)
    while True:
        now = clock()
        async with session.transaction():
            # From a cursor on: at the beginning of the index lie the dead entries of all that was taken before.
            found = await session.fetch(
                "SELECT id, schedule_id, due_at FROM runs WHERE lane = 'http' AND due_at <= $1"
                " AND (due_at, id) > ($2, $3) ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED",
                now,
                *cursor,
                BATCH,
            )
            if not found:
                break
            cursor = found[-1]["due_at"], found[-1]["id"]
            claimed = [row[0] for row in found]
            await session.fetch(
                "UPDATE runs SET state = 'running', due_at = NULL, attempt = attempt + 1, lease_until = $2, node = 1,"
                " attempt_started_at = $3 FROM unnest($1::bigint[]) AS v(one)"
                " WHERE id = one AND COALESCE(due_at, -1) >= 0"
                " RETURNING id, schedule_id, project, kind, trigger, scheduled_for, target_id, origin, payload,"
                " attempt",
                claimed,
                now + 30 * SECOND,
                now,
            )
        theirs = sorted(row[1] for row in found)
        async with session.transaction():
            await session.fetch(
                "SELECT FROM progress WHERE schedule_id = ANY($1::bigint[]) ORDER BY schedule_id FOR UPDATE", theirs
            )
            await session.fetch(
                "UPDATE runs SET state = 'succeeded', lease_until = NULL, node = NULL, sent_at = at, finished_at = at,"
                " status = 200, body = said"
                " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[]) AS v(one, tried, at, said)"
                " WHERE id = one AND attempt = tried AND COALESCE(state, '') = 'running' RETURNING id",
                sorted(claimed),
                [1] * len(claimed),
                [now] * len(claimed),
                [b"ok"] * len(claimed),
            )
            await session.fetch(
                "UPDATE progress SET active = active - 1, last_state = 'succeeded'"
                " FROM unnest($1::bigint[]) AS v(one) WHERE schedule_id = one RETURNING schedule_id, active, held",
                theirs,
            )
    await asyncio.Event().wait()


async def claims(url: str) -> None:
    """The same through the store."""
    store = await open_postgres(url, clock, time.monotonic_ns)
    seats, targets = Seats(), dict[int, Target]()
    await go()
    while True:
        seats.reread()
        now = store.clock()
        found = await store.runs.claim(now, lane="http", node=store.node, lease_until=now + 30 * SECOND, seats=seats)
        if not found:
            break
        missing = {claim.target_id for claim in found} - targets.keys()
        targets |= await store.runs.targets(list(missing))
        ending = Outcome("reply", now, sent_at=now, status=200, body=b"ok")
        await store.runs.finish(now, [runs.after(claim, targets[claim.target_id], ending, 0.5) for claim in found])
        for claim in found:
            seats.give_back(claim.origin)
    await asyncio.Event().wait()


class AtOnce:
    """Stands in for the sender: the target has answered before it is asked."""

    def __init__(self, _: object, now: Callable[[], int], **__: object) -> None:
        self._clock = now

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def send(self, _: object) -> Outcome:
        now = self._clock()
        return Outcome("reply", now, sent_at=now, status=200, body=b"ok")


def engine(arguments: list[str]) -> int:
    """The server with a sender that sends nothing."""
    app.HttpSender = AtOnce  # type: ignore[assignment, attr-defined]  # what it calls of a sender is there
    return main_of_the_command(arguments)


async def serve_sinks(count: str) -> None:
    """A sink on many ports, each an origin of its own."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(sink.Sink, "127.0.0.1", 0, backlog=4096) for _ in range(int(count))]
    print(json.dumps([one.sockets[0].getsockname()[1] for one in servers]), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def go() -> None:
    """Say that all is ready, and wait for the start."""
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


PARTS: dict[str, Callable[[str], Coroutine[Any, Any, None]]] = {"bare": bare, "claims": claims, "sinks": serve_sinks}


# ------------------------------------------------------------------------------------------------------- the rounds


class Part:
    """A process of this file, or a server; told to go and to stop by lines."""

    def __init__(self, *command: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.url = ""
        self._said: list[str] = []

    def line(self) -> str:
        assert self.process.stdout is not None
        found = self.process.stdout.readline()
        self._said.append(found)
        assert found, "a process ended:\n" + "".join(self._said)
        return found

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def spent(nodes: list[Part], sinks: Part, postgres: int) -> dict[str, float]:
    """CPU seconds so far. None of these ends while it is measured: what it has spent would be nobody's for a moment."""
    return {
        "nodes": sum(cpu_of(one.process.pid) for one in nodes),
        "postgres": cpu_of_children(postgres),
        "sink": cpu_of(sinks.process.pid),
        "bench": cpu_of(os.getpid()),
        "all": busy_seconds(),
    }


def cpu_of_children(parent: int) -> float:
    """CPU seconds of a process, its children, and those of its children that have ended."""
    spent = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(path.parent.name) == parent:
                spent += sum(map(int, fields[11:15]))
            elif int(fields[1]) == parent:
                spent += sum(map(int, fields[11:13]))
    return spent / os.sysconf("SC_CLK_TCK")


async def fill(database: Postgres, ports: list[int]) -> tuple[str, str]:
    """Names of two databases: one with schedules that are not due, one in which a run of each waits to be sent."""
    idle = await database.fresh()
    with nodes("serve", 1, database.url(idle, tcp=True)) as [node]:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=64)) as session:

            async def create(port: int) -> None:
                body = {"cron_expr": YEARLY, "task": f"http://127.0.0.1:{port}/", "overlap_policy": "allow"}
                async with session.post(f"{node.url}/v1/cron/create", json=body) as reply:
                    assert reply.status == 200, await reply.text()

            await gather(64, [create(port) for port in islice(cycle(ports), FIRES)])
    await database.execute("UPDATE progress SET next_due_at = NULL", idle)
    await database.execute("VACUUM ANALYZE", idle)
    waiting = await database.fresh(idle)
    store = await open_postgres(database.url(waiting, tcp=True), clock, time.monotonic_ns)
    try:
        await database.execute(f"UPDATE progress SET next_due_at = {clock()}", waiting)
        while (await store.schedules.fire(clock(), timing.plan, 500)).schedules:
            pass
    finally:
        await store.close()
    await database.execute("VACUUM ANALYZE", waiting)
    return idle, waiting


@contextlib.contextmanager
def nodes(kind: str, count: int, url: str) -> Iterator[list[Part]]:
    """That many processes of a kind, ready to go; gone afterwards."""
    started: list[Part] = []
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as home:
        try:
            for number in range(count):
                if kind in LOOPS:
                    flags = ("--port", "0", "--data", f"{home}/{number}", "--database", url)
                    known = {"MAINSPRING_API_KEY": KEY, "MAINSPRING_SECRET_KEY": "the-same-on-every-node"}
                    quiet = {"MAINSPRING_ALLOW_TARGETS": "127.0.0.0/8", "MAINSPRING_LOG_LEVEL": "error"}
                    started.append(Part(*LOOPS[kind], "serve", *flags, **known, **quiet))
                else:
                    started.append(Part("bench.nodes", "--part", kind, url))
            for part in started:
                while not (ready := re.search(r"^ready$|listening on (\S+)", part.line(), re.MULTILINE)):
                    pass
                part.url = ready[1] or ""
            yield started
        finally:
            for part in started:
                ended(part.process)


async def one_round(database: Postgres, kind: str, count: int, template: str, sinks: Part) -> dict[str, float]:
    """Work all fires off; how fast, and where the CPU seconds went, in cores."""
    name = await database.fresh(template)
    url = database.url(name, tcp=True)
    look = await asyncpg.connect(url)
    assert database._process is not None
    postgres = database._process.pid
    try:
        with nodes(kind, count, url) as parts:
            due = clock()
            if kind in LOOPS:
                due = (clock() // SECOND + 5) * SECOND
                await look.execute("UPDATE progress SET next_due_at = $1", due)
                await look.execute("VACUUM progress")
            await look.execute("CHECKPOINT")
            await asyncio.sleep((due - clock()) / 1000)
            before, began = spent(parts, sinks, postgres), time.monotonic()
            if kind not in LOOPS:
                for part in parts:
                    part.tell()
            while await look.fetchval(LEFT, due):
                assert all(part.process.poll() is None for part in parts), "a process ended"
                await asyncio.sleep(0.02)
            after, took = spent(parts, sinks, postgres), time.monotonic() - began
        [(good, all_of_them)] = await look.fetch(
            "SELECT count(*) FILTER (WHERE state = 'succeeded' AND attempt = 1), count(*) FROM runs"
        )
        assert (good, all_of_them) == (FIRES, FIRES), (good, all_of_them)
    finally:
        await look.close()
        await database.drop(name)
    cores = {name: round((after[name] - before[name]) / took, 2) for name in before}
    foreign = 2 * cores["all"] - sum(cores.values())
    # On a machine with other work these say more than the rate.
    each = {f"{name}_us": round((after[name] - before[name]) / FIRES * 1e6) for name in ("nodes", "postgres")}
    return {"per_second": round(FIRES / took), **cores, "foreign": round(max(0.0, foreign), 2), **each}


async def measure(chosen: list[str]) -> None:
    """All rounds; each figure is the median of its column."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {(kind, count): [] for kind in chosen for count in NODES}
    sinks = Part("bench.nodes", "--part", "sinks", str(ORIGINS))
    try:
        with server(standby_of=None, **LIMITS) as database:
            idle, waiting = await fill(database, json.loads(sinks.line()))
            for _ in range(ROUNDS):
                wait_until_quiet(30)
                for (kind, count), rows in found.items():
                    template = waiting if kind in ("bare", "claims") else idle
                    rows.append(await one_round(database, kind, count, template, sinks))
    finally:
        ended(sinks.process)
    print(f"  {FIRES:,} fires, median of {ROUNDS}; CPU in cores of {os.cpu_count()}")
    print("  kind    nodes  fires/s  of bare   nodes  postgres   sink  foreign   us of nodes, of postgres a fire")
    for (kind, count), rows in found.items():
        row = {name: median(one[name] for one in rows) for name in rows[0]}
        against = found.get(("bare", count))
        row["of_bare"] = round(row["per_second"] / median(one["per_second"] for one in against), 2) if against else 0
        print(
            f"  {kind:<7} {count:>5} {row['per_second']:>8.0f} {row['of_bare']:>8.2f}"
            f" {row['nodes']:>7.2f} {row['postgres']:>9.2f} {row['sink']:>6.2f} {row['foreign']:>8.2f}"
            f" {row['nodes_us']:>13.0f} {row['postgres_us']:>12.0f}",
            flush=True,
        )
        emit(f"nodes: {kind}", {"count": count, **row})


def main() -> int:
    if "--part" in sys.argv:
        part, *arguments = sys.argv[sys.argv.index("--part") + 1 :]
        if part == "engine":
            return engine(arguments)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(PARTS[part](*arguments))
        return 0
    asyncio.run(measure([name for name in sys.argv[1:] if not name.startswith("--")] or list(KINDS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
