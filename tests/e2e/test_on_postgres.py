"""Servers on PostgreSQL: two of them share the work, one may die, and the database may go away and come back."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.harness import KEY, ServerProcess, Target, call, server, wait_for
from mainspring.store.migrate import migrations
from postgres import Postgres
from postgres import server as database_server

SECRET_KEY = "the-same-on-every-node"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url(asyncio.run(postgres.fresh()))


@pytest.fixture
def pair(url: str, tmp_path: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    here = {"MAINSPRING_DATABASE": url, "MAINSPRING_SECRET_KEY": SECRET_KEY}
    with server(tmp_path / "first", **here) as first, server(tmp_path / "second", **here) as second:
        yield first, second


def due(target: Target, path: str = "/") -> list[str]:
    """The instants for which the target was called, in the order of the calls."""
    return [headers["x-mainspring-scheduled-for"] for _, _, headers, _ in target.on(path)]


def test_two_nodes_share_the_work_and_each_shows_what_the_other_did(
    pair: tuple[ServerProcess, ServerProcess], target: Target
) -> None:
    first, second = pair
    jobs = [
        node.call("POST", "/v1/cron/create", {"cron_expr": "* * * * * *", "task": f"{target.url}/{name}"})
        for name, node in zip("ab", pair, strict=True)
    ]
    for name in "ab":
        wait_for("four calls", lambda name=name: len(target.on(f"/{name}")) >= 4)  # type: ignore[misc] # the loop's own value
        assert max(Counter(due(target, f"/{name}")).values()) == 1
    assert {job["id"] for job in second.call("GET", "/v1/cron/list")["items"]} == {job["id"] for job in jobs}
    first.call("POST", f"/v1/cron/pause/{jobs[1]['id']}")
    assert second.call("GET", f"/v1/cron/get/{jobs[1]['id']}")["enabled"] is False


def test_when_a_node_dies_the_other_goes_on_at_once(pair: tuple[ServerProcess, ServerProcess], target: Target) -> None:
    first, second = pair
    # With overlap allowed: an attempt that the kill cuts off keeps its lease for 30 s and would hold up the next ones.
    body = {"cron_expr": "* * * * * *", "task": target.url + "/", "overlap_policy": "allow"}
    first.call("POST", "/v1/cron/create", body)
    wait_for("a call", lambda: target.on("/"))
    first.kill()
    told = len(target.on("/"))
    wait_for("calls by the other node", lambda: len(target.on("/")) >= told + 4)
    assert max(Counter(due(target)).values()) == 1
    assert second.stop() == 0


def test_while_the_database_is_away_nothing_is_accepted_and_then_everything_is_again(
    tmp_path: Path, target: Target
) -> None:
    with database_server() as database:
        here = {"MAINSPRING_DATABASE": database.url("postgres"), "MAINSPRING_SECRET_KEY": SECRET_KEY}
        with server(tmp_path / "data", **here) as node:
            body = {"cron_expr": "* * * * * *", "task": target.url + "/"}
            node.call("POST", "/v1/cron/create", body)
            wait_for("a call", lambda: target.on("/"))
            database.stop()
            wait_for("the node to say so", lambda: call(node.url, "GET", "/readyz", key=None)[0] == 503)
            status, answer = call(node.url, "POST", "/v1/cron/create", body)
            assert (status, answer["error"]["code"], answer["error"]["retryable"]) == (503, "UNAVAILABLE", True)
            database.start()
            told = len(target.on("/"))
            wait_for("it to be ready", lambda: call(node.url, "GET", "/readyz", key=None)[0] == 200)
            wait_for("calls again", lambda: len(target.on("/")) >= told + 2)
            assert len(node.call("GET", "/v1/cron/list")["items"]) == 1
            assert node.stop() == 0


def test_a_node_needs_the_key_that_all_of_them_seal_with(url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mainspring", "serve", "--port", "0", "--data", str(tmp_path), "--database", url]
    done = subprocess.run(command, env={"MAINSPRING_API_KEY": KEY}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "SECRET_KEY is required with PostgreSQL" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_commands_for_the_store_know_that_it_is_shared(url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mainspring", *arguments, "--data", str(tmp_path)],
            env={"MAINSPRING_DATABASE": url, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    names = [f"{one.number:04d} {one.name}" for one in migrations("postgres")]
    assert run("migrate", "--dry-run").stdout == f"would apply: {', '.join(names)}\n"
    said = "".join(f"migrating: {name}\n" for name in names)
    assert run("migrate").stdout == f"{said}applied: {', '.join(names)}\n"
    assert run("migrate").stdout == "the schema is up to date\n"
    doctor = run("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert re.search(r"database +PostgreSQL \d+", doctor.stdout)
    refused = run("backup", str(tmp_path / "copy"))
    assert refused.returncode == 1
    assert "pg_dump" in refused.stderr
