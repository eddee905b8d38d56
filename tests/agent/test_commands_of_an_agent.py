"""Commands that an agent runs: what is told of them, how much, for how long."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from mainspring_agent import commands
from mainspring_agent.failure import TaskFailed

SH = "/bin/sh"


def shell(script: str, *rest: str) -> list[str]:
    return ["-c", script, *rest]


async def test_execute_tells_output_errors_and_exit_code() -> None:
    assert await commands.execute(SH, shell("echo out"), 1_000) == "out\n"
    assert await commands.execute(SH, shell("echo out; echo bad >&2"), 1_000) == "out\n\n--- STDERR ---\nbad\n"
    assert await commands.execute(SH, shell("exit 3"), 1_000) == "(No Output)\n\n[Process exited with code 3]"
    assert await commands.execute(SH, shell("cat"), 1_000) == "(No Output)"
    with pytest.raises(TaskFailed, match="Execute failed"):
        await commands.execute("/no/such/program", [], 1_000)


async def test_much_output_keeps_its_beginning_and_its_end() -> None:
    script = "echo begin; head -c 30000000 /dev/zero | tr '\\0' x; echo end"
    text = await commands.execute(SH, shell(script), 10_000)
    assert len(text) <= 10_000
    assert text.startswith("begin\n")
    assert text.endswith("end\n")
    assert "left out" in text
    assert len(commands.shorten("x" * 100, 10)) <= 10


def alive(group: int) -> list[str]:
    """The processes of a group that are more than a name in a table."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [" ".join(row) for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


async def test_a_command_that_takes_too_long_goes_with_its_children(tmp_path: Path) -> None:
    script = f"trap '' TERM; (trap '' TERM; echo $$ > {tmp_path}/pid; sleep 60) & sleep 60"
    began = time.monotonic()
    with pytest.raises(TaskFailed, match="Execute Timeout"):
        await commands.execute(SH, shell(script), 1_000, timeout_s=0.5)
    assert time.monotonic() - began < 10
    group = int((tmp_path / "pid").read_text())
    assert alive(group) == []
    assert commands.TIMEOUT_S == 60


async def test_what_a_command_leaves_running_holds_nothing_up() -> None:
    began = time.monotonic()
    text = await commands.execute(SH, shell("echo here; sleep 30 & echo $!"), 1_000)
    assert time.monotonic() - began < 10
    head, pid = text.split()
    assert head == "here"
    os.kill(int(pid), 9)
