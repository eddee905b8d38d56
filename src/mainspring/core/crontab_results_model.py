"""What became of each fire of a crontab, for each agent, as data."""

from __future__ import annotations

import msgspec

from mainspring.core.limits import RPC_ROWS_MAX

EVER = 1 << 53


class NewResult(msgspec.Struct, frozen=True):
    """What is to be written down of a run. `cron_id`: the schedule's number; `relative_id`: the number of the agent's
    task, or of the script's result; `success`: it was handed over, or done on the server; `run_time`: now."""

    run_id: int | None
    cron_id: int
    cron_name: str
    relative_id: int | None
    run_time: int
    success: bool
    message: str


class Result(msgspec.Struct, frozen=True):
    """One that was written down, as it is answered."""

    id: int
    cron_id: int
    cron_name: str
    relative_id: int | None
    run_time: int
    success: bool
    message: str


class Asked(msgspec.Struct, frozen=True):
    """Which ones are meant: all that fit all of these, the newest `limit` of them. Instants are inclusive."""

    number: int | None = None
    cron_id: int | None = None
    cron_name: str | None = None
    since: int = 0
    until: int = EVER
    success: bool | None = None
    limit: int = RPC_ROWS_MAX
    impossible: bool = False
