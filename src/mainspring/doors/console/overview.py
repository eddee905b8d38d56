"""The first screen: what fails, what comes, what waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from starlette.responses import Response

from mainspring.core import ids, sample_schedules, tokens
from mainspring.core.instants import iso
from mainspring.core.limits import DAY, HOUR, MINUTE, SECOND, WALKED_MAX
from mainspring.core.ports import Store
from mainspring.core.views.overview import EndpointCounts, MessageCounts, RunCounts, ScheduleCounts
from mainspring.doors.console.overview_charts import SPANS, shown, span_of
from mainspring.doors.console.overview_hours import HOURS, Hours, fires_by_hour
from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit

_FAILING = 20
_UPCOMING = 500
_SHOWN_FIRST = 20
_DEEPEST = 10
_COUNTS_LIFE = 5 * SECOND
_HOURS_LIFE = MINUTE
_PROJECTS_KEPT = 1_000
_LABEL_EVERY = 3
_FIRST = """curl -X POST {home}/v1/cron/create \\
  -H "Authorization: Bearer $MAINSPRING_API_KEY" -H "Content-Type: application/json" \\
  -d '{{"name": "hello", "cron_expr": "*/5 * * * *", "task": "https://example.com/hook"}}'"""


class Counts(msgspec.Struct, frozen=True):
    """What the tiles show, as it was at `made_at`."""

    made_at: int
    schedules: ScheduleCounts
    runs: RunCounts
    messages: MessageCounts
    endpoints: EndpointCounts


class _Kept:
    """What was counted lately, by project."""

    def __init__(self) -> None:
        self.counts: dict[str, Counts] = {}
        self.hours: dict[str, tuple[int, tuple[int, int], Hours]] = {}


_kept: WeakKeyDictionary[Store, _Kept] = WeakKeyDictionary()


async def page(visit: Visit) -> Response:
    """The screen, as far as the caller's key goes."""
    counts = await _counts(visit)
    values: dict[str, Any] = {
        "counts": counts,
        "sees_schedules": visit.may("cron:read"),
        "sees_queues": visit.may("queue:consume") or visit.may("queue:publish"),
        "sees_endpoints": visit.may("webhook:read"),
        "agents_online": None,
        "many": WALKED_MAX,
        "deepest": [],
        "samples": [],
        "first_steps": False,
        "iso": iso,
    }
    views = visit.core.store.views.overview
    if visit.project == tokens.BOOTSTRAP_PROJECT and visit.may("admin"):
        values["agents_online"] = await views.agents_online(visit.now)
    if values["sees_queues"]:
        values["deepest"] = await views.deepest(visit.project, _DEEPEST)
    if values["sees_schedules"]:
        values |= await _of_schedules(visit, counts)
        values["first_steps"] = not (counts.schedules.all or counts.messages.queues or values["upcoming"])
    host = visit.request.url
    values["first_curl"] = _FIRST.format(home=f"{host.scheme}://{host.netloc}{visit.base.removesuffix('/console')}")
    return visit.show("overview.html", **values)


async def upcoming(visit: Visit) -> Response:
    """The part of the screen with what is due after what is shown first."""
    tokens.require(visit.principal, "cron:read")
    found = await visit.core.store.views.overview.upcoming(visit.project, visit.now + DAY, _UPCOMING)
    return visit.show("overview_upcoming.html", upcoming=found[_SHOWN_FIRST:], id_of=ids.text, iso=iso)


async def delete_samples(visit: Visit) -> Response:
    """Both of the schedules that a new server of `mainspring dev` begins with."""
    for entry in await sample_schedules.left(visit.core, visit.project):
        await visit.call("cron.delete", ids.text("cron", entry.schedule.id))
    _forget(visit)
    return visit.back("", "The samples are deleted.")


async def trigger(visit: Visit) -> Response:
    """Run one of those that fail."""
    await visit.call("cron.trigger", visit.path["id"])
    _forget(visit)
    return visit.back(visit.whence(""), "It runs now.")


async def _of_schedules(visit: Visit, counts: Counts) -> dict[str, Any]:
    views, now = visit.core.store.views.overview, visit.now
    span = span_of(visit.query.get("span"))
    hours = await _hours(visit, counts.schedules)
    points = await views.fires(visit.project, span.since(now), span.step_ms)
    zone = visit.zone or UTC
    begins = [datetime.fromtimestamp((hours.since + hour * HOUR) / 1000, zone).strftime("%H:%M") for hour in range(25)]
    return {
        "failing": await views.failing(visit.project, _FAILING),
        "upcoming": await views.upcoming(visit.project, now + DAY, _UPCOMING),
        "shown_first": _SHOWN_FIRST,
        "hours": hours,
        "begins": begins,
        "label_every": _LABEL_EVERY,
        "zone_name": "UTC" if visit.preferences.zone != "server" else visit.server_zone,
        "span": span,
        "spans": SPANS,
        "charts": shown(points, span, now, visit.say),
        "samples": await sample_schedules.left(visit.core, visit.project),
        "id_of": ids.text,
    }


async def _counts(visit: Visit) -> Counts:
    """At most 5 s old."""
    kept = _kept.setdefault(visit.core.store, _Kept())
    found = kept.counts.get(visit.project)
    if found is not None and 0 <= visit.now - found.made_at < _COUNTS_LIFE:
        return found
    views = visit.core.store.views.overview
    counted = await asyncio.gather(
        views.schedules(visit.project),
        views.runs(visit.project, visit.now),
        views.messages(visit.project),
        views.endpoints(visit.project, visit.now),
    )
    counts = Counts(visit.now, *counted)
    _make_room(kept)
    kept.counts[visit.project] = counts
    return counts


async def _hours(visit: Visit, schedules: ScheduleCounts) -> Hours:
    """At most a minute old, and of as many schedules as there are now."""
    kept = _kept.setdefault(visit.core.store, _Kept())
    of = schedules.all, schedules.enabled
    found = kept.hours.get(visit.project)
    if found is not None and found[1] == of and 0 <= visit.now - found[0] < _HOURS_LIFE:
        return found[2]
    views, now = visit.core.store.views.overview, visit.now
    since = now - now % HOUR
    until = since + HOURS * HOUR
    alike = await views.alike(visit.project, until, WALKED_MAX)
    once = await views.once(visit.project, since, until, WALKED_MAX)
    many = schedules.all > WALKED_MAX
    hours = fires_by_hour(now, alike, once, share=WALKED_MAX / schedules.all if many else 1.0, cut=many)
    kept.hours[visit.project] = now, of, hours
    return hours


def _make_room(kept: _Kept) -> None:
    if len(kept.counts) >= _PROJECTS_KEPT:
        kept.counts.clear()
        kept.hours.clear()


def _forget(visit: Visit) -> None:
    """What was just done is to be seen."""
    _kept.setdefault(visit.core.store, _Kept()).counts.pop(visit.project, None)


PAGES = (
    Page("GET", "/", page),
    Page("GET", "/overview/upcoming", upcoming),
    Page("POST", "/overview/samples/delete", delete_samples),
    Page("POST", "/overview/run/{id}", trigger),
)
