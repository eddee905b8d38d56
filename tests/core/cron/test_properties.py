from __future__ import annotations

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from core.cron.oracle import fires, ms
from core.cron.strategies import EVEN_ZONES, UNEVEN_ZONES, ZONE_CHANGES, any_dialect, instants, standard
from mainspring.core.cron import (
    DIALECTS,
    CronError,
    Expression,
    count_between,
    describe,
    last_at_or_before,
    never_reason,
    next_after,
    note_for,
    parse,
    zone,
)

HOUR = 3_600_000
YEAR = 366 * 24 * HOUR
EVEN_CHANGES = tuple((zone_name, at) for zone_name, at in ZONE_CHANGES if zone_name in EVEN_ZONES)
zones = st.sampled_from(EVEN_ZONES + UNEVEN_ZONES)


def enumerated(expr: Expression, after: int, until: int, zone_name: str, most: int = 200_000) -> list[int]:
    """All fires in (after, until], by asking for the next one again and again."""
    tz, found = zone(zone_name), []
    at = next_after(expr, after, tz, after)
    while at is not None and at <= until and len(found) < most:
        found.append(at)
        at = next_after(expr, at, tz, after)
    return found


@settings(max_examples=120)
@given(any_dialect, st.sampled_from(EVEN_ZONES), instants)
@example(("0 12 30 12 *", "standard"), "Pacific/Apia", ms("2011-12-30T09:00Z"))
@example(("*/30 23 * * *", "standard"), "Africa/Cairo", ms("2026-10-29T19:00Z"))
@example(("0 30 1 ? * 1", "quartz"), "America/New_York", ms("2026-11-01T04:00Z"))
def test_it_fires_exactly_when_the_rules_say(case: tuple[str, str], zone_name: str, start: int) -> None:
    expr, tz = parse(*case), zone(zone_name)
    until = start + (2 if expr.has_seconds else 48) * HOUR
    by_definition = fires(expr, start, until, tz)
    assert enumerated(expr, start, until, zone_name) == by_definition
    assert count_between(expr, start, until, tz, 0) == len(by_definition)
    last = last_at_or_before(expr, until, tz, 0, not_before_ms=start)
    assert last == (by_definition[-1] if by_definition else None)


@settings(max_examples=150)
@given(any_dialect, st.sampled_from(EVEN_CHANGES), st.integers(-3 * HOUR, 1 * HOUR))
def test_it_fires_exactly_when_the_rules_say_around_a_change(
    case: tuple[str, str], zone_and_change: tuple[str, int], by: int
) -> None:
    zone_name, change = zone_and_change
    expr, tz, start = parse(*case), zone(zone_name), change + by
    until = start + 3 * HOUR
    by_definition = fires(expr, start, until, tz)
    assert enumerated(expr, start, until, zone_name) == by_definition
    assert count_between(expr, start, until, tz, 0) == len(by_definition)


@given(standard, zones, instants, st.integers(1, 200 * HOUR))
def test_count_and_last_agree_with_enumeration(text: str, zone_name: str, start: int, length: int) -> None:
    expr, tz = parse(text), zone(zone_name)
    if expr.has_seconds:
        length //= 60
    found = enumerated(expr, start, start + length, zone_name)
    assert count_between(expr, start, start + length, tz, 0) == len(found)
    last = last_at_or_before(expr, start + length, tz, 0, not_before_ms=start)
    assert last == (found[-1] if found else None)


@given(standard, zones, instants, st.integers(0, 5 * YEAR), st.integers(0, 5 * YEAR))
def test_counts_of_neighbouring_stretches_add_up(text: str, zone_name: str, start: int, one: int, two: int) -> None:
    expr, tz = parse(text), zone(zone_name)
    middle, end = start + one, start + one + two
    whole = count_between(expr, start, end, tz, 0)
    assert whole == count_between(expr, start, middle, tz, 0) + count_between(expr, middle, end, tz, 0)


@given(any_dialect, zones, instants)
def test_fires_strictly_increase_and_the_last_one_leads_back(case: tuple[str, str], zone_name: str, start: int) -> None:
    expr, tz, at = parse(*case), zone(zone_name), start
    for _ in range(30):
        found = next_after(expr, at, tz)
        if found is None:
            assert count_between(expr, at, at + 20 * YEAR, tz, 0) == 0
            assert never_reason(expr, at, tz)
            break
        assert found > at
        assert found % 1000 == 0
        assert count_between(expr, at, found, tz, 0) == 1
        assert count_between(expr, at, found - 1, tz, 0) == 0
        assert last_at_or_before(expr, found, tz, 0, not_before_ms=found - 1) == found
        assert last_at_or_before(expr, found + 7 * 24 * HOUR, tz, 0, not_before_ms=at) is not None
        note_for(expr, found, tz)
        at = found


@given(any_dialect)
def test_the_canonical_spelling_is_stable_and_means_the_same(case: tuple[str, str]) -> None:
    expr = parse(*case)
    again = parse(expr.canonical(), expr.dialect)
    assert again == expr
    assert hash(again) == hash(expr)
    assert again.canonical() == expr.canonical()


@given(st.integers(1000, 366 * 24 * HOUR), instants, instants, st.integers(0, 10**10))
def test_an_interval_counts_from_its_anchor(interval: int, anchor: int, after: int, length: int) -> None:
    expr, tz = parse(f"@every {interval}ms"), zone("UTC")
    assert expr.interval_ms == interval
    found = next_after(expr, after, tz, anchor)
    assert found is not None
    assert found > after
    assert found >= anchor + interval
    assert (found - anchor) % interval == 0
    assert found - interval <= max(after, anchor)
    assume(length // interval < 10_000)
    first = max(anchor + interval, after + 1)
    all_fires = [
        t
        for t in range(anchor + max(1, (first - anchor) // interval) * interval, after + length + 1, interval)
        if t > after
    ]
    assert count_between(expr, after, after + length, tz, anchor) == len(all_fires)
    last = last_at_or_before(expr, after + length, tz, anchor, not_before_ms=after)
    assert last == (all_fires[-1] if all_fires else None)


WORDS = (
    "* ? 0 5 59 */0 */61 1-5 5-1 L LW 15W 1#6 5L MON fri-7 JAN 2026 CRON_TZ=UTC @every 90s 1h5m @daily @reboot H 5~9 ,"
)
pieces = st.one_of(
    st.text("0123456789*/-,?LW# \t@HR~_", max_size=30),
    st.lists(st.sampled_from(WORDS.split()), max_size=9).map(" ".join),
    st.text(max_size=40),
)


@settings(max_examples=400)
@given(pieces, st.sampled_from(DIALECTS))
@example("", "standard")
@example("@every " + "9" * 400 + "h", "standard")
@example("9" * 500, "standard")
@example("@every .ms", "go-crontab")
@example(",,, * * * *", "go-crontab")
def test_no_text_does_more_than_be_refused(text: str, dialect: str) -> None:
    found = parsed(text, dialect)
    if isinstance(found, CronError):
        assert 0 <= found.position <= len(text)
        assert found.message
    else:
        assert parse(found.canonical(), dialect) == found
        next_after(found, 0, zone("Europe/Berlin"))
        assert describe(found, "en").endswith(".")
        assert describe(found, "zh").endswith("。")


def parsed(text: str, dialect: str) -> Expression | CronError:
    try:
        return parse(text, dialect)
    except CronError as error:
        return error


@given(any_dialect)
def test_every_expression_can_be_said(case: tuple[str, str]) -> None:
    expr = parse(*case)
    english, chinese = describe(expr, "en", "Asia/Tokyo"), describe(expr, "zh", "Asia/Tokyo")
    for text in (english, chinese):
        assert "  " not in text
        assert " ," not in text
        assert ("UTC" if case[1] == "nodeget" else "Asia/Tokyo") in text
    assert english[0].isupper() or english[0].isdigit()
    assert not any(word in chinese for word in ("every", "the", "Monday"))
