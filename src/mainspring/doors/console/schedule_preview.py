"""What a schedule would do, while it is being typed: in words, with the next instants, or what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.responses import Response

from mainspring.core import cron, tokens
from mainspring.core.errors import Refused
from mainspring.core.instants import iso
from mainspring.doors.console.schedule_fields import DEFAULTS, Typed, expression_of, instant_of, typed_of
from mainspring.doors.console.visit import Visit

SHOWN = 5


class Coming(msgspec.Struct, frozen=True):
    """One coming instant: in UTC, on the clock of the schedule's zone, and what a clock change does to it."""

    utc: str
    local: str
    remark: str | None


class Meaning(msgspec.Struct, frozen=True):
    """What an expression means. `fault`: what is wrong with it, `pointer` what points at the place in `expression`."""

    words: str = ""
    coming: tuple[Coming, ...] = ()
    fault: str = ""
    expression: str = ""
    pointer: str = ""


async def preview(visit: Visit) -> Response:
    """A part of the form, asked for at every change of it."""
    tokens.require(visit.principal, "cron:read")
    typed = typed_of(visit.query, DEFAULTS)
    return visit.show("schedule_preview.html", meaning=await meaning_of(visit, typed), timezone=typed["timezone"])


async def meaning_of(visit: Visit, typed: Typed, count: int = SHOWN, after: str | None = None) -> Meaning:
    """What was typed means; nothing where nothing was typed yet."""
    if typed["when"] == "once":
        return _once(visit, typed) if typed["once_at"] else Meaning()
    expression = expression_of(typed)
    if not expression.strip() or (typed["when"] == "every" and not typed["every"].strip()):
        return Meaning()
    query = {"cron_expr": expression, "dialect": typed["dialect"], "count": str(count)}
    # A zone that the expression names itself wins over the one that a new form begins with.
    if typed["timezone"] and not (expression.startswith("CRON_TZ=") and typed["timezone"] == DEFAULTS["timezone"]):
        query["timezone"] = typed["timezone"]
    if after is not None:
        query["after"] = after
    try:
        found = await visit.call("cron.preview", query=query)
    except Refused as refused:
        return _wrong(visit, expression, typed["dialect"], refused)
    chinese = visit.preferences.language == "zh"
    coming = tuple(
        Coming(fire.utc, _on_the_clock(fire.local), fire.note_zh if chinese else fire.note) for fire in found.next
    )
    return Meaning(found.description.zh if chinese else found.description.en, coming)


def _once(visit: Visit, typed: Typed) -> Meaning:
    try:
        at = instant_of(typed["once_at"], typed["timezone"])
    except Refused as refused:
        return Meaning(fault=visit.refused(refused))
    words = visit.say("Once.") if at > visit.now else visit.say("This is in the past, so it fires at once.")
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(cron.zone(typed["timezone"]))
    return Meaning(words, (Coming(iso(at), _on_the_clock(local.isoformat(timespec="milliseconds")), None),))


def _on_the_clock(local: str) -> str:
    """`2026-11-20T09:00:00.000+01:00` as a clock with a calendar says it."""
    day, _, rest = local.partition("T")
    time, offset = rest[:12], rest[12:]
    return f"{day} {time.removesuffix('.000')} {offset}"


def _wrong(visit: Visit, expression: str, dialect: str, refused: Refused) -> Meaning:
    """What is wrong, with the place in the expression where it is about that."""
    if refused.field == "cron_expr" and dialect in cron.DIALECTS:
        try:
            cron.parse(expression, dialect)
        except cron.CronError as error:
            said = visit.say("Not valid at character {place}: {reason}", place=error.position + 1, reason=error.message)
            return Meaning(fault=said, expression=expression, pointer=" " * error.position + "^")
    return Meaning(fault=visit.refused(refused))
