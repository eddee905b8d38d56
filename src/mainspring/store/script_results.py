"""What became of the runs of scripts."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.core import cron_types
from mainspring.core.crontab_results_model import NewResult
from mainspring.core.ids import KeySource
from mainspring.core.limits import PRUNE_BATCH
from mainspring.core.model import Target
from mainspring.core.script_results_model import AskedResults, NewScriptResult, ScriptResult, Waiting
from mainspring.store import rows
from mainspring.store.crontabs import write_results
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.horizon import Horizon

LOST = "JavaScript runtime execution failed: interrupted"
_ADDRESS = "mainspring:server/js_worker"


class ScriptResultStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, horizon: Horizon) -> None:
        self._db = db
        self._keys = keys
        self._horizon = horizon

    @again_after_collisions
    async def enqueue(self, now: int, project: str, item: NewScriptResult) -> int:
        """A run in lane `script`, and the record of what will become of it; the record's number."""
        with self._horizon.writing(self._keys.next(now), now):
            async with self._db.transaction() as tx:
                target_id, run_id = self._keys.take(now, 2)
                made = (run_id, None, project, "script", cron_types.SCRIPT, "manual", 0, now, now)
                await tx.many("insert_targets", [rows.of_target(_target(target_id), None)])
                await tx.many("insert_runs", [(*made, target_id, _ADDRESS, None, now)])
                return await _insert(tx, run_id, item)

    async def waiting(self, run_ids: Sequence[int]) -> dict[int, Waiting]:
        """What these runs are about, as far as that is on record already."""
        found = await self._db.read_in("waiting_scripts", [(run_id,) for run_id in run_ids])
        return {row[0]: _waiting(row[1:]) for row in found}

    @again_after_collisions
    async def begin(self, number: int, ends_by: int) -> None:
        """It is under way, and over by then."""
        async with self._db.transaction("soon") as tx:
            await tx.fetch("begin_script", number=number, ends_by=ends_by)

    @again_after_collisions
    async def begin_fired(self, now: int, run_id: int, schedule_id: int, item: NewScriptResult) -> Waiting:
        """The record of a run that a crontab has fired, and the crontab's own record that it has."""
        async with self._db.transaction() as tx:
            number = await _insert(tx, run_id, item)
            said = f"已触发 JsWorker 定时任务，脚本名：{item.script_name}，relative_id：{number}"
            await _of_crontab(tx, now, run_id, schedule_id, number, said)
            return Waiting(number, item.script_name, item.run_type, item.param, None)

    @again_after_collisions
    async def refuse_fired(self, now: int, run_id: int, schedule_id: int, why: str, name: str) -> None:
        """A crontab fired, and there was nothing to run."""
        async with self._db.transaction() as tx:
            said = f"触发 JsWorker 定时任务失败，脚本名：{name}，错误：{why}"
            await _of_crontab(tx, now, run_id, schedule_id, None, said)

    @again_after_collisions
    async def begin_inline(self, item: NewScriptResult) -> int:
        """The record of a script that another one has called."""
        async with self._db.transaction("soon") as tx:
            return await _insert(tx, None, item)

    @again_after_collisions
    async def finish(self, number: int, now: int, result: bytes | None, error: str | None) -> None:
        """How it ended."""
        said = None if result is None else result.decode()
        async with self._db.transaction() as tx:
            await tx.fetch("finish_script", number=number, now=now, result=said, error=error)

    @again_after_collisions
    async def abandon(self, now: int) -> None:
        """At the start of a lone node: whatever was under way is over."""
        async with self._db.transaction() as tx:
            await tx.fetch("abandon_scripts", now=now, error=LOST)

    async def page(self, now: int, asked: AskedResults) -> list[ScriptResult]:
        """Newest first."""
        found = await self._db.scan("page_script_results", lost=LOST, limit=asked.limit, **_where(now, asked))
        return [_result(row) for row in found]

    @again_after_collisions
    async def delete(self, now: int, asked: AskedResults) -> int:
        """Delete the newest of those asked for; how many went, at most some hundreds at a time."""
        async with self._db.transaction() as tx:
            limit = min(asked.limit, PRUNE_BATCH)
            return len(await tx.fetch("delete_script_results", limit=limit, **_where(now, asked)))

    @again_after_collisions
    async def prune(self, before: int) -> int:
        """Delete some of those that began before; how many went."""
        async with self._db.transaction() as tx:
            return len(await tx.fetch("prune_script_results", before=before, limit=PRUNE_BATCH))


async def _insert(tx: Tx, run_id: int | None, item: NewScriptResult) -> int:
    [(number,)] = await tx.fetch("take_numbers", name="script_results", count=1)
    inserted = await tx.fetch(
        "insert_script_result",
        number=number,
        run_id=run_id,
        script_number=item.script_number,
        script_name=item.script_name,
        run_type=item.run_type,
        start_time=item.start_time,
        ends_by=item.ends_by,
        param=item.param.decode(),
        env=item.env,
    )
    assert inserted, "a run has one record"
    return int(number)


async def _of_crontab(tx: Tx, now: int, run_id: int, schedule_id: int, number: int | None, said: str) -> None:
    for cron_id, name in await tx.fetch("schedule_called", id=schedule_id):
        await write_results(tx, [NewResult(run_id, cron_id, name, number, now, number is not None, said)])


def _target(target_id: int) -> Target:
    """A script is run once, whatever happens to it."""
    return Target(
        id=target_id,
        kind="script",
        address=_ADDRESS,
        origin=_ADDRESS,
        method="POST",
        payload=None,
        headers=None,
        secret=None,
        signature_style="body",
        timeout_ms=0,
        retry=0,
        retry_delays_ms=None,
        expect=None,
        on_failure=None,
    )


def _waiting(row: Row) -> Waiting:
    number, name, run_type, param, env = row
    return Waiting(number, name, run_type, param.encode(), env)


def _result(row: Row) -> ScriptResult:
    number, script_number, name, run_type, started, finished, param, result, error = row
    said = None if result is None else result.encode()
    return ScriptResult(number, script_number, name, run_type, started, finished, param.encode(), said, error)


def _where(now: int, asked: AskedResults) -> dict[str, object]:
    return {
        "now": now,
        "id": asked.number,
        "script_number": asked.script_number,
        "script_name": asked.script_name,
        "run_type": asked.run_type,
        "since": asked.since,
        "until": asked.until,
        "finished_since": asked.finished_since,
        "finished_until": asked.finished_until,
        "state": asked.state,
    }
