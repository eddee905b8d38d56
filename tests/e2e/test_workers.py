"""Several workers on one port: each a node, kept alive by a parent, and gone when it is."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.harness import KEY, ServerProcess, Target, call, wait_for
from e2e.nodes import environment, node, query, serve
from postgres import Postgres

HELD = "SELECT count(*) FROM nodes WHERE lease_until > 0"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url(asyncio.run(postgres.fresh()))


@pytest.fixture
def many(url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with node(url, tmp_path / "many", WORKERS="3") as process:
        wait_for("all nodes", lambda: query(url, HELD) == [(3,)])
        yield process


def workers(process: ServerProcess) -> set[int]:
    """The process ids of the parent's children."""
    assert process.process is not None
    parent = process.process.pid
    return {int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and is not yet waited for by init does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_share_a_port_and_the_work_and_end_together(many: ServerProcess, url: str, target: Target) -> None:
    many.call("POST", "/v1/cron/create", {"cron_expr": "* * * * * *", "task": target.url + "/"})
    wait_for("calls", lambda: len(target.on("/")) >= 3)
    instants = [headers["x-mainspring-scheduled-for"] for _, _, headers, _ in target.on("/")]
    assert len(set(instants)) == len(instants)
    children = workers(many)
    assert len(children) == 3
    assert many.stop() == 0
    assert not [child for child in children if alive(child)]
    assert query(url, HELD) == [(0,)]


def test_a_worker_that_dies_is_replaced_and_the_others_answer_meanwhile(many: ServerProcess) -> None:
    before = workers(many)
    [victim, *_] = before
    os.kill(victim, signal.SIGKILL)
    wait_for("its end", lambda: victim not in workers(many))
    for _ in range(20):
        assert call(many.url, "GET", "/v1/cron/list")[0] == 200
    wait_for("another", lambda: len(workers(many)) == 3)
    assert before - {victim} < workers(many)
    assert "another takes its place" in many.log.read_text()
    assert many.stop() == 0


def test_workers_stop_when_their_parent_is_gone(many: ServerProcess) -> None:
    children = workers(many)
    many.kill()
    wait_for("their end", lambda: not [child for child in children if alive(child)])


def test_a_port_that_is_taken_is_refused_although_workers_share_it(
    many: ServerProcess, url: str, tmp_path: Path
) -> None:
    port = many.url.rpartition(":")[2]
    for count in ("1", "2"):
        settings = environment(url, API_KEY=KEY, WORKERS=count)
        refused = serve("--port", port, "--data", str(tmp_path / "other"), **settings)
        assert refused.returncode == 1
        assert "cannot listen on" in refused.stderr


def test_what_keeps_the_first_worker_from_starting_ends_them_all_with_its_exit_code(tmp_path: Path) -> None:
    nowhere = environment("postgresql://nobody@127.0.0.1:9/nothing", API_KEY=KEY, WORKERS="2")
    refused = serve("--data", str(tmp_path / "data"), **nowhere)
    assert refused.returncode == 1
    assert "the database is away" in refused.stderr
