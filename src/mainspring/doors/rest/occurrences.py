"""The occurrence ledger over REST: runs and gaps of one cron job, merged newest first."""

from __future__ import annotations

import heapq
from typing import assert_never

from mainspring.core import ids, schedules
from mainspring.core.instants import iso
from mainspring.core.limits import INSTANT_MAX
from mainspring.core.model import Gap, GapOutcome
from mainspring.doors.rest.calls import Call, cut, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.requests import Nothing, PageQuery
from mainspring.doors.rest.results import OccurrencePage, OccurrenceRecord, Outcome

# A run and a gap that begin at one instant (an edit after the clock stepped back) may stand on two pages.
_SPARE = 8

_Row = tuple[int, int, OccurrenceRecord]


async def page(call: Call[Nothing, PageQuery]) -> OccurrencePage:
    """What became of every instant at which the job was due, newest first."""
    schedule_id = row_key("cron", call.path[0])
    where = page_of(call.query, Listing.OCCURRENCES, 2)
    await schedules.get(call.core, call.project, "cron", schedule_id)
    before = INSTANT_MAX + 1 if where.before is None else where.before[0] + 1
    most = where.limit + _SPARE
    ran = [_ran(*row) for row in await call.core.store.schedules.occurrences(schedule_id, before, most)]
    gaps = [_gap(gap) for gap in await call.core.store.schedules.gaps(schedule_id, before, most)]
    merged = heapq.merge(ran, gaps, key=_order, reverse=True)
    rows = [row for row in merged if where.before is None or _order(row) < where.before]
    shown, following = cut(rows, call.query, Listing.OCCURRENCES, _order)
    return OccurrencePage([record for _, _, record in shown], following)


def _order(row: _Row) -> tuple[int, int]:
    return row[0], row[1]


def _ran(scheduled_for: int, trigger: str, run_id: int) -> _Row:
    outcome: Outcome = "caught_up" if trigger == "catchup" else "ran"
    instant = iso(scheduled_for)
    record = OccurrenceRecord(
        scheduled_for=instant,
        outcome=outcome,
        run_id=ids.text("run", run_id),
        reason=None,
        from_=instant,
        to=instant,
        count=1,
    )
    return scheduled_for, run_id, record


def _gap(gap: Gap) -> _Row:
    record = OccurrenceRecord(
        scheduled_for=iso(gap.from_at),
        outcome=_outcome(gap.outcome),
        run_id=None,
        reason=gap.reason,
        from_=iso(gap.from_at),
        to=iso(gap.to_at),
        count=gap.count,
    )
    return gap.from_at, gap.id, record


def _outcome(outcome: GapOutcome) -> Outcome:
    match outcome:
        case "skipped" | "missed":
            return outcome
        case _ as never:
            assert_never(never)
