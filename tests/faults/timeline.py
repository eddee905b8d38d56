"""When a schedule was due, worked out from what was acknowledged to clients and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from faults.evidence import SLACK, Beat, Row, Run, Told


@dataclass(slots=True)
class Due:
    """`sure`: instants that must be in the ledger; `perhaps`: those that met an edit on its way, and may be."""

    sure: set[int] = field(default_factory=set)
    perhaps: set[int] = field(default_factory=set)

    @property
    def all(self) -> set[int]:
        return self.sure | self.perhaps


def due_of(row: Row, story: list[Told], runs: list[Run]) -> Due:
    """The instants of a recurring schedule.

    An acknowledged request took effect at one moment between its first try and its answer; what was due in this
    time by the timing before or after it may or may not have fired. Up to the schedule's next instant everything has
    been decided, and nothing from there on; one that is completed was last due when it ran last.
    """
    due = Due()
    beat: Beat | None = None
    since = 0
    edits = [one for one in story if one.what != "trigger"]
    for edit in edits:
        asked, done, after = edit.asked - SLACK, edit.done + SLACK, _beat_after(edit)
        if beat is not None:
            due.sure.update(beat.instants(since, asked, row.anchor_at))
            due.perhaps.update(beat.instants(asked, done, row.anchor_at))
        if after is not None:
            due.perhaps.update(after.instants(asked, done, row.anchor_at))
        beat, since = after, done
    if beat is not None:
        last = max((run.scheduled_for for run in runs if run.trigger != "manual"), default=since)
        until = last if row.next_due_at is None else row.next_due_at - 1
        due.sure.update(beat.instants(since, until, row.anchor_at))
    due.sure -= due.perhaps
    return due


def _beat_after(edit: Told) -> Beat | None:
    return None if edit.shape.paused or edit.shape.deleted else edit.shape.beat
