"""What is left to code that has broken out of the engine and has the whole process: nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mainspring.sandbox
from mainspring.sandbox.child_process import _command

CHILD = Path(mainspring.sandbox.__file__).parent / "child.py"
TAKEN_OVER = """
import importlib.util, json, os, sys
spec = importlib.util.spec_from_file_location("child", sys.argv[1])
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
import ctypes, socket
child.give_up({"cpu_s": 1, "heap": 8 << 20})
def tried(what):
    try:
        what()
    except BaseException as error:
        return type(error).__name__
    return "done"
print(json.dumps({
    "file": tried(lambda: open("/etc/hostname")),
    "write": tried(lambda: open("/tmp/mainspring-escape", "w")),
    "socket": tried(lambda: socket.socket()),
    "fork": tried(os.fork),
    "memory": tried(lambda: bytearray(400 << 20)),
    "signal": tried(lambda: os.kill(os.getppid(), 0)),
    "root": tried(lambda: os.setuid(0)),
    "environment": dict(os.environ),
    "no new rights": ctypes.CDLL(None).prctl(39, 0, 0, 0, 0),
}), flush=True)
if len(sys.argv) > 2:
    while True:
        pass
"""
AS_ROOT = os.geteuid() == 0


def taken_over(*more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", TAKEN_OVER, str(CHILD), *more],
        env={},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("what", "ends"),
    [
        ("file", "OSError"),
        ("write", "OSError"),
        ("socket", "OSError"),
        ("fork", "BlockingIOError"),
        ("memory", "MemoryError"),
        ("root", "PermissionError"),
    ],
)
def test_a_process_that_was_taken_over_can_do_nothing(what: str, ends: str) -> None:
    done = taken_over()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[what] == ends


def test_it_cannot_end_the_server_if_that_runs_as_another_user() -> None:
    assert json.loads(taken_over().stdout)["signal"] == ("PermissionError" if AS_ROOT else "done")


def test_it_sees_no_environment() -> None:
    assert json.loads(taken_over().stdout)["environment"].keys() <= {"LC_CTYPE"}


def test_no_program_gives_it_rights() -> None:
    assert json.loads(taken_over().stdout)["no new rights"] == 1


def test_without_a_server_it_ends_by_its_share_of_cpu() -> None:
    assert taken_over("loop").returncode < 0


def test_a_process_whose_server_is_gone_ends() -> None:
    process = subprocess.Popen(_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, cwd="/")
    job = {"handler": "onCall", "worker": "w", "caller": None, "params": None, "env": None}
    source = "export default { async onCall() { await nodeget('x', []); } }"
    order = {"source": source, "check": False, "heap": 8 << 20, "stack": 1 << 20, "cpu_s": 5, "job": job}
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    assert b"ready" in process.stdout.readline()
    assert b"rpc" in process.stdout.readline()
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    process.stdout.close()
