"""A node that was held up may find that what it has claimed, or is still sending, was taken over meanwhile."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from loops.rig import Rig, Targets, turn, until
from mainspring.core.limits import HEARTBEAT, LEASE, MINUTE, SEATS, SECOND
from mainspring.loops.dispatcher import Dispatcher
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import open_sqlite
from store.making import Bench, Clock


async def test_a_node_may_claim_again_what_was_taken_over_while_it_was_sending(rig: Rig) -> None:
    rig.targets.hang("a")
    entry = await rig.create()
    await rig.tick(MINUTE)
    another = Dispatcher(rig.bench.core, rig.targets, rig.clock, lambda: 0.5, node=1)
    assert await another.rescue(rig.clock.advance(LEASE + SECOND)) == 1
    await rig.dispatch()
    assert [number for _, number in rig.attempts()] == ["1", "2"]
    assert rig.dispatcher.in_flight == 2
    rig.targets.release("a")
    await rig.dispatch()
    assert rig.dispatcher.in_flight == 0
    assert await rig.states(entry) == ["succeeded"]
    assert rig.dispatcher._seats.free == SEATS


async def test_what_a_node_no_longer_holds_when_it_comes_to_send_it_is_not_sent(tmp_path: Path, clock: Clock) -> None:
    store = await open_sqlite(tmp_path / "store.db", clock, sync_aside=True)
    rig = Rig(Bench(store), clock, Targets(clock))
    entry = await rig.create("once", retry=0)
    await rig.scheduler.step(clock.advance(MINUTE))
    assert isinstance(store.db, SqliteDb)
    assert store.db._syncer is not None
    helper = store.db._syncer._process.pid
    os.kill(helper, signal.SIGSTOP)
    await rig.dispatcher.step(clock())
    for _ in range(20):
        await turn()
    clock.advance(LEASE)
    os.kill(helper, signal.SIGCONT)
    await until(lambda: rig.dispatcher.in_flight == 0)
    await rig.dispatch()
    assert rig.targets.hosts() == []
    await rig.tick(HEARTBEAT)
    [run, *_] = await rig.runs(entry)
    assert (run.state, run.error, run.attempt) == ("failed", "interrupted", 1)
    assert rig.targets.hosts() == []
    await store.close()
