"""What became of the runs of scripts, as data."""

from __future__ import annotations

import msgspec

from mainspring.core.limits import RPC_ROWS_MAX
from mainspring.core.scripts_model import RunType

EVER = 1 << 53


class NewScriptResult(msgspec.Struct, frozen=True):
    """A run of a script that begins or waits. `param`: JSON; `env`: sealed, None for the script's own; `ends_by`: set
    when it begins at once."""

    script_number: int
    script_name: str
    run_type: RunType
    start_time: int
    param: bytes
    env: bytes | None = None
    ends_by: int | None = None


class ScriptResult(msgspec.Struct, frozen=True):
    """One run of a script; `result` is JSON. It is under way while `finish_time` is None."""

    number: int
    script_number: int
    script_name: str
    run_type: RunType
    start_time: int
    finish_time: int | None
    param: bytes
    result: bytes | None
    error: str | None


class Waiting(msgspec.Struct, frozen=True):
    """What a claimed run of a script is about. `env`: sealed, None for the script's own."""

    number: int
    script_name: str
    run_type: RunType
    param: bytes
    env: bytes | None


class AskedResults(msgspec.Struct, frozen=True):
    """Which ones are meant: all that fit all of these, the newest `limit` of them. Instants are inclusive; while
    `finished_since` or `finished_until` is set, what is under way is left out."""

    number: int | None = None
    script_number: int | None = None
    script_name: str | None = None
    run_type: str | None = None
    since: int = 0
    until: int = EVER
    finished_since: int | None = None
    finished_until: int | None = None
    state: str | None = None
    limit: int = RPC_ROWS_MAX
    impossible: bool = False
