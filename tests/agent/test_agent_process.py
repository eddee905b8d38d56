"""A real agent process against real server processes: tasks, restarts of either, several servers, its own settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agent.processes import OTHER, SUPER, UUID, again, agent, create, do, flags, row, rpc, slow, stop
from e2e.harness import ServerProcess, wait_for


@pytest.fixture
def place(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server, running."""
    process = ServerProcess(tmp_path / "data", MAINSPRING_SUPER_TOKEN=SUPER)
    process.start()
    yield process
    stop(process)


def test_an_agent_does_what_it_is_allowed_and_nothing_else(place: ServerProcess, tmp_path: Path) -> None:
    port = urlsplit(place.url).port
    with agent(tmp_path, *flags(place, "tcp_ping,execute,http_ping,http_request,version,web_shell")) as running:
        echo = {"execute": {"cmd": "/bin/echo", "args": ["a", "b c"]}}
        found = do(place, echo)
        assert (found["success"], found["task_event_result"]) == (True, {"execute": "a b c\n"})
        assert (found["agent_uuid"], found["error_message"]) == (UUID, None)
        assert 0 < do(place, {"tcp_ping": f"127.0.0.1:{port}"})["task_event_result"]["tcp_ping"] < 1_000
        assert 0 < do(place, {"http_ping": place.url})["task_event_result"]["http_ping"] < 10_000
        alive = do(place, {"http_request": {"url": place.url + "/healthz", "method": "GET"}})
        assert alive["task_event_result"]["http_request"]["status"] == 200
        assert len(do(place, "version")["task_event_result"]["version"]) == 13
        for task in ({"ping": "127.0.0.1"}, "read_config", "ip"):
            refused = do(place, task)
            assert (refused["success"], refused["task_event_result"]) == (False, None)
            assert refused["error_message"] == "Permission denied: Permission Denied: Task not allowed"
        shell = do(place, {"web_shell": {"url": "ws://localhost/", "terminal_id": OTHER}})
        assert "no web_shell" in shell["error_message"]
        known = rpc(place, "nodeget-server_list_all_agent_uuid")["result"]
        assert known == {"uuids": [UUID]}
        assert running.stop() == 0


def test_one_agent_works_for_two_servers(place: ServerProcess, tmp_path: Path) -> None:
    second = ServerProcess(tmp_path / "second", MAINSPRING_SUPER_TOKEN=SUPER)
    second.start()
    here = rpc(place, "nodeget-server_uuid")["result"]
    config = tmp_path / "agent.toml"
    config.write_text(
        f"""
        agent_uuid = "{UUID}"
        [[server]]
        name = "one"
        server_uuid = "{here}"
        ws_url = "{place.url.replace("http", "ws")}/nodeget/rpc"
        token = "{SUPER}"
        allow_task = true
        allow_task_type = ["version"]
        [[server]]
        name = "two"
        ws_url = "{second.url}"
        token = "{SUPER}"
        allow_task = true
        allow_execute = true
        """
    )
    try:
        with agent(tmp_path, "--config", str(config)):
            assert do(place, "version")["success"]
            assert do(second, {"execute": {"cmd": "true", "args": []}})["success"]
            assert not do(second, "version")["success"]
            assert not do(place, {"execute": {"cmd": "true", "args": []}})["success"]
    finally:
        stop(second)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_result_outlives_a_restart_of_the_server(place: ServerProcess, tmp_path: Path, how: str) -> None:
    with agent(tmp_path, *flags(place, "execute,version")):
        do(place, "version")
        number = create(place, slow(tmp_path, 1.5))
        wait_for("the command to begin", (tmp_path / "begun").exists)
        if how == "killed":
            place.kill()
        else:
            assert place.stop() == 0
        again(place)
        ended = wait_for("the result", lambda: row(place, number))
        assert (ended["success"], ended["task_event_result"]) == (True, {"execute": "done\n"})
        assert do(place, "version")["success"]


def test_nothing_is_lost_when_the_agent_is_stopped(place: ServerProcess, tmp_path: Path) -> None:
    """While the server is away: the result waits on disk for the agent's next start."""
    with agent(tmp_path, *flags(place, "execute,version")) as running:
        do(place, "version")
        number = create(place, slow(tmp_path, 0.5))
        wait_for("the command to begin", (tmp_path / "begun").exists)
        place.kill()
        state = tmp_path / "mainspring-agent-state"
        [kept] = wait_for("the result to be kept", lambda: list(state.rglob("*.json")))
        assert kept.stat().st_mode & 0o777 == 0o600
        running.process.kill()
        running.process.wait()
        again(place)
        running.start()
        ended = wait_for("the result", lambda: row(place, number))
        assert ended["task_event_result"] == {"execute": "done\n"}
        wait_for("the file to go", lambda: not kept.exists())


def test_a_task_under_way_is_finished_before_the_agent_goes(place: ServerProcess, tmp_path: Path) -> None:
    with agent(tmp_path, *flags(place, "execute,version")) as running:
        do(place, "version")
        number = create(place, slow(tmp_path, 1))
        wait_for("the command to begin", (tmp_path / "begun").exists)
        assert running.stop() == 0
        assert row(place, number)["task_event_result"] == {"execute": "done\n"}


def test_new_settings_are_written_and_followed(place: ServerProcess, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    text = f"""
agent_uuid = "auto_gen"
[[server]]
ws_url = "{place.url}"
token = "{SUPER}"
allow_task = true
allow_task_type = ["edit_config", "read_config"]
"""
    config.write_text(text)
    with agent(tmp_path, "--config", str(config)) as running:
        made = wait_for("a UUID", lambda: rpc(place, "nodeget-server_list_all_agent_uuid")["result"]["uuids"])[0]
        assert f'agent_uuid = "{made}"' in config.read_text()
        assert do(place, "read_config", made)["task_event_result"]["read_config"] == config.read_text()
        bad = do(place, {"edit_config": "server = 5"}, made)
        assert not bad["success"]
        new = text.replace("auto_gen", made).replace('"read_config"]', '"version"]')
        assert do(place, {"edit_config": new}, made)["task_event_result"] == {"edit_config": True}
        wait_for("the new settings", lambda: do(place, "version", made)["success"])
        assert not do(place, "read_config", made)["success"]
        assert running.process.poll() is None


def test_a_crontab_reaches_its_agent_and_says_when_it_is_away(place: ServerProcess, tmp_path: Path) -> None:
    job = {"agent": [[UUID], {"task": {"execute": {"cmd": "echo", "args": ["tick"]}}}]}
    made = {"name": "tick", "cron_expression": "* * * * * *", "cron_type": job}

    def results(*condition: Any) -> Any:
        asked = {"condition": [{"cron_name": "tick"}, *condition]}
        return rpc(place, "crontab-result_query", query=asked)["result"]

    with agent(tmp_path, *flags(place, "execute,version")) as running:
        do(place, "version")
        assert "id" in rpc(place, "crontab_create", **made)["result"]
        good = wait_for("a result", lambda: results("is_success", "last"))[0]
        assert good["message"] == f"任务下发成功，Agent：[{UUID}]，relative_id：{good['relative_id']}"
        ended = wait_for("the task to end", lambda: row(place, good["relative_id"]))
        assert (ended["cron_source"], ended["task_event_result"]) == ("tick", {"execute": "tick\n"})
        running.process.kill()
        running.process.wait()
        bad = wait_for("nobody to be there", lambda: results("is_failure"))[0]
        assert bad["relative_id"] is None
        assert bad["message"].endswith(f"Error sending task event: Agent {UUID} is not connected")
        running.start()
        after = {"run_time_from": bad["run_time"] + 1}
        wait_for("the agent to come back", lambda: results("is_success", after))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--config FILE, or --server URL"),
        (["--server", "ftp://x", "--token", "a:b", "--uuid", UUID], "no URL of a server"),
        (["--server", "ws://x", "--token", "a:b", "--uuid", "no"], "is no UUID"),
        (["--server", "ws://x", "--token", "a:b", "--uuid", UUID, "--allow", "pong"], "unknown task type"),
        (["--config", "no.toml", "--allow", "ping"], "no other flag"),
        (["--config", "no.toml"], "No such file"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path: Path, given: list[str], said: str) -> None:
    command = [sys.executable, "-m", "mainspring", "agent", *given]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_settings_can_be_checked(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'agent_uuid = "{UUID}"\n[[server]]\nws_url = "ws://h"\ntoken = "a:b"\n')
    command = [sys.executable, "-m", "mainspring", "agent", "--config", str(config), "--check"]
    assert subprocess.run(command, env=os.environ, check=False).returncode == 0
