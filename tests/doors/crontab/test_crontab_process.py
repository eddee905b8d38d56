"""A real server process: its settings, its calls, and a start with rows that nobody can read."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from doors.crontab.rig import GoServer, task
from e2e.harness import KEY, ServerProcess, Target, call, server, wait_for


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


@pytest.fixture
def go() -> Iterator[tuple[GoServer, str]]:
    """A server of functions in a thread with a loop of its own, and its address."""
    served, loop = GoServer(Jobs__Start=lambda given: {"started": given}), asyncio.new_event_loop()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(served.answer, "127.0.0.1", 0)

    listening = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    host, port = listening.sockets[0].getsockname()[:2]
    yield served, f"{host}:{port}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    listening.close()
    for each in asyncio.all_tasks(loop):
        each.cancel()
        loop.run_until_complete(asyncio.gather(each, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def asked(process: ServerProcess, name: str, *items: Any, key: str | None = KEY) -> Any:
    status, answer = call(process.url, "POST", f"/crontab/{name}", {"task_list": list(items)}, key=key)
    assert (status, answer["state"]) == (200, 0), answer
    return answer["data"]


def test_url_and_function_are_called_and_the_log_tells(
    tmp_path: Path, target: Target, go: tuple[GoServer, str]
) -> None:
    functions, address = go
    with server(tmp_path / "data", MAINSPRING_CRONTAB_AUTH="off") as process:
        once = {"type": 1, "start_time": "1"}
        made = asked(
            process,
            "add_task",
            task(name="url", url=target.url + "/hook", **once),
            task(name="function", method="rpc", url=f"{address}/Jobs.Start", body="[7]", **once),
            key=None,
        )
        assert [one["err"] for one in made["task_result"]] == ["", ""]
        both = [{"name": "url"}, {"name": "function"}]

        def ended() -> Any:
            rows = asked(process, "query_task_status", *both)["log_list"]
            return rows if [row["status"] for row in rows] == [2, 2] else None

        rows = wait_for("both to end", ended)
        assert {row["name"]: row["resp"] for row in rows} == {"url": "ok", "function": '{"started": [7]}'}
        assert len(target.on("/hook")) == len(functions.calls) == 1
        assert process.stop() == 0


def test_a_start_with_rows_that_nobody_can_read(tmp_path: Path, target: Target) -> None:
    """Also after new time-zone data, when every schedule in a zone is looked at; the others fire as they should."""
    data = tmp_path / "data"
    zone = {"MAINSPRING_CRONTAB_TIMEZONE": "Europe/Berlin"}
    with server(data, **zone) as process:
        names = ("good", "endless", "empty", "unknown", "nowhere")
        asked(
            process,
            "add_task",
            *(task(name=name, start_time="* * * * * *", url=f"{target.url}/{name}") for name in names),
        )
        wait_for("a fire", lambda: target.on("/good"))
        assert process.stop() == 0
        with apsw.Connection(str(data / "mainspring.db")) as store:
            store.execute("UPDATE schedules SET cron_expr = '*/0 * * * * *' WHERE name = 'endless'")
            store.execute("UPDATE schedules SET cron_expr = '' WHERE name = 'empty'")
            store.execute("UPDATE schedules SET dialect = 'none' WHERE name = 'unknown'")
            store.execute("UPDATE schedules SET timezone = 'Mars/Olympus' WHERE name = 'nowhere'")
            store.execute("UPDATE progress SET next_due_at = next_due_at + 20000")
            store.execute(
                "UPDATE progress SET next_due_at = next_due_at - 20000 WHERE schedule_id = "
                "(SELECT id FROM schedules WHERE name = 'good')"
            )
            store.execute("UPDATE meta SET value = 'older' WHERE name = 'zone_data'")
        target.received.clear()
        process.start()
        wait_for("the good one to fire again", lambda: len(target.on("/good")) >= 3)
        cured = {"name": "endless", "start_time": "*/1 * * * * *"}
        assert asked(process, "update_task", cured)["task_result"][0]["err"] == ""
        wait_for("the cured one to fire", lambda: target.on("/endless"))
        instants = [headers["x-mainspring-scheduled-for"] for _, _, headers, _ in target.on("/good")]
        assert len(instants) == len(set(instants))
        assert not target.on("/empty")
        assert process.stop() == 0


def test_auth_off_on_an_open_address_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mainspring",
            "serve",
            "--host",
            "0.0.0.0",
            "--port",
            "0",
            "--data",
            str(tmp_path / "data"),
            "--crontab-auth",
            "off",
        ],  # the point
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "CRONTAB_AUTH=off" in done.stderr
