"""What a cron expression means and when it fires next, without making a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import UNSET

from mainspring.core import cron
from mainspring.core.drafts import check_timezone, parse_expression
from mainspring.core.errors import Invalid
from mainspring.core.instants import iso, parse_iso
from mainspring.doors.rest.calls import Call
from mainspring.doors.rest.requests import Nothing, PreviewQuery
from mainspring.doors.rest.results import Description, Fire, Preview

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def preview(call: Call[Nothing, PreviewQuery]) -> Preview:
    """The next fires of an expression, in UTC and local time, and the expression in words."""
    query = call.query
    if query.cron_expr is UNSET:
        raise Invalid("cron_expr is missing", hint='Give one like "0 9 * * *".', field="cron_expr")
    if query.dialect not in cron.DIALECTS:
        raise Invalid(
            f"dialect is {query.dialect[:40]!r}", hint="Use one of " + ", ".join(cron.DIALECTS) + ".", field="dialect"
        )
    expression = parse_expression(query.cron_expr, query.dialect)
    named = expression.zone_name
    if named is not None and query.timezone is not UNSET and query.timezone != named:
        raise Invalid(
            f"cron_expr says CRON_TZ={named}, timezone says {query.timezone}", hint="Give only one.", field="timezone"
        )
    name = named or ("UTC" if query.timezone is UNSET else query.timezone)
    check_timezone(name)
    after = call.now if query.after is UNSET else parse_iso(query.after, "after")
    return Preview(
        cron_expr=query.cron_expr,
        schedule=query.cron_expr,
        dialect=query.dialect,
        timezone=name,
        description=Description(
            en=cron.describe(expression, "en", zone_name=name), zh=cron.describe(expression, "zh", zone_name=name)
        ),
        next=_fires(expression, name, after, query.count),
    )


def _fires(expression: cron.Expression, name: str, after: int, count: int) -> list[Fire]:
    zone = cron.zone(name)
    fires: list[Fire] = []
    instant = after
    while len(fires) < count and (found := cron.next_after(expression, instant, zone, after)) is not None:
        instant = found
        local = (_EPOCH + timedelta(milliseconds=instant)).astimezone(zone)
        fires.append(
            Fire(
                utc=iso(instant),
                local=local.isoformat(timespec="milliseconds"),
                note=cron.note_for(expression, instant, zone, "en"),
                note_zh=cron.note_for(expression, instant, zone, "zh"),
            )
        )
    if not fires:
        raise Invalid(
            f"cron_expr never fires: {cron.never_reason(expression, after, zone)}",
            hint="Change the expression, or use run_at for a single instant.",
            field="cron_expr",
            code="NEVER_FIRES",
        )
    return fires
