"""Which runs the list is about: filters as they stand in addresses, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import msgspec

from mainspring.core import ids
from mainspring.core.model import RunState, Trigger
from mainspring.core.views.runs import NAMED_MAX, NamedSchedule, RunFilter
from mainspring.doors.console.run_query import moments
from mainspring.doors.console.visit import Visit, one_of

STATES: tuple[RunState, ...] = get_args(RunState)
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)
TRIGGER_LABELS: dict[Trigger, str] = {
    "schedule": "Schedule",
    "manual": "By hand",
    "catchup": "Catch-up",
    "replay": "Replay",
}
TEXTS = (
    *("queued", "running", "retrying", "succeeded", "failed", "cancelled"),
    *TRIGGER_LABELS.values(),
)
NAMES = ("state", "trigger", "q", "cron_id", "since", "until")


class Asked(msgspec.Struct, frozen=True):
    """What somebody asked for. `query`: how the address says it; `named`: the schedules that a text stands for, None
    when there was none; `schedule`: the one that was picked; `faults`: by field, what cannot be read."""

    filters: RunFilter
    query: Mapping[str, str]
    named: list[NamedSchedule] | None
    schedule: NamedSchedule | None
    faults: Mapping[str, str]

    @property
    def nothing(self) -> bool:
        """Whether no run can be meant."""
        picked = "cron_id" in self.query
        return (self.named is not None and not self.named) or (picked and self.schedule is None)


def schedule_key(public: str) -> int | None:
    """The key of a cron job's or a task's id."""
    return ids.key_of("cron", public) or ids.key_of("task", public)


async def asked_of(visit: Visit, given: Mapping[str, str]) -> Asked:
    """The filters in the address, or in a form that repeats them; schedules are looked up by their names."""
    query = {name: given[name].strip() for name in NAMES if given.get(name, "").strip()}
    state = one_of(query.get("state"), STATES)
    trigger = one_of(query.get("trigger"), TRIGGERS)
    since, until, faults = moments(visit, query)
    schedules: tuple[int, ...] = ()
    named, schedule = None, None
    views = visit.core.store.views.runs
    if "cron_id" in query:
        key = schedule_key(query["cron_id"])
        schedule = None if key is None else await views.schedule(visit.project, key)
        schedules = (schedule.id,) if schedule is not None else ()
    elif "q" in query:
        named = await views.named(visit.project, query["q"][:200], NAMED_MAX + 1)
        schedules = tuple(one.id for one in named[:NAMED_MAX])
    filters = RunFilter(
        state=state,
        trigger=trigger,
        schedules=schedules,
        since=since,
        until=until,
    )
    return Asked(filters, query, named, schedule, faults)
