"""When a schedule was due, worked out from what users did to it and nothing else."""

from __future__ import annotations

import msgspec

from mainspring.core import cron
from mainspring.core.model import Entry, Gap, Schedule


class Stretch(msgspec.Struct):
    """A time in which the schedule was enabled with one timing: from just after `after` to `until` (None: still)."""

    schedule: Schedule
    after: int
    until: int | None = None

    def instants(self, last: int) -> set[int]:
        """The instants of the stretch, as far as it goes and not after `last`."""
        until = last if self.until is None else min(self.until, last)
        if self.schedule.run_at is not None:
            return {self.schedule.run_at} if self.schedule.run_at <= until else set()
        assert self.schedule.cron_expr is not None
        expression = cron.parse(self.schedule.cron_expr, self.schedule.dialect)
        zone = cron.zone(self.schedule.timezone)
        found = set()
        instant = cron.next_after(expression, self.after, zone, self.schedule.anchor_at)
        while instant is not None and instant <= until:
            found.add(instant)
            instant = cron.next_after(expression, instant, zone, self.schedule.anchor_at)
        return found


class Timeline:
    """The stretches of one schedule, and the moments in which an edit and a fire met.

    In such a moment, [asked, done], the instants of the timing before and of that after may have come due or not.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.stretches: list[Stretch] = []
        self.moments: list[Stretch] = []
        self.caps = {schedule.max_runs}

    def open(self, schedule: Schedule, at: int) -> None:
        self.stretches.append(Stretch(schedule, at))

    @property
    def current(self) -> Stretch | None:
        return self.stretches[-1] if self.stretches and self.stretches[-1].until is None else None

    def changed(self, before: Schedule, after: Entry, visited: int, asked: int, done: int) -> None:
        """A user's edit was asked for and done at these instants; `visited`: when the scheduler last looked before."""
        self.caps.add(after.schedule.max_runs)
        current = self.current
        timings = [(one.cron_expr, one.run_at, one.anchor_at) for one in (before, after.schedule)]
        if before.max_runs is not None:
            # What fired before the edit may have used the cap up, and the edit may have raised it.
            self.moments.append(Stretch(before, visited, done))
        if current is not None and after.progress.enabled and timings[0] == timings[1]:
            return
        if current is not None:
            current.until = asked
            self.moments.append(Stretch(before, asked, done))
        if after.progress.enabled:
            self.open(after.schedule, asked)
            self.moments.append(Stretch(after.schedule, asked, done))

    def completed(self, at: int) -> None:
        """Nothing was due after `at` until somebody edits it."""
        if self.current is not None:
            self.current.until = at

    def complaints(self, ran: list[int], gaps: list[Gap], last: int) -> list[str]:
        """What is wrong with a ledger, given the last instant that the scheduler has looked at."""
        due = set().union(*(stretch.instants(last) for stretch in self.stretches))
        perhaps = set().union(*(moment.instants(last) for moment in self.moments))
        sure = due - perhaps
        wrong = [f"{instant} ran and was not due" for instant in ran if instant not in due | perhaps]
        wrong += [f"{instant} ran twice" for instant in {one for one in ran if ran.count(one) > 1}]
        seen = set(ran)
        for gap in sorted(gaps, key=lambda one: one.from_at):
            inside = {instant for instant in due | perhaps if gap.from_at <= instant <= gap.to_at}
            if inside & seen:
                wrong.append(f"{sorted(inside & seen)} has another entry beside {gap}")
            if not {gap.from_at, gap.to_at} <= inside:
                wrong.append(f"{gap} does not begin and end at instants")
            if not len(inside & sure) <= gap.count <= len(inside):
                wrong.append(f"{gap} counts {gap.count} of {len(inside & sure)} to {len(inside)}")
            seen |= inside
        return wrong + [f"{instant} was due and has no entry" for instant in sorted(sure - seen)]
