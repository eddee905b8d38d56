"""Push subscriptions of real servers: woken at once, killed in the middle, stopped in good order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import KEY, ServerProcess, call, server, wait_for
from e2e.nodes import metric, node
from e2e.pushed import Receiver
from mainspring.cli.main import main
from postgres import Postgres

LEASE = 1 + 5  # the least: a timeout of a second, and the margin


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.close()


def subscribe(process: ServerProcess, receiver: Receiver, queue: str = "q", **settings: Any) -> str:
    """A subscription with the shortest lease there is."""
    given = {"url": receiver.url, "timeout_seconds": 1, "visibility_timeout": 1} | settings
    made: str = process.call("POST", f"/v1/queue/push_subscribe/{queue}", given)["id"]
    return made


def publish(process: ServerProcess, count: int = 1, queue: str = "q") -> list[str]:
    body = {"queue": queue, "messages": [{"payload": at} for at in range(count)]}
    ids: list[str] = process.call("POST", "/v1/queue/publish_batch", body)["message_ids"]
    return ids


def stats(process: ServerProcess, queue: str = "q") -> tuple[int, int, int, int]:
    found = process.call("GET", f"/v1/queue/stats/{queue}")
    return found["available"], found["delayed"], found["in_flight"], found["dlq"]


@contextlib.contextmanager
def servers(request: pytest.FixtureRequest, tmp_path: Path, backend: str, count: int) -> Iterator[list[ServerProcess]]:
    """One server on SQLite, or several nodes on one PostgreSQL."""
    with contextlib.ExitStack() as stack:
        if backend == "sqlite":
            yield [stack.enter_context(server(tmp_path / "data"))]
            return
        database: Postgres = request.getfixturevalue("postgres")
        url = database.url(asyncio.run(database.blank()))
        yield [stack.enter_context(node(url, tmp_path / f"data{at}")) for at in range(count)]


both = pytest.mark.parametrize("backend", ["sqlite", "postgres"])


@both
def test_what_is_published_is_posted_once_each_by_any_node(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver, backend: str
) -> None:
    with servers(request, tmp_path, backend, 2) as processes:
        subscribe(processes[0], receiver, max_concurrency=7)
        sent = [one for at in range(30) for one in publish(processes[at % len(processes)], 10)]
        wait_for("all messages", lambda: len(receiver.posts) >= len(sent))
        wait_for("the last answers", lambda: stats(processes[-1]) == (0, 0, 0, 0))
    assert sorted(receiver.messages()) == sorted(sent)
    assert receiver.peak["all"] <= 7


@both
def test_a_killed_server_costs_one_lease_and_no_message_is_posted_twice_within_it(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver, backend: str
) -> None:
    with servers(request, tmp_path, backend, 2) as processes:
        receiver.hold()
        subscribe(processes[0], receiver, max_concurrency=4)
        sent = publish(processes[0], 4)
        wait_for("four pushes", lambda: len(receiver.posts) == 4)
        for process in processes:
            process.kill()
        receiver.let_go()
        processes[0].start()
        wait_for("the pushes again", lambda: len(receiver.posts) == 8)
        wait_for("their answers", lambda: stats(processes[0]) == (0, 0, 0, 0))
        log = processes[0].call("GET", "/v1/queue/push_deliveries/q")["items"]
    for message in sent:
        first, second = receiver.times(message)
        assert second - first >= LEASE - 0.5, "posted again before its lease was over"
    assert [(push["outcome"], push["attempt"]) for push in log] == [("acked", 2)] * 4


def test_another_node_takes_over_what_a_killed_one_was_posting(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver
) -> None:
    with servers(request, tmp_path, "postgres", 2) as processes:
        receiver.hold()
        subscribe(processes[0], receiver)
        [message] = publish(processes[0])
        wait_for("the push", lambda: len(receiver.posts) == 1)
        by_node = [metric(process.url, "mainspring_pushes_in_flight") for process in processes]
        holder = by_node.index(1.0)
        processes[holder].kill()
        receiver.let_go()
        wait_for("the push again", lambda: len(receiver.posts) == 2)
        wait_for("its answer", lambda: stats(processes[1 - holder]) == (0, 0, 0, 0))
    first, second = receiver.times(message)
    assert second - first >= LEASE - 0.5


@both
def test_a_server_that_stops_lets_its_pushes_end(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver, backend: str
) -> None:
    with servers(request, tmp_path, backend, 1) as [process]:
        receiver.hold()
        subscribe(process, receiver, max_concurrency=2, timeout_seconds=30)
        sent = publish(process, 50)
        wait_for("two pushes", lambda: len(receiver.posts) == 2)
        assert process.process is not None
        process.process.terminate()
        wait_for("the stop to begin", lambda: refuses(process))
        receiver.let_go()
        assert process.process.wait(60) == 0
        assert len(receiver.posts) < 50, "it went on claiming"
        process.start()
        wait_for("the others", lambda: len(receiver.posts) == 50)
        wait_for("their answers", lambda: stats(process) == (0, 0, 0, 0))
        log = process.call("GET", "/v1/queue/push_deliveries/q")["items"]
    assert sorted(receiver.messages()) == sorted(sent)
    assert [(push["outcome"], push["attempt"]) for push in log] == [("acked", 1)] * 50


def refuses(process: ServerProcess) -> bool:
    try:
        return call(process.url, "GET", "/readyz", key=None)[0] != 200
    except (OSError, ValueError):
        return True


def test_a_second_signal_gives_back_what_is_being_posted(tmp_path: Path, receiver: Receiver) -> None:
    with server(tmp_path / "data") as process:
        receiver.hold()
        subscribe(process, receiver, timeout_seconds=25)
        [message] = publish(process)
        wait_for("the push", lambda: len(receiver.posts) == 1)
        assert process.process is not None
        process.process.terminate()
        wait_for("the stop to begin", lambda: refuses(process))
        process.process.terminate()
        assert process.process.wait(60) == 0
        receiver.let_go()
        process.start()
        wait_for("the push again", lambda: len(receiver.posts) == 2)
        wait_for("its answer", lambda: stats(process) == (0, 0, 0, 0))
        log = process.call("GET", "/v1/queue/push_deliveries/q")["items"]
    assert [push["outcome"] for push in log] == ["acked", "released"]
    assert receiver.messages() == [message] * 2


def test_a_thousand_subscriptions_that_have_nothing_to_do_leave_a_busy_one_alone(
    tmp_path: Path, receiver: Receiver
) -> None:
    with server(tmp_path / "data") as process:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda at: subscribe(process, receiver, f"idle-{at}"), range(1_000)))
        subscribe(process, receiver, "busy", max_concurrency=20)
        sent = publish(process, 500, "busy")
        wait_for("all messages", lambda: len(receiver.posts) >= 500)
        wait_for("the last answers", lambda: stats(process, "busy") == (0, 0, 0, 0))
    assert sorted(receiver.messages()) == sorted(sent)


def test_the_commands_subscribe_list_and_end(
    running: ServerProcess, receiver: Receiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_URL", running.url)
    monkeypatch.setenv("MAINSPRING_API_KEY", KEY)

    def run(*words: str) -> str:
        assert main(["queue", "push", *words]) == 0
        return capsys.readouterr().out

    running.call("POST", "/v1/queue/create", {"name": "commands"})
    assert "no subscriptions" in run("list", "commands")
    options = ("--max-concurrency", "3", "--header", "X-A: b", "--secret", "hush", "--format", "payload")
    made = json.loads(run("subscribe", "commands", receiver.url, *options, "--json"))
    assert (made["max_concurrency"], made["headers"], made["format"]) == (3, {"X-A": "***"}, "payload")
    assert receiver.url in run("subscribe", "commands", receiver.url)
    assert made["id"] in run("list", "commands")
    publish(running, 1, "commands")
    wait_for("the push", lambda: json.loads(run("deliveries", "commands", "--json")))
    assert "acked" in run("deliveries", "commands", "--subscription", made["id"])
    assert run("unsubscribe", "commands", made["id"]) == f"ended {made['id']}\n"
    [ended] = json.loads(run("list", "commands", "--json"))
    assert ended["state"] == "ended"
