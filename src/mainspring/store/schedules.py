"""Schedules in the store: create, read, change, fire."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import msgspec

from mainspring.core import cron
from mainspring.core.changes import Change, Fired, NewSchedule, Stale
from mainspring.core.errors import Conflict, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KeySource
from mainspring.core.limits import FOLD_ROWS_MAX
from mainspring.core.model import Entry, Gap, Page, Progress, Schedule, ScheduleKind
from mainspring.core.timing import Due, Plan, PlannedGap, PlannedRun
from mainspring.store import rows
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.fanout import lanes_of, write_agents
from mainspring.store.horizon import Horizon
from mainspring.store.once import apply_once
from mainspring.store.turns import promote
from mainspring.store.webhooks_events import Announcer

_NEW = Progress(None, None, None, 0, 0, 0, None, None, None, None)
_EDITED = (
    "name",
    "cron_expr",
    "run_at",
    "dialect",
    "timezone",
    "anchor_at",
    "overlap",
    "catchup",
    "catchup_window_ms",
    "max_runs",
    "retention_days",
    "retention_runs",
    "target_id",
    "lane",
    "origin",
    "updated_at",
)


class ScheduleStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, horizon: Horizon, announcer: Announcer) -> None:
        self._db = db
        self._keys = keys
        self._horizon = horizon
        self._announcer = announcer

    @again_after_collisions
    async def create(self, now: int, items: Sequence[NewSchedule]) -> Sequence[Entry | Replay | Refused]:
        """Insert schedules with their targets and timers."""
        async with self._db.transaction() as tx:

            async def insert(fresh: Sequence[NewSchedule]) -> list[Entry | Refused]:
                ids = self._keys.take(now, 2 * len(fresh))
                [(last,)] = await tx.fetch("take_numbers", name="schedules", count=len(fresh))
                taken = await self._taken(tx, fresh) | await self._take_names(tx, now, fresh)
                answers: list[Entry | Refused] = []
                for offset, item in enumerate(fresh):
                    if (refused := taken.get(offset)) is not None:
                        answers.append(refused)
                        continue
                    schedule_id, target_id = ids[2 * offset], ids[2 * offset + 1]
                    schedule = msgspec.structs.replace(
                        item.schedule, id=schedule_id, number=last - len(fresh) + 1 + offset, target_id=target_id
                    )
                    target = msgspec.structs.replace(item.target, id=target_id)
                    progress = msgspec.structs.replace(_NEW, next_due_at=item.next_due_at, paused_at=item.paused_at)
                    answers.append(Entry(schedule, progress, target, item.crontab))
                entries = [one for one in answers if isinstance(one, Entry)]
                await tx.many("insert_targets", [rows.of_target(e.target, e.schedule.id) for e in entries])
                await tx.many("insert_schedules", [rows.of_schedule(e.schedule) for e in entries])
                progress_rows = [(e.schedule.id, e.progress.next_due_at, e.progress.paused_at) for e in entries]
                await tx.many("insert_progress", progress_rows)
                await tx.many("insert_crontab", [rows.of_crontab(e) for e in entries if e.crontab is not None])
                made = [(one, item) for one, item in zip(answers, fresh, strict=True) if isinstance(one, Entry)]
                await write_agents(tx, [(one.schedule.id, item.agents) for one, item in made])
                return answers

            return await apply_once(tx, now, items, lambda item: item.once, insert)

    async def _taken(self, tx: Tx, items: Sequence[NewSchedule]) -> dict[int, Refused]:
        """By place, a refusal of those that want a name for themselves which a schedule has."""
        wanted = [(item.schedule.project, item.schedule.name) for item in items]
        alone = {pair for pair, item in zip(wanted, items, strict=True) if item.unique_name}
        if not alone:
            return {}
        held = {(row[0], row[1]) for row in await tx.fetch_in("taken_names", sorted(alone))}
        refused: dict[int, Refused] = {}
        for at, pair in enumerate(wanted):
            if items[at].unique_name and pair in held:
                refused[at] = Conflict(f"Crontab name already exists: {pair[1]}", field="name")
            held.add(pair)
        return refused

    async def _take_names(self, tx: Tx, now: int, items: Sequence[NewSchedule]) -> dict[int, Refused]:
        """Free the names that the items take at the crontab door; by place, a refusal for those whose name is taken."""
        wanted = {(item.schedule.project, item.crontab.name) for item in items if item.crontab is not None}
        if not wanted:
            return {}
        holders = {(row[0], row[1]): row[2:] for row in await tx.fetch_in("crontab_holders", sorted(wanted))}
        refused: dict[int, Refused] = {}
        seen: set[tuple[str, str]] = set()
        for at, item in enumerate(items):
            if item.crontab is None:
                continue
            handle = item.schedule.project, item.crontab.name
            _, number, free = holders.get(handle, (None, None, 1))
            if not free or handle in seen:
                held_by = "an item before it" if free else f"task {number}"
                refused[at] = Conflict(
                    f"name is taken by {held_by}", hint="Update that one, or choose another name.", field="name"
                )
            seen.add(handle)
        await tx.many("supersede_crontab", [(holder[0],) for holder in holders.values() if holder[2]], now=now)
        return refused

    async def get(self, project: str, kind: ScheduleKind, schedule_id: int) -> Entry | None:
        for row in await self._db.read_in("get_entries", [(schedule_id,)]):
            entry = rows.entry(row)
            if entry.schedule.project == project and entry.schedule.kind == kind:
                return entry
        return None

    @again_after_collisions
    async def was_deleted(self, project: str, kind: ScheduleKind, schedule_id: int) -> bool:
        """Whether this project had such a schedule and deleted it; as good a promise as deleting it now."""
        async with self._db.transaction() as tx:
            await tx.hold("hold_answer")
            return bool(await tx.fetch("get_deleted", id=schedule_id, project=project, kind=kind))

    async def page(self, project: str, kind: ScheduleKind, page: Page) -> list[Entry]:
        """Newest first."""
        before = page.before[0] if page.before else 1 << 62
        found = await self._db.scan("page_entries", project=project, kind=kind, before=before, limit=page.limit)
        return [rows.entry(row) for row in found]

    async def crontab(self, project: str, numbers: Sequence[int], names: Sequence[str]) -> list[Entry]:
        """Those made at the crontab door with these numbers, and all that have or had these names there."""
        found: dict[int, Entry] = {}
        questions = (("crontab_by_number", numbers), ("crontab_by_name", names))
        for query, asked in questions:
            for at in range(0, len(asked), FOLD_ROWS_MAX):
                some = [(one,) for one in asked[at : at + FOLD_ROWS_MAX]]
                for row in await self._db.read_in(query, some, project=project):
                    found[row[0]] = rows.entry(row)
        return list(found.values())

    @again_after_collisions
    async def change(self, now: int, items: Sequence[Change]) -> Sequence[Entry | Stale | Refused | Replay]:
        """Apply edits. An edit is `Stale` and changes nothing when its schedule has another version meanwhile, or
        has fired when the edit sets the timer."""
        async with self._db.transaction() as tx:

            async def edit(fresh: Sequence[Change]) -> list[Entry | Stale]:
                await tx.hold("hold_progress", [(one,) for one in {item.schedule.id for item in fresh}])
                return [await self._change(tx, now, item) for item in fresh]

            return await apply_once(tx, now, items, lambda item: item.once, edit)

    async def _change(self, tx: Tx, now: int, change: Change) -> Entry | Stale:
        schedule, seen = change.schedule, change.entry.progress
        if change.timing is not None and await tx.fetch("get_timer", id=schedule.id) != [
            (seen.next_due_at, seen.completed_at)
        ]:
            return Stale()
        if change.target is not None:
            schedule = msgspec.structs.replace(schedule, target_id=self._keys.next(now))
        if not await tx.many("update_schedules", [_edit(schedule, change.entry.schedule.version)]):
            return Stale()
        if change.target is not None:
            target = msgspec.structs.replace(change.target, id=schedule.target_id)
            await tx.many("insert_targets", [rows.of_target(target, schedule.id)])
            await tx.fetch("replace_target", id=change.entry.schedule.target_id, now=now)
        if change.crontab is not None:
            task = change.crontab
            await tx.many("update_crontab", [(schedule.id, task.module, task.type, task.start_time, task.starts_at)])
        if change.agents is not None:
            await tx.fetch("delete_agents", id=schedule.id)
            await write_agents(tx, [(schedule.id, change.agents)])
        if change.timing is not None:
            timing = change.timing
            await tx.fetch(
                "retime",
                id=schedule.id,
                next_due_at=timing.next_due_at,
                paused_at=timing.paused_at,
                completed_at=timing.completed_at,
            )
        if change.cancel is not None:
            await self._cancel_waiting(tx, now, schedule.id, change.cancel)
        [row] = await tx.fetch_in("get_entries", [(schedule.id,)])
        entry = rows.entry(row)
        if change.delete:
            await tx.fetch("delete_schedule", id=schedule.id, now=now)
        return entry

    async def _cancel_waiting(self, tx: Tx, now: int, schedule_id: int, reason: str) -> None:
        everything = reason != "paused"
        await tx.fetch("cancel_waiting", id=schedule_id, now=now, reason=reason, manual=int(everything))
        [(active, held)] = await tx.fetch("count_unfinished", id=schedule_id)
        await tx.fetch("set_unfinished", id=schedule_id, active=active, held=held)
        if held and not active:
            await promote(tx, now, [schedule_id])
        if everything:
            last_state = "cancelled" if reason == "cancelled" else None
            await tx.fetch("stop_progress", id=schedule_id, now=now, last_state=last_state)

    @again_after_collisions
    async def fire(self, now: int, plan: Callable[[Due, int], Plan], limit: int) -> Fired:
        """Take at most `limit` due schedules, plan each, advance them and write their runs and gaps: all or nothing.

        Fewer when they have a backlog: no schedule is taken once there are 1,000 runs and gaps to write.
        """
        with self._horizon.writing(self._keys.next(now), now):
            async with self._db.transaction() as tx:
                plans: list[Plan] = []
                entries = 0
                held = await tx.hold("hold_due", now=now, limit=limit)
                for row in await tx.fetch_in("take_due", held, now=now, limit=limit):
                    if entries >= FOLD_ROWS_MAX:
                        break
                    plans.append(plan(Due(*row), now))
                    entries += len(plans[-1].entries)
                made = await self._write(tx, now, plans)
                await self._announcer.announce_missed(tx, now, plans)
                [(next_due_at,)] = await tx.fetch("next_due")
        return Fired(
            schedules=len(plans),
            runs=made,
            skipped=_count(plans, "skipped"),
            missed=_count(plans, "missed"),
            next_due_at=next_due_at,
        )

    async def _write(self, tx: Tx, now: int, plans: Sequence[Plan]) -> int:
        runs: list[Row] = []
        gaps: list[Row] = []
        longer: list[Row] = []
        visits: list[_Visit] = []
        lanes = await lanes_of(tx, [(plan.due.schedule_id, plan.due.lane) for plan in plans])
        for plan in plans:
            due = plan.due
            visit = _Visit(plan, due.gap_id, due.gap_key)
            for entry in plan.entries:
                planned: PlannedRun | PlannedGap = entry
                if isinstance(entry, PlannedRun):
                    keys = self._keys.take(now, len(lanes[due.schedule_id]))
                    visit.runs.append((keys, entry.held))
                    if keys:
                        pairs = enumerate(zip(keys, lanes[due.schedule_id], strict=True))
                        runs += [_run_row(key, due, lane, nth, entry, now) for nth, (key, lane) in pairs]
                        visit.gap_id = visit.gap_key = None
                        continue
                    planned = PlannedGap("skipped", "no_agents", entry.scheduled_for, entry.scheduled_for, 1)
                assert isinstance(planned, PlannedGap)
                if visit.gap_key == planned.key:
                    longer.append((visit.gap_id, planned.to_at, planned.count))
                else:
                    visit.gap_id, visit.gap_key = self._keys.next(now), planned.key
                    gaps.append(_gap_row(visit.gap_id, due.schedule_id, planned))
            visits.append(visit)
        made = {row[0] for row in await tx.many("insert_runs", runs)} if runs else set()
        if gaps:
            await tx.many("insert_gaps", gaps)
        if longer:
            await tx.many("extend_gaps", longer)
        if visits:
            await tx.many("advance", [visit.advance(now, made) for visit in visits])
            await promote(tx, now, [visit.plan.due.schedule_id for visit in visits if visit.stuck(made)])
        return len(made)

    async def next_due_at(self) -> int | None:
        [(instant,)] = await self._db.read("next_due")
        return None if instant is None else int(instant)

    async def gaps(self, schedule_id: int, before: int, limit: int) -> list[Gap]:
        """Newest first, those that begin before `before`."""
        found = await self._db.scan("page_gaps", schedule_id=schedule_id, before=before, limit=limit)
        return [rows.gap(row) for row in found]

    async def occurrences(self, schedule_id: int, before: int, limit: int) -> list[tuple[int, str, int]]:
        """(scheduled_for, trigger, run id) of what ran, newest first."""
        found = await self._db.scan("page_occurrence_runs", schedule_id=schedule_id, before=before, limit=limit)
        return [(row[0], row[1], row[2]) for row in found]

    @again_after_collisions
    async def rezone(self, now: int, next_of: Callable[[str, str, str, int], int | None]) -> int:
        """Recompute the next instant of every schedule in a local zone; returns how many moved."""
        moved = after = 0
        while True:
            page = await self._db.read("zoned_schedules", after=after, now=now, limit=500)
            if not page:
                return moved
            after = page[-1][0]
            changed: list[Row] = []
            for schedule_id, expr, dialect, timezone, anchor_at, version, seen in page:
                # One that cannot be read is for the scheduler to tell of, and no reason not to start.
                with contextlib.suppress(cron.CronError):
                    if (instant := next_of(expr, dialect, timezone, anchor_at)) != seen:
                        changed.append((schedule_id, version, seen, instant))
            if changed:
                async with self._db.transaction() as tx:
                    await tx.hold("hold_progress", [row[:1] for row in changed])
                    await tx.many("move_due", changed)
                moved += len(changed)


class _Visit:
    """One plan on its way into the store."""

    def __init__(self, plan: Plan, gap_id: int | None, gap_key: str | None) -> None:
        self.plan = plan
        self.runs: list[tuple[Sequence[int], bool]] = []
        self.gap_id = gap_id
        self.gap_key = gap_key

    def stuck(self, made: set[int]) -> bool:
        """Whether held runs wait for a run that was not made."""
        return self._count(made, held=True) > 0 and self._count(made, held=False) == 0

    def _lost(self, made: set[int]) -> int:
        """How many of the planned fires made no run because they had been before (an edit after the clock stepped
        back)."""
        return sum(1 for keys, _ in self.runs if keys and made.isdisjoint(keys))

    def _count(self, made: set[int], *, held: bool) -> int:
        """Its runs that wait behind others, or those that do not: as planned, each fire being as many as it made."""
        planned = self.plan.held if held else self.plan.active
        return planned + sum(len(made.intersection(keys)) - 1 for keys, is_held in self.runs if is_held == held)

    def advance(self, now: int, made: set[int]) -> Row:
        """A row for `advance`. What was not made does not count."""
        plan = self.plan
        lost = self._lost(made)
        return (
            plan.due.schedule_id,
            plan.next_due_at,
            now if plan.completed else None,
            plan.run_count - lost,
            self._count(made, held=False),
            self._count(made, held=True),
            now if lost < len(self.runs) else None,
            self.gap_id,
            self.gap_key,
        )


def _edit(schedule: Schedule, seen: int) -> Row:
    return (schedule.id, seen, *(getattr(schedule, name) for name in _EDITED))


def _run_row(run_id: int, due: Due, lane: str, nth: int, entry: PlannedRun, now: int) -> Row:
    return (
        run_id,
        due.schedule_id,
        due.project,
        due.kind,
        lane,
        entry.trigger,
        nth,
        entry.scheduled_for,
        now,
        due.target_id,
        due.origin,
        None,
        None if entry.held else now,
    )


def _gap_row(gap_id: int, schedule_id: int, entry: PlannedGap) -> Row:
    return (gap_id, schedule_id, entry.outcome, entry.reason, entry.from_at, entry.to_at, entry.count)


def _count(plans: Sequence[Plan], outcome: str) -> int:
    return sum(
        entry.count
        for plan in plans
        for entry in plan.entries
        if isinstance(entry, PlannedGap) and entry.outcome == outcome
    )
