"""A version with one more migration comes while the one before it is at work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

import mainspring
from e2e.harness import KEY, ServerProcess, Target, call, wait_for
from e2e.nodes import environment, node, query, serve
from mainspring.store.migrate import migrations
from mainspring.store.sqlite import connect
from postgres import Postgres

# What a version may do to tables that the one before it goes on using: add to them.
ADDITIVE = """
ALTER TABLE runs ADD COLUMN invented bigint;
ALTER TABLE schedules ADD COLUMN invented text NOT NULL DEFAULT 'x';
CREATE TABLE invented (id bigint PRIMARY KEY);
"""
LONG = """
CREATE TABLE invented (x INTEGER) STRICT;
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 8000000)
INSERT INTO invented SELECT max(x) FROM c;
"""


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url(asyncio.run(postgres.fresh()))


def newer(folder: Path, *texts: str, dialect: str = "postgres") -> str:
    """A copy of the program with so many migrations more; the PYTHONPATH that makes it the one that runs."""
    [package] = mainspring.__path__
    shutil.copytree(package, folder / "mainspring", ignore=shutil.ignore_patterns("__pycache__"))
    known = len(migrations("postgres"))
    for number, text in enumerate(texts, known + 1):
        (folder / "mainspring" / "store" / "schema" / dialect / f"{number:04d}_invented.sql").write_text(text)
    return str(folder)


def applied(url: str) -> int:
    [(count,)] = query(url, "SELECT count(*) FROM migrations")
    return int(count)


def calls(target: Target) -> Counter[str]:
    return Counter(headers["x-mainspring-scheduled-for"] for _, _, headers, _ in target.on("/"))


def fires_on(target: Target) -> None:
    told = len(target.on("/"))
    wait_for("more calls", lambda: len(target.on("/")) >= told + 3)


def test_nodes_of_the_version_before_go_on_and_start_on_a_schema_that_is_one_migration_newer(
    url: str, tmp_path: Path, target: Target
) -> None:
    known = len(migrations("postgres"))
    with contextlib.ExitStack() as nodes:
        old = nodes.enter_context(node(url, tmp_path / "old"))
        # With overlap allowed, as an attempt that is held up must not hold up the count.
        body = {"cron_expr": "* * * * * *", "task": target.url + "/", "overlap_policy": "allow"}
        job = old.call("POST", "/v1/cron/create", body)
        wait_for("a call", lambda: target.on("/"))
        new = nodes.enter_context(_newer_node(url, tmp_path, newer(tmp_path / "next", ADDITIVE)))
        assert applied(url) == known + 1
        assert f"migrating: {known + 1:04d} invented" in new.log.read_text()
        fires_on(target)
        assert new.stop() == 0
        fires_on(target)
        assert old.call("POST", f"/v1/cron/pause/{job['id']}")["enabled"] is False
        assert old.call("POST", f"/v1/cron/resume/{job['id']}")["enabled"] is True
        assert old.stop() == 0
        again = nodes.enter_context(node(url, tmp_path / "again"))
        fires_on(target)
        assert again.call("GET", f"/v1/cron/get/{job['id']}")["enabled"] is True
        assert again.stop() == 0
        assert "loop failed" not in (tmp_path / "old" / "server.log").read_text()
    assert max(calls(target).values()) == 1


@contextlib.contextmanager
def _newer_node(url: str, tmp_path: Path, program: str) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "new", PYTHONPATH=program, **environment(url))
    try:
        process.start()
        yield process
    finally:
        if process.process is not None and process.process.poll() is None:
            process.kill()


def test_a_schema_that_is_two_migrations_newer_is_refused_and_the_message_says_so(url: str, tmp_path: Path) -> None:
    known = len(migrations("postgres"))
    program = newer(tmp_path / "next", ADDITIVE, "CREATE TABLE more (id bigint PRIMARY KEY);")
    with _newer_node(url, tmp_path, program):
        refused = serve("--data", str(tmp_path / "old"), **environment(url))
    assert refused.returncode == 1
    assert f"is at migration {known + 2}, this version knows {known} and works up to {known + 1}" in refused.stderr


def test_on_sqlite_any_newer_schema_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "new"
    program = newer(tmp_path / "next", "CREATE TABLE invented (x INTEGER) STRICT;", dialect="sqlite")
    process = ServerProcess(data, PYTHONPATH=program)
    process.start()
    assert process.stop() == 0
    refused = serve("--data", str(data))
    assert refused.returncode == 1
    assert "this version knows" in refused.stderr


# -------------------------------------------------------------------------------------------- alive while it migrates


@contextlib.contextmanager
def starting(data: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server that is starting, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mainspring", "serve", "--port", str(port), "--data", str(data)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    process = subprocess.Popen(command, env={**kept, "MAINSPRING_API_KEY": KEY, **settings}, stderr=subprocess.DEVNULL)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _status(url: str, path: str) -> int | None:
    with contextlib.suppress(OSError):
        status: int = call(url, "GET", path)[0]
        return status
    return None


def _health(url: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "mainspring", "health", "--url", url], capture_output=True, check=False
    ).returncode


def test_a_node_that_waits_to_migrate_is_alive_but_not_ready(url: str, tmp_path: Path) -> None:
    async def whole() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("SELECT pg_advisory_lock(19795, 1)")  # as another node that migrates would
        try:
            with starting(tmp_path / "data", **environment(url)) as (_, server):
                await asyncio.to_thread(wait_for, "it to be alive", lambda: _status(server, "/healthz") == 200)
                status, answer = call(server, "GET", "/readyz")
                assert (status, answer["reason"]) == (503, "starting")
                status, answer = call(server, "GET", "/v1/cron/list")
                assert (status, answer["ok"], answer["error"]["code"]) == (503, False, "UNAVAILABLE")
                assert _health(server) == 0
                await connection.execute("SELECT pg_advisory_unlock(19795, 1)")
                await asyncio.to_thread(wait_for, "it to be ready", lambda: _status(server, "/readyz") == 200)
                assert _status(server, "/v1/cron/list") == 200
        finally:
            await connection.close()

    asyncio.run(whole())
    assert _health("http://127.0.0.1:9") == 1


def test_a_node_that_is_told_to_stop_while_it_starts_stops_when_it_has_started_and_told_again_at_once(
    url: str, tmp_path: Path
) -> None:
    async def whole() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("SELECT pg_advisory_lock(19795, 1)")
        try:
            with starting(tmp_path / "one", **environment(url)) as (hurried, server):
                await asyncio.to_thread(wait_for, "it to be alive", lambda: _status(server, "/healthz") == 200)
                with starting(tmp_path / "other", **environment(url)) as (patient, its_server):
                    await asyncio.to_thread(wait_for, "it to be alive", lambda: _status(its_server, "/healthz") == 200)
                    hurried.terminate()
                    patient.terminate()
                    # Two signals at the same moment are one: the second is sent until it has an effect.
                    await asyncio.to_thread(wait_for, "its end", lambda: hurried.terminate() or hurried.poll())
                    assert hurried.returncode == -signal.SIGTERM
                    assert patient.poll() is None
                    await connection.execute("SELECT pg_advisory_unlock(19795, 1)")
                    assert await asyncio.to_thread(patient.wait, 30) == 0
        finally:
            await connection.close()

    asyncio.run(whole())
    assert query(url, "SELECT count(*) FROM nodes WHERE lease_until > 0") == [(0,)]


def test_on_sqlite_the_server_is_alive_in_the_middle_of_a_long_migration(tmp_path: Path) -> None:
    program = newer(tmp_path / "next", LONG, dialect="sqlite")
    known = len(migrations("sqlite"))
    data = tmp_path / "data"
    first = ServerProcess(data)
    first.start()
    assert first.stop() == 0
    with starting(data, PYTHONPATH=program) as (_, server):
        wait_for("it to be alive", lambda: _status(server, "/healthz") == 200)
        connection = connect(data / "mainspring.db", readonly=True)
        assert connection.execute("SELECT count(*) FROM migrations").fetchall() == [(known,)]
        connection.close()
        wait_for("it to be ready", lambda: _status(server, "/readyz") == 200)
    assert list(data.glob("*.bak"))


def test_health_finds_the_server_by_its_data_directory_or_its_settings(tmp_path: Path) -> None:
    def health(**settings: str) -> int:
        return subprocess.run(
            [sys.executable, "-m", "mainspring", "health", "--data", str(data)],
            env={"PATH": "/usr/bin:/bin", **settings},
            capture_output=True,
            check=False,
        ).returncode

    data = tmp_path / "data"
    process = ServerProcess(data)
    process.start()
    try:
        assert health() == 0
        port = json.loads((data / "credentials.json").read_text())["url"].rpartition(":")[2]
        (data / "credentials.json").unlink()
        assert health(MAINSPRING_PORT=port, MAINSPRING_HOST="0.0.0.0") == 0
        assert health(MAINSPRING_PORT="9") == 1
    finally:
        process.kill()
