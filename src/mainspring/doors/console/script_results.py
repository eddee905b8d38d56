"""What became of runs of scripts: a list, and one of them whole."""

from __future__ import annotations

from starlette.responses import Response

from mainspring.core import scripts
from mainspring.core.errors import Invalid, NotFound
from mainspring.core.instants import parse_iso
from mainspring.core.script_results_model import AskedResults
from mainspring.core.scripts_model import HANDLERS
from mainspring.core.views.scripts import AskedPage, RanState
from mainspring.doors.console.routing import Page
from mainspring.doors.console.scripts import PAGES_BY_NAME, path_of
from mainspring.doors.console.settings_rights import only_admins
from mainspring.doors.console.visit import Visit, one_of

PAGE = 50
STATES: tuple[RanState, ...] = ("success", "failure", "running")
_NUMBER_DIGITS_MAX = 15


async def page(visit: Visit) -> Response:
    """Newest first."""
    only_admins(visit)
    query = {name: visit.query.get(name, "").replace("\0", "") for name in ("name", "cursor", "since")}
    state, run_type = one_of(visit.query.get("state"), STATES), one_of(visit.query.get("run_type"), HANDLERS)
    query |= {"state": state or "", "run_type": run_type or ""}
    before_at, before = _place(query["cursor"])
    fault = None
    try:
        since = parse_iso(query["since"], "since") if query["since"] else 0
    except Invalid as invalid:
        since, fault = 0, invalid
    asked = AskedPage(
        name=query["name"] or None,
        run_type=run_type,
        state=state,
        since=since,
        before_at=before_at,
        before=before,
        limit=PAGE + 1,
    )
    found = await visit.core.store.views.scripts.results(visit.now, asked)
    last = found[PAGE - 1] if len(found) > PAGE else None
    return visit.show(
        "script_results.html",
        200 if fault is None else 422,
        rows=[(one, path_of(one.script_name)) for one in found[:PAGE]],
        filters=query,
        fault=fault,
        states=STATES,
        run_types=tuple(HANDLERS),
        next_cursor=None if last is None else f"{last.started_at}-{last.number}",
    )


async def detail(visit: Visit) -> Response:
    """One run."""
    only_admins(visit)
    text = visit.path["number"]
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS_MAX else 0
    found = await scripts.results(visit.core, visit.now, AskedResults(number=number, limit=1))
    if not found:
        raise NotFound("there is no such result", hint="Results are kept for 30 days.")
    return visit.show("script_result.html", result=found[0], path=path_of(found[0].script_name))


async def delete(visit: Visit) -> Response:
    """Delete those that are picked."""
    only_admins(visit)
    numbers = {
        int(one) for one in visit.picked("pick") if one.isascii() and one.isdigit() and len(one) <= _NUMBER_DIGITS_MAX
    }
    gone = 0
    for number in numbers:
        gone += await scripts.delete_results(visit.core, visit.now, AskedResults(number=number, limit=1))
    return visit.back(visit.whence("/scripts/-/results"), "{count} results deleted", count=gone)


def _place(cursor: str) -> tuple[int, int]:
    at, _, number = cursor.partition("-")
    if at.isascii() and at.isdigit() and number.isascii() and number.isdigit() and len(cursor) <= 32:
        return min(int(at), 1 << 53), min(int(number), 1 << 53)
    return 1 << 53, 1 << 53


PAGES = (
    Page("GET", "/scripts/-/results", page),
    Page("POST", "/scripts/-/results", delete),
    Page("GET", "/scripts/-/results/{number}", detail),
    *PAGES_BY_NAME,
)
