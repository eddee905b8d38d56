"""Nodes with some of the roles, nodes that are told to stop, and whose API key it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from e2e.harness import KEY, Target, call, wait_for
from e2e.nodes import SECRET_KEY, Slow, environment, metric, node, page, query, serve
from mainspring.keyring import read_credentials
from mainspring.store.wakeups import CHANNEL
from postgres import Postgres

LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url(asyncio.run(postgres.fresh()))


@pytest.fixture
def slow() -> Iterator[Slow]:
    started = Slow()
    yield started
    started.close()


def test_each_role_on_a_node_of_its_own_and_together_they_are_the_service(
    url: str, tmp_path: Path, target: Target
) -> None:
    with (
        node(url, tmp_path / "api", ROLES="api") as api,
        node(url, tmp_path / "scheduler", ROLES="scheduler") as scheduler,
        node(url, tmp_path / "dispatcher", ROLES="dispatcher,janitor") as dispatcher,
    ):
        job = api.call("POST", "/v1/cron/create", {"cron_expr": "* * * * * *", "task": target.url + "/"})
        wait_for("three calls", lambda: len(target.on("/")) >= 3)
        wait_for(
            "their results",
            lambda: len(api.call("GET", f"/v1/cron/runs/list/{job['id']}?state=succeeded")["items"]) >= 3,
        )
        fires = [metric(one.url, "mainspring_fires_total") for one in (api, scheduler, dispatcher)]
        claims = [metric(one.url, "mainspring_runs_claimed_total") for one in (api, scheduler, dispatcher)]
        assert fires[1] >= 3
        assert claims[2] >= 3
        assert [fires[0], fires[2], claims[0], claims[1]] == [0, 0, 0, 0]
        assert [one.stop() for one in (api, scheduler, dispatcher)] == [0, 0, 0]


def test_what_comes_in_at_a_node_with_the_api_alone_wakes_the_dispatchers_of_others(
    url: str, tmp_path: Path, target: Target
) -> None:
    heard: list[str] = []

    async def overhear() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.add_listener(CHANNEL, lambda _, __, ___, text: heard.append(str(text)))
            await asyncio.to_thread(trigger)
            async with asyncio.timeout(30):
                while not any("dispatcher" in text.split()[1:] for text in heard):
                    await connection.execute("SELECT 1")
        finally:
            await connection.close()

    def trigger() -> None:
        api.call("POST", f"/v1/cron/trigger/{job['id']}")

    with node(url, tmp_path / "api", ROLES="api") as api, node(url, tmp_path / "worker", ROLES="dispatcher"):
        wait_for("both nodes to listen", lambda: query(url, LISTENING) == [(2,)])
        job = api.call("POST", "/v1/cron/create", {"cron_expr": "0 0 1 1 *", "task": target.url + "/"})
        asyncio.run(overhear())
        wait_for("the call", lambda: target.on("/"))


def test_a_node_without_the_api_shows_how_it_is_and_sends_callers_to_another_node(url: str, tmp_path: Path) -> None:
    with node(url, tmp_path / "data", ROLES="dispatcher,scheduler") as worker:
        for path in ("/healthz", "/readyz"):
            assert call(worker.url, "GET", path, key=None)[0] == 200
        assert 0 < metric(worker.url, "mainspring_node_lease_seconds") <= 25
        assert abs(metric(worker.url, "mainspring_clock_skew_seconds")) < 2
        assert metric(worker.url, "mainspring_database_waits_total") >= 0
        for method, path in (("POST", "/v1/cron/create"), ("GET", "/v1/cron/list"), ("GET", "/docs"), ("POST", "/")):
            status, answer = call(worker.url, method, path)
            assert (status, answer["error"]["code"], answer["error"]["retryable"]) == (503, "UNAVAILABLE", True)
            assert "its roles: dispatcher, scheduler" in answer["error"]["message"]
            assert ("metadata" in answer) == path.startswith("/v1/")
        assert call(worker.url, "POST", "/healthz")[0] == 405


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--roles", "api"), "on SQLite one process does all roles"),
        (("--workers", "2"), "more than one worker needs PostgreSQL"),
    ],
)
def test_on_sqlite_there_is_one_process_with_all_roles(flags: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = serve("--data", str(tmp_path / "data"), *flags)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "data").exists()


def test_what_a_dead_node_had_in_flight_is_taken_over_by_a_node_that_dispatches_and_by_no_other(
    url: str, tmp_path: Path, slow: Slow
) -> None:
    with contextlib.ExitStack() as nodes:
        dead = nodes.enter_context(node(url, tmp_path / "dead"))
        dead.call("POST", "/v1/cron/create", {"run_at": "2020-01-01T00:00:00Z", "task": slow.url, "retry_delays": [0]})
        wait_for("the call", lambda: slow.attempts)
        dead.kill()
        query(url, "UPDATE runs SET lease_until = 1 WHERE state = 'running'")
        others = nodes.enter_context(node(url, tmp_path / "others", ROLES="api,scheduler,janitor"))
        assert metric(others.url, "mainspring_runs_rescued_total") == 0
        assert query(url, "SELECT state, attempt FROM runs") == [("running", 1)]
        rescuer = nodes.enter_context(node(url, tmp_path / "rescuer", ROLES="dispatcher"))
        assert metric(rescuer.url, "mainspring_runs_rescued_total") == 1
        wait_for("the second attempt", lambda: len(slow.attempts) == 2)
        assert slow.attempts == [(slow.attempts[0][0], "1"), (slow.attempts[0][0], "2")]


# ---------------------------------------------------------------------------------------------------------------- stop


def test_a_node_that_is_told_to_stop_ends_what_it_has_begun_and_the_other_goes_on(
    url: str, tmp_path: Path, slow: Slow, target: Target
) -> None:
    with node(url, tmp_path / "first") as first, contextlib.ExitStack() as later:
        first.call("POST", "/v1/cron/create", {"run_at": "2020-01-01T00:00:00Z", "task": slow.url, "retry": 0})
        wait_for("the call", lambda: slow.attempts)
        second = later.enter_context(node(url, tmp_path / "second"))
        assert first.process is not None
        first.process.send_signal(signal.SIGTERM)
        wait_for("no more calls to be taken", lambda: not _answers(first.url))
        job = second.call("POST", "/v1/cron/create", {"cron_expr": "* * * * * *", "task": target.url + "/"})
        wait_for("calls by the other node", lambda: len(target.on("/")) >= 2)
        assert first.process.poll() is None
        slow.release()
        assert first.process.wait(30) == 0
        of_the_slow_one = "SELECT r.state, r.attempt FROM runs AS r JOIN targets AS t ON t.id = r.target_id "
        assert query(url, of_the_slow_one + "WHERE t.retry = 0") == [("succeeded", 1)]
        assert query(url, "SELECT lease_until = 0 FROM nodes ORDER BY number") == [(True,), (False,)]
        told = len(target.on("/"))
        wait_for("more calls by the other node", lambda: len(target.on("/")) >= told + 2)
        assert second.call("GET", f"/v1/cron/get/{job['id']}")["enabled"] is True
        assert len(slow.attempts) == 1


def test_what_does_not_end_is_given_up_to_the_other_node_at_once(url: str, tmp_path: Path, slow: Slow) -> None:
    with contextlib.ExitStack() as nodes:
        first = nodes.enter_context(node(url, tmp_path / "first"))
        first.call("POST", "/v1/cron/create", {"run_at": "2020-01-01T00:00:00Z", "task": slow.url, "retry_delays": [0]})
        wait_for("the call", lambda: slow.attempts)
        nodes.enter_context(node(url, tmp_path / "second"))
        assert first.process is not None
        first.process.send_signal(signal.SIGTERM)
        wait_for("no more calls to be taken", lambda: not _answers(first.url))
        first.process.send_signal(signal.SIGTERM)  # told again, it does not wait
        assert first.process.wait(30) == 0
        [(leases,)] = query(url, "SELECT count(*) FROM runs WHERE state = 'running' AND attempt = 1")
        assert leases == 0
        wait_for("the second attempt, by the other node", lambda: len(slow.attempts) == 2)
        assert slow.attempts[1] == (slow.attempts[0][0], "2")


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(page(url, "/healthz"))
    return False


# ----------------------------------------------------------------------------------------------------------------- key


def test_the_first_node_makes_the_api_key_and_others_accept_it_without_knowing_it(url: str, tmp_path: Path) -> None:
    with node(url, tmp_path / "first", API_KEY="") as first, node(url, tmp_path / "second", API_KEY="") as second:
        kept, other = read_credentials(first.data), read_credentials(second.data)
        assert kept is not None
        assert kept.api_key is not None
        assert (first.data / "credentials.json").stat().st_mode & 0o777 == 0o600
        assert other is not None
        assert other.api_key is None
        assert "another node made the API key" in second.log.read_text()
        assert "set MAINSPRING_API_KEY to the same value on every node" in second.log.read_text()
        for one in (first, second):
            assert call(one.url, "GET", "/v1/cron/list", key=kept.api_key)[0] == 200
        # A node whose file is lost comes back without it, and takes it from nobody.
        first.stop()
        first.start()
        assert call(first.url, "GET", "/v1/cron/list", key=kept.api_key)[0] == 200


def test_a_key_that_is_set_is_the_one_on_every_node(url: str, tmp_path: Path) -> None:
    with node(url, tmp_path / "first", API_KEY="") as first:
        kept = read_credentials(first.data)
        assert kept is not None
        with node(url, tmp_path / "second") as second:
            assert call(second.url, "GET", "/v1/cron/list", key=KEY)[0] == 200
            assert call(second.url, "GET", "/v1/cron/list", key=kept.api_key)[0] == 401
            assert call(first.url, "GET", "/v1/cron/list", key=KEY)[0] == 200
            with node(url, tmp_path / "third", API_KEY="") as third:
                assert call(third.url, "GET", "/v1/cron/list", key=KEY)[0] == 200


def test_nodes_that_start_together_without_a_key_agree_on_one(url: str, tmp_path: Path) -> None:
    with node(url, tmp_path / "many", API_KEY="", WORKERS="3") as many:
        wait_for("all of them", lambda: query(url, "SELECT count(*) FROM nodes WHERE lease_until > 0") == [(3,)])
        kept = read_credentials(many.data)
        assert kept is not None
        for _ in range(20):
            assert call(many.url, "GET", "/v1/cron/list", key=kept.api_key)[0] == 200
        asked = "SELECT kind, count(*) FROM credentials WHERE bootstrap = 1 GROUP BY kind ORDER BY kind"
        assert query(url, asked) == [("key", 1), ("super", 1)]
        assert many.stop() == 0
    with node(url, tmp_path / "more", API_KEY="", WORKERS="2") as more:
        wait_for("both", lambda: query(url, "SELECT count(*) FROM nodes WHERE lease_until > 0") == [(2,)])
        wait_for("what they know", lambda: more.log.read_text().count("another node made the API key") == 2)
        unknown = read_credentials(more.data)
        assert unknown is not None
        assert unknown.api_key is None
        assert call(more.url, "GET", "/v1/cron/list", key=kept.api_key)[0] == 200


def test_the_commands_for_keys_work_on_the_shared_store_when_no_server_does(url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mainspring", "key", *arguments, "--data", str(tmp_path), "--json"],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment(url, SECRET_KEY=SECRET_KEY)},
            capture_output=True,
            text=True,
            check=False,
        )

    made = run("create", "rescue")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    with node(url, tmp_path / "data") as server:
        assert call(server.url, "GET", "/v1/cron/list", key=key)[0] == 200
