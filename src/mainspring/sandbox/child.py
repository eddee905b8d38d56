"""The program of a script's process: it gives up what it can, runs one script, and talks in lines of JSON.

It is started by its path, knows nothing of the package, and imports little: it begins some 20 ms later than it is
started. Its arguments: where the engine is, and the files of JavaScript that make what scripts see. Its first line of
input is the job; each further one answers something that the script has asked for.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.machinery
import importlib.util
import json
import os
import re
import resource
import select
import signal
import sys
from typing import Any

NOBODY = 65534
# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
# What Python and the engine take besides the heap of the script: address space, not memory.
OWN_BYTES = 96 * 1024 * 1024
# What is checked imports this first, on the line that is the script's first, and it cannot be had; so nothing is run.
NEVER = "import 'mainspring:never';"


def engine(path: str) -> Any:
    """The engine, loaded from its file: there is no search path here."""
    loader = importlib.machinery.ExtensionFileLoader("_quickjs", path)
    spec = importlib.util.spec_from_file_location("_quickjs", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def give_up(job: dict[str, Any]) -> None:
    """From here on: no files, no sockets, no processes, no other user's rights, bounded memory and CPU."""
    os.closerange(3, 4096)
    with contextlib.suppress(OSError):
        os.nice(10)
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        # No program gives it rights (setuid bits), and the kernel ends it with the server's thread.
        system.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        system.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    used = address_space()
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CPU, job["cpu_s"]),
        (resource.RLIMIT_AS, used + job["heap"] + OWN_BYTES),
    ):
        # macOS knows no bound of the address space below what is in use; the heap's own bound holds there.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def address_space() -> int:
    """Bytes of address space in use."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 256 * 1024 * 1024


class Lines:
    """Lines from the server. Read without Python's buffers, so that waiting for one can end at an instant."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN)
        self._rest = b""

    def next(self, wait_ms: int) -> str | None:
        """The next line; None when there was none for so long (-1: as long as it takes). Exits when there are none."""
        while b"\n" not in self._rest:
            if not self._poll.poll(wait_ms):
                return None
            if not (more := os.read(0, 1 << 20)):
                os._exit(0)
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()


def say(text: str) -> None:
    """Write all of it."""
    left = text.encode()
    while left:
        left = left[os.write(1, left) :]


def end(error: str) -> None:
    """The script is over."""
    say(json.dumps({"kind": "end", "result": None, "error": error}) + "\n")


def check(context: Any, source: str) -> None:
    """Compile the script without running any of it, and say what is wrong with it."""
    try:
        context.module(NEVER + source)
    except Exception as error:  # noqa: BLE001  # whatever the engine raises is about the script
        said = str(error)
        if said.startswith("ReferenceError: could not load module 'mainspring:never'"):
            return end("")
        end(re.sub(r"<input>:1:(\d+)", lambda place: f"<input>:1:{int(place[1]) - len(NEVER)}", said))


def run(context: Any, web: str, source: str, job: str, lines: Lines) -> None:
    """Run the script until its handler has answered."""
    host = context.eval(web)
    try:
        context.module(source)
    except Exception as error:  # noqa: BLE001  # whatever the engine raises is about the script
        return end(str(error))
    host("start", job)
    while True:
        while context.execute_pending_job():
            pass
        said, wait, over = json.loads(host("pump", ""))
        if said:
            say(said)
        if over:
            return None
        if wait == -2:
            return end("the script waits for something that never comes")
        if wait and (line := lines.next(wait)) is not None:
            host("settle", line)


def main() -> None:
    """One job."""
    quickjs = engine(sys.argv[1])
    parts = []
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            parts.append(file.read())
    web = "(() => { 'use strict';\n" + "\n".join(parts) + "\nreturn host; })()"
    lines = Lines()
    text = lines.next(-1)
    assert text is not None
    job = json.loads(text)
    seed = os.urandom(32)
    job["job"]["seed"] = [int.from_bytes(seed[at : at + 4]) for at in range(0, 32, 4)]
    give_up(job)
    context = quickjs.Context()
    context.set_memory_limit(job["heap"])
    context.set_max_stack_size(job["stack"])
    say('{"kind":"ready"}\n')
    try:
        if job["check"]:
            check(context, job["source"])
        else:
            run(context, web, job["source"], json.dumps(job["job"]), lines)
    except Exception as error:  # noqa: BLE001  # out of memory shows as any exception, even as one without a text
        said = str(error)
        end("out of memory" if said.startswith(("null", "InternalError: out of memory")) else said)


if __name__ == "__main__":
    main()
    # Nothing of the interpreter needs to be taken down.
    os._exit(0)
