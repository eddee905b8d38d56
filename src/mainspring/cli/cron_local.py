"""`mainspring cron next|explain|validate`: cron expressions without a server."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from mainspring.core.cron import Expression

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_COUNT = 1000
_WEEKDAYS = {"en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), "zh": tuple(f"周{c}" for c in "一二三四五六日")}


@dataclass(frozen=True, slots=True)
class _Question:
    """An expression that parses and fires, with the zone to answer in and the instant to start from."""

    expr: Expression
    zone_name: str
    zone: ZoneInfo
    after_ms: int


class _No(Exception):
    """The answer is no: a reason for people, and the same for programs."""

    def __init__(self, code: str, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if position is None else {"position": position})


def register(cron: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommands; `args.clock()` must give the present in milliseconds UTC, `args.run(args)` the exit code."""
    for name, what, answer in (
        ("next", "show the next times at which an expression fires", _next),
        ("explain", "say in words what an expression means", _explain),
        ("validate", "check that an expression can be read and fires", _validate),
    ):
        command = cron.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}. Needs no server.")
        command.add_argument("expr", metavar="EXPR", help="the expression, in quotes: '*/5 * * * *'")
        command.add_argument(
            "--dialect", default="standard", help="standard (default), nodeget, go-crontab or quartz", metavar="D"
        )
        command.add_argument("--timezone", metavar="Z", help="IANA time zone (default: UTC, or that of CRON_TZ=)")
        command.add_argument("--after", metavar="ISO", type=_instant, help="start from this instant (default: now)")
        if name == "next":
            command.add_argument(
                "--count", metavar="N", type=_count, default=5, help=f"how many, 1 to {_MAX_COUNT} (default: 5)"
            )
        command.add_argument("--lang", choices=("en", "zh"), default="en", help="language of the words (default: en)")
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=_answering(answer))


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO-8601 instant like 2026-03-08T00:00:00Z") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_COUNT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MAX_COUNT}")
    return int(text)


def _answering(answer: Callable[[argparse.Namespace, _Question], None]) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        try:
            answer(args, _question(args))
        except _No as no:
            if args.json:
                print(json.dumps({"error": no.error}, ensure_ascii=False))
            _complain(args.expr, no)
            return 1
        return 0

    return run


def _question(args: argparse.Namespace) -> _Question:
    from mainspring.core.cron import DIALECTS, CronError, never_reason, next_after, parse, zone

    if args.dialect not in DIALECTS:
        raise _No("VALIDATION_FAILED", f'there is no dialect "{args.dialect}"; use one of {", ".join(DIALECTS)}')
    try:
        expr = parse(args.expr, args.dialect)
    except CronError as error:
        raise _No("VALIDATION_FAILED", error.message, error.position) from None
    zone_name = args.timezone or expr.zone_name or "UTC"
    if expr.zone_name not in (None, zone_name):
        raise _No("VALIDATION_FAILED", f"CRON_TZ={expr.zone_name} differs from --timezone {zone_name}; give one")
    try:
        tz = zone(zone_name)
    except CronError as error:
        raise _No("VALIDATION_FAILED", error.message) from None
    after_ms: int = args.clock() if args.after is None else _milliseconds(args.after, tz)
    if next_after(expr, after_ms, tz, after_ms) is None:
        raise _No("NEVER_FIRES", f"it never fires: {never_reason(expr, after_ms, tz)}")
    return _Question(expr, zone_name, tz, after_ms)


def _milliseconds(moment: datetime, tz: ZoneInfo) -> int:
    """A local time without an offset is one of the zone asked for."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=tz)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def _complain(expr: str, no: _No) -> None:
    print(f"mainspring cron: {no.error['message']}", file=sys.stderr)
    position = no.error.get("position")
    if isinstance(position, int) and len(expr) <= 512:
        shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in expr)
        print(f"  {shown}\n  {' ' * position}^", file=sys.stderr)


def _next(args: argparse.Namespace, asked: _Question) -> None:
    from mainspring.core.cron import describe, next_after, note_for

    fires: list[int] = []
    at: int | None = asked.after_ms
    while len(fires) < args.count:
        assert at is not None
        at = next_after(asked.expr, at, asked.zone, asked.after_ms)
        if at is None:
            break
        fires.append(at)
    notes = [note_for(asked.expr, fire, asked.zone, args.lang) for fire in fires]
    if args.json:
        listed = [
            {"utc": _utc(fire), "local": _local(fire, asked.zone).isoformat(), "note": note}
            for fire, note in zip(fires, notes, strict=True)
        ]
        head = {"expr": args.expr, "dialect": args.dialect, "timezone": asked.zone_name}
        print(json.dumps(head | {"next": listed}, ensure_ascii=False))
        return
    print(describe(asked.expr, args.lang, asked.zone_name), end="\n\n")
    for line in _table(fires, notes, asked, args.lang):
        print(line)


def _table(fires: list[int], notes: list[str | None], asked: _Question, lang: str) -> list[str]:
    local = [_local(fire, asked.zone) for fire in fires]
    parts = "milliseconds" if any(fire % 1000 for fire in fires) else "seconds"
    rows = [("UTC", asked.zone_name, "")]
    for moment, note in zip(local, notes, strict=True):
        in_utc, here = (m.isoformat(" ", parts) for m in (moment.astimezone(UTC), moment))
        date_and_time, offset = here[: len(in_utc) - 6], here[len(in_utc) - 6 :]
        rows.append((in_utc[:-6], f"{_WEEKDAYS[lang][moment.weekday()]} {date_and_time} {offset}", note or ""))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return ["   ".join((a.ljust(widths[0]), b.ljust(widths[1]), note)).rstrip() for a, b, note in rows]


def _explain(args: argparse.Namespace, asked: _Question) -> None:
    from mainspring.core.cron import describe

    if not args.json:
        print(describe(asked.expr, args.lang, args.timezone))
        return
    words = {lang: describe(asked.expr, lang, args.timezone) for lang in ("en", "zh")}
    head = {"expr": args.expr, "dialect": args.dialect, "timezone": asked.zone_name}
    print(
        json.dumps(head | {"canonical": asked.expr.canonical(), "text": words[args.lang]} | words, ensure_ascii=False)
    )


def _validate(args: argparse.Namespace, asked: _Question) -> None:
    canonical = asked.expr.canonical()
    if args.json:
        answer = {"expr": args.expr, "dialect": args.dialect, "timezone": asked.zone_name, "valid": True}
        print(json.dumps(answer | {"canonical": canonical}, ensure_ascii=False))
    else:
        print(f"有效：{canonical}" if args.lang == "zh" else f"valid: {canonical}")


def _utc(ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _local(ms: int, tz: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(tz)
