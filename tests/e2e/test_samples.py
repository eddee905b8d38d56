"""What a server counts of its runs is there for charts after it has stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

from e2e.harness import Target, server, wait_for
from mainspring.core.limits import DAY, HOUR
from mainspring.core.samples import minute_of
from mainspring.core.views.overview import FirePoint
from mainspring.store.store import open_sqlite


async def kept(path: Path, now: int) -> list[FirePoint]:
    store = await open_sqlite(path, lambda: now)
    try:
        return await store.views.overview.fires("default", minute_of(now) - DAY, HOUR)
    finally:
        await store.close()


def test_runs_of_the_minute_in_which_a_server_stops_are_kept(tmp_path: Path, target: Target) -> None:
    with server(tmp_path / "data") as process:
        process.call("POST", "/v1/cron/create", {"cron_expr": "* * * * * *", "task": target.url + "/"})
        wait_for("two calls", lambda: len(target.on("/")) >= 2)
        assert process.stop() == 0
    calls = target.on("/")
    now = max(int(headers["webhook-timestamp"]) for _, _, headers, _ in calls) * 1000
    found = asyncio.run(kept(tmp_path / "data" / "mainspring.db", now))
    assert sum(point.fires for point in found) == len(calls)
    assert sum(sum(point.late) for point in found) == len(calls)
