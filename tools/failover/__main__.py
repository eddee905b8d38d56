"""Leaders of a replicated database die under load, one after the other: is anything lost, does anything come twice?

    make failover [ARGS="--kills 3 --calm 15 --keep"]

Three PostgreSQL servers under Patroni with synchronous quorum, three members of etcd, two nodes of Mainspring, all on
this machine; the leader's processes are killed, the others elect a new one, the old one comes back, and so on. Ends
with 1 when a promise was broken. It takes about a minute and a half per kill.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tools.failover import evidence, load, verdict
from tools.failover.cluster import Cluster
from tools.failover.nodes import Node
from tools.failover.programs import Missing, find
from tools.failover.receiver import Receiver

BEGAN = time.monotonic()
REPORT_S = 5.0
RUSH_FOR_S = 2.0
CUT_FOR_S = 0.2
DRAIN_S = 90.0
ASKED_AGAIN = 300


def say(line: str) -> None:
    """One line of progress."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {line}", flush=True)


class Kill(NamedTuple):
    """One leader's death: who, when (ms), and who came after."""

    name: str
    at: float
    heir: str
    elected_s: float


class Rig:
    """Everything that was started."""

    def __init__(self, cluster: Cluster, nodes: list[Node], receiver: Receiver) -> None:
        self.cluster = cluster
        self.nodes = nodes
        self.receiver = receiver
        self.told = load.Acknowledged()
        self.tempo = load.Tempo()


@contextlib.asynccontextmanager
async def rig(home: Path) -> AsyncIterator[Rig]:
    """The whole of it, gone afterwards whatever happened."""
    cluster = Cluster(find(home), home)
    nodes = [Node(f"node{number}", home, cluster.url) for number in (1, 2)]
    receiver = Receiver()
    try:
        say("starting etcd and three servers under Patroni")
        await cluster.start()
        say(f"the cluster is whole; a commit waits for {await cluster.confirms()}")
        await receiver.start()
        for node in nodes:
            await node.start()
        say("two nodes are ready")
        yield Rig(cluster, nodes, receiver)
    finally:
        for node in nodes:
            node.kill()
        cluster.stop()
        receiver.close()


async def report(running: Rig) -> None:
    """A line every few seconds."""
    while True:
        await asyncio.sleep(REPORT_S)
        told, calls = running.told, running.receiver.calls
        unclear = sum(count for answer, count in told.answers.items() if answer != "acknowledged")
        say(f"  {len(told.instants)} writes acknowledged, {unclear} other answers, {len(calls)} requests received")


async def kill_leader(running: Rig, calm_s: float, *, cut_first: bool) -> Kill:
    """Load for a while, kill, wait for the heir, have the old leader back as a standby. `cut_first`: its line to the
    standbys goes a moment before it does, so that it dies with commits that it alone has."""
    cluster = running.cluster
    await asyncio.sleep(calm_s)
    name = await cluster.leader()
    waits_for = await cluster.confirms()
    # So many writes that some are in the middle of their commit.
    running.tempo.rest_s = load.RUSH_S
    await asyncio.sleep(RUSH_FOR_S)
    if cut_first:
        cluster.cut_off(name)
        await asyncio.sleep(CUT_FOR_S)
    at, began = time.time() * 1000, time.monotonic()
    cluster.kill(name)
    running.tempo.rest_s = load.CALM_S
    say(f"killed {name}, the leader{', cut off just before' * cut_first} (its commits waited for {waits_for})")
    heir = await cluster.leader(other_than=name)
    elected = time.monotonic() - began
    say(f"{heir} leads, {elected:.1f} s after the kill")
    while not all([await node.ready() for node in running.nodes]):
        await asyncio.sleep(0.2)
    say(f"both nodes are ready, {time.monotonic() - began:.1f} s after the kill")
    await asyncio.sleep(calm_s)
    cluster.revive(name)
    await cluster.whole()
    say(f"{name} is back as a standby")
    return Kill(name, at, heir, elected)


async def demonstrate(running: Rig, kills: int, calm_s: float) -> tuple[dict[str, str], list[Kill]]:
    """The load and the kills; afterwards everything is quiet. Jobs of each second by id, and what was killed."""
    told = running.told
    api = load.Api([node.url for node in running.nodes], told)
    try:
        jobs = await load.schedules(api, told, running.receiver.url)
        clients = [
            asyncio.create_task(load.client(api, told, running.receiver.url, number, running.tempo))
            for number in range(load.CLIENTS)
        ]
        reporting = asyncio.create_task(report(running))
        say(f"{len(jobs)} jobs of each second, {load.CLIENTS} clients")
        try:
            killed = [await kill_leader(running, calm_s, cut_first=number % 2 == 0) for number in range(kills)]
            await asyncio.sleep(calm_s)
        finally:
            running.tempo.rest_s = None
            reporting.cancel()
        await asyncio.gather(*clients)
    finally:
        await api.close()
    return jobs, killed


async def judge(running: Rig, jobs: dict[str, str]) -> int:
    """Pause the jobs, wait for the last run, stop the nodes, and compare what was told, kept and received."""
    told, calls = running.told, running.receiver.calls
    api = load.Api([node.url for node in running.nodes], told)
    asked = int(time.time() * 1000)
    for one in jobs:
        await api.write("POST", f"/v1/cron/pause/{one}", f"pause-{one}", {})
    answered = int(time.time() * 1000)
    say("all jobs are paused; the same creates once more, at the other node")
    await api.close()
    other_answers = await load.asked_again([node.url for node in running.nodes], told, ASKED_AGAIN)
    session = await running.cluster.database()
    until = time.monotonic() + DRAIN_S
    while await evidence.unfinished(session) and time.monotonic() < until:
        await asyncio.sleep(0.5)
    codes = [await node.stop() for node in running.nodes]
    kept = await evidence.kept(session)
    await session.close()
    sent = [verdict.Sent(one.path, one.run_id, one.attempt, one.scheduled_for, one.key) for one in calls]
    gaps = {name: sum(row.entries for row in kept.gaps if row.outcome == name) for name in ("missed", "skipped")}
    occurrences = [row for row in kept.runs if row.trigger != "manual"]
    other = {answer: count for answer, count in told.answers.items() if answer != "acknowledged"}
    print(
        f"\nwrites acknowledged   {len(told.instants)}: {len(told.created)} creates, {len(told.deleted)} deletes, "
        f"{len(told.triggered)} triggers, {len(jobs)} pauses"
        f"\nother answers         {other}"
        f"\nleft open             {told.unknown} writes, of which {told.found_kept} turned out to be kept"
        f"\noccurrences           {len(occurrences)} ran, "
        f"{sum(row.trigger == 'catchup' for row in occurrences)} of them caught up; "
        f"{gaps['missed']} entered as missed, {gaps['skipped']} as skipped"
        f"\nrequests received     {len(sent)}; {len(sent) - len({one.run_id for one in sent})} of them further "
        "attempts of a run, under the same key\n"
    )
    promises = {
        "acknowledged writes lost": verdict.lost_writes(told.created, told.deleted, told.triggered, kept),
        "refused writes that were kept": told.kept_though_refused,
        "writes made twice": verdict.doubled_writes(told.created, told.triggered, kept),
        "creates answered otherwise when sent again": other_answers,
        "occurrences twice": verdict.doubled_occurrences(kept, sent),
        "attempts received twice": verdict.doubled_attempts(sent),
        "requests that the database forgot": verdict.forgotten_sends(kept, sent),
        "runs that did not end well": verdict.unfinished_runs(kept),
        "instants without exactly one entry": list(verdict.ledger(jobs, kept, asked, answered)),
        "nodes that did not stop with 0": [f"exit code {code}" for code in codes if code],
    }
    for promise, broken in promises.items():
        print(f"{len(broken):>6} {promise}")
        for sentence in broken[:5]:
            print(f"         {sentence}")
    return sum(map(len, promises.values()))


def outage(instants: list[float], at: float, until: float) -> float:
    """The longest time without one of `instants` (ms) that goes on after a kill and begins before `until`, in s."""
    gaps = [later - earlier for earlier, later in pairwise(sorted(instants)) if later > at and earlier < until]
    return max(gaps, default=float("nan")) / 1000


def show_outages(running: Rig, killed: list[Kill]) -> None:
    """A line for each kill."""
    fires = [call.at for call in running.receiver.calls if call.path != "/by-hand"]
    ends = [kill.at for kill in killed[1:]] + [time.time() * 1000]
    print("\nkill  leader  heir   elected   no write for   no fire for")
    for number, (kill, until) in enumerate(zip(killed, ends, strict=True), 1):
        writes, fired = outage(running.told.instants, kill.at, until), outage(fires, kill.at, until)
        print(f"{number:>4}  {kill.name:<6}  {kill.heir:<4} {kill.elected_s:7.1f} s {writes:12.1f} s {fired:11.1f} s")


async def main(arguments: argparse.Namespace, home: Path) -> int:
    """The demonstration; 1 when a promise was broken."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, task.cancel)
    async with rig(home) as running:
        jobs, killed = await demonstrate(running, arguments.kills, arguments.calm)
        broken = await judge(running, jobs)
        show_outages(running, killed)
    print(f"\n{'every promise held' if not broken else f'BROKEN: {broken} times'}", flush=True)
    return 1 if broken else 0


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="make failover", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=3, help="how many leaders die (3)")
    parser.add_argument("--calm", type=float, default=15.0, help="seconds of load before and after each (15)")
    parser.add_argument("--keep", action="store_true", help="keep logs and data also when all went well")
    return parser.parse_args()


if __name__ == "__main__":
    given = options()
    place = Path(tempfile.mkdtemp(prefix="mainspring-failover-", dir="/tmp"))
    code = 1
    try:
        code = asyncio.run(main(given, place))
    except Missing as missing:
        print(missing, file=sys.stderr)
    except asyncio.CancelledError:
        print("interrupted", file=sys.stderr)
        code = 130
    finally:
        if given.keep or code == 1:
            print(f"logs and data are in {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    sys.exit(code)
