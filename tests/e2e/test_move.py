"""A service moves house: stopped here, copied through a kill, started there, and it goes on with what it was doing."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from e2e.harness import KEY, ServerProcess, Target, call, server, wait_for
from mainspring.cli.migrate import told
from mainspring.store.move import Step
from mainspring.store.sqlite import connect
from postgres import Postgres
from store.sharing import query

GAPS = 60_000


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url(asyncio.run(postgres.fresh()))


def command(cwd: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "mainspring", "migrate", *arguments, "--data", str(cwd)]


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")} | more


def migrate(cwd: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One `mainspring migrate` to its end."""
    line = command(cwd, *arguments)
    return subprocess.run(line, env=environment(**more), capture_output=True, text=True, check=False, timeout=120)


def refused_start(data: Path, database: str, **more: str) -> str:
    """What a server says that does not start."""
    line = [sys.executable, "-m", "mainspring", "serve", "--port", "0", "--data", str(data), "--database", database]
    done = subprocess.run(
        line,
        env=environment(MAINSPRING_API_KEY=KEY, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def lived(data: Path, target: Target) -> str:
    """A store with a past: a job every second with a sealed header, its runs, and a hole in its ledger."""
    with server(data) as here:
        body = {
            "cron_expr": "* * * * * *",
            "task": target.url + "/tick",
            "headers": {"X-Token": "sealed away"},
            "overlap_policy": "allow",
        }
        made: str = here.call("POST", "/v1/cron/create", body)["id"]
        wait_for("three calls", lambda: len(target.on("/tick")) >= 3)
        for arguments in (["--dry-run"], []):
            busy = migrate(data, "--from", f"sqlite:{data}/mainspring.db", "--to", f"sqlite:{data}/new.db", *arguments)
            assert busy.returncode == (0 if arguments else 1)
            assert ("is using" in busy.stderr) != bool(arguments)
        assert not (data / "new.db").exists()
        assert here.stop() == 0
    return made


def test_from_sqlite_to_postgres_through_a_kill_and_back(tmp_path: Path, url: str, target: Target) -> None:
    data = tmp_path / "old"
    job = lived(data, target)
    before = len(target.on("/tick"))
    connection = connect(data / "mainspring.db")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO gaps SELECT i, 7, 'missed', 'long ago', i, i, 1 FROM n",
        (GAPS,),
    )
    connection.close()
    there = ["--from", f"sqlite:{data}/mainspring.db", "--to", url]

    foretold = migrate(data, *there, "--dry-run", "--json")
    assert json.loads(foretold.stdout)["rows"]["gaps"] == GAPS
    assert asyncio.run(query(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")) == []

    killed = subprocess.Popen(command(data, *there), env=environment(), stdout=subprocess.DEVNULL)
    wait_for("a part of the copy", lambda: copied_rows(url) or killed.poll() is not None)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    secret = (data / "secret.key").read_text().strip()
    assert "not complete" in refused_start(tmp_path / "new", url, MAINSPRING_SECRET_KEY=secret)
    assert "is being moved to" in refused_start(data, f"sqlite:{data}/mainspring.db")

    done = migrate(data, *there)
    assert done.returncode == 0, done.stderr
    assert "mainspring: going on with" in done.stderr
    assert "counts and checksums agree" in done.stdout
    assert "it opens the copy" in done.stdout
    assert secret not in done.stdout + done.stderr
    assert "every job would run twice" in refused_start(data, f"sqlite:{data}/mainspring.db")

    here = {"MAINSPRING_DATABASE": url, "MAINSPRING_SECRET_KEY": secret}
    with server(tmp_path / "new", **here) as node:
        wait_for("calls from the new store", lambda: len(target.on("/tick")) >= before + 4)
        assert goes_on(node, job, target)
        assert node.stop() == 0

    back = ["--from", url, "--to", f"sqlite:{tmp_path}/back/mainspring.db"]
    returned = migrate(tmp_path / "new", *back, "--json", MAINSPRING_SECRET_KEY=secret)
    assert returned.returncode == 0, returned.stderr
    assert json.loads(returned.stdout)["tables"]["gaps"]["rows"] >= GAPS
    assert "moved to sqlite:" in refused_start(tmp_path / "new", url, MAINSPRING_SECRET_KEY=secret)
    (tmp_path / "back" / "secret.key").write_text(secret)
    before = len(target.on("/tick"))
    with server(tmp_path / "back") as node:
        wait_for("calls from the file again", lambda: len(target.on("/tick")) >= before + 3)
        assert goes_on(node, job, target)


def copied_rows(url: str) -> int:
    """How many rows of the long table the new store has."""
    try:
        [(count,)] = asyncio.run(query(url, "SELECT count(*) FROM gaps"))
    except Exception:  # noqa: BLE001  # no schema yet
        return 0
    return int(count)


def goes_on(node: ServerProcess, job: str, target: Target) -> bool:
    """Second by second, once each, with the header opened; and every call so far is a run that this store shows."""
    calls = target.on("/tick")
    instants = [datetime.fromisoformat(headers["x-mainspring-scheduled-for"]) for _, _, headers, _ in calls]
    assert max(Counter(instants).values()) == 1
    assert {headers["x-token"] for _, _, headers, _ in calls} == {"sealed away"}
    latest = sorted(instants)[-3:]
    assert latest[2] - latest[1] == latest[1] - latest[0] == timedelta(seconds=1)
    shown = node.call("GET", f"/v1/cron/runs/list/{job}?limit=500")["items"]
    assert {headers["x-mainspring-run-id"] for _, _, headers, _ in calls} <= {run["run_id"] for run in shown}
    return True


def test_another_secret_key_is_noticed_before_the_move(tmp_path: Path, url: str) -> None:
    with server(tmp_path / "old") as here:
        assert here.stop() == 0
    there = ["--from", f"sqlite:{tmp_path}/old/mainspring.db", "--to", url]
    wrong = migrate(tmp_path, *there, MAINSPRING_SECRET_KEY="of-another-installation")
    assert wrong.returncode == 1
    assert "cannot be opened with this secret key" in wrong.stderr
    assert asyncio.run(query(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")) == []


def test_undoing_a_move(tmp_path: Path) -> None:
    data = tmp_path / "old"
    with server(data) as here:
        assert here.stop() == 0
    old = f"sqlite:{data}/mainspring.db"
    assert migrate(tmp_path, "--from", old, "--to", f"sqlite:{tmp_path}/new.db").returncode == 0
    assert "--undo" in refused_start(data, old)
    undone = migrate(tmp_path, "--undo", "--from", old)
    assert undone.returncode == 0
    assert "never start a server on it" in undone.stdout
    with server(data) as again:
        assert call(again.url, "GET", "/readyz", key=None)[0] == 200
    assert migrate(tmp_path, "--undo", "--from", old).returncode == 1


def test_what_makes_no_sense_is_a_wrong_use_of_the_command(tmp_path: Path) -> None:
    old, new = f"sqlite:{tmp_path}/old.db", f"sqlite:{tmp_path}/new.db"
    for wrong in (["--from", old], ["--to", new], ["--undo"], ["--from", old, "--to", new, "--undo"]):
        assert migrate(tmp_path, *wrong).returncode == 2, wrong
    assert migrate(tmp_path, "--from", old, "--to", f"sqlite:{tmp_path}/./old.db").returncode == 2
    missing = migrate(tmp_path, "--from", old, "--to", new)
    assert (missing.returncode, "there is no store at" in missing.stderr) == (1, True)
    assert not list(tmp_path.iterdir())


def test_a_step_says_rows_share_rate_and_time_left() -> None:
    half = told(Step("copying", "runs", 600_000, 1_000_000), 100_000, 5_000)
    assert half == "copying runs: 600,000 of 1,000,000 rows, 60 %, 100,000 rows/s, 0:04 left"
    assert told(Step("copying", "runs", 7, 1_000), 7, 0) == "copying runs: 7 of 1,000 rows, 0 %"
    assert told(Step("handing over", "", 7, 7), 0, 9) == "handing over"
    assert told(Step("copying", "meta", 0, 0), 0, 9) == "copying meta: 0 of 0 rows, 100 %"


def test_progress_is_one_line_on_a_terminal_and_lines_elsewhere(tmp_path: Path) -> None:
    with server(tmp_path / "old") as here:
        assert here.stop() == 0
    old = f"sqlite:{tmp_path}/old/mainspring.db"
    master, slave = pty.openpty()
    line = command(tmp_path, "--from", old, "--to", f"sqlite:{tmp_path}/new.db")
    assert subprocess.run(line, env=environment(), stdout=subprocess.DEVNULL, stderr=slave, check=False).returncode == 0
    os.close(slave)
    drawn = os.read(master, 65_536).decode()
    os.close(master)
    assert "\rmainspring: copying" in drawn
    assert "100 %" in drawn
    plain = migrate(tmp_path, "--from", f"sqlite:{tmp_path}/new.db", "--to", f"sqlite:{tmp_path}/third.db").stderr
    assert "\r" not in plain
    assert "mainspring: verifying" in plain
