"""Runs from the shell, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from e2e.harness import KEY, ServerProcess, server, wait_for


def told(process: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of `mainspring run`, to its end."""
    environment = {**os.environ, "MAINSPRING_URL": process.url, "MAINSPRING_API_KEY": KEY}
    command = [sys.executable, "-m", "mainspring", "run", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_run_is_shown_with_its_attempts_in_the_shell(tmp_path: Path) -> None:
    with server(tmp_path / "data") as process:
        given = {"cron_expr": "0 0 1 1 *", "task": "http://127.0.0.1:9/", "retry": 1, "retry_delays": [0]}
        job = process.call("POST", "/v1/cron/create", given)
        run = process.call("POST", f"/v1/cron/trigger/{job['id']}")["run_id"]

        def found() -> dict[str, Any]:
            shown: dict[str, Any] = json.loads(told(process, "get", run, "--json").stdout)
            return shown

        wait_for("the run", lambda: found()["state"] == "failed")
        assert [attempt["attempt"] for attempt in found()["attempts"]] == [1, 2]
        shown = told(process, "get", run)
        assert shown.returncode == 0, shown.stderr
        facts, attempts = shown.stdout.split("\n\n")
        assert run in facts
        assert job["id"] in facts
        assert [line.split()[0] for line in attempts.splitlines()][-2:] == ["1", "2"]
        nothing = told(process, "get", "run_0000000000000")
        assert nothing.returncode == 1
        assert "there is no such run" in nothing.stderr


def test_a_run_is_replayed_from_the_shell(tmp_path: Path) -> None:
    with server(tmp_path / "data") as process:
        given = {"cron_expr": "0 0 1 1 *", "task": "orders", "task_type": "queue", "overlap_policy": "allow"}
        job = process.call("POST", "/v1/cron/create", given)

        def listed() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(told(process, "list", "--cron", job["id"], "--json").stdout)
            return found

        run = process.call("POST", f"/v1/cron/trigger/{job['id']}")["run_id"]
        wait_for("the run", lambda: listed()[0]["state"] == "succeeded")
        done = told(process, "replay", run)
        assert done.returncode == 0, done.stderr
        assert f"a replay of {run}" in done.stdout
        again = json.loads(told(process, "replay", run, "--json").stdout)
        assert (again["trigger"], again["cron_id"]) == ("replay", job["id"])
        assert [one["trigger"] for one in listed()] == ["replay", "replay", "manual"]
        process.call("DELETE", f"/v1/cron/delete/{job['id']}")
        refused = told(process, "replay", run)
        assert refused.returncode == 1
        assert "the schedule of this run was deleted" in refused.stderr
