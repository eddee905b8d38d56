"""What must hold after any fault. Each function names what is wrong, and nothing when all is well.

S1 to S9 are the scheduler's invariants; those before them hold for writes, attempts and counters.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from faults.evidence import FINAL, SLACK, Attempt, Beat, Evidence, Request, Row, Run, Told, key_of
from faults.timeline import due_of
from mainspring.core import ids
from mainspring.core.limits import GRACE, LEASE

SCHEDULED = ("schedule", "catchup")


def what_was_acknowledged_is_there(found: Evidence) -> Iterator[str]:
    """Every acknowledged write, once per idempotency key, and each schedule as the last of them left it."""
    named = Counter(row.name for row in found.schedules)
    keyed = Counter(_nonce(run) for run in found.runs if run.trigger == "manual" and run.kind == "cron")
    for schedule_id, story in found.story_of.items():
        last, row = story[-1].shape, found.by_id.get(schedule_id)
        if row is None:
            yield f"{last.name} was acknowledged and is not there"
            continue
        if named[last.name] != 1:
            yield f"{last.name} was made {named[last.name]} times under one key"
        if (row.deleted_at is not None) != last.deleted:
            yield f"{last.name}: deleted {row.deleted_at is not None}, acknowledged {last.deleted}"
        if not last.deleted and (row.paused_at is not None) != last.paused:
            yield f"{last.name}: paused {row.paused_at is not None}, acknowledged {last.paused}"
        if row.cron_expr != (last.beat.expr if last.beat else None) or not row.address.endswith(last.path()):
            yield f"{last.name}: {row.cron_expr} to {row.address}, acknowledged {last}"
        for one in story:
            may = {0, 1} if one.made is None and one.unanswered else {int(one.made is not None)}
            if one.what == "trigger" and keyed[one.key] not in may:
                yield f"{last.name}: {keyed[one.key]} runs by hand under one key, answered {one.made}"
            if one.what == "trigger" and one.made is not None and key_of(one.made) not in found.run_by_id:
                yield f"{last.name}: the run {one.made} was acknowledged and is not there"


def answers_and_logs_are_clean(found: Evidence) -> Iterator[str]:
    """Clients got answers that the contract knows, and no server met a bug."""
    yield from found.strange


def everything_has_ended_and_counters_agree(found: Evidence) -> Iterator[str]:
    """Nothing is left over once all had its chance, and what is counted is what is there."""
    for run in found.runs:
        if run.state not in FINAL or run.finished_at is None or run.due_at is not None or run.lease_until is not None:
            yield f"{_name(run)} never ended: {run.state}"
    for row in found.schedules:
        made = sum(run.trigger in SCHEDULED for run in found.runs_of.get(row.id, []))
        if (row.active, row.held, row.run_count) != (0, 0, made):
            yield f"{row.name} counts {row.active} active, {row.held} held, {row.run_count} of {made}"


def each_attempt_is_sent_once_in_its_lease(found: Evidence) -> Iterator[str]:
    """Attempts have numbers without a gap; each is seen at most once, under the run's key, and within its lease."""
    for run in found.runs:
        kept = sorted(found.attempts_of.get(run.id, {}))
        if kept != list(range(1, run.attempt + 1)) and not (run.attempt <= 1 and not kept):
            # A pause or a delete may have come before the first attempt, or instead of the next.
            yield f"{_name(run)} has attempt {run.attempt} and on record {kept}"
    for run_id, sends in found.sends_of.items():
        if run_id not in found.run_by_id:
            yield f"{ids.text('run', run_id)} was sent and is not there"
            continue
        run = found.run_by_id[run_id]
        for number, times in Counter(one.attempt for one in sends).items():
            if times > 1:
                yield f"{_name(run)} attempt {number} was sent {times} times"
            if number > run.attempt:
                yield f"{_name(run)} attempt {number} was sent, and {run.attempt} had begun"
        for one in sends:
            if one.key != ids.text("run", run_id):
                yield f"{_name(run)} was sent under the key {one.key}"
            begun = found.begun_at(run, one.attempt)
            if begun is None or not begun - SLACK <= one.began <= begun + LEASE:
                yield f"{_name(run)} attempt {one.attempt} was claimed at {begun} and sent at {one.began}"


def an_attempt_is_cut_short_by_its_lease_alone(found: Evidence) -> Iterator[str]:
    """Nobody takes a run over before the lease of its attempt is over, but for what a stopping node hands over."""
    for run in found.runs:
        ends = {number: one.ended_at for number, one in found.attempts_of.get(run.id, {}).items() if _lost(one)}
        if _lost(run) and run.finished_at is not None:
            ends[run.attempt] = run.finished_at
        for number, ended in ends.items():
            begun = found.begun_at(run, number)
            if begun is None or ended < min(begun + LEASE, found.settled):
                yield f"{_name(run)} attempt {number} was begun at {begun} and taken over at {ended}"


def nothing_is_sent_before_it_is_due(found: Evidence) -> Iterator[str]:
    """By the receiver's clock, whatever those of the nodes say."""
    for one in found.requests:
        if one.began < one.scheduled_for - SLACK:
            yield f"{one} came {one.scheduled_for - one.began} ms early"


def what_has_succeeded_is_not_sent_again(found: Evidence) -> Iterator[str]:
    """No run is sent after it was finished as a success, and the success is that of its last attempt."""
    for run in found.runs:
        if run.state != "succeeded":
            continue
        assert run.finished_at is not None
        for one in found.sends_of.get(run.id, []):
            if one.began > run.finished_at + SLACK or one.attempt > run.attempt:
                yield f"{_name(run)} succeeded at {run.finished_at} and was sent at {one.began}"
            if one.attempt == run.attempt and one.ended is not None and one.ended > run.finished_at + SLACK:
                yield f"{_name(run)} succeeded at {run.finished_at} and was answered at {one.ended}"
        if not any(one.attempt == run.attempt and one.status == 200 for one in found.sends_of.get(run.id, [])):
            yield f"{_name(run)} succeeded and nobody has seen it"


def s1_an_instant_has_one_run(found: Evidence) -> Iterator[str]:
    """At most one run per (schedule, instant), in the database and at the receiver."""
    made = Counter((run.schedule_id, run.scheduled_for) for run in found.runs if run.trigger in SCHEDULED)
    yield from (f"{what} has {times} runs" for what, times in made.items() if times > 1)
    sent: dict[tuple[int | None, int], set[str]] = {}
    for one in found.requests:
        run = found.run_by_id.get(one.run)
        if run is not None and run.trigger in SCHEDULED:
            sent.setdefault((run.schedule_id, one.scheduled_for), set()).add(one.key)
            if one.scheduled_for != run.scheduled_for:
                yield f"{_name(run)} was sent for {one.scheduled_for}, due at {run.scheduled_for}"
    yield from (f"{what} was sent under {keys}" for what, keys in sent.items() if len(keys) > 1)


def s2_every_due_instant_has_one_entry(found: Evidence) -> Iterator[str]:
    """Every instant at which an enabled schedule was due has exactly one entry, and nothing else has one."""
    for row, story in found.stories():
        if story[-1].shape.beat is None:
            continue
        due = due_of(row, story, found.runs_of.get(row.id, []))
        seen: set[int] = set()
        for run in found.runs_of.get(row.id, []):
            if run.trigger in SCHEDULED:
                if run.scheduled_for not in due.all:
                    yield f"{row.name}: {run.scheduled_for} ran and was not due"
                if run.scheduled_for in seen:
                    yield f"{row.name}: {run.scheduled_for} ran twice"
                seen.add(run.scheduled_for)
        for gap in found.gaps_of.get(row.id, []):
            inside = {at for at in due.all if gap.from_at <= at <= gap.to_at}
            if inside & seen:
                yield f"{row.name}: {sorted(inside & seen)} has an entry beside {gap}"
            if not {gap.from_at, gap.to_at} <= inside or not len(inside & due.sure) <= gap.count <= len(inside):
                yield f"{row.name}: {gap} does not fit {sorted(inside)}"
            seen |= inside
        if missing := sorted(due.sure - seen):
            yield f"{row.name}: {missing} were due and have no entry"
        if _goes_on(row) and row.next_due_at is not None and row.next_due_at <= found.settled:
            yield f"{row.name} stands still at {row.next_due_at}"
        if _goes_on(row) and row.next_due_at is None:
            yield f"{row.name} is enabled and will never fire"


def s3_catch_up_follows_the_policy(found: Evidence) -> Iterator[str]:
    """Late is what is older than the grace; `skip` runs none of it, `latest` the newest, `all` all of it, in order."""
    for row, story in found.stories():
        shape, runs = story[-1].shape, found.runs_of.get(row.id, [])
        if shape.beat is None:
            continue
        late = [run for run in runs if run.trigger == "catchup"]
        for run in runs:
            if run.trigger in SCHEDULED and (run.created_at - run.scheduled_for > GRACE) != (run.trigger == "catchup"):
                yield f"{_name(run)} came {run.created_at - run.scheduled_for} ms late as {run.trigger}"
            if run.trigger in SCHEDULED and run.created_at < run.scheduled_for:
                yield f"{_name(run)} was made before it was due"
        missed = [gap for gap in found.gaps_of.get(row.id, []) if gap.outcome == "missed"]
        if shape.catchup == "skip" and late:
            yield f"{row.name} caught up on {len(late)} and should on none"
        if shape.catchup == "all" and missed:
            yield f"{row.name} should catch up on all and missed {missed}"
        if shape.catchup == "latest":
            for run in late:
                if any(one.scheduled_for > run.scheduled_for and one.created_at == run.created_at for one in late):
                    yield f"{_name(run)} was not the latest of what was late"
        for gap in missed:
            if gap.reason != "not_running" or ids.made_at(gap.id) - gap.from_at <= GRACE:
                yield f"{row.name} has a gap that nothing explains: {gap}"
        order = [run.scheduled_for for run in late]
        if order != sorted(order):
            yield f"{row.name} caught up out of order: {order}"


def s4_an_edit_holds_from_its_answer_on(found: Evidence) -> Iterator[str]:
    """After the answer to an update nothing is fired by the old expression or to the old target; after that to a pause
    or a delete nothing is begun."""
    for row, story in found.stories():
        edits = [one for one in story if one.what != "trigger"]
        for at, edit in enumerate(edits):
            later = edits[at + 1] if at + 1 < len(edits) else None
            over = later.asked - SLACK if later is not None else None
            for run in found.runs_of.get(row.id, []):
                yield from _against(found, run, edit, over)


def s5_instants_are_those_of_the_expression(found: Evidence) -> Iterator[str]:
    """Every instant in the ledger belongs to an expression that the schedule has had, by a count apart from ours."""
    for row, story in found.stories():
        beats = {one.shape.beat for one in story if one.shape.beat is not None}
        gaps = [at for gap in found.gaps_of.get(row.id, []) for at in (gap.from_at, gap.to_at)]
        ran = [run.scheduled_for for run in found.runs_of.get(row.id, []) if run.trigger in SCHEDULED]
        for at in [*ran, *gaps]:
            if beats and not any(beat.instants(at - 1, at, row.anchor_at) for beat in beats):
                yield f"{row.name}: {at} is no instant of {[beat.expr for beat in beats]}"


def s6_overlap_follows_the_policy(found: Evidence) -> Iterator[str]:
    """`skip` and `queue`: one at a time, unless a crash cut the earlier one off; `queue`: in order; `allow`: all."""
    for row, story in found.stories():
        shape, runs = story[0].shape, found.runs_of.get(row.id, [])
        if shape.overlap == "allow":
            if any(gap.reason == "overlap" for gap in found.gaps_of.get(row.id, [])):
                yield f"{row.name} allows overlap and skipped for it"
            continue
        sends = sorted((one for run in runs for one in found.sends_of.get(run.id, [])), key=lambda one: one.began)
        for before, after in pairwise(sends):
            if (before.ended is None or before.ended > after.began) and not _cut_off(found, before):
                yield f"{row.name}: {before} and {after} at once"
        if shape.overlap == "queue":
            began = [one.scheduled_for for one in sends if one.attempt == 1 and _is_scheduled(found, one)]
            if began != sorted(began):
                yield f"{row.name} began out of order: {began}"


def s7_a_one_shot_runs_once_and_not_early(found: Evidence) -> Iterator[str]:
    """A task has one run, at its instant or after it; it has been sent unless crashes used its attempts up."""
    for row, story in found.stories():
        shape, runs = story[-1].shape, found.runs_of.get(row.id, [])
        if shape.run_at is None:
            continue
        if [run.scheduled_for for run in runs] != [shape.run_at]:
            yield f"{row.name} was due once at {shape.run_at} and ran {len(runs)} times"
        for one in (one for run in runs for one in found.sends_of.get(run.id, [])):
            if one.began < shape.run_at - SLACK:
                yield f"{row.name} was due at {shape.run_at} and sent at {one.began}"
        for run in runs:
            if run.state != "succeeded" and run.error != "interrupted":
                yield f"{row.name} ended as {run.state}: {run.error}"


def s8_retries_are_counted_and_spaced(found: Evidence) -> Iterator[str]:
    """At most `retry` further attempts, each after its delay; a failed run has used them up and is reported once."""
    calls = Counter(body for _, body in {(one.run, one.body) for one in found.requests if "/failed/" in one.path})
    for row, story in found.stories():
        for run in found.runs_of.get(row.id, []):
            if run.attempt > run.retry + 1:
                yield f"{_name(run)} has begun {run.attempt} attempts of {run.retry + 1}"
            if run.state == "failed" and run.attempt != run.retry + 1:
                yield f"{_name(run)} failed with {run.attempt} attempts of {run.retry + 1}"
            kept = found.attempts_of.get(run.id, {})
            for number, one in kept.items():
                begun = found.begun_at(run, number + 1)
                delays = () if one.error == "interrupted" else story[0].shape.delays[number - 1 : number]
                if begun is not None and begun < one.ended_at + round(sum(delays) * 1000):
                    yield f"{_name(run)} attempt {number + 1} began {begun - one.ended_at} ms after the one before"
            wanted = int(run.state == "failed" and run.on_failure is not None)
            if calls[ids.text("run", run.id).encode()] > wanted:
                yield f"{_name(run)} was reported as failed {calls[ids.text('run', run.id).encode()]} times"
    reported = sum(run.kind == "failure" for run in found.runs)
    failed = sum(run.state == "failed" and run.on_failure is not None for run in found.runs)
    if reported != failed:
        yield f"{failed} runs have failed and {reported} calls were made about it"


def s9_a_cap_is_exact(found: Evidence) -> Iterator[str]:
    """Never more scheduled runs than `max_runs`, and exactly as many once the schedule is completed."""
    for row, story in found.stories():
        cap = story[-1].shape.max_runs
        made = sum(run.trigger in SCHEDULED for run in found.runs_of.get(row.id, []))
        if cap is not None and (made > cap or (row.completed_at is not None and made != cap)):
            yield f"{row.name} ran {made} times of {cap}"


Invariant = Callable[[Evidence], Iterator[str]]
ALL: tuple[Invariant, ...] = (
    what_was_acknowledged_is_there,
    answers_and_logs_are_clean,
    everything_has_ended_and_counters_agree,
    each_attempt_is_sent_once_in_its_lease,
    an_attempt_is_cut_short_by_its_lease_alone,
    nothing_is_sent_before_it_is_due,
    what_has_succeeded_is_not_sent_again,
    s1_an_instant_has_one_run,
    s2_every_due_instant_has_one_entry,
    s3_catch_up_follows_the_policy,
    s4_an_edit_holds_from_its_answer_on,
    s5_instants_are_those_of_the_expression,
    s6_overlap_follows_the_policy,
    s7_a_one_shot_runs_once_and_not_early,
    s8_retries_are_counted_and_spaced,
    s9_a_cap_is_exact,
)


def broken(found: Evidence) -> dict[str, list[str]]:
    """What is wrong, by invariant; at most five of each."""
    told = {rule.__name__: list(rule(found)) for rule in ALL}
    return {name: [*wrong[:5], f"({len(wrong)} in all)"] for name, wrong in told.items() if wrong}


def _against(found: Evidence, run: Run, edit: Told, over: int | None) -> Iterator[str]:
    """How a run goes against an edit that was in force from its answer until `over` (None: to the end)."""
    shape, since = edit.shape, edit.done + SLACK
    made = run.created_at > since and (over is None or run.created_at < over)
    if made and run.trigger in SCHEDULED:
        if shape.paused or shape.deleted:
            yield f"{_name(run)} was made {run.created_at - edit.done} ms after the {edit.what} of {shape.name}"
        elif run.scheduled_for > since and not _is_instant(shape.beat, run.scheduled_for):
            yield f"{_name(run)} of {shape.name} is due by an expression that was replaced"
    if made and not run.address.endswith(shape.path()):
        yield f"{_name(run)} of {shape.name} goes to {run.address}, which was replaced"
    for one in found.sends_of.get(run.id, []):
        if not run.address.endswith(one.path):
            yield f"{_name(run)} was fired with {run.address} and sent to {one.path}"
        begun = found.begun_at(run, one.attempt)
        if begun is None or begun <= since or (over is not None and begun >= over):
            continue
        if shape.deleted or (shape.paused and run.trigger in SCHEDULED):
            yield f"{_name(run)} was begun {begun - edit.done} ms after the {edit.what} of {shape.name}"


def _is_instant(beat: Beat | None, at: int) -> bool:
    return beat is None or beat.anchored or bool(beat.instants(at - 1, at, 0))


def _cut_off(found: Evidence, one: Request) -> bool:
    kept = found.attempts_of.get(one.run, {}).get(one.attempt)
    return (kept is not None and _lost(kept)) or _lost(found.run_by_id[one.run])


def _lost(one: Attempt | Run) -> bool:
    return one.error == "interrupted"


def _is_scheduled(found: Evidence, one: Request) -> bool:
    return found.run_by_id[one.run].trigger in SCHEDULED


def _goes_on(row: Row) -> bool:
    return row.paused_at is None and row.completed_at is None and row.deleted_at is None


def _nonce(run: Run) -> str | None:
    return None if run.payload is None else json.loads(run.payload).get("key")


def _name(run: Run) -> str:
    return ids.text("run", run.id)
