"""The promises, each a function from what was told, kept and received to the sentences about what broke it.

Nothing here does anything; a test hands in doctored evidence and sees that each of them finds it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

SECOND = 1000


class ScheduleRow(NamedTuple):
    """A schedule as the database has it; `deleted` ones are there too. `due_from`: the first instant it was due."""

    id: str
    name: str
    due_from: int
    deleted: bool


class RunRow(NamedTuple):
    """A run as the database has it."""

    id: str
    schedule_id: str
    trigger: str
    scheduled_for: int
    state: str
    attempt: int
    error: str | None


class GapRow(NamedTuple):
    """A stretch of the ledger in which nothing ran, both ends included."""

    schedule_id: str
    outcome: str
    from_at: int
    to_at: int
    entries: int


class Sent(NamedTuple):
    """A request as the target got it."""

    path: str
    run_id: str
    attempt: int
    scheduled_for: int
    key: str


class Kept(NamedTuple):
    """What the database holds at the end."""

    schedules: Sequence[ScheduleRow]
    runs: Sequence[RunRow]
    gaps: Sequence[GapRow]


def lost_writes(created: set[str], deleted: set[str], triggered: set[str], kept: Kept) -> list[str]:
    """Whatever was acknowledged and is not there."""
    there = {row.id for row in kept.schedules}
    gone = {row.id for row in kept.schedules if row.deleted}
    manual = {row.id for row in kept.runs if row.trigger == "manual"}
    return [
        *(f"the create of {one} was acknowledged, and it is not there" for one in sorted(created - there)),
        *(f"the delete of {one} was acknowledged, and it is there" for one in sorted(deleted - gone)),
        *(f"run {one} was acknowledged, and it is not there" for one in sorted(triggered - manual)),
    ]


def doubled_writes(created: set[str], triggered: set[str], kept: Kept) -> list[str]:
    """What is there twice, or without having been asked for: repetitions under one key make one thing."""
    names = Counter(row.name for row in kept.schedules)
    manual = {row.id for row in kept.runs if row.trigger == "manual"}
    return [
        *(f"{name} was created {count} times" for name, count in sorted(names.items()) if count > 1),
        *(f"{row.id} was never answered" for row in kept.schedules if row.id not in created),
        *(f"manual run {one} was never answered" for one in sorted(manual - triggered)),
    ]


def doubled_occurrences(kept: Kept, calls: Iterable[Sent]) -> list[str]:
    """An instant of a schedule that has two runs, by the database or by what the target got."""
    told = Counter((row.schedule_id, row.scheduled_for) for row in kept.runs if row.trigger != "manual")
    seen: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for call in calls:
        if call.path != "/by-hand":
            seen[call.path, call.scheduled_for].add(call.run_id)
    return [
        *(f"{one} has {count} runs for {at}" for (one, at), count in sorted(told.items()) if count > 1),
        *(f"{path} got {sorted(ids)} for {at}" for (path, at), ids in sorted(seen.items()) if len(ids) > 1),
    ]


def doubled_attempts(calls: Iterable[Sent]) -> list[str]:
    """A request that came twice; another attempt of the same run is another request, under the same key."""
    seen = Counter((call.run_id, call.attempt) for call in calls)
    strange = {call.run_id for call in calls if call.key != call.run_id}
    return [
        *(f"attempt {nth} of {one} came {count} times" for (one, nth), count in sorted(seen.items()) if count > 1),
        *(f"{one} came under another idempotency key" for one in sorted(strange)),
    ]


def forgotten_sends(kept: Kept, calls: Iterable[Sent]) -> list[str]:
    """What the target got and the database does not know of, and what ended well there without having been sent."""
    calls = list(calls)
    known = {row.id: row.attempt for row in kept.runs}
    got = {call.run_id for call in calls}
    return [
        *(
            f"attempt {call.attempt} of {call.run_id} was sent, and the database knows of {known.get(call.run_id, 0)}"
            for call in calls
            if call.attempt > known.get(call.run_id, 0)
        ),
        *(f"{row.id} succeeded unsent" for row in kept.runs if row.state == "succeeded" and row.id not in got),
    ]


def unfinished_runs(kept: Kept) -> list[str]:
    """What did not end, and what ended other than well; a pause and a delete cancel what waits."""
    wanted = {("succeeded", None), ("cancelled", "paused"), ("cancelled", "deleted")}
    return [
        f"{row.id} is {row.state} after {row.attempt} attempts: {row.error}"
        for row in kept.runs
        if (row.state, row.error) not in wanted
    ]


def ledger(loads: Iterable[str], kept: Kept, asked_at: int, answered_at: int) -> Iterator[str]:
    """Due instants without an entry, with two, or where none was due. The jobs of each second (`loads`) were paused by
    requests sent from `asked_at` on and all answered by `answered_at` (ms): what was due before counts, what would be
    due after does not, in between both are right."""
    first = {row.id: row.due_from for row in kept.schedules}
    entries: defaultdict[str, list[int]] = defaultdict(list)
    for run in kept.runs:
        if run.trigger != "manual":
            entries[run.schedule_id].append(run.scheduled_for)
    for gap in kept.gaps:
        instants = range(gap.from_at, gap.to_at + 1, SECOND)
        entries[gap.schedule_id] += instants
        if len(instants) != gap.entries:
            yield f"{gap.schedule_id}: {gap.outcome} from {gap.from_at} to {gap.to_at} counts {gap.entries}"
    for one in loads:
        found = Counter(entries[one])
        due = range(first[one], asked_at + 1, SECOND)
        yield from (f"{one}: {at} has {count} entries" for at, count in sorted(found.items()) if count > 1)
        yield from (f"{one}: {at} has no entry" for at in due if at not in found)
        for at in sorted(found):
            if at < first[one] or at > answered_at or at % SECOND:
                yield f"{one}: {at} was not due"
        yield from _holes(one, found, max(due, default=0))


def _holes(one: str, found: Counter[int], since: int) -> Iterator[str]:
    """Between the first request to pause and its answer there may be entries, but none may be left out."""
    last = max(found, default=0)
    yield from (f"{one}: {at} was passed over" for at in range(since + SECOND, last, SECOND) if at not in found)
