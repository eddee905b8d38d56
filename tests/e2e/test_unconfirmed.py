"""A write whose commit the database never confirmed is answered as what it is: left open, to be sent again."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2e.harness import Target, call, server, wait_for
from postgres import server as database_server

WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'"
BODY = {"cron_expr": "0 0 1 1 *", "name": "left open"}


def test_a_commit_that_the_database_took_with_it_is_not_said_to_be_refused(tmp_path: Path, target: Target) -> None:
    """The commit waits for a standby when the server dies: its row may be kept, and here it is. The repetition under
    the same key finds it."""
    with database_server() as database, ThreadPoolExecutor(1) as elsewhere:
        here = {"MAINSPRING_DATABASE": database.url("postgres"), "MAINSPRING_SECRET_KEY": "the-same-on-every-node"}
        with server(tmp_path / "data", **here) as node:
            body = {**BODY, "task": target.url + "/"}
            asyncio.run(database.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'"))
            asyncio.run(database.execute("SELECT pg_reload_conf()"))
            wait_for(
                "the setting", lambda: asyncio.run(database.execute("SHOW synchronous_standby_names"))[0][0] == "nobody"
            )
            asyncio.run(database.execute("CHECKPOINT"))
            asked = elsewhere.submit(call, node.url, "POST", "/v1/cron/create", body, Idempotency_Key="once")
            wait_for("the commit to wait", lambda: asyncio.run(database.execute(WAITS)))
            database.stop(signal.SIGQUIT)
            status, answer = asked.result()
            assert (status, answer["error"]["retryable"]) == (503, True)
            assert "did not confirm the commit" in answer["error"]["message"]
            assert "may or may not be kept" in answer["error"]["hint"]
            database.start(synchronous_standby_names="")
            wait_for("it to be ready", lambda: call(node.url, "GET", "/readyz", key=None)[0] == 200)
            kept = node.call("GET", "/v1/cron/list")["items"]
            assert [job["name"] for job in kept] == ["left open"]
            again = node.call("POST", "/v1/cron/create", body, Idempotency_Key="once")
            assert again["id"] == kept[0]["id"]
