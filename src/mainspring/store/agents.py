"""Agents in the store: who holds their sockets, what they were asked to do, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mainspring.core import cron_types
from mainspring.core.agents import kind_of, task_of
from mainspring.core.agents_model import (
    RUNNING,
    STALE,
    UNCLAIMED,
    AskedTasks,
    Delivery,
    Ended,
    NewTask,
    Report,
    ReportKind,
    Task,
)
from mainspring.core.changes import Claim
from mainspring.core.ids import KeySource, floor_of
from mainspring.core.limits import FOLD_ROWS_MAX, PRUNE_BATCH, SECOND, TIMEOUT_S_DEFAULT
from mainspring.core.model import Target
from mainspring.store import rows
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.horizon import Horizon

BATCH = 1_000
_HIDDEN = 3


class AgentStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, horizon: Horizon) -> None:
        self._db = db
        self._keys = keys
        self._horizon = horizon

    async def is_there(self, now: int, uuid: str) -> bool:
        """Whether some node holds the agent's socket."""
        return bool(await self._db.read("agent_seen", uuid=uuid, stale=now - STALE))

    @again_after_collisions
    async def attach(self, now: int, node: int, found: Sequence[tuple[str, int]]) -> list[None]:
        """Each of these (uuid, session) is on this node now, wherever it was before."""
        last = sorted(dict(found).items())
        async with self._db.transaction() as tx:
            await tx.many("know_agents", [(uuid,) for uuid, _ in last], now=now)
            await tx.many("attach_agents", last, node=node, now=now)
        return [None for _ in found]

    @again_after_collisions
    async def beat(self, now: int, node: int, found: Sequence[tuple[str, int]]) -> set[str]:
        """Confirm these (uuid, session); returns the agents that are still those sessions'."""
        async with self._db.transaction("soon") as tx:
            return {row[0] for row in await tx.many("beat_agents", sorted(found), node=node, now=now)}

    @again_after_collisions
    async def detach(self, node: int, sessions: Sequence[int]) -> None:
        """These sessions are over."""
        async with self._db.transaction("soon") as tx:
            await tx.many("detach_agents", [(session,) for session in sorted(sessions)], node=node)

    @again_after_collisions
    async def forget(self, node: int) -> None:
        """No agent is on this node."""
        async with self._db.transaction("soon") as tx:
            await tx.fetch("forget_agents_of_node", node=node)

    @again_after_collisions
    async def keep_reports(self, now: int, items: Sequence[Report]) -> None:
        """Put these, one of each kind and agent, in the places of the last ones."""
        async with self._db.transaction("soon") as tx:
            await tx.many("know_agents", [(uuid,) for uuid in sorted({item.uuid for item in items})], now=now)
            made = sorted((item.uuid, item.kind, item.time, item.data) for item in items)
            await tx.many("keep_reports", made)

    async def reports(self, kind: ReportKind, uuids: Sequence[str]) -> dict[str, tuple[int, str]]:
        """The last report of this kind of each of these agents: (time, JSON text)."""
        found: dict[str, tuple[int, str]] = {}
        for at in range(0, len(uuids), FOLD_ROWS_MAX):
            asked = [(uuid,) for uuid in uuids[at : at + FOLD_ROWS_MAX]]
            for uuid, time, data in await self._db.read_in("get_reports", asked, kind=kind):
                found[uuid] = time, data
        return found

    @again_after_collisions
    async def create(self, now: int, item: NewTask) -> int:
        """Make a task and its run, due at once; the task's number."""
        with self._horizon.writing(self._keys.next(now), now):
            target_id, run_id = self._keys.take(now, 2)
            lane = cron_types.agent_lane(item.uuid)
            run = (run_id, None, item.project, "agent", lane, "manual", 0, now, now, target_id, item.address, None, now)
            async with self._db.transaction() as tx:
                await tx.many("know_agents", [(item.uuid,)], now=now)
                await tx.many("insert_targets", [rows.of_target(_target(target_id, item), None)])
                await tx.many("insert_runs", [run])
                [(number,)] = await tx.fetch("take_numbers", name="agent_tasks", count=1)
                made = number, run_id, item.uuid, item.token, None, item.kind, item.task, RUNNING
                await tx.many("insert_agent_tasks", [made])
        return int(number)

    @again_after_collisions
    async def claim(self, now: int, node: int, lease_until: int, token: Callable[[], str]) -> list[Delivery]:
        """Take due runs of agents on this node, each with a task, which is on disk when this returns."""
        where = {"node": node, "stale": now - STALE, "now": now, "below": self._horizon.key}
        if not await self._db.read("look_for_agent_runs", **where):
            return []
        async with self._db.transaction() as tx:
            found = await tx.fetch("find_agent_runs", **where, limit=BATCH)
            taken = await self._take(tx, now, node, lease_until, found)
            return await _with_tasks(tx, taken, token)

    @again_after_collisions
    async def claim_lost(self, now: int, node: int, lease_until: int) -> list[Delivery]:
        """Take due runs that no node can hand over."""
        before, below = floor_of(now - UNCLAIMED), self._horizon.key
        where = {"stale": now - STALE, "now": now, "below": below, "before": before}
        if not await self._db.read("look_for_lost_agent_runs", **where):
            return []
        async with self._db.transaction("soon") as tx:
            found = await tx.fetch("find_lost_agent_runs", **where, limit=BATCH)
            return await self._take(tx, now, node, lease_until, found)

    async def _take(self, tx: Tx, now: int, node: int, lease_until: int, found: list[Row]) -> list[Delivery]:
        if not found:
            return []
        claimed = await tx.many("claim_runs", found, now=now, lease_until=lease_until, node=node)
        claims = {row[0]: rows.claim(row, now) for row in claimed}
        described = await tx.fetch_in("describe_agent_runs", [(run_id,) for run_id in claims])
        shared = sorted({claims[row[0]].target_id for row in described if row[4] is None})
        payloads = await tx.fetch_in("payloads_of", [(target_id,) for target_id in shared])
        tasks = {target_id: task_of(payload or b"") for target_id, payload in payloads}
        taken = {row[0]: _delivery(claims[row[0]], row, tasks) for row in described}
        return [taken[run_id] for (run_id,) in found if run_id in taken]

    @again_after_collisions
    async def drop(self, run_ids: Sequence[int]) -> None:
        """Forget the tasks of these runs; not those whose results are there."""
        async with self._db.transaction("soon") as tx:
            await tx.many("drop_agent_tasks", [(run_id,) for run_id in sorted(run_ids)])

    @again_after_collisions
    async def end(self, items: Sequence[Ended]) -> list[bool]:
        """Keep what came of tasks, in their order; False for one that had ended before."""
        first = {item.number: item for item in reversed(items)}
        made = [
            (item.number, item.ended_at, int(item.success), item.error, item.result)
            for item in sorted(first.values(), key=lambda item: item.number)
        ]
        async with self._db.transaction() as tx:
            kept = {row[0] for row in await tx.many("end_agent_tasks", made)}
        return [item.number in kept and first[item.number] is item for item in items]

    async def task(self, number: int) -> Task | None:
        found = await self._db.read("get_agent_task", number=number)
        return _task(found[0]) if found else None

    async def page(self, asked: AskedTasks) -> list[Task]:
        """Those that are asked for, running ones as if they ended last."""
        query = f"{'newest' if asked.newest else 'oldest'}_{'agent_tasks' if asked.uuid is None else 'tasks_of_agent'}"
        return [_task(row) for row in await self._db.scan(query, **_where(asked), limit=asked.limit)]

    @again_after_collisions
    async def delete(self, asked: AskedTasks) -> int:
        """Delete the newest of those asked for; how many went, at most some hundreds at a time."""
        async with self._db.transaction() as tx:
            limit = min(asked.limit, PRUNE_BATCH)
            return len(await tx.fetch("delete_agent_tasks", **_where(asked), limit=limit))

    async def newest(self, uuid: str) -> int | None:
        """When the agent's newest task ended."""
        [(instant,)] = await self._db.read("newest_ended_task", uuid=uuid, running=RUNNING)
        return None if instant is None else int(instant)

    @again_after_collisions
    async def trim(self, uuid: str, before: int) -> int:
        """Delete some of the agent's tasks that ended before; how many went, 0 when there are no more."""
        async with self._db.transaction() as tx:
            return len(await tx.fetch("trim_agent_tasks", uuid=uuid, before=before, limit=PRUNE_BATCH))

    @again_after_collisions
    async def prune(self, before: int) -> int:
        """Delete some of the tasks made before; how many went."""
        async with self._db.transaction("soon") as tx:
            return len(await tx.fetch("prune_agent_tasks", below=floor_of(before), limit=PRUNE_BATCH))


async def _with_tasks(tx: Tx, taken: list[Delivery], token: Callable[[], str]) -> list[Delivery]:
    """Make tasks for those that have none."""
    bare = [one for one in taken if one.number is None and one.task]
    if not bare:
        return taken
    [(last,)] = await tx.fetch("take_numbers", name="agent_tasks", count=len(bare))
    made, numbered = [], {}
    for number, one in enumerate(bare, int(last) - len(bare) + 1):
        shown = token()
        kind = kind_of(one.task)
        made.append((number, one.claim.run_id, one.uuid, shown, one.cron_name, kind, one.task, RUNNING))
        fields = one.claim, one.uuid, number, shown, one.task, False, one.cron_id, one.cron_name
        numbered[one.claim.run_id] = Delivery(*fields)
    await tx.many("insert_agent_tasks", made)
    return [numbered.get(one.claim.run_id, one) for one in taken]


def _delivery(claim: Claim, row: Row, tasks: Mapping[int, str | None]) -> Delivery:
    _, uuid, cron_id, cron_name, number, token, task, success = row
    if task is None:
        task = tasks[claim.target_id]
    return Delivery(claim, uuid, number, token, task or "", success is not None, cron_id, cron_name)


def _task(row: Row) -> Task:
    number, uuid, token, cron_source, kind, task, ended_at, success, error, result = row
    ended = None if success is None else int(ended_at)
    good = None if success is None else bool(success)
    return Task(number, uuid, token, cron_source, kind, task, ended, good, error, result)


def _where(asked: AskedTasks) -> dict[str, object]:
    hidden = [*asked.hidden, *[""] * _HIDDEN][:_HIDDEN]
    return {
        "number": asked.number,
        "uuid": asked.uuid,
        "since": asked.since,
        "until": asked.until,
        "success": asked.state,
        "kind": asked.kind,
        "cron_source": asked.cron_source,
        **{f"hidden{at}": kind for at, kind in enumerate(hidden, 1)},
    }


def _target(target_id: int, item: NewTask) -> Target:
    return Target(
        id=target_id,
        kind="agent",
        address=item.address,
        origin=item.address,
        method="POST",
        payload=item.payload,
        headers=None,
        secret=None,
        signature_style="body",
        timeout_ms=TIMEOUT_S_DEFAULT * SECOND,
        retry=0,
        retry_delays_ms=None,
        expect=None,
        on_failure=None,
    )
