"""From a crontab to its results, with every part a process of its own: server, agent, script, and two servers."""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.processes import SUPER, UUID, again, agent, create, do, row, rpc, slow, stop
from e2e.harness import ServerProcess, wait_for
from e2e.nodes import node
from e2e.test_rpc import over_a_socket
from postgres import Postgres

GREET = "export default { onCron: (params, env) => ({ said: env.word + ', ' + params.who }) }"
ECHO = {"execute": {"cmd": "echo", "args": ["tick"]}}
SECONDLY = "* * * * * *"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", MAINSPRING_SUPER_TOKEN=SUPER)
    process.start()
    yield process
    stop(process)


def token_of_an_agent(place: ServerProcess) -> str:
    """One that may do no more than an agent needs."""
    permissions = [{"task": "listen"}, {"task": {"write": "execute"}}]
    creation = {"token_limit": [{"scopes": [{"agent_uuid": UUID}], "permissions": permissions}]}
    request = rpc(place, "token_create", father_token=SUPER, token_creation=creation)
    return f"{request['result']['key']}:{request['result']['secret']}"


def flags(place: ServerProcess, token: str) -> list[str]:
    return ["--server", place.url, "--token", token, "--uuid", UUID, "--allow", "execute"]


def crontab(name: str, cron_type: Any) -> tuple[str, dict[str, Any]]:
    job = {"name": name, "cron_expression": SECONDLY, "cron_type": cron_type}
    return "crontab_create", {"token": SUPER, **job}


def results(place: ServerProcess, name: str, *condition: Any) -> list[Any]:
    """What is on record about a crontab's fires, newest first."""
    asked = {"condition": [{"cron_name": name}, *condition]}
    found: list[Any] = rpc(place, "crontab-result_query", query=asked)["result"]
    return found


def tasks(place: ServerProcess, *condition: Any) -> list[Any]:
    found: list[Any] = rpc(place, "task_query", task_data_query={"condition": list(condition)})["result"]
    return found


def test_from_a_crontab_to_what_an_agent_and_a_script_made_of_it(place: ServerProcess, tmp_path: Path) -> None:
    source = base64.b64encode(GREET.encode()).decode()
    made = rpc(place, "js-worker_create", name="greet", js_script_base64=source, env={"word": "hello"})
    assert made["result"]["name"] == "greet"
    with agent(tmp_path, *flags(place, token_of_an_agent(place))):
        do(place, ECHO)
        [ticking, greeting] = over_a_socket(
            place.url,
            crontab("ticking", {"agent": [[UUID], {"task": ECHO}]}),
            crontab("greeting", {"server": {"js_worker": ["greet", {"who": "world"}]}}),
        )
        assert (ticking, greeting) == ({"id": 1}, {"id": 2})
        sent = wait_for("a task", lambda: results(place, "ticking", "last"))[0]
        assert (sent["cron_id"], sent["success"]) == (1, True)
        ended = wait_for("its result", lambda: row(place, sent["relative_id"]))
        assert (ended["uuid"], ended["cron_source"]) == (UUID, "ticking")
        assert (ended["success"], ended["task_event_result"]) == (True, {"execute": "tick\n"})
        ran = wait_for("a run of the script", lambda: results(place, "greeting", "last"))[0]
        assert (ran["cron_id"], ran["success"]) == (2, True)
        of_this = {"condition": [{"id": ran["relative_id"]}, "is_success"]}
        [said] = wait_for("its end", lambda: rpc(place, "js-result_query", query=of_this)["result"])
        assert (said["run_type"], said["result"]) == ("cron", {"said": "hello, world"})
        assert all(one["last_run_time"] for one in rpc(place, "crontab_get")["result"])


def test_an_agent_that_is_killed_misses_what_is_due_and_then_works_again(place: ServerProcess, tmp_path: Path) -> None:
    with agent(tmp_path, *flags(place, token_of_an_agent(place))) as running:
        do(place, ECHO)
        over_a_socket(place.url, crontab("ticking", {"agent": [[UUID], {"task": ECHO}]}))
        wait_for("a result", lambda: tasks(place, {"cron_source": "ticking"}, "is_success"))
        assert running.stop(signal.SIGKILL) == -signal.SIGKILL
        missed = wait_for("three misses", lambda: _at_least(3, results(place, "ticking", "is_failure")))
        for one in missed:
            assert one["relative_id"] is None
            assert one["message"].endswith(f"Error sending task event: Agent {UUID} is not connected")
        asked = rpc(place, "task_create_task", target_uuid=UUID, task_type=ECHO)
        assert asked["error"]["code"] == 104
        running.start()
        since = {"run_time_from": missed[0]["run_time"] + 1}
        after = wait_for("the next one", lambda: results(place, "ticking", "is_success", since))
        ended = wait_for("its result", lambda: row(place, after[0]["relative_id"]))
        assert ended["task_event_result"] == {"execute": "tick\n"}


def _at_least(count: int, rows: list[Any]) -> list[Any]:
    return rows if len(rows) >= count else []


def test_what_a_stopped_agent_could_not_deliver_it_delivers_at_its_next_start(
    place: ServerProcess, tmp_path: Path
) -> None:
    """SIGTERM while a command runs and the server is gone: the command ends, its result waits on disk."""
    with agent(tmp_path, *flags(place, token_of_an_agent(place))) as running:
        do(place, ECHO)
        number = create(place, slow(tmp_path, 2))
        wait_for("the command to begin", (tmp_path / "begun").exists)
        place.kill()
        assert running.stop() == 0
        assert len(list((tmp_path / "mainspring-agent-state").rglob("*.json"))) == 1
        again(place)
        assert row(place, number) is None
        running.start()
        ended = wait_for("the result", lambda: row(place, number))
        assert (ended["success"], ended["task_event_result"]) == (True, {"execute": "done\n"})


def test_an_agent_of_one_node_does_what_another_node_is_asked(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.url(asyncio.run(postgres.fresh()))
    with (
        node(url, tmp_path / "here", SUPER_TOKEN=SUPER) as here,
        node(url, tmp_path / "there", SUPER_TOKEN=SUPER) as there,
        agent(tmp_path, *flags(here, SUPER)),
    ):
        assert do(there, ECHO)["task_event_result"] == {"execute": "tick\n"}
        over_a_socket(there.url, crontab("ticking", {"agent": [[UUID], {"task": ECHO}]}))
        ended = wait_for("a result", lambda: tasks(there, {"cron_source": "ticking"}, "is_success"))
        assert ended[0]["task_event_result"] == {"execute": "tick\n"}
        here.kill()
        bad = wait_for("nobody to be there", lambda: results(there, "ticking", "is_failure"))
        assert "is not connected" in bad[0]["message"]
        again(here)
        since = {"timestamp_from": bad[0]["run_time"]}
        wait_for("the agent to be back", lambda: tasks(there, {"cron_source": "ticking"}, "is_success", since))
