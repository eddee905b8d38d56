"""The command, as people and programs meet it: start, refuse, stop, look after the store."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import KEY, ServerProcess, Target, call, server, wait_for


def mainspring(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command to its end, with no MAINSPRING_* but those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    return subprocess.run(
        [sys.executable, "-m", "mainspring", *arguments],
        cwd=cwd,
        env={**inherited, "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def dev(cwd: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`mainspring dev`, its output in a file."""
    output = cwd / "dev.out"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "mainspring", "dev", *flags],
            cwd=cwd,
            env=inherited,
            stdout=file,
            stderr=file,
            text=True,
        )
    try:
        wait_for("the welcome", lambda: "Mainspring is running" in output.read_text() or process.poll() is not None)
        yield process, output
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def printed(output: Path) -> tuple[str, str]:
    """(address, key) as `dev` printed them."""
    text = output.read_text()
    url = re.search(r"export MAINSPRING_URL=(\S+)", text)
    key = re.search(r"export MAINSPRING_API_KEY=(\S+)", text)
    assert url is not None, text
    assert key is not None, text
    return url[1], key[1]


def test_the_first_minute_with_dev(tmp_path: Path) -> None:
    with dev(tmp_path, "--port", "0") as (_, output):
        url, key = printed(output)
        line = next(line for line in output.read_text().splitlines() if "-d '{" in line)
        body = json.loads(line.strip().removeprefix("-d '").removesuffix("'"))
        status, made = call(url, "POST", "/v1/cron/create", body, key=key)
        assert status == 200, made
        # Among what a sample sends there, if a minute begins just now.
        wait_for("the echo", lambda: '/dev/echo  {"n": 1}' in output.read_text().split("API:")[1])
        listed = {
            job["name"]: job["id"] for job in json.loads(mainspring("cron", "list", "--json", cwd=tmp_path).stdout)
        }
        assert list(listed) == ["hello", "sample: weekdays at nine", "sample: every minute"]
        for name in list(listed)[1:]:
            assert mainspring("cron", "delete", listed[name], cwd=tmp_path).returncode == 0
        for shown in ("cron list", "run list", "task list", "key list", f"cron get {made['data']['id']}"):
            assert mainspring(*shown.split(), cwd=tmp_path).returncode == 0, shown
    with dev(tmp_path, "--port", "0") as (_, again):
        assert printed(again)[1] == key, "a restart shows the same key"
        listed = mainspring("cron", "list", "--json", cwd=tmp_path)
        assert [job["name"] for job in json.loads(listed.stdout)] == ["hello"], (
            "samples that were deleted are not made again"
        )


def test_dev_takes_the_next_port_when_its_own_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        with dev(tmp_path, "--temp") as (_, output):
            assert printed(output)[0] not in ("", "http://127.0.0.1:8080")


def test_serve_never_prints_a_secret_and_stops_cleanly(tmp_path: Path) -> None:
    with server(tmp_path / "data", MAINSPRING_API_KEY="") as process:
        key = json.loads((process.data / "credentials.json").read_text())["api_key"]
        assert key.startswith("msk_")
        assert (process.data / "credentials.json").stat().st_mode & 0o777 == 0o600
        assert (process.data / "secret.key").stat().st_mode & 0o777 == 0o600
        assert call(process.url, "GET", "/v1/cron/list", key=key)[0] == 200
        assert process.stop() == 0
        log = process.log.read_text()
        assert key not in log
        assert (process.data / "secret.key").read_text().strip() not in log
        assert str(process.data / "credentials.json") in log


def test_a_second_server_on_the_same_store_is_refused(running: ServerProcess, tmp_path: Path) -> None:
    second = mainspring("serve", "--port", "0", "--data", str(running.data), cwd=tmp_path, MAINSPRING_API_KEY=KEY)
    assert second.returncode == 1
    assert "another mainspring" in second.stderr
    assert running.call("GET", "/v1/cron/list")["items"] is not None


def test_a_taken_port_ends_with_exit_code_1_and_says_so(running: ServerProcess, tmp_path: Path) -> None:
    port = running.url.rpartition(":")[2]
    done = mainspring("serve", "--port", port, "--data", str(tmp_path / "data"), cwd=tmp_path)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["serve", "--port", "99999"], "PORT"),
        (["serve", "--workers", "2"], "WORKERS"),
        (["serve", "--roles", "api,cook"], "ROLES"),
        (["serve", "--allow-targets", "nonsense//"], "ALLOW_TARGETS"),
        (["serve", "--database", "mysql://x"], "DATABASE"),
        (["cron"], "VERB"),
        (["cron", "next"], "EXPR"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_what_is_wrong(tmp_path: Path, arguments: list[str], named: str) -> None:
    data = ["--data", str(tmp_path / "data")] if arguments[:1] == ["serve"] else []
    done = mainspring(*arguments, *data, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert named.lower() in done.stderr.lower()


def test_sigterm_lets_the_attempt_in_flight_end(tmp_path: Path) -> None:
    target = Target()
    with server(tmp_path / "data") as process:
        process.call("POST", "/v1/cron/create", {"run_at": "2020-01-01T00:00:00Z", "task": target.url + "/slow"})
        wait_for("the call", lambda: target.on("/slow"))
        assert process.stop() == 0
    target.close()
    with server(tmp_path / "data") as process:
        [run] = process.call("GET", "/v1/scheduling/run/list")["items"]
        assert (run["state"], run["attempt"]) == ("succeeded", 1)


def test_backup_restore_and_doctor(tmp_path: Path) -> None:
    data, copy = tmp_path / "mainspring-data", tmp_path / "copy.db"
    with server(data) as process:
        kept = process.call("POST", "/v1/cron/create", {"cron_expr": "0 9 * * *", "task": "https://example.com/kept"})
        assert mainspring("backup", str(copy), cwd=tmp_path).returncode == 0
        assert copy.stat().st_mode & 0o777 == 0o600
        assert mainspring("backup", str(copy), cwd=tmp_path).returncode == 1, "a backup is never overwritten"
        process.call("POST", "/v1/cron/create", {"cron_expr": "0 9 * * *", "task": "https://example.com/later"})
        assert mainspring("restore", str(copy), cwd=tmp_path).returncode == 1, "not while a server runs on it"
        assert process.stop() == 0
    assert mainspring("doctor", cwd=tmp_path).returncode == 0
    assert mainspring("restore", str(copy), cwd=tmp_path).returncode == 0
    with server(data) as process:
        items = process.call("GET", "/v1/cron/list")["items"]
        assert [item["id"] for item in items] == [kept["id"]]
    assert mainspring("migrate", "--dry-run", cwd=tmp_path).stdout.strip() == "the schema is up to date"


def test_keys_straight_on_the_store_and_through_the_server(tmp_path: Path) -> None:
    data = tmp_path / "mainspring-data"
    with server(data) as process:
        assert process.stop() == 0
    (data / "credentials.json").unlink()
    made: dict[str, Any] = json.loads(
        mainspring("key", "create", "reader", "--scopes", "cron:read", "--json", cwd=tmp_path).stdout
    )
    with server(data) as process:
        assert call(process.url, "GET", "/v1/cron/list", key=made["key"])[0] == 200
        body = {"cron_expr": "0 9 * * *", "task": "https://example.com/"}
        assert call(process.url, "POST", "/v1/cron/create", body, key=made["key"])[0] == 403
        through = {"MAINSPRING_URL": process.url, "MAINSPRING_API_KEY": KEY}
        assert mainspring("key", "revoke", made["id"], cwd=tmp_path, **through).returncode == 0
        wait_for("the revocation", lambda: call(process.url, "GET", "/v1/cron/list", key=made["key"])[0] == 401)


def test_the_wrong_secret_key_is_refused_at_start(tmp_path: Path) -> None:
    with server(tmp_path / "data") as process:
        assert process.stop() == 0
    done = mainspring(
        *("serve", "--port", "0", "--data", str(tmp_path / "data")),
        cwd=tmp_path,
        MAINSPRING_SECRET_KEY="another-secret-key-0123456789",
    )
    assert done.returncode == 1
    assert "cannot be opened with this secret key" in done.stderr


def test_a_generated_key_that_was_rotated_away_stays_dead_and_there_is_a_new_one(tmp_path: Path) -> None:
    def kept() -> str:
        key: str = json.loads((tmp_path / "data" / "credentials.json").read_text())["api_key"]
        return key

    with server(tmp_path / "data", MAINSPRING_API_KEY="") as process:
        first = kept()
        [listed] = call(process.url, "GET", "/v1/account/keys/list", key=first)[1]["data"]["items"]
        path = f"/v1/account/keys/rotate/{listed['id']}"
        assert call(process.url, "POST", path, {"grace_hours": 0}, key=first)[0] == 200
        assert process.stop() == 0
        process.start()
        assert kept() != first
        assert call(process.url, "GET", "/v1/cron/list", key=first)[0] == 401
        assert call(process.url, "GET", "/v1/cron/list", key=kept())[0] == 200


def test_a_data_directory_that_cannot_be_used_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    done = mainspring("serve", "--port", "0", "--data", str(tmp_path / "data"), cwd=tmp_path)
    assert done.returncode == 2
    assert "DATA" in done.stderr
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
