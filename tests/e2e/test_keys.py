"""Keys, their limits and their log, on real nodes: what one node decides, the others hold to."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.harness import KEY, ServerProcess, call, server
from e2e.nodes import SECRET_KEY, environment, node, query, serve
from postgres import Postgres

HELD_FOR_S = 1.0
OTHER_KEY = "another-end-to-end-key-0123456789"
SUPER = {"MAINSPRING_SUPER_TOKEN": "a-root-key:and-its-secret-0123456789"}


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url(asyncio.run(postgres.fresh()))


@pytest.fixture
def nodes(url: str, tmp_path: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    with node(url, tmp_path / "one") as one, node(url, tmp_path / "other") as other:
        yield one, other


def status(at: ServerProcess, key: str, path: str = "/v1/cron/list") -> int:
    return int(call(at.url, "GET", path, key=key)[0])


def held_to_after(at: ServerProcess, key: str, decided: float) -> None:
    """No request that is sent a second after the decision is let in; before that, it depends."""
    while True:
        sent = time.monotonic()
        if status(at, key) == 401:
            return
        assert sent - decided < HELD_FOR_S


def doctor(data: Path, **settings: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and what was found by subject."""
    done = subprocess.run(
        [sys.executable, "-m", "mainspring", "doctor", "--data", str(data), "--json"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(data), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, {finding["subject"]: finding for finding in json.loads(done.stdout)}


def commanded(at: ServerProcess, *arguments: str) -> list[str]:
    """The lines that a command prints for people."""
    done = subprocess.run(
        [sys.executable, "-m", "mainspring", *arguments],
        env={"PATH": "/usr/bin:/bin", "MAINSPRING_URL": at.url, "MAINSPRING_API_KEY": KEY},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_key_that_one_node_revokes_opens_nothing_on_any_other_within_a_second(
    nodes: tuple[ServerProcess, ServerProcess],
) -> None:
    one, other = nodes
    for _ in range(3):
        made = one.call("POST", "/v1/account/keys/create", {"name": "x"})
        assert [status(at, made["key"]) for at in nodes] == [200, 200]
        one.call("DELETE", f"/v1/account/keys/revoke/{made['id']}")
        decided = time.monotonic()
        assert status(one, made["key"]) == 401
        held_to_after(other, made["key"], decided)


def test_a_rotated_key_is_valid_for_its_grace_on_every_node_and_no_longer(
    nodes: tuple[ServerProcess, ServerProcess],
) -> None:
    one, other = nodes
    old = one.call("POST", "/v1/account/keys/create", {"name": "x", "scopes": ["cron:read"]})
    new = other.call("POST", f"/v1/account/keys/rotate/{old['id']}", {"grace_hours": 1})
    assert [status(at, key["key"]) for at in nodes for key in (old, new)] == [200] * 4
    newest = one.call("POST", f"/v1/account/keys/rotate/{new['id']}", {"grace_hours": 0})
    decided = time.monotonic()
    held_to_after(one, new["key"], decided)
    held_to_after(other, new["key"], decided)
    assert [status(at, key["key"]) for at in nodes for key in (old, newest)] == [200] * 4


def test_the_last_use_is_noted_whichever_node_it_was_on(url: str, tmp_path: Path) -> None:
    with node(url, tmp_path / "one") as one, node(url, tmp_path / "other") as other:
        made = one.call("POST", "/v1/account/keys/create", {"name": "x"})
        assert status(other, made["key"]) == 200
        assert other.stop() == 0
        [record] = [key for key in one.call("GET", "/v1/account/keys/list")["items"] if key["id"] == made["id"]]
        assert record["last_used_at"] >= record["created_at"]


def test_every_node_writes_the_same_log_and_it_holds(
    nodes: tuple[ServerProcess, ServerProcess], url: str, tmp_path: Path
) -> None:
    for at in (*nodes, *nodes):
        at.call("POST", "/v1/queue/create", {"name": f"q{at.data.name}"})
        at.call("POST", f"/v1/queue/pause/q{at.data.name}")
    logs = [at.call("GET", "/v1/account/audit/list")["items"] for at in nodes]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 8
    here = environment(url, SECRET_KEY=SECRET_KEY)
    code, found = doctor(tmp_path, **here)
    assert (code, found["secret key"]["problem"], found["audit log"]["problem"]) == (0, None, None)
    assert found["audit log"]["detail"].startswith("8 entries, the newest is 8 ")
    query(url, "DELETE FROM audit WHERE number = 5")
    code, found = doctor(tmp_path, **here)
    assert code == 1
    assert "entries 5 to 5 are missing" in found["audit log"]["problem"]


def test_a_node_with_another_secret_key_is_refused_and_told_why(url: str, tmp_path: Path) -> None:
    with node(url, tmp_path / "one"):
        other = environment(url, SECRET_KEY="not-the-same-as-there")
        refused = serve("--data", str(tmp_path / "other"), **other)
        assert refused.returncode == 1
        assert "cannot be opened with this secret key" in refused.stderr
        assert "MAINSPRING_SECRET_KEY" in refused.stderr
    assert doctor(tmp_path, **other)[1]["secret key"]["problem"]


def test_commands_given_straight_on_the_store_are_noted(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def run(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "mainspring", "key", *arguments, "--data", str(data), "--json"],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    with server(data, **SUPER) as process:
        process.stop()
        made = run("create", "rescue", "--expires-at", "2100-01-01T00:00:00Z")
        other = run("rotate", made["id"])
        run("revoke", made["id"])
        process.start()
        entries = process.call("GET", "/v1/account/audit/list")["items"]
        assert [(entry["operation"], entry["object"], entry["key_id"], entry["key_shown"]) for entry in entries] == [
            ("account.keys.revoke", made["id"], None, "command line"),
            ("account.keys.rotate", f"{made['id']}/{other['id']}", None, "command line"),
            ("account.keys.create", made["id"], None, "command line"),
        ]
        shown = commanded(process, "audit", "list", "--object", made["id"], "--limit", "5")
        assert [line.split()[2:4] for line in shown] == [
            ["OBJECT", "FIELDS"],
            ["account.keys.revoke", made["id"]],
            ["account.keys.rotate", f"{made['id']}/{other['id']}"],
            ["account.keys.create", made["id"]],
        ]
        keys = {line.split()[0]: line.split()[-1] for line in commanded(process, "key", "list")}
        assert (keys[made["id"]], keys[other["id"]]) == ("revoked", "valid")
        process.stop()
        code, found = doctor(data)
        assert found["audit log"]["detail"].startswith("3 entries"), found
        assert code == 0


def test_a_limit_that_is_set_is_kept_and_one_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with server(tmp_path / "data", MAINSPRING_RATE_LIMIT="3/h") as process:
        seen = []
        for _ in range(5):
            connection = http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=30)
            connection.request("GET", "/v1/cron/list", headers={"Authorization": f"Bearer {KEY}"})
            reply = connection.getresponse()
            reply.read()
            seen.append((reply.status, reply.headers["RateLimit-Remaining"], reply.headers["Retry-After"]))
            connection.close()
        assert [status for status, _, _ in seen] == [200, 200, 200, 429, 429]
        assert [left for _, left, _ in seen] == ["2", "1", "0", "0", "0"]
        assert all(1 <= int(wait) <= 1_200 for _, _, wait in seen[3:])
    refused = serve("--data", str(tmp_path / "other"), "--rate-limit", "many")
    assert refused.returncode == 2
    assert "RATE_LIMIT cannot be 'many'" in refused.stderr


@pytest.mark.parametrize(("trusted", "seen"), [("127.0.0.1", "203.0.113.9"), ("192.0.2.1", "127.0.0.1")])
def test_the_log_names_the_caller_behind_a_proxy_that_is_trusted(trusted: str, seen: str, tmp_path: Path) -> None:
    with server(tmp_path / "data", MAINSPRING_TRUSTED_PROXIES=trusted) as process:
        process.call("POST", "/v1/queue/create", {"name": "q"}, X_Forwarded_For="203.0.113.9")
        [entry] = process.call("GET", "/v1/account/audit/list")["items"]
        assert entry["ip"] == seen


def test_a_first_key_that_takes_the_place_of_another_is_noted_and_a_restart_is_not(tmp_path: Path) -> None:
    with server(tmp_path / "data", **SUPER) as process:
        process.stop()
        process.start()
        assert process.call("GET", "/v1/account/audit/list")["items"] == []
        process.stop()
    with server(tmp_path / "data", MAINSPRING_API_KEY=OTHER_KEY, **SUPER) as process:
        audit = call(process.url, "GET", "/v1/account/audit/list", key=OTHER_KEY)[1]["data"]["items"]
        keys = call(process.url, "GET", "/v1/account/keys/list", key=OTHER_KEY)[1]["data"]["items"]
        [entry] = audit
        assert (entry["operation"], entry["key_id"], entry["key_shown"]) == ("server.start", None, "settings")
        assert entry["object"] == keys[0]["id"]
        assert [key["revoked_at"] is None for key in keys] == [True, False]
