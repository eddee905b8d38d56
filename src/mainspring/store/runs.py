"""Runs in the store: ask for one by hand, claim, finish, rescue, read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from types import TracebackType

import msgspec

from mainspring.core.changes import Claim, FollowUp, ManualRun, Result
from mainspring.core.errors import Conflict, NotFound, Refused, Unavailable
from mainspring.core.idempotency import Replay
from mainspring.core.ids import EPOCH, KeySource
from mainspring.core.limits import OVERLAP_QUEUE_MAX
from mainspring.core.model import FINAL_STATES, Attempt, Entry, LoggedAttempt, Page, Run, RunState, Target
from mainspring.core.seats import Seats
from mainspring.core.webhooks_model import DisabledEndpoint
from mainspring.store import rows
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.fanout import lanes_of
from mainspring.store.horizon import Horizon
from mainspring.store.once import apply_once
from mainspring.store.turns import promote
from mainspring.store.webhooks_events import Announcer
from mainspring.store.webhooks_gates import LET_THROUGH, Gates

# Waiting runs looked at in one read while claiming.
_SCAN = 256


class _Picked:
    """Runs that a claim has chosen, with the seats it has taken for them: given back unless it comes to its end."""

    def __init__(self, seats: Seats) -> None:
        self.seats = seats
        self.origins: dict[int, str] = {}
        self.cursor = seats.cursor

    def __enter__(self) -> _Picked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.seats.cursor = self.cursor
            return
        for origin in self.origins.values():
            self.seats.give_back(origin)
        self.seats.reread()


class RunStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, horizon: Horizon, gates: Gates, announcer: Announcer) -> None:
        self._db = db
        self._keys = keys
        self._horizon = horizon
        self._gates = gates
        self._announcer = announcer

    @again_after_collisions
    async def trigger(self, now: int, items: Sequence[ManualRun]) -> Sequence[Run | Replay | Refused]:
        """Make runs by hand, under each schedule's overlap policy; paused and completed schedules too."""
        with self._horizon.writing(self._keys.next(now), now):
            async with self._db.transaction() as tx:

                async def insert(fresh: Sequence[ManualRun]) -> list[Run | Refused]:
                    await tx.hold("hold_progress", [(one,) for one in {item.schedule_id for item in fresh}])
                    return [await self._trigger(tx, now, item) for item in fresh]

                return await apply_once(tx, now, items, lambda item: item.once, insert)

    async def _trigger(self, tx: Tx, now: int, item: ManualRun) -> Run | Refused:
        found = await tx.fetch_in("get_entries", [(item.schedule_id,)])
        if not found or (entry := rows.entry(found[0])).schedule.project != item.project:
            if item.again is not None:
                return Conflict("the schedule of this run was deleted", hint="Make it anew, and run that one.")
            return NotFound("there is no such schedule", hint="List them to see their ids.")
        busy = entry.progress.active > 0 or entry.progress.held > 0
        if busy and entry.schedule.overlap == "skip":
            return Conflict(
                "a run of this schedule is under way and its overlap_policy is skip",
                hint="Wait for it to end, or set overlap_policy to allow or queue.",
            )
        held = busy and entry.schedule.overlap == "queue"
        if held and entry.progress.held >= OVERLAP_QUEUE_MAX:
            return Conflict(
                f"{OVERLAP_QUEUE_MAX} runs of this schedule are waiting already",
                hint="Wait for some of them to end.",
            )
        if item.again is not None:
            await tx.hold("hold_run", id=item.again.id)
            lanes: Sequence[str] = [row[4] for row in await tx.fetch("get_run", id=item.again.id, project=item.project)]
            if not lanes:
                return NotFound("there is no such run", hint="List the runs to see their ids.")
        else:
            lanes = (await lanes_of(tx, [(item.schedule_id, entry.schedule.lane)]))[item.schedule_id]
        if not lanes:
            return Conflict("there is no agent that it is for", hint="Name some, then start it.")
        keys = self._keys.take(now, len(lanes))
        due_at = None if held else now
        made = zip(keys, lanes, strict=True)
        await tx.many("insert_runs", [_manual_row(key, lane, item, entry, due_at, now) for key, lane in made])
        count = len(keys)
        await tx.fetch("count_manual", id=item.schedule_id, active=0 if held else count, held=count * held, now=now)
        [row] = await tx.fetch("get_run", id=keys[0], project=item.project)
        return rows.run(row)

    @again_after_collisions
    async def claim(self, now: int, *, lane: str, node: int, lease_until: int, seats: Seats) -> list[Claim]:
        """Take due runs of the lane, each with its next attempt number, as far as seats allow; in due order, but for
        origins whose seats were all taken a moment ago.

        Takes none that may not be on disk yet; that it has taken them is on disk a few ms later (`durable` waits for
        it). The seats of what was taken are taken when this returns; when it raises, none are.
        """
        with _Picked(seats) as picked:
            async with self._db.transaction("soon") as tx:
                claims = await self._claim(tx, now, picked, (lane, node, lease_until))
        return claims

    @again_after_collisions
    async def take_turns(
        self, now: int, results: Sequence[Result], *, node: int, lease_until: int, seats: Seats
    ) -> tuple[list[Result], list[Claim]]:
        """`finish`, then let deliveries through to the lane `http`, then `claim` there; one commit where that can be.

        When it raises, no seat is taken, and nothing was written that would not be fenced when it is written again.
        """
        if await self._makes_runs(now, results):
            # They may be sent when they are on disk: by the transaction after this one.
            fenced = await self.finish(now, results)
            with suppress(Unavailable):
                return fenced, (await self.take_turns(now, (), node=node, lease_until=lease_until, seats=seats))[1]
            return fenced, []
        fenced, off = [], list[DisabledEndpoint]()
        with _Picked(seats) as picked:
            async with self._db.transaction("soon") as tx:
                if results:
                    fenced, off = await self._finish(tx, now, results)
                await self._gates.turn(tx, now, seats.passed_over())
                claims = await self._claim(tx, now, picked, (LET_THROUGH, node, lease_until))
        self._gates.switched_off += off
        return fenced, claims

    async def _claim(self, tx: Tx, now: int, picked: _Picked, where: tuple[str, int, int]) -> list[Claim]:
        lane, node, lease_until = where
        late_first = picked.seats.late_first()
        if late_first:
            await self._pick_late(tx, now, lane, picked)
        picked.cursor = await self._pick(tx, now, lane, picked)
        if not late_first:
            await self._pick_late(tx, now, lane, picked)
        taken = [(run_id,) for run_id in picked.origins]
        found = await tx.many("claim_runs", taken, now=now, lease_until=lease_until, node=node)
        assert len(found) == len(taken)
        claims = {row[0]: rows.claim(row, now) for row in found}
        return [claims[run_id] for run_id in picked.origins]

    async def _pick_late(self, tx: Tx, now: int, lane: str, picked: _Picked) -> None:
        """Pick for origins that were passed over and have seats again."""
        seats = picked.seats
        for origin in seats.passed_over():
            room = seats.room(origin)
            if room <= 0:
                continue
            below = self._horizon.key
            found = await tx.fetch("find_waiting_of_origin", lane=lane, origin=origin, now=now, below=below, limit=room)
            for (run_id,) in found:
                seats.take(origin)
                picked.origins[run_id] = origin
            if len(found) < room:
                seats.caught_up(origin)

    async def _pick(self, tx: Tx, now: int, lane: str, picked: _Picked) -> tuple[int, int]:
        """Pick in due order from the cursor on; returns the new cursor, (due_at, id) of the last run looked at."""
        seats = picked.seats
        cursor = seats.cursor if seats.cursor[0] <= now else (0, 0)
        if lag := self._db.commit_lag_ms:
            # Another node may have written behind it what was still on its way when this one looked there.
            cursor = cursor[0] - lag, 0
        while seats.free > 0:
            skipped = [(origin,) for origin in seats.passed_over()]
            found = await tx.fetch_in(
                "find_waiting",
                skipped,
                lane=lane,
                since_at=cursor[0],
                since_id=cursor[1],
                now=now,
                below=self._horizon.key,
                limit=_SCAN,
            )
            for run_id, origin, due_at in found:
                if run_id not in picked.origins:
                    if seats.free <= 0:
                        return cursor
                    if seats.take(origin):
                        picked.origins[run_id] = origin
                cursor = due_at, run_id
            if len(found) < _SCAN:
                return self._horizon.until(now), 0
        return cursor

    async def durable(self) -> None:
        """Until everything written so far is on disk."""
        await self._db.durable()

    async def next_waiting(self, lane: str, after: int) -> int | None:
        """The next instant after `after` at which a waiting run becomes due."""
        [(instant,)] = await self._db.read("next_waiting", lane=lane, after=after)
        return None if instant is None else int(instant)

    async def targets(self, ids: Sequence[int]) -> dict[int, Target]:
        found = await self._db.read_in("get_targets", [(target_id,) for target_id in ids])
        return {row[0]: rows.target(row) for row in found}

    @again_after_collisions
    async def finish(self, now: int, results: Sequence[Result]) -> list[Result]:
        """Write how attempts ended, with everything that follows. Returns those refused because the run was no longer
        theirs (the attempt number is the fence). It may be lost in a power cut of the next few ms; the attempt is then
        an interrupted one."""
        makes_runs = await self._makes_runs(now, results)
        with self._horizon.writing(self._keys.next(now), now) if makes_runs else nullcontext():
            async with self._db.transaction("now" if makes_runs else "soon") as tx:
                fenced, off = await self._finish(tx, now, results)
        self._gates.switched_off += off
        return fenced

    async def _makes_runs(self, now: int, results: Sequence[Result]) -> bool:
        return any(result.follow_up for result in results) or await self._announcer.expects_of(now, results)

    async def _finish(self, tx: Tx, now: int, results: Sequence[Result]) -> tuple[list[Result], list[DisabledEndpoint]]:
        results = sorted(results, key=lambda result: result.claim.run_id)
        await tx.hold("hold_progress", [(one,) for one in {r.claim.schedule_id for r in results} if one is not None])
        await self._gates.hold(tx, results)
        stopped = await self._stopped(tx, results) | await self._gates.stopped(tx, results)
        ending = [_cancelled(result, stopped) for result in results]
        done = {row[0] for row in await tx.many("finish_runs", [_finish_row(result) for result in ending])}
        kept = [result for result in ending if result.claim.run_id in done]
        tried = [result for result in results if result.claim.run_id in done]
        attempts = [_attempt_row(r) for r in tried if r.state == "retrying" or r.claim.attempt > 1]
        if attempts:
            await tx.many("insert_attempts", attempts)
        told = await self._announcer.of_runs(tx, kept)
        await self._settle(tx, now, [result for result in kept if result.state in FINAL_STATES])
        await self._follow_up(tx, now, [r.follow_up for r in kept if r.state == "failed" and r.follow_up])
        off = await self._gates.settle(tx, now, kept)
        told += await self._announcer.of_disabled(tx, now, off)
        await self._announcer.announce(tx, now, told)
        return [result for result in ending if result.claim.run_id not in done], off

    async def _stopped(self, tx: Tx, results: Sequence[Result]) -> dict[int, str]:
        retrying = [(r.claim.run_id,) for r in results if r.state == "retrying" and r.claim.schedule_id is not None]
        if not retrying:
            return {}
        return {row[0]: row[1] for row in await tx.fetch_in("stopped_runs", retrying)}

    async def _settle(self, tx: Tx, now: int, finals: Sequence[Result]) -> None:
        ended = Counter(r.claim.schedule_id for r in finals if r.claim.schedule_id is not None)
        if not ended:
            return
        states: dict[int | None, RunState] = {r.claim.schedule_id: r.state for r in finals}
        settled = await tx.many("settle_progress", [(one, count, states[one]) for one, count in ended.items()])
        await promote(tx, now, [schedule_id for schedule_id, active, held in settled if held > 0 and active <= 0])

    async def _follow_up(self, tx: Tx, now: int, items: Sequence[FollowUp]) -> None:
        if not items:
            return
        ids = self._keys.take(now, 2 * len(items))
        targets, runs = [], []
        for offset, item in enumerate(items):
            target_id, run_id = ids[2 * offset], ids[2 * offset + 1]
            made = (run_id, None, item.project, "failure", "http", "manual", 0, now, now)
            targets.append((target_id, *rows.of_target(item.target, None)[1:]))
            runs.append((*made, target_id, item.target.origin, item.payload, now))
        await tx.many("insert_targets", targets)
        await tx.many("insert_runs", runs)

    @again_after_collisions
    async def renew(self, node: int, held: Sequence[tuple[int, int]], lease_until: int) -> None:
        """Lengthen the leases of attempts (run, attempt) in flight on this node; not of what another has taken over."""
        async with self._db.transaction("soon") as tx:
            await tx.many("renew_leases", sorted(held), node=node, lease_until=lease_until)

    @again_after_collisions
    async def expired(self, now: int, limit: int, *, everything: bool = False) -> list[Run]:
        """Running runs whose lease is over, for the caller to finish as interrupted; with `everything`, all running
        ones (orphans at start). Among nodes, each goes to one caller, who has 30 s for it."""
        async with self._db.transaction("soon") as tx:
            found = await tx.fetch("expired_runs", now=now, everything=int(everything), limit=limit)
        return [rows.run(row) for row in found]

    async def get(self, project: str, run_id: int) -> tuple[Run, list[Attempt]] | None:
        found = await self._db.read("get_run", id=run_id, project=project)
        if not found:
            return None
        attempts = await self._db.read("get_attempts", run_id=run_id)
        return rows.run(found[0]), [rows.attempt(row) for row in attempts]

    async def page_of_schedule(self, schedule_id: int, state: RunState | None, since: int, page: Page) -> list[Run]:
        """Newest instant first."""
        at, run_id = page.before or (1 << 62, 0)
        found = await self._db.scan(
            "page_runs_of_schedule",
            schedule_id=schedule_id,
            state=state,
            since=since,
            before_at=at,
            before_id=run_id,
            limit=page.limit,
        )
        return [rows.run(row) for row in found]

    async def page(self, project: str, state: RunState | None, since_id: int, before_id: int, limit: int) -> list[Run]:
        """Newest first, row keys in [since_id, before_id)."""
        if state == "failed":
            found = await self._db.scan(
                "page_failed_runs", project=project, since=since_id, before=before_id, limit=limit
            )
        else:
            found = await self._db.scan(
                "page_runs", project=project, state=state, since=since_id, before=before_id, limit=limit
            )
        return [rows.run(row) for row in found]

    async def attempts(self, schedule_ids: Sequence[int], before: int, limit: int) -> list[LoggedAttempt]:
        """Attempts of these schedules, also those in flight, by number, largest first; numbers below `before`."""
        asked = msgspec.json.encode(sorted(set(schedule_ids))).decode()
        found = await self._db.scan("page_attempts", schedules=asked, epoch=EPOCH, before=before, limit=limit)
        return [rows.logged(row) for row in found]


def _manual_row(run_id: int, lane: str, item: ManualRun, entry: Entry, due_at: int | None, now: int) -> Row:
    schedule = entry.schedule
    there = item.again or schedule
    return (
        run_id,
        schedule.id,
        schedule.project,
        schedule.kind,
        lane,
        item.trigger,
        0,
        now,
        now,
        there.target_id,
        there.origin,
        item.payload,
        due_at,
    )


def _cancelled(result: Result, stopped: dict[int, str]) -> Result:
    reason = stopped.get(result.claim.run_id)
    if result.state != "retrying" or reason is None:
        return result
    return Result(
        claim=result.claim,
        state="cancelled",
        due_at=None,
        sent_at=result.sent_at,
        ended_at=result.ended_at,
        status=result.status,
        body=result.body,
        error=reason,
        delivery=result.delivery,
        rest_until=result.rest_until,
    )


def _finish_row(result: Result) -> Row:
    return (
        result.claim.run_id,
        result.claim.attempt,
        result.state,
        result.due_at,
        result.sent_at,
        result.ended_at if result.state in FINAL_STATES else None,
        result.status,
        result.body,
        result.error,
    )


def _attempt_row(result: Result) -> Row:
    return (
        result.claim.run_id,
        result.claim.attempt,
        result.claim.started_at,
        result.sent_at,
        result.ended_at,
        result.status,
        result.body,
        result.error,
    )
