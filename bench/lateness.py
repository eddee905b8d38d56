"""How late are fires? First byte at the sink minus the due instant, durable, with APScheduler (in memory) beside.

    python -m bench.lateness [--json] [--quick] [SCENARIO …]     even, burst, rate, flood, apscheduler

Every scenario also checks, by the calls the sink saw, that nothing was lost and nothing came twice.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from bench.report import emit, histogram, summary
from bench.rig import (
    OTHER_CORE,
    SERVER_CORE,
    Server,
    Sink,
    busy_seconds,
    cpu_of,
    ended,
    gather,
    pinned,
    rig,
    wait_until_quiet,
)

QUICK = "--quick" in sys.argv
SECONDS = 10 if QUICK else 60


async def create_even(server: Server, sink: Sink, count: int) -> None:
    """`count` schedules of one second each, their phases spread evenly over the second."""
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(connector=connector) as session:
        laps = max(1, -(-count // 500))
        began = time.time()
        pending = []
        for index in range(count):
            # Lap by lap through the second, each lap between the phases of those before it.
            at = began + index % 500 * 0.002 + (index // 500) * (1 + 0.002 / laps)
            await asyncio.sleep(max(0, at - time.time()))
            pending.append(asyncio.create_task(server.create(session, cron_expr="@every 1s", task=sink.url + "/even")))
        await asyncio.gather(*pending)


async def create_each_second(server: Server, sink: Sink, count: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:
        jobs = [server.create(session, cron_expr="* * * * * *", task=sink.url + "/burst") for _ in range(count)]
        await gather(32, jobs)


def observe(server: Server, sink: Sink, seconds: float) -> dict[str, Any]:
    """Watch a steady load, then stop the server and check what it wrote against what the sink saw."""
    sink.reset()
    began, cpu, sink_cpu, busy = time.time() * 1000, server.cpu_seconds(), cpu_of(sink.pid), busy_seconds()
    time.sleep(seconds)
    until = time.time() * 1000
    cpu = server.cpu_seconds() - cpu
    foreign = busy_seconds() - busy - cpu - (cpu_of(sink.pid) - sink_cpu)
    server.stop()
    calls = sink.calls()
    due = [(key, due, at) for key, due, at in calls if due is not None and began + 1000 <= due <= until - 2000]
    late = [at - due for _, due, at in due]
    keys = [key for key, _, _ in calls]
    return {
        **summary(late),
        "late": late,
        "per_second": round(len(due) / ((until - began - 3000) / 1000)),
        "doubled": len(keys) - len(set(keys)),
        "lost": lost(server, set(keys), began),
        "cpu": round(cpu / seconds, 2),
        "foreign_cpu": round(max(0.0, foreign) / seconds, 2),
    }


def lost(server: Server, seen: set[str], since: float) -> int:
    """Occurrences on the ledger that the sink never saw, or that are not entered at all."""
    import apsw

    from mainspring.core import ids

    connection = apsw.Connection(str(server.data / "mainspring.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows = list(connection.execute("SELECT id FROM runs WHERE attempt > 0 AND attempt_started_at >= ?", (since + 50,)))
    unseen = sum(ids.text("run", row[0]) not in seen for row in rows)
    [(gaps,)] = connection.execute("SELECT COALESCE(sum(count), 0) FROM gaps")
    connection.close()
    return unseen + int(gaps)


def show(title: str, found: dict[str, Any], wanted: str) -> None:
    late = found.pop("late")
    print(f"\n{title}\n  {found}   wanted: {wanted}")
    print(histogram(late), flush=True)
    emit(title, found)


def even() -> None:
    with rig() as (server, sink):
        asyncio.run(create_even(server, sink, 1000))
        found = observe(server, sink, SECONDS)
        show("even: 1,000 fires/s evenly phased", found, "p50 <= 20, p99 <= 250, lost 0, doubled 0")


def burst() -> None:
    with rig() as (server, sink):
        asyncio.run(create_each_second(server, sink, 1000))
        time.sleep(3)
        found = observe(server, sink, SECONDS / 2)
        show("burst: 1,000 due at each whole second", found, "p50 <= 120, p99 <= 300, lost 0, doubled 0")


def rate() -> None:
    best = 0
    for count in (2000, 2500, 3000, 4000, 5000, 6000):
        wait_until_quiet()
        with rig() as (server, sink):
            asyncio.run(create_even(server, sink, count))
            time.sleep(2)
            found = observe(server, sink, 8 if QUICK else 20)
            good = found["p99"] < 500 and not found["lost"] and not found["doubled"]
            show(f"rate: {count} fires/s", found, "p99 < 500")
            if not good:
                break
            best = count
    print(f"\n  highest rate with p99 < 500 ms: {best} fires/s   wanted: 2,500, goal 4,000")
    emit("rate: highest", {"fires_per_second": best})


def flood() -> None:
    with rig() as (server, sink):
        at = datetime.now(UTC) + timedelta(seconds=40)
        expr = f"{at.second} {at.minute} {at.hour} * * *"

        async def create() -> None:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:
                jobs = [server.create(session, cron_expr=expr, task=sink.url + "/flood") for _ in range(10_000)]
                await gather(32, jobs)

        asyncio.run(create())
        due = at.replace(microsecond=0).timestamp() * 1000
        assert time.time() * 1000 < due, "creating took too long"
        sink.reset()
        time.sleep(max(0, due / 1000 - time.time()) + 12)
        calls = sink.calls()
        late = [call[2] - due for call in calls]
        found = {**summary(late), "late": late, "sent": len(late), "distinct": len({call[0] for call in calls})}
        show("flood: 10,000 due in the same second", found, "max <= 5000, sent 10,000 distinct")


def apscheduler() -> None:
    sink_process = pinned(OTHER_CORE, sys.executable, "-m", "bench.sink")
    try:
        sink = Sink(sink_process)
        peer = pinned(SERVER_CORE, sys.executable, "-m", "bench.peer_apscheduler", sink.url, "1000", "20")
        peer.wait(60)
        late = [at - due for _, due, at in sink.calls() if due is not None]
        found = {**summary(late), "late": late, "per_second": round(len(late) / 20)}
        show("APScheduler (in memory): 1,000 due at each whole second", found, "for comparison")
    finally:
        ended(sink_process)


SCENARIOS = {"even": even, "burst": burst, "apscheduler": apscheduler, "flood": flood, "rate": rate}


def main() -> int:
    chosen = [name for name in sys.argv[1:] if not name.startswith("--")] or list(SCENARIOS)
    for name in chosen:
        wait_until_quiet()
        SCENARIOS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
