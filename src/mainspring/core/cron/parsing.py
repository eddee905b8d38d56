"""From text to `Expression`: the time zone prefix, nicknames, `@every`, or fields."""

from __future__ import annotations

import re
from functools import lru_cache

from mainspring.core.cron.dialects import RULES, Dialect
from mainspring.core.cron.errors import CronError
from mainspring.core.cron.expression import Expression
from mainspring.core.cron.plan import compiled
from mainspring.core.cron.syntax import fields_of, words
from mainspring.core.cron.zones import zone

MAX_LENGTH = 512

_PREFIX = "CRON_TZ="
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|ms|s|m|h)")
_UNIT_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def parse(text: str, dialect: str = "standard") -> Expression:
    """Read a schedule; at most 512 ASCII characters. Raises CronError with the position of what is wrong."""
    rules = RULES.get(dialect)
    if rules is None:
        raise CronError(f'there is no dialect "{dialect}"; use one of {", ".join(RULES)}', 0)
    if len(text) > MAX_LENGTH:
        raise CronError(f"the expression has {len(text)} characters; at most {MAX_LENGTH} are read", MAX_LENGTH)
    if not (text.isascii() and text.isprintable()):
        _check_characters(text, rules)
    return _parsed(text, rules.name)


def _check_characters(text: str, rules: Dialect) -> None:
    for at, character in enumerate(text):
        if not (character in rules.blanks or (character.isascii() and character.isprintable())):
            raise CronError(f"the character {character!a} cannot stand here; use plain ASCII and spaces", at)


@lru_cache(maxsize=2048)
def _parsed(text: str, dialect: str) -> Expression:
    rules = RULES[dialect]
    start, zone_name = _zone_prefix(text, rules)
    first = next(words(text, start, rules.blanks), None)
    if first is None:
        raise CronError(f"the expression is empty; {rules.name} takes {rules.layout_words}", start)
    word, at = first
    body = text.rstrip(rules.blanks)
    if word.startswith("@"):
        if word == "@every" or (rules.nicknames_any_case and word.lower() == "@every"):
            return Expression(text, dialect, zone_name, _interval_ms(body, at, rules), (), None)
        body, start = _nickname(body, at, rules), 0
    fields = fields_of(body, start, rules)
    return Expression(text, dialect, zone_name, None, fields, compiled(fields, rules))


def _zone_prefix(text: str, rules: Dialect) -> tuple[int, str | None]:
    """Where the schedule starts, and the zone that `CRON_TZ=Zone ` before it names."""
    word, at = next(words(text, 0, rules.blanks), ("", 0))
    if not word.startswith(("CRON_TZ=", "TZ=")):
        return 0, None
    if not rules.zone_prefix:
        raise CronError(f"{rules.name} has no time zone prefix; give the time zone beside the expression", at)
    if not word.startswith(_PREFIX):
        raise CronError("write the prefix as CRON_TZ=Zone", at)
    name_at = at + len(_PREFIX)
    try:
        zone(word[len(_PREFIX) :])
    except CronError as error:
        raise CronError(error.message, name_at) from None
    return at + len(word), word[len(_PREFIX) :]


def _nickname(body: str, at: int, rules: Dialect) -> str:
    name = body[at:]
    meaning = rules.nicknames.get(name.lower() if rules.nicknames_any_case else name)
    if meaning is not None:
        return meaning
    if name.lower() == "@reboot":
        raise CronError("@reboot is not supported: there is no start of a machine to wait for; give a time", at)
    known = [*rules.nicknames, *(["@every"] if rules.longest_every_s else [])]
    if not known:
        raise CronError(f"{rules.name} has no @ nicknames; write the fields", at)
    raise CronError(f"{name} is not a nickname of the {rules.name} dialect; it has {', '.join(known)}", at)


def _interval_ms(body: str, at: int, rules: Dialect) -> int:
    """The length after `@every`, from 1 s to the dialect's longest, as Go writes durations (`90s`, `1h30m`, `1.5h`)."""
    if not rules.longest_every_s:
        raise CronError(f"{rules.name} has no @every; write the fields", at)
    length_at = at + len("@every")
    while length_at < len(body) and body[length_at] in rules.blanks:
        length_at += 1
    total_ns, where = 0, length_at
    while where < len(body):
        part = _DURATION.match(body, where)
        if part is None:
            raise CronError("@every takes a length like 90s, 5m or 1h30m, in the units h, m, s, ms", where)
        whole, _, fraction = part[1].partition(".")
        unit = _UNIT_NS[part[2]]
        total_ns += int(whole or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        where = part.end()
    if where == length_at:
        raise CronError("@every needs a length after it, as in @every 90s", length_at)
    if total_ns < 10**9:
        raise CronError("@every needs at least 1s", length_at)
    if total_ns > rules.longest_every_s * 10**9:
        raise CronError(f"@every takes at most {rules.longest_every_s // 3600}h", length_at)
    if rules.every == "whole seconds":
        return total_ns // 10**9 * 1000
    if total_ns % 10**6:
        raise CronError("@every is exact to the millisecond; leave out smaller parts", length_at)
    return total_ns // 10**6
