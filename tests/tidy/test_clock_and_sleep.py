"""Ruff bans the clock and sleep in one list and can exempt a file only from all of it; this tells the two apart."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys

import pytest

from tidy.sources import PACKAGE, ROOT, Source, source

OWNER_OF_THE_CLOCK = PACKAGE / "app.py"
OWNER_OF_THE_SLEEP = PACKAGE / "loops" / "service.py"

CLOCK = re.compile(
    r"\b(?:datetime\.(?:now|utcnow|today)|date\.today"
    r"|time\.(?:time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns|localtime|gmtime))$"
)
SLEEP = re.compile(r"\b(?:asyncio|time)\.sleep$")


def uses(module: Source, pattern: re.Pattern[str]) -> list[str]:
    """Name the places where the module reaches for an attribute that matches."""
    nodes = [node for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)]
    return [f"{module.name}:{node.lineno}" for node in nodes if pattern.search(ast.unparse(node))]


def test_the_owner_of_the_clock_does_not_sleep() -> None:
    assert not uses(source(OWNER_OF_THE_CLOCK), SLEEP)


def test_the_owner_of_the_sleep_reads_no_clock() -> None:
    assert not uses(source(OWNER_OF_THE_SLEEP), CLOCK)


@pytest.mark.parametrize(
    "code",
    [
        "import time\nx = time.time()",
        "from time import time_ns\nx = time_ns()",
        "import time as clock\nx = clock.monotonic()",
        "import time\nx = time.perf_counter",
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "import datetime as dt\nx = dt.datetime.now(dt.UTC)",
        "from datetime import UTC, datetime\nx = datetime.now(UTC)",
        "from datetime import datetime\nx = datetime.utcnow()",
        "from datetime import date\nx = date.today()",
        "import asyncio\nx = asyncio.sleep(1)",
        "from asyncio import sleep\nx = sleep(1)",
        "import time\ntime.sleep(1)",
        "import sqlite3\nx = sqlite3.connect",
    ],
)
def test_ruff_catches_every_spelling(code: str) -> None:
    """The ban is configuration, and configuration that no one tries rots."""
    command = ["-m", "ruff", "check", "--output-format=json", "--select=TID251", "--stdin-filename"]
    for place in ("src/mainspring/loops/scheduler.py", "src/mainspring_agent/link.py"):
        answer = subprocess.run(
            [sys.executable, *command, place, "-"], input=code, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert {finding["code"] for finding in json.loads(answer.stdout)} == {"TID251"}, answer.stderr
