"""The four calls: each takes a batch of items and answers one result per item, in order.

Items go to the core some hundreds at a time: those share a transaction and a sync, and other requests get their turn in
between. What is wrong with one item is that item's result alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from mainspring.core import runs, schedules
from mainspring.core.drafts import Draft
from mainspring.core.errors import Refused, Unavailable
from mainspring.core.idempotency import Once, Replay
from mainspring.core.ids import KEY_MAX
from mainspring.core.limits import CRONTAB_LOG_DEFAULT, CRONTAB_LOG_MAX
from mainspring.core.model import Entry
from mainspring.core.ports import Core
from mainspring.doors.crontab.answers import TaskResult, done, failed, log_row
from mainspring.doors.crontab.reading import IDENTITY, PARAMETER, SYSTEM, Item, Wrong, item_of, number_of, text_of
from mainspring.doors.crontab.translate import Asked, asked_of, changed_draft, new_draft, wrong_of

SLICE = 200

T = TypeVar("T")


class Caller(msgspec.Struct, frozen=True):
    """On whose behalf, when, and in which zone. `report`: an unexpected error. `once`: for the audit log."""

    core: Core
    project: str
    now: int
    zone: str
    report: Callable[[BaseException], None]
    once: Once


class Found(msgspec.Struct, frozen=True):
    """An item and the tasks it is about: one by number; by name the one that has it, and those that had it before."""

    item: Item
    asked: Asked
    entries: tuple[Entry, ...]

    @property
    def entry(self) -> Entry:
        """The one that has the name, else the newest that had it."""
        return max(self.entries, key=lambda entry: (_has_its_name(entry), entry.schedule.number))


class Lost(msgspec.Struct, frozen=True):
    """An item that is about no task, and why."""

    asked: Asked
    wrong: Wrong


async def add_task(caller: Caller, items: Sequence[Raw], _: Item) -> dict[str, Any]:
    """Make tasks; their names are unique in the project."""

    async def add(raw: Raw) -> Entry:
        draft = new_draft(item_of(raw), caller.zone)
        return _fresh(await schedules.create(caller.core, caller.now, caller.project, "cron", draft, caller.once))

    slices = (items[at : at + SLICE] for at in range(0, len(items), SLICE))
    return {"task_result": await _in_slices(caller, slices, _named_in, add)}


async def update_task(caller: Caller, items: Sequence[Raw], _: Item) -> dict[str, Any]:
    """Change what each item names; several items about one task take effect in their order."""

    async def update(one: Found | Lost) -> Entry:
        found = _there(one)
        key, project = found.entry.schedule.id, caller.project

        def draft(entry: Entry) -> Draft:
            return changed_draft(found.item, entry)

        return _fresh(await schedules.update(caller.core, caller.now, project, "cron", key, draft, caller.once))

    slices = _without_repeats(await _found(caller, items))
    return {"task_result": await _in_slices(caller, slices, _asked_in, update)}


async def run_again_task(caller: Caller, items: Sequence[Raw], _: Item) -> dict[str, Any]:
    """Start a run of each now, also of those that are off."""

    async def again(one: Found | Lost) -> Entry:
        entry = _there(one).entry
        await schedules.trigger(caller.core, caller.project, "cron", entry.schedule.id, None, None)
        return entry

    found = await _found(caller, items)
    slices = (found[at : at + SLICE] for at in range(0, len(found), SLICE))
    return {"task_result": await _in_slices(caller, slices, _asked_in, again)}


async def query_task_status(caller: Caller, items: Sequence[Raw], rest: Item) -> dict[str, Any]:
    """The attempts of these tasks, newest first; by name also those of earlier tasks that had it. Raises `Wrong`."""
    limit, before = number_of(rest, "limit"), number_of(rest, "before_id")
    if limit is not None and not 1 <= limit <= CRONTAB_LOG_MAX:
        raise Wrong(PARAMETER, f"limit is {limit}; use 1 to {CRONTAB_LOG_MAX}")
    found = await _found(caller, items)
    entries = {entry.schedule.id: entry for one in found if isinstance(one, Found) for entry in one.entries}
    rows = []
    if entries:
        last = KEY_MAX if before is None else before
        logged = await runs.attempts(caller.core, list(entries), last, limit or CRONTAB_LOG_DEFAULT)
        rows = [log_row(attempt, entries[attempt.schedule_id], caller.zone) for attempt in logged]
    results = [done(one.entry) if isinstance(one, Found) else failed(one.asked, one.wrong) for one in found]
    return {"log_list": rows, "task_result": results}


async def _found(caller: Caller, items: Sequence[Raw]) -> list[Found | Lost]:
    """The tasks that the items are about, looked up together."""
    read: list[tuple[Item, Asked] | Lost] = []
    for raw in items:
        try:
            item = item_of(raw)
            read.append((item, asked_of(item)))
        except Wrong as wrong:
            read.append(Lost(_named_in(raw), wrong))
    asked = [one[1] for one in read if isinstance(one, tuple)]
    numbers = sorted({one.task_id for one in asked if one.task_id is not None})
    names = sorted({one.name for one in asked if one.task_id is None and one.name is not None})
    by_number: dict[int, list[Entry]] = {}
    by_name: dict[str, list[Entry]] = {}
    for entry in await schedules.crontab_tasks(caller.core, caller.project, numbers, names):
        assert entry.crontab is not None, "found among those made at this door"
        by_number[entry.schedule.number] = [entry]
        by_name.setdefault(entry.crontab.name, []).append(entry)
    found: list[Found | Lost] = []
    for one in read:
        if isinstance(one, Lost):
            found.append(one)
            continue
        item, who = one
        tasks = by_number.get(who.task_id, []) if who.task_id is not None else by_name.get(who.name or "", [])
        found.append(Found(item, who, tuple(tasks)) if tasks else Lost(who, _no_such(who)))
    return found


def _no_such(asked: Asked) -> Wrong:
    what = f"task_id {asked.task_id}" if asked.task_id is not None else "this name"
    return Wrong(IDENTITY, f"there is no task with {what}")


def _there(one: Found | Lost) -> Found:
    if isinstance(one, Lost):
        raise one.wrong
    return one


def _fresh(made: Entry | Replay) -> Entry:
    assert not isinstance(made, Replay), "there was no idempotency key"
    return made


def _has_its_name(entry: Entry) -> bool:
    return entry.crontab is not None and entry.crontab.superseded_at is None


def _named_in(raw: Raw) -> Asked:
    """What a result can repeat of an item, whatever is wrong with it."""
    try:
        return Asked(None, text_of(item_of(raw), "name"))
    except Wrong:
        return Asked(None, None)


def _asked_in(one: Found | Lost) -> Asked:
    return one.asked


def _without_repeats(found: Sequence[Found | Lost]) -> Iterator[list[Found | Lost]]:
    """In slices in which no task is twice: of two changes of one task, the first is made before the second."""
    part: list[Found | Lost] = []
    within: set[int] = set()
    for one in found:
        key = one.entry.schedule.id if isinstance(one, Found) else None
        if len(part) == SLICE or key in within:
            yield part
            part, within = [], set()
        part.append(one)
        if key is not None:
            within.add(key)
    if part:
        yield part


async def _in_slices(
    caller: Caller,
    slices: Iterator[Sequence[T]],
    asked_in: Callable[[T], Asked],
    work: Callable[[T], Awaitable[Entry]],
) -> list[TaskResult]:
    """A result per item. Raises `Unavailable` when the store is away and nothing was done; when it goes away on the
    way, what is left is not tried."""
    results: list[TaskResult] = []
    away: Unavailable | None = None
    for part in slices:
        ended = [away] * len(part) if away else await asyncio.gather(*(_tried(caller, work, one) for one in part))
        if away is None and all(isinstance(one, Unavailable) for one in ended):
            away = next(one for one in ended if isinstance(one, Unavailable))
            if not results:
                raise away
        for item, one in zip(part, ended, strict=True):
            if isinstance(one, Entry):
                results.append(done(one))
            else:
                results.append(failed(asked_in(item), wrong_of(one) if isinstance(one, Refused) else one))
    return results


async def _tried(caller: Caller, work: Callable[[T], Awaitable[Entry]], item: T) -> Entry | Wrong | Refused:
    try:
        return await work(item)
    except (Wrong, Refused) as error:
        return error
    except Exception as error:  # noqa: BLE001  # a bug of ours is one item's result, and must be told
        caller.report(error)
        return Wrong(SYSTEM, "something went wrong on this server; its log has more")
