from __future__ import annotations

from itertools import islice, pairwise

import pytest
from cronsim import CronSim

from core.cron.oracle import fires, local, ms
from core.cron.strategies import EVEN_ZONES, ZONE_CHANGES
from mainspring.core.cron import count_between, last_at_or_before, next_after, note_for, parse, zone


def times(text: str, zone_name: str, after: str, count: int, dialect: str = "standard") -> list[str]:
    """The next local times, as `MM-DD HH:MM+offset`."""
    tz = zone(zone_name)
    expr, at, found = parse(text, dialect), ms(after, tz), []
    for _ in range(count):
        at = next_after(expr, at, tz) or at
        moment = local(at, tz)
        found.append(moment.strftime("%m-%d %H:%M:%S" if moment.second else "%m-%d %H:%M") + moment.strftime("%z"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 2 * * *", ["03-08 03:00-0400", "03-09 02:30-0400"]),
        ("30 1,2,3 * * *", ["03-08 01:30-0500", "03-08 03:00-0400", "03-08 03:30-0400"]),
        ("0,15,30 2 * * *", ["03-08 03:00-0400", "03-09 02:00-0400"]),
        ("0 2,3 * * *", ["03-08 03:00-0400", "03-09 02:00-0400"]),
        ("*/15 2 * * *", ["03-09 02:00-0400"]),
        ("0 */2 * * *", ["03-08 00:00-0500", "03-08 04:00-0400"]),
        ("0 * * * *", ["03-08 00:00-0500", "03-08 01:00-0500", "03-08 03:00-0400"]),
        ("15 30 2 * * *", ["03-08 03:00-0400", "03-09 02:30:15-0400"]),
        ("* 30 2 * * *", ["03-09 02:30-0400", "03-09 02:30:01-0400"]),
    ],
)
def test_a_gap_in_new_york(text: str, expected: list[str]) -> None:
    assert times(text, "America/New_York", "2026-03-07T23:00", len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 1 * * *", ["11-01 01:30-0400", "11-02 01:30-0500"]),
        ("0 0-3 * * *", ["11-01 00:00-0400", "11-01 01:00-0400", "11-01 02:00-0500"]),
        ("*/30 1 * * *", ["11-01 01:00-0400", "11-01 01:30-0400", "11-01 01:00-0500", "11-01 01:30-0500"]),
        ("0 * * * *", ["11-01 00:00-0400", "11-01 01:00-0400", "11-01 01:00-0500", "11-01 02:00-0500"]),
        ("15 30 1 * * *", ["11-01 01:30:15-0400", "11-02 01:30:15-0500"]),
    ],
)
def test_a_repeated_hour_in_new_york(text: str, expected: list[str]) -> None:
    assert times(text, "America/New_York", "2026-10-31T23:00", len(expected)) == expected


@pytest.mark.parametrize(
    ("zone_name", "after", "text", "expected"),
    [
        ("America/Santiago", "2026-09-05T12:00", "0 0 * * *", ["09-06 01:00-0300", "09-07 00:00-0300"]),
        ("America/Santiago", "2026-09-05T12:00", "0 0 6 * *", ["09-06 01:00-0300", "10-06 00:00-0300"]),
        ("America/Santiago", "2026-09-05T12:00", "*/20 * 6 9 *", ["09-06 01:00-0300", "09-06 01:20-0300"]),
        ("Africa/Cairo", "2026-10-29T12:00", "30 23 * * *", ["10-29 23:30+0300", "10-30 23:30+0200"]),
        ("Australia/Lord_Howe", "2026-10-03T12:00", "15 2 * * *", ["10-04 02:30+1100", "10-05 02:15+1100"]),
        ("Australia/Lord_Howe", "2026-04-04T12:00", "45 1 * * *", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        ("Australia/Lord_Howe", "2026-10-04T00:30", "0 * * * *", ["10-04 01:00+1030", "10-04 03:00+1100"]),
        ("Antarctica/Troll", "2026-03-28T12:00", "30 1,2 * * *", ["03-29 03:00+0200", "03-30 01:30+0200"]),
        ("Antarctica/Troll", "2026-10-24T12:00", "30 1,2 * * *", ["10-25 01:30+0200", "10-25 02:30+0200"]),
        ("Pacific/Chatham", "2026-09-26T12:00", "0 3 * * *", ["09-27 03:45+1345", "09-28 03:00+1345"]),
        ("Pacific/Apia", "2011-12-29T12:00", "0 12 30 12 *", ["12-31 00:00+1400", "12-30 12:00+1400"]),
        ("Pacific/Apia", "2011-12-29T12:00", "0 9 * * *", ["12-31 00:00+1400", "12-31 09:00+1400"]),
        ("Pacific/Apia", "2011-12-29T12:00", "0 */12 * * *", ["12-31 00:00+1400", "12-31 12:00+1400"]),
    ],
)
def test_changes_at_midnight_of_odd_lengths_and_of_a_whole_day(
    zone_name: str, after: str, text: str, expected: list[str]
) -> None:
    assert times(text, zone_name, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("dialect", "text"), [("go-crontab", "0 30 2 * * *"), ("quartz", "0 30 2 * * ?"), ("standard", "0 30 2 * * *")]
)
def test_every_dialect_in_local_time_follows_the_house_rule(dialect: str, text: str) -> None:
    assert times(text, "America/New_York", "2026-03-07T23:00", 2, dialect) == ["03-08 03:00-0400", "03-09 02:30-0400"]
    repeated = text.replace(" 2 ", " 1 ")
    expected = ["11-01 01:30-0400", "11-02 01:30-0500"]
    assert times(repeated, "America/New_York", "2026-10-31T23:00", 2, dialect) == expected


def test_nodeget_runs_in_utc_whatever_the_zone() -> None:
    expected = ["03-08 03:30-0400", "03-09 03:30-0400"]
    assert times("0 30 7 * * *", "America/New_York", "2026-03-07T23:00", 2, "nodeget") == expected


def test_the_question_can_come_from_inside_the_change() -> None:
    tz = zone("America/New_York")
    fixed, clock = parse("30 1 * * *"), parse("*/30 1 * * *")
    second_pass = ms("2026-11-01T06:10Z")
    assert next_after(fixed, second_pass, tz) == ms("2026-11-02T06:30Z")
    assert next_after(clock, second_pass, tz) == ms("2026-11-01T06:30Z")
    before_gap = ms("2026-03-08T06:59:59.999Z")
    assert next_after(parse("30 2 * * *"), before_gap, tz) == ms("2026-03-08T07:00Z")
    assert next_after(parse("30 2 * * *"), before_gap + 1, tz) == ms("2026-03-09T06:30Z")


def test_a_day_that_comes_once_a_year_is_found_in_both_passes() -> None:
    tz = zone("America/New_York")
    assert next_after(parse("*/30 1 1 11 *"), ms("2026-11-01T05:30Z"), tz) == ms("2026-11-01T06:00Z")
    assert next_after(parse("*/30 1 1 11 *"), ms("2026-11-01T06:30Z"), tz) == ms("2027-11-01T05:00Z")
    found = last_at_or_before(parse("* 30 1 1 11 *"), ms("2026-11-01T06:10Z"), tz, 0, not_before_ms=0)
    assert found == ms("2026-11-01T05:30:59Z")


AROUND_CHANGES = (
    "*/10 0-3 * * *",
    "0,10,20,30,40,50 0-3 * * *",
    "*/20 1 * * *",
    "*/20 0 * * *",
    "45 * * * *",
    "15,45 * * * *",
    "* 2-4 * * *",
    "30 0,2,3 * * *",
    "*/7 */5 * * *",
    "*/30 * 29-31,1-5 * 1",
    "0 0 * * *",
    "59 23 * * *",
)


@pytest.mark.parametrize(("zone_name", "change"), ZONE_CHANGES)
@pytest.mark.parametrize("text", AROUND_CHANGES)
def test_next_last_and_count_agree_around_every_kind_of_change(zone_name: str, change: int, text: str) -> None:
    expr, tz = parse(text), zone(zone_name)
    start, end = change - 50 * 3_600_000, change + 80 * 3_600_000
    all_fires, at = [], next_after(expr, start, tz)
    while at is not None and at <= end:
        all_fires.append(at)
        at = next_after(expr, at, tz)
    if zone_name in EVEN_ZONES:
        assert all_fires == fires(expr, start, end, tz)
    moments = [change + minutes * 60_000 for minutes in range(-200, 200, 5)]
    for since, until in zip(moments, moments[3:], strict=False):
        between = [fire for fire in all_fires if since < fire <= until]
        assert count_between(expr, since, until, tz, 0) == len(between)
        assert count_between(expr, since, end, tz, 0) == len([fire for fire in all_fires if since < fire])
        last = last_at_or_before(expr, until, tz, 0, not_before_ms=since)
        assert last == (between[-1] if between else None)
        assert next_after(expr, since, tz) == next((fire for fire in all_fires if fire > since), at)


@pytest.mark.parametrize("text", AROUND_CHANGES)
@pytest.mark.parametrize(("zone_name", "change"), [pair for pair in ZONE_CHANGES if pair[0] not in EVEN_ZONES])
def test_across_half_hours_and_quarters_it_is_the_search_that_made_the_vectors(
    zone_name: str, change: int, text: str
) -> None:
    tz = zone(zone_name)
    start = local(change - 72 * 3_600_000, tz)
    theirs = [ms(moment.isoformat()) for moment in islice(CronSim(text, start), 60)]
    # In the repeated minutes at Chatham it may go back in time for ever; what it says before that counts.
    until = next((at for at, (one, two) in enumerate(pairwise(theirs), 1) if two <= one), len(theirs))
    expr, at = parse(text), ms(start.isoformat())
    for fire in theirs[:until]:
        at = next_after(expr, at, tz) or 0
        assert at == fire


def test_years_of_seconds_are_counted_without_looking_at_each() -> None:
    tz = zone("America/New_York")
    start, end = ms("2026-01-01T00:00", tz), ms("2126-01-01T00:00", tz)
    days = (end - start) // 86_400_000
    assert count_between(parse("* * * * * *"), start, end, tz, 0) == days * 86_400
    assert count_between(parse("0 12 * * *"), start, end, tz, 0) == days


NOTES = {
    ("30 2 * * *", "America/New_York", "2026-03-08T07:00Z"): (
        "02:30 does not exist on 2026-03-08 (the clock goes from 02:00 to 03:00): moved to right after the change.",
        "2026-03-08 的 02:30 不存在（时钟从 02:00 拨到 03:00）：改在拨快之后立即触发。",
    ),
    ("0,30 2-3 * * *", "America/New_York", "2026-03-08T07:00Z"): (
        "02:00 and 1 more do not exist on 2026-03-08 (the clock goes from 02:00 to 03:00): "
        "this fire stands for them as well.",
        "2026-03-08 的 02:00 等 2 个时刻不存在（时钟从 02:00 拨到 03:00）：由本次一并代替。",
    ),
    ("*/15 2 * * *", "America/New_York", "2026-03-09T06:00Z"): (
        "On 2026-03-08 the clock goes from 02:00 to 03:00: 4 matching times before this one are left out.",
        "2026-03-08 时钟从 02:00 拨到 03:00：此前跳过 4 个时刻。",
    ),
    ("30 1 * * *", "America/New_York", "2026-11-01T05:30Z"): (
        "01:30 occurs twice on 2026-11-01: it fires only in the first pass.",
        "2026-11-01 的 01:30 会出现两次：只在第一次触发。",
    ),
    ("*/30 1 * * *", "America/New_York", "2026-11-01T05:30Z"): (
        "01:30 occurs twice on 2026-11-01: this is the first pass, it fires in both.",
        "2026-11-01 的 01:30 会出现两次：这是第一次，两次都触发。",
    ),
    ("*/30 1 * * *", "America/New_York", "2026-11-01T06:30Z"): (
        "01:30 occurs twice on 2026-11-01: this is the second pass.",
        "2026-11-01 的 01:30 会出现两次：这是第二次。",
    ),
    ("0 12 30 12 *", "Pacific/Apia", "2011-12-30T10:00Z"): (
        "12:00 does not exist on 2011-12-30 (the clock goes from 2011-12-30 00:00 to 2011-12-31 00:00): "
        "moved to right after the change.",
        "2011-12-30 的 12:00 不存在（时钟从 2011-12-30 00:00 拨到 2011-12-31 00:00）：改在拨快之后立即触发。",
    ),
    ("* 2 * * *", "Australia/Lord_Howe", "2026-04-04T16:00Z"): (
        "On 2026-04-05 the clock goes from 02:00 to 01:30: 30 matching times before this one are left out.",
        "2026-04-05 时钟从 02:00 拨到 01:30：此前跳过 30 个时刻。",
    ),
}


@pytest.mark.parametrize(("case", "notes"), NOTES.items())
def test_a_note_says_what_the_change_does(case: tuple[str, str, str], notes: tuple[str, str]) -> None:
    text, zone_name, at = case
    expr, tz = parse(text), zone(zone_name)
    assert next_after(expr, ms(at) - 1, tz) == ms(at)
    assert (note_for(expr, ms(at), tz), note_for(expr, ms(at), tz, lang="zh")) == notes


@pytest.mark.parametrize(
    ("dialect", "text", "zone_name", "at"),
    [
        ("standard", "0 9 * * *", "America/New_York", "2026-03-08T13:00Z"),
        ("standard", "0 9 * * *", "America/New_York", "2026-11-01T14:00Z"),
        ("standard", "0 9 * * *", "America/New_York", "2026-03-07T14:00Z"),
        ("standard", "0 9 * * *", "America/New_York", "2026-10-31T13:00Z"),
        ("standard", "30 0 * * *", "America/New_York", "2026-11-01T04:30Z"),
        ("standard", "30 1 * * *", "America/New_York", "2026-11-02T06:30Z"),
        ("standard", "30 3 * * *", "America/New_York", "2026-03-08T07:30Z"),
        ("standard", "*/30 3 * * *", "America/New_York", "2026-03-08T07:00Z"),
        ("standard", "*/15 2 * * *", "America/New_York", "2026-03-09T06:15Z"),
        ("standard", "@every 1h", "America/New_York", "2026-03-08T07:00Z"),
        ("standard", "30 2 * * *", "UTC", "2026-03-08T02:30Z"),
        ("nodeget", "0 0 7 * * *", "America/New_York", "2026-03-08T07:00Z"),
    ],
)
def test_a_fire_that_no_change_touches_has_no_note(dialect: str, text: str, zone_name: str, at: str) -> None:
    assert note_for(parse(text, dialect), ms(at), zone(zone_name)) is None
