"""What the image runs beside the server: its health check and its entry point."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.harness import ServerProcess

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
ENTRYPOINT = ROOT / "deploy" / "entrypoint.sh"
NOBODY = 65_534
PROGRAMS = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}


def health(port: int) -> int:
    """Run the image's health check on a port of this machine; its exit code."""
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    [check] = re.findall(r"^  CMD (\[.+\])$", dockerfile, re.MULTILINE)
    program, *arguments = json.loads(check)
    assert program == "mainspring"
    with tempfile.TemporaryDirectory() as data:
        environment = {**PROGRAMS, "MAINSPRING_PORT": str(port), "MAINSPRING_DATA": data}
        command = [sys.executable, "-m", "mainspring", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_the_health_check_tells_a_server_that_answers_from_one_that_does_not(running: ServerProcess) -> None:
    port = urlsplit(running.url).port
    assert port is not None
    assert health(port) == 0
    running.stop()
    assert health(port) == 1


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A data directory that whoever runs the entry point can read and not write."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        data.chmod(0o555)
        yield data
        data.chmod(0o700)


def enter(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point as somebody who is not root, to whom every directory would be writable.

    By its text, for that somebody may not be able to read the checkout.
    """
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run(
        ["/bin/sh", "-s", "--", *arguments],
        input=ENTRYPOINT.read_text(encoding="utf-8"),
        env={**PROGRAMS, "MAINSPRING_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
        **user,
    )


@pytest.mark.parametrize("arguments", [(), ("serve",)])
def test_the_entry_point_says_whose_the_data_directory_has_to_be(foreign: Path, arguments: tuple[str, ...]) -> None:
    entered = enter(foreign, *arguments)
    user, group = (NOBODY, NOBODY) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    assert entered.returncode == 1
    assert f"runs as user {user}, group {group}, and cannot write to {foreign}" in entered.stderr
    assert f"chown -R {user}:{group} " in entered.stderr


@pytest.mark.parametrize("arguments", [("--version",), ("serve", "--help")])
def test_the_entry_point_becomes_the_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    environment = {**PROGRAMS, "MAINSPRING_DATA": str(tmp_path)}
    told = subprocess.run([ENTRYPOINT, *arguments], env=environment, capture_output=True, text=True, check=True).stdout
    assert "mainspring" in told
