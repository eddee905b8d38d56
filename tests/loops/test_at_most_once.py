"""A run without retries is never sent twice: that it has begun is on disk before its first byte leaves."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from loops.rig import Rig, Targets, turn, until
from mainspring.core.limits import MINUTE
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import open_sqlite
from store.making import Bench, Clock


async def test_a_run_without_retries_waits_for_the_disk_and_the_others_do_not(tmp_path: Path, clock: Clock) -> None:
    store = await open_sqlite(tmp_path / "store.db", clock, sync_aside=True)
    rig = Rig(Bench(store), clock, Targets(clock))
    await rig.create("once", retry=0)
    await rig.create("again", retry=1)
    await rig.scheduler.step(clock.advance(MINUTE))
    assert isinstance(store.db, SqliteDb)
    assert store.db._syncer is not None
    helper = store.db._syncer._process.pid
    os.kill(helper, signal.SIGSTOP)
    await rig.dispatcher.step(clock())
    await until(lambda: rig.targets.hosts() == ["again"])
    for _ in range(20):
        await turn()
    assert rig.targets.hosts() == ["again"]
    os.kill(helper, signal.SIGCONT)
    await until(lambda: rig.targets.hosts() == ["again", "once"])
    await rig.dispatch()
    await store.close()
