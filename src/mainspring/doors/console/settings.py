"""Settings: what this server is, and how long it keeps what."""

from __future__ import annotations

from starlette.responses import Response

from mainspring.core import zone_data
from mainspring.core.limits import (
    DELIVERY_DAYS,
    HOUR,
    IDEMPOTENCY_WINDOW,
    MESSAGE_RETENTION_DAYS_DEFAULT,
    MESSAGE_RETENTION_DAYS_MAX,
    PUSH_LOG_DAYS,
    PUSH_LOG_ROWS,
    RETENTION_DAYS_DEFAULT,
    RETENTION_RUNS_DEFAULT,
    SAMPLE_DAYS,
)
from mainspring.core.views.settings import COUNTED_MOST
from mainspring.doors.console.routing import Page
from mainspring.doors.console.settings_rights import only_admins
from mainspring.doors.console.settings_vendored import vendored
from mainspring.doors.console.visit import Visit

DATABASES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


async def page(visit: Visit) -> Response:
    """About this server; that of its whole database only for those who may see all of it."""
    views = visit.core.store.views.settings
    return visit.show(
        "settings.html",
        database=DATABASES[views.database],
        nodes=await views.nodes() if visit.may("admin") else [],
        facts=visit.facts,
        roles=sorted(visit.facts.roles),
        uptime=max(0, visit.now - visit.started_at),
        zone_version=zone_data.version(),
        vendored=vendored(),
    )


async def retention(visit: Visit) -> Response:
    """What is kept how long, and how much of it there is."""
    only_admins(visit)
    views = visit.core.store.views.settings
    return visit.show(
        "settings_retention.html",
        kept=_kept(visit, await views.rows()),
        most=COUNTED_MOST,
        size=await views.size(),
    )


def _kept(visit: Visit, rows: dict[str, int]) -> list[tuple[str, int | None, str, str]]:
    """What, how many rows, for how long, and where that is set."""
    days, say = visit.say("{days} days", days=RETENTION_DAYS_DEFAULT), visit.say
    by_schedule = say(
        "{days} days or {count} runs, by schedule", days=RETENTION_DAYS_DEFAULT, count=f"{RETENTION_RUNS_DEFAULT:,}"
    )
    by_queue = say(
        "{days} days, by queue up to {most}", days=MESSAGE_RETENTION_DAYS_DEFAULT, most=MESSAGE_RETENTION_DAYS_MAX
    )
    fixed, each = say("fixed"), say("each schedule")
    return [
        (say("Runs and their ledger"), rows["runs"], by_schedule, each),
        (say("Attempts"), rows["attempts"], say("as long as their run"), each),
        (say("Deleted schedules"), None, days, fixed),
        (say("Messages"), rows["messages"], by_queue, say("each queue")),
        (say("Dead letters"), rows["dead"], by_queue, say("each queue")),
        (
            say("Pushes"),
            rows["pushes"],
            say("{days} days, {count} of each", days=PUSH_LOG_DAYS, count=f"{PUSH_LOG_ROWS:,}"),
            fixed,
        ),
        (say("Webhook deliveries"), rows["deliveries"], say("{days} days", days=DELIVERY_DAYS), fixed),
        (say("Tasks of agents"), rows["tasks"], days, fixed),
        (say("Results of scripts"), rows["results"], days, fixed),
        (
            say("Results of crontabs"),
            rows["crontab_results"],
            say("until clean_up_database removes them"),
            "database_limit_crontab_result",
        ),
        (
            say("Audit log"),
            rows["audit"],
            say("{days} days", days=visit.facts.audit_days),
            "MAINSPRING_AUDIT_DAYS",
        ),
        (say("Idempotency keys"), rows["idempotency"], say("{hours} hours", hours=IDEMPOTENCY_WINDOW // HOUR), fixed),
        (say("Samples for charts"), rows["samples"], say("{days} days", days=SAMPLE_DAYS), fixed),
    ]


PAGES = (
    Page("GET", "/settings", page),
    Page("GET", "/settings/retention", retention),
)
