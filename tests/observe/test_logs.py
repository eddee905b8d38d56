"""What is written of what happens, in a process of its own: a logger keeps the level it was first used with."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

EVENTS = """
import sys
from mainspring.core.events import AttemptEnded, PushEnded
from mainspring.observe import logs

level, key = sys.argv[1], int(sys.argv[2])
logs.configure("json", level)
for make in (
    lambda: AttemptEnded("default", key, None, "manual", 1, "succeeded", 200, None, 0, 5),
    lambda: PushEnded("default", "orders", 1, key, 1, "acked", 200, None, 5),
):
    try:
        logs.on_event(make())
    except IndexError:
        print("made")
"""
# No id is so large: whoever makes its text fails.
WITHOUT_TEXT = 1 << 70


def written(level: str, key: int) -> tuple[str, list[dict[str, object]]]:
    """What a process says on its output, and its log lines."""
    command = [sys.executable, "-c", EVENTS, level, str(key)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, [json.loads(line) for line in done.stderr.splitlines()]


def test_every_success_has_a_line_at_the_level_debug() -> None:
    _, lines = written("debug", 1)
    assert [(line["event"], line["level"], line["duration_ms"]) for line in lines] == [
        ("run ended", "debug", 5),
        ("message pushed", "debug", 5),
    ]
    assert (lines[0]["run_id"], lines[1]["message_id"]) == ("run_0000000000001", "msg_0000000000001")


@pytest.mark.parametrize(("level", "made"), [("debug", 2), ("info", 0)])
def test_the_fields_of_a_line_that_is_not_written_are_not_made(level: str, made: int) -> None:
    said, lines = written(level, WITHOUT_TEXT)
    assert (said.count("made"), lines) == (made, [])
