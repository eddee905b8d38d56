"""What is known after a fault: the rows of the database, the receiver's log, and what clients were promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import asyncpg

from mainspring.core import ids

SLACK = 400
"""How far (ms) two clocks of one machine, one of them asked over a socket, are taken to differ at most."""

FINAL = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Beat:
    """An expression and, apart from the product's evaluator, its instants: every `step` seconds from second `phase` of
    the minute on (`step` divides 60), or every `step` seconds from the anchor on."""

    step: int
    phase: int = 0
    anchored: bool = False

    @property
    def expr(self) -> str:
        if self.anchored:
            return f"@every {self.step}s"
        if self.step == 60:
            return "* * * * *"
        return f"{self.phase}-59/{self.step} * * * * *" if self.phase else f"*/{self.step} * * * * *"

    def instants(self, after: int, until: int, anchor: int) -> list[int]:
        """The instants (ms) in (after, until]."""
        first, pace = (anchor, self.step * 1000) if self.anchored else (self.phase * 1000, self.step * 1000)
        at = first + ((after - first) // pace + 1) * pace
        return [one for one in range(at, until + 1, pace) if not self.anchored or one > anchor]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a client asked a schedule to be. `behaviour`: how the receiver answers (receiver.py)."""

    name: str
    beat: Beat | None
    behaviour: str
    overlap: str = "allow"
    catchup: str = "latest"
    delays: tuple[float, ...] = (0.2, 0.4, 0.4)
    max_runs: int | None = None
    run_at: int | None = None
    version: int = 1
    paused: bool = False
    deleted: bool = False

    def path(self, version: int | None = None) -> str:
        return f"/{self.behaviour}/{self.name}/{version or self.version}"


What = Literal["create", "update", "pause", "resume", "delete", "trigger"]


@dataclass(frozen=True, slots=True)
class Told:
    """An acknowledged request: asked for the first time at `asked`, answered at `done`; the schedule is then `shape`.

    `made`: the public id of what it made; None for a refusal, which is an answer too. `unanswered`: a try before that
    one was not answered, and may still be under way when another one has been refused.
    """

    what: What
    key: str
    shape: Shape
    schedule: int
    asked: int
    done: int
    made: str | None = None
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the receiver saw it; `ended` is when it was about to answer, None when it never was."""

    path: str
    run: int
    attempt: int
    key: str
    scheduled_for: int
    began: int
    ended: int | None
    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Run:
    id: int
    schedule_id: int | None
    kind: str
    trigger: str
    scheduled_for: int
    created_at: int
    state: str
    due_at: int | None
    attempt: int
    lease_until: int | None
    attempt_started_at: int | None
    sent_at: int | None
    finished_at: int | None
    error: str | None
    payload: bytes | None
    retry: int
    on_failure: str | None
    address: str


@dataclass(frozen=True, slots=True)
class Attempt:
    run_id: int
    attempt: int
    started_at: int
    ended_at: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Gap:
    id: int
    schedule_id: int
    outcome: str
    reason: str
    from_at: int
    to_at: int
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """A schedule as it is stored, with its progress."""

    id: int
    name: str
    kind: str
    cron_expr: str | None
    anchor_at: int
    address: str
    deleted_at: int | None
    next_due_at: int | None
    paused_at: int | None
    completed_at: int | None
    run_count: int
    active: int
    held: int


@dataclass(frozen=True)
class Evidence:
    """All of it. `settled`: the scheduler is known to have come past this instant (ms) everywhere."""

    schedules: tuple[Row, ...]
    runs: tuple[Run, ...]
    attempts: tuple[Attempt, ...]
    gaps: tuple[Gap, ...]
    requests: tuple[Request, ...]
    told: tuple[Told, ...]
    settled: int
    strange: tuple[str, ...] = field(default=())
    """Answers that no client may get, and what no server may log."""

    def but(self, **changes: Any) -> Evidence:
        """The same with other rows in some tables."""
        return replace(self, **changes)

    @cached_property
    def by_id(self) -> dict[int, Row]:
        return {row.id: row for row in self.schedules}

    @cached_property
    def run_by_id(self) -> dict[int, Run]:
        return {run.id: run for run in self.runs}

    @cached_property
    def runs_of(self) -> dict[int, list[Run]]:
        found: dict[int, list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: run.id):
            if run.schedule_id is not None:
                found.setdefault(run.schedule_id, []).append(run)
        return found

    @cached_property
    def gaps_of(self) -> dict[int, list[Gap]]:
        found: dict[int, list[Gap]] = {}
        for gap in sorted(self.gaps, key=lambda gap: gap.from_at):
            found.setdefault(gap.schedule_id, []).append(gap)
        return found

    @cached_property
    def attempts_of(self) -> dict[int, dict[int, Attempt]]:
        found: dict[int, dict[int, Attempt]] = {}
        for one in self.attempts:
            found.setdefault(one.run_id, {})[one.attempt] = one
        return found

    @cached_property
    def sends_of(self) -> dict[int, list[Request]]:
        found: dict[int, list[Request]] = {}
        for one in sorted(self.requests, key=lambda one: one.began):
            found.setdefault(one.run, []).append(one)
        return found

    @cached_property
    def story_of(self) -> dict[int, list[Told]]:
        """What was acknowledged about each schedule, in order; its requests came one after the other."""
        found: dict[int, list[Told]] = {}
        for one in sorted(self.told, key=lambda one: one.done):
            found.setdefault(one.schedule, []).append(one)
        return found

    def stories(self) -> Iterator[tuple[Row, list[Told]]]:
        """Each schedule with what was acknowledged about it."""
        for schedule_id, story in self.story_of.items():
            if (row := self.by_id.get(schedule_id)) is not None:
                yield row, story

    def begun_at(self, run: Run, attempt: int) -> int | None:
        """When (the database's clock) an attempt was claimed; None when that is not on record."""
        if (kept := self.attempts_of.get(run.id, {}).get(attempt)) is not None:
            return kept.started_at
        return run.attempt_started_at if run.attempt == attempt else None


def key_of(public: str) -> int:
    """The row key in a public id of any kind."""
    key = ids.key_of(public.partition("_")[0], public)
    assert key is not None, public
    return key


_SCHEDULES = """
SELECT s.id, s.name, s.kind, s.cron_expr, s.anchor_at, t.address, s.deleted_at, p.next_due_at, p.paused_at,
       p.completed_at, p.run_count, p.active, p.held
FROM schedules AS s JOIN progress AS p ON p.schedule_id = s.id JOIN targets AS t ON t.id = s.target_id
"""
_RUNS = """
SELECT r.id, r.schedule_id, r.kind, r.trigger, r.scheduled_for, r.created_at, r.state, r.due_at, r.attempt,
       r.lease_until, r.attempt_started_at, r.sent_at, r.finished_at, r.error, r.payload, t.retry, t.on_failure,
       t.address
FROM runs AS r JOIN targets AS t ON t.id = r.target_id
"""
_ATTEMPTS = "SELECT run_id, attempt, started_at, ended_at, error FROM attempts"
_GAPS = "SELECT id, schedule_id, outcome, reason, from_at, to_at, count FROM gaps"


async def read_tables(url: str) -> Evidence:
    """The database's part of the evidence, as of one moment."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return Evidence(
                schedules=tuple(Row(*row) for row in await connection.fetch(_SCHEDULES)),
                runs=tuple(Run(*row) for row in await connection.fetch(_RUNS)),
                attempts=tuple(Attempt(*row) for row in await connection.fetch(_ATTEMPTS)),
                gaps=tuple(Gap(*row) for row in await connection.fetch(_GAPS)),
                requests=(),
                told=(),
                settled=0,
            )
    finally:
        await connection.close()
