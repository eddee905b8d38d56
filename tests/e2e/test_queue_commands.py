"""Queues from the shell, and the worker that ships as an example, as real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import KEY, ServerProcess, server, wait_for

WORKER = Path(__file__).parents[2] / "examples" / "worker.py"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of this file's own: queues here are counted."""
    with server(tmp_path_factory.mktemp("queues") / "data") as process:
        yield process


def environment(url: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    return {**inherited, "MAINSPRING_URL": url, "MAINSPRING_API_KEY": KEY, "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def queue(running: ServerProcess) -> Callable[..., subprocess.CompletedProcess[str]]:
    """One `mainspring queue` command to its end."""

    def run(*arguments: str, code: int = 0, given: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "mainspring", "queue", *arguments],
            env=environment(running.url),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            input=given,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


@contextlib.contextmanager
def going_on(url: str, output: Path, *command: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs until it is told to stop; what it says is in a file."""
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *command], env=environment(url) | more, stdout=file, stderr=file, text=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def stats(running: ServerProcess, name: str) -> tuple[int, int, int, int]:
    found = running.call("GET", f"/v1/queue/stats/{name}")
    return found["available"], found["delayed"], found["in_flight"], found["dlq"]


def publish(running: ServerProcess, name: str, payload: Any) -> str:
    public: str = running.call("POST", "/v1/queue/publish", {"queue": name, "payload": payload})["message_id"]
    return public


def test_a_queue_from_its_making_to_its_end(running: ServerProcess, queue: Any) -> None:
    queue("create", "orders", "--max-retries", "0", "--visibility", "60", "--retention", "2")
    assert "max_retries" in queue("get", "orders").stdout
    record = json.loads(queue("update", "orders", "--max-retries", "1", "--json").stdout)
    assert (record["max_retries"], record["visibility_timeout_default"], record["message_retention_days"]) == (1, 60, 2)
    assert "orders.dlq" in queue("list").stdout
    queue("pause", "orders")
    published = json.loads(queue("publish", "orders", '{"n": 1}', "--priority", "9", "--json").stdout)["message_id"]
    assert queue("consume", "orders").stdout.startswith("no messages")
    queue("resume", "orders")
    assert published in queue("peek", "orders").stdout
    [message] = json.loads(queue("consume", "orders", "--json").stdout)
    assert (message["payload"], message["priority"]) == ({"n": 1}, 9)
    assert "yours until" in queue("extend", "orders", published, "--receipt", message["receipt"]).stdout
    assert "comes back" in queue("nack", "orders", published).stdout
    queue("consume", "orders")
    assert "given back" in queue("release", "orders", published, "--delay", "0").stdout
    queue("consume", "orders")
    assert "dead letter" in queue("nack", "orders", published, "--dead").stdout
    assert published in queue("dlq", "list", "orders").stdout
    assert "sent 1 back" in queue("dlq", "redrive", "orders.dlq").stdout
    queue("publish", "orders", "-", "--text", "--delay", "60", given="plain")
    assert json.loads(queue("stats", "orders", "--json").stdout)["delayed"] == 1
    assert queue("stats").stdout.count("orders") == 2
    queue("consume", "orders")
    assert "acknowledged" in queue("ack", "orders", published).stdout
    refused = queue("ack", "orders", published, code=1)
    assert "there is no such message" in refused.stderr
    assert "1 messages" in queue("purge", "orders").stdout
    queue("delete", "orders")
    assert "there is no queue orders" in queue("get", "orders", code=1).stderr
    assert "not JSON" in queue("publish", "orders", "{", code=1).stderr


def test_consume_follow_prints_each_message_and_acknowledges_it(running: ServerProcess, tmp_path: Path) -> None:
    output = tmp_path / "out"
    follow = ("-m", "mainspring", "queue", "consume", "followed", "--follow", "--json")
    with going_on(running.url, output, *follow) as process:
        for number in range(5):
            publish(running, "followed", number)
            wait_for("its line", lambda number=number: output.read_text().count("\n") == number + 1)
        assert [json.loads(line)["payload"] for line in output.read_text().splitlines()] == [0, 1, 2, 3, 4]
        wait_for("the last acknowledgement", lambda: stats(running, "followed") == (0, 0, 0, 0))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    publish(running, "followed", "after")
    assert stats(running, "followed") == (1, 0, 0, 0)


def test_what_is_only_looked_at_stays(running: ServerProcess, tmp_path: Path) -> None:
    publish(running, "kept", 1)
    follow = ("-m", "mainspring", "queue", "consume", "kept", "--follow", "--no-ack")
    with going_on(running.url, tmp_path / "out", *follow) as process:
        wait_for("the line", lambda: "msg_" in (tmp_path / "out").read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert stats(running, "kept") == (0, 0, 1, 0)


def test_consume_exec_acknowledges_what_the_command_took_and_keeps_its_lease(
    running: ServerProcess, tmp_path: Path
) -> None:
    program = tmp_path / "handle.py"
    program.write_text(
        "import json, os, sys, time\n"
        "n = json.load(sys.stdin)['n']\n"
        "open(os.environ['TAKEN'], 'a').write(f\"{n} {os.environ['MAINSPRING_ATTEMPT']}\\n\")\n"
        "time.sleep(3 if n == 2 else 0)\n"
        "sys.exit(1 if n == 1 else 0)\n"
    )
    running.call("POST", "/v1/queue/create", {"name": "worked", "max_retries": 0, "visibility_timeout_default": 1})
    for number in range(3):
        publish(running, "worked", {"n": number})
    taken = tmp_path / "taken"
    command = f"{sys.executable} {program}"
    follow = ("-m", "mainspring", "queue", "consume", "worked", "--follow", "--exec", command)
    with going_on(running.url, tmp_path / "out", *follow, TAKEN=str(taken)) as process:
        wait_for("the end of the work", lambda: stats(running, "worked") == (0, 0, 0, 1))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert taken.read_text() == "0 1\n1 1\n2 1\n"


def test_tail_dlq_shows_each_new_dead_letter_once(running: ServerProcess, tmp_path: Path) -> None:
    def bury(payload: Any) -> str:
        public = publish(running, "failing", payload)
        running.call("POST", "/v1/queue/consume", {"queue": "failing"})
        running.call("POST", "/v1/queue/nack", {"queue": "failing", "message_id": public, "requeue": False})
        return public

    before, output = bury("before"), tmp_path / "out"
    tail = ("-m", "mainspring", "queue", "tail-dlq", "failing", "--every", "0.1", "--existing", "1")
    with going_on(running.url, output, *tail):
        wait_for("what was there", lambda: before in output.read_text())
        new = [bury(number) for number in range(3)]
        wait_for("the new ones", lambda: new[-1] in output.read_text())
        lines = output.read_text().splitlines()
    assert [line.split()[3] for line in lines] == [before, *new]
    assert all("rejected" in line for line in lines)


def test_the_worker_ends_what_it_has_begun_and_gives_back_what_fails(running: ServerProcess, tmp_path: Path) -> None:
    assert len(WORKER.read_text().splitlines()) < 60
    own = tmp_path / "worker.py"
    work = (
        "    import time\n"
        "    print('begun:', payload, flush=True)\n"
        "    if payload == 'bad':\n"
        "        raise ValueError('no')\n"
        "    if payload == 'long':\n"
        "        time.sleep(3)\n"
    )
    line = '    print("done:", payload, flush=True)\n'
    assert line in WORKER.read_text()
    own.write_text(WORKER.read_text().replace(line, work + line))
    running.call("POST", "/v1/queue/create", {"name": "jobs", "max_retries": 1})
    output = tmp_path / "out"
    with going_on(running.url, output, str(own), "jobs", WORKER_LEASE="1") as process:
        publish(running, "jobs", "good")
        wait_for("the first", lambda: "done: good" in output.read_text())
        publish(running, "jobs", "bad")
        wait_for("the failure", lambda: "failed: no" in output.read_text())
        wait_for("its delay", lambda: stats(running, "jobs") == (0, 1, 0, 0))
        publish(running, "jobs", "long")
        wait_for("the long one", lambda: "begun: long" in output.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    text = output.read_text()
    assert text.count("begun: long") == text.count("done: long") == 1
    assert "server:" not in text
    assert stats(running, "jobs")[1:] == (1, 0, 0)


def test_a_server_that_stops_lets_those_who_wait_go_at_once(tmp_path: Path) -> None:
    with server(tmp_path / "data") as process, ThreadPoolExecutor(1) as pool:
        process.call("POST", "/v1/queue/create", {"name": "q"})
        ask = {"queue": "q", "wait_seconds": 20}
        waiting = pool.submit(process.call, "POST", "/v1/queue/consume", ask)
        wait_for("the consumer", lambda: "mainspring_consumers_waiting 1.0" in metrics(process.url))
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < 4, "a wait of 20 s, cut short by force after 5"
        assert waiting.result(10)["messages"] == []


def metrics(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url + "/metrics") as reply:
        text: str = reply.read().decode()
    return text


def test_a_fire_publishes_once_although_the_server_is_killed(tmp_path: Path) -> None:
    """What had been published when the server died is not published again when its run is taken up."""
    total = 150
    with server(tmp_path / "data") as process, ThreadPoolExecutor(8) as pool:
        job = {"cron_expr": "0 0 1 1 *", "task": "fires", "overlap_policy": "allow", "retry_delays": [0, 0, 0]}
        cron_id = process.call("POST", "/v1/cron/create", job)["id"]
        process.call("POST", "/v1/queue/create", {"name": "fires"})
        for killed in range(3):
            done = [
                pool.submit(process.call, "POST", f"/v1/cron/trigger/{cron_id}", {}, Idempotency_Key=f"{killed}-{n}")
                for n in range(total // 3)
            ]
            for one in done:
                one.result(30)
            process.kill()
            process.start()

        def unfinished() -> int:
            page = process.call("GET", f"/v1/cron/runs/list/{cron_id}?limit=500")["items"]
            assert len(page) == total
            return sum(run["state"] not in ("succeeded", "failed") for run in page)

        wait_for("the runs", lambda: unfinished() == 0)
        runs = process.call("GET", f"/v1/cron/runs/list/{cron_id}?limit=500")["items"]
        assert {run["state"] for run in runs} == {"succeeded"}
        found = process.call("POST", "/v1/queue/consume", {"queue": "fires", "max_messages": 1000})["messages"]
        told = sorted(json.loads(run["output"])["message_id"] for run in runs)
        assert told == sorted(message["message_id"] for message in found)
        assert len(set(told)) == total
