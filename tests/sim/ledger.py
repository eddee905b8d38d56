"""What must hold of the store at every moment, and what at the end, whatever has happened."""

from __future__ import annotations

from mainspring.core.model import Gap
from sim.world import World
from store.making import driver

DOUBLE = """
SELECT schedule_id, scheduled_for, count(*) FROM runs WHERE trigger IN ('schedule', 'catchup')
GROUP BY schedule_id, scheduled_for, nth HAVING count(*) > 1
"""
COUNTERS = """
SELECT p.schedule_id, p.active, p.held, p.run_count, r.active, r.held, r.made FROM progress AS p JOIN (
  SELECT schedule_id,
         sum(state IN ('queued', 'running', 'retrying') AND NOT (state = 'queued' AND due_at IS NULL)) AS active,
         sum(state = 'queued' AND due_at IS NULL) AS held,
         sum(trigger IN ('schedule', 'catchup')) AS made
  FROM runs WHERE schedule_id IS NOT NULL GROUP BY schedule_id) AS r ON r.schedule_id = p.schedule_id
WHERE (p.active, p.held, p.run_count) <> (r.active, r.held, r.made)
"""
STUCK = "SELECT schedule_id, active, held FROM progress WHERE active = 0 AND held > 0"
TOGETHER = """
SELECT schedule_id, count(*) FROM runs WHERE schedule_id IN (SELECT id FROM schedules WHERE overlap <> 'allow')
  AND (state IN ('running', 'retrying') OR (state = 'queued' AND due_at IS NOT NULL))
GROUP BY schedule_id HAVING count(*) > 1
"""
OVER_THE_CAP = """
SELECT s.id, s.max_runs, p.run_count FROM schedules AS s JOIN progress AS p ON p.schedule_id = s.id
WHERE p.next_due_at IS NOT NULL AND p.run_count >= s.max_runs
"""
HALF_OVER = """
SELECT id, state, due_at, lease_until, finished_at FROM runs WHERE
  (state IN ('succeeded', 'failed', 'cancelled')) <> (finished_at IS NOT NULL)
  OR (state = 'running') <> (lease_until IS NOT NULL) OR (state = 'retrying' AND due_at IS NULL)
  OR (state NOT IN ('queued', 'retrying') AND due_at IS NOT NULL)
"""
RUNNING = "SELECT id FROM runs WHERE state = 'running'"
UNFINISHED = "SELECT id, state, due_at FROM runs WHERE state IN ('queued', 'running', 'retrying')"
CALLS = """
SELECT (SELECT count(*) FROM runs WHERE kind = 'failure'),
       (SELECT count(*) FROM runs AS r JOIN targets AS t ON t.id = r.target_id
        WHERE r.state = 'failed' AND r.kind <> 'failure' AND t.on_failure IS NOT NULL)
"""


def at_every_moment(world: World) -> list[str]:
    """What is wrong right now."""
    ask = driver(world.store).execute
    questions = {
        "an occurrence ran twice": DOUBLE,
        "counters and rows differ": COUNTERS,
        "held runs wait for nothing": STUCK,
        "two at once": TOGETHER,
        "still due at its cap": OVER_THE_CAP,
        "half over": HALF_OVER,
    }
    wrong = [f"{what}: {row}" for what, question in questions.items() for row in ask(question)]
    flying = {run_id for run_id, _ in world.dispatcher._flying}
    mine = {*flying, *(result.claim.run_id for result in world.dispatcher._ended)}
    wrong += [f"running without an owner: {run_id}" for (run_id,) in ask(RUNNING) if run_id not in mine]
    [(calls, failures)] = ask(CALLS)
    return wrong + ([f"{calls} calls about {failures} failures"] if calls != failures else [])


async def of_every_ledger(world: World) -> list[str]:
    """What is wrong with the ledgers of the schedules that are still there; the scheduler has just looked."""
    wrong = []
    for schedule_id, entry in world.live.items():
        timeline = world.timelines[schedule_id]
        ran = [at for at, _, _ in await world.store.schedules.occurrences(schedule_id, 1 << 60, 1_000_000)]
        gaps: list[Gap] = await world.store.schedules.gaps(schedule_id, 1 << 60, 1_000_000)
        complaints = timeline.complaints(ran, gaps, world.visited)
        wrong += [f"{entry.schedule.cron_expr or 'once'}: {one}" for one in complaints]
        caps = [cap for cap in timeline.caps if cap is not None]
        if None not in timeline.caps and len(ran) > max(caps):
            wrong.append(f"{len(ran)} runs of {max(caps)}")
    return wrong


def at_the_end(world: World) -> list[str]:
    """What is left over although everything had its chance."""
    return [f"never ended: {row}" for row in driver(world.store).execute(UNFINISHED)]


def out_of_order(world: World) -> list[str]:
    """Runs of a queueing schedule that began before an older one."""
    order: dict[int, list[int]] = {}
    for run_id, attempt in world.targets.begun:
        row = (
            driver(world.store)
            .execute(
                "SELECT r.schedule_id FROM runs AS r JOIN schedules AS s ON s.id = r.schedule_id"
                " WHERE r.id = ? AND s.overlap = 'queue'",
                (run_id,),
            )
            .fetchone()
        )
        if row is not None and attempt == 1:
            order.setdefault(row[0], []).append(run_id)
    return [f"out of order: {begun}" for begun in order.values() if begun != sorted(begun)]
