"""Schedules by name, the agents they are for, and what became of their fires."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.core.crontab_results_model import Asked, NewResult, Result
from mainspring.core.limits import PRUNE_BATCH
from mainspring.core.model import Entry
from mainspring.store import rows
from mainspring.store.db import Db, Row, Tx, again_after_collisions

EVER = 1 << 62


class CrontabStore:
    """Crontabs by name and number."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def by_name(self, project: str, name: str) -> Entry | None:
        """The oldest of those with this name."""
        found = await self._db.read("find_by_name", project=project, name=name)
        return rows.entry(found[0]) if found else None

    async def by_number(self, project: str, number: int) -> Entry | None:
        found = await self._db.read("find_by_number", project=project, number=number)
        return rows.entry(found[0]) if found else None

    async def page(self, project: str, after: int, limit: int) -> list[tuple[Entry, bool]]:
        """Those that are not for HTTP, by number, from `after` on; with whether an older one has the name."""
        found = await self._db.scan("page_of_lanes", project=project, after=after, limit=limit)
        return [(rows.entry(row[:-1]), bool(row[-1])) for row in found]

    async def agents(self) -> list[str]:
        """The UUIDs of agents that are known, in order."""
        return [row[0] for row in await self._db.scan("known_agents")]


class CrontabResultStore:
    """What became of each fire. One method, one transaction."""

    def __init__(self, db: Db) -> None:
        self._db = db

    @again_after_collisions
    async def add(self, items: Sequence[NewResult]) -> None:
        """Write them down; of a run that is there already, nothing."""
        async with self._db.transaction() as tx:
            await write_results(tx, items)

    async def page(self, asked: Asked) -> list[Result]:
        """Newest first."""
        found = await self._db.scan("page_crontab_results", **_where(asked), limit=asked.limit)
        return [_result(row) for row in found]

    @again_after_collisions
    async def delete(self, asked: Asked) -> int:
        """Delete the newest of those asked for; how many went, at most some hundreds at a time."""
        async with self._db.transaction() as tx:
            limit = min(asked.limit, PRUNE_BATCH)
            return len(await tx.fetch("delete_crontab_results", **_where(asked), limit=limit))

    async def newest(self) -> int | None:
        """When the last one was written."""
        [(instant,)] = await self._db.read("newest_crontab_result")
        return None if instant is None else int(instant)

    @again_after_collisions
    async def trim(self, before: int) -> int:
        """Delete some of those written before; how many went, 0 when there are no more."""
        async with self._db.transaction() as tx:
            return len(await tx.fetch("trim_crontab_results", before=before, limit=PRUNE_BATCH))


def _result(row: Row) -> Result:
    number, cron_id, cron_name, relative_id, run_time, success, message = row
    return Result(number, cron_id, cron_name, relative_id, run_time, bool(success), message)


def _where(asked: Asked) -> dict[str, object]:
    return {
        "id": asked.number,
        "cron_id": asked.cron_id,
        "cron_name": asked.cron_name,
        "since": asked.since,
        "until": asked.until,
        "success": None if asked.success is None else int(asked.success),
    }


async def write_results(tx: Tx, items: Sequence[NewResult]) -> None:
    """Write results down within a transaction."""
    if not items:
        return
    [(last,)] = await tx.fetch("take_numbers", name="crontab_results", count=len(items))
    rows_of = [_row(number, one) for number, one in enumerate(items, last - len(items) + 1)]
    await tx.many("insert_crontab_results", rows_of)


def _row(number: int, one: NewResult) -> Row:
    what = number, one.run_id, one.cron_id, one.cron_name, one.relative_id
    return *what, one.run_time, int(one.success), one.message
