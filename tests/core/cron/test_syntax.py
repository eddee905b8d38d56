from __future__ import annotations

import pytest

from core.cron.oracle import ms
from mainspring.core.cron import DIALECTS, CronError, next_after, parse, zone

ACCEPTED = {
    "standard": """
        * * * * *|*/5 0-23/2 1,15 * MON-FRI|0 9 * * mon,Wed,FRI|0 0 1 jan-MAR *|*/100 * * * *|59/15 * * * *|5-5 * * * *
        0 0 * * 7|0 0 * * 5-7|0 0 * * 0-7|0 0 ? * 1|0 0 1 * ?|0 0 ?/2 * *|007 09 01 01 00
        0 0 L * *|0 0 lw * *|0 0 L-3 * *|0 0 15W * *|0 0 1,15W,L * *|0 0 L-3W * *
        0 0 * * 5L|0 0 * * friL|0 0 * * 1#2|0 0 * * MON#5|0 0 * * 1#1,3,5L|0 0 * * fri-6|0 0 * * mon/2
        30 0 9 * * *|*/10 * * * * *|0 0 9 * * * 2026|0 0 9 * * * 1970-2199/3|0 0 30 2 *
        @yearly|@ANNUALLY|@Monthly|@weekly|@daily|@midnight|@hourly|@every 1s|@EVERY 90s|@every 1h30m|@every 1.5h
        @every 1500ms|@every 8784h|CRON_TZ=Europe/Berlin 0 9 * * *|CRON_TZ=UTC @daily|CRON_TZ=UTC @every 5m
        1,*/7 * * * *|*,5 * * * *| 0 9 * * *|0 9 * * * |0	9  * * *
    """,
    "go-crontab": """
        * * * * * *|0 30 2 * * *|30 2 * * *|? ? ? ? ? ?|0 0 0 * * SUN-SAT|0 0 0 1 Jan *|0,,5 * * * * *|,1 * * * * *
        *-5 * * * * *|*/61 * * * * *|5/10 * * * * *|0 0 0 31 2 *|@daily|@every 90s|@every 1h1.5s|@annually|@midnight
    """,
    "nodeget": """
        * * * * * *|0,20,40 * * * * *|0-5,58 * * * * *|* * * * * MON,WED,FRI|* * * ? * Mon,Thu|* * * 1,2 * ?
        * * * ? * ?|1-5/59 * * * * *|*/10 2 3 4 5 6|* * */23 * * *|* * * */30 * *|1,2,3/5 * * * * *
        0 0 0 1 1 ? 2020-2040/10|0 0 0 ? * 1-7|0 0 0 * january tues|* * * * * Monday-Friday/2|* * * * * */7
        0 0 0 31 2 *|  @daily |@yearly|@monthly|@weekly|@hourly|0  0	0 1 * *
    """,
    "quartz": """
        0 0 12 * * ?|0 15 10 ? * *|0 15 10 * * ? 2026
        0 0/5 14,18 * * ?|0 15 10 ? * MON-FRI|0 15 10 L * ?|0 15 10 L-2 * ?
        0 15 10 ? * 6L|0 15 10 ? * 6#3|0 15 10 ? * FRI#3|0 15 10 ? * friL|0 0 0 LW * ?|0 0 0 15W * ?|0 0 22-2 * * ?
        0 0 0 ? NOV-FEB FRI-MON|/10 * * * * ?|0 0 0 ? * L|0 0 0 ? January Monday|0 0/59 * * * ?
    """,
}
REFUSED = {
    "standard": """
        |* * * *|* * * * * * * *|60 * * * *|* 24 * * *|* * 0 * *|* * 32 * *|* * * 0 *|* * * 13 *|* * * * 8|-1 * * * *
        */0 * * * *|5/0 * * * *|1-5/0 * * * *|1,,2 * * * *|,1 * * * *
        1, * * * *|*/ * * * *|/5 * * * *|5- * * * *|-5 * * * *
        *-5 * * * *|1-2-3 * * * *|*/5/5 * * * *|1.5 * * * *|+5 * * * *|0x5 * * * *|5_0 * * * *|** * * * *|5* * * * *
        22-2 * * * *|0 0 * * FRI-MON|0 0 * * sat-sun|0 0 * NOV-FEB *
        0 0 * * Monday|0 0 * January *|MON * * * *|0 0 * * JAN
        ? * * * *|* ? * * *|* * * ? *|0 0 L-31 * *|0 0 32W * *|0 0 0W * *|0 0 1-5W * *|0 0 L/2 * *|0 0 * * L|0 0 * * 8L
        0 0 * * 1#0|0 0 * * 1#6|0 0 * * #2|0 0 * * 1#|0 0 * * 5L/2|0 0 * L *|L * * * *|0 0 0 * * * 1969|0 0 0 * * * 2200
        @reboot|@fortnightly|@|@daily x|@every|@every 5
        @every 1d|@every 0s|@every 999ms|@every -5s|@every 1s2|@every 8785h
        @every 1.0005s|H * * * *|H/5 * * * *|5~10 * * * *
        TZ=UTC * * * * *|CRON_TZ=Mars/X * * * * *|CRON_TZ= * * * * *|CRON_TZ=UTC
        cron_tz=UTC * * * * *|hello
    """,
    "go-crontab": """
        |* * * *|* * * * * * *|60 * * * * *|* * * 0 * *|* * * * 0 *|* * * * * 7|0 0 0 * * 5L|0 0 0 L * *|0 0 0 15W * *
        */0 * * * * *|5-1 * * * * *|, * * * * *|1-2-3 * * * * *|*/5/5 * * * * *|0 0 0 * * Monday|0 0 0 1 January *
        @Daily|@reboot|@every 500ms|@EVERY 5s|@every|CRON_TZ=UTC * * * * * *
    """,
    "nodeget": """
        |* * * *|* * * * *|0-65 * * * * *|103,12 * * * * *|* * * * * MON,TURTLE|? * * * * *|* ? * * * *|* * ? * * *
        * * * * ? *|10-12/10-12 * * * * ?|* * * * * *foo *|@dailyBla|1-5/61 * * * * *|* */61 * * * *|* * */25 * * *
        * * * */32 * *|* * * * */13 *|1,2,3/60 * * * * *
        0 0 0 1 1 ? 2020-2040/2200|* * * * * 0|* * * * * 8|* * * * * 2-FRI
        * * * * * MON/2|* * * * * FRI-MON|22-2 * * * * *|* * * L * *
        * * * 15W * *|* * * * * 2#1|* * * * * 6L|*/0 * * * * *
        */60 * * * * *|* * */24 * * *|1,,2 * * * * *|@annually|@midnight|@Daily|@reboot|@every 5s|0 0 0 * * * 2101
    """,
    "quartz": """
        |* * * * *|0 0 12 * * *|0 0 12 ? * ?|0 0 12 1 * 1|0 0 12 ?,1 * 2|0 0 12 ?/2 * 2|0 0 12 ? * 0|0 0 12 ? * 8
        */60 * * * * ?|0 */60 * * * ?|0 0 */24 * * ?|*/0 * * * * ?|0 0 0 ? * 6#6|0 0 0 L-31 * ?|@daily|@every 5s
        ? 0 0 * * ?|0 0 0 ? * 1 2026-2025|1,,2 * * * * ?
    """,
}


def listed(table: dict[str, str]) -> list[tuple[str, str]]:
    """The texts between bars and line ends, one case each."""
    return [
        (dialect, text)
        for dialect, lines in table.items()
        for line in lines.strip().split("\n")
        for text in line.strip().split("|")
    ]


@pytest.mark.parametrize(("dialect", "text"), listed(ACCEPTED))
def test_it_is_accepted(dialect: str, text: str) -> None:
    expr = parse(text, dialect)
    assert parse(expr.canonical(), dialect) == expr


@pytest.mark.parametrize(("dialect", "text"), listed(REFUSED))
def test_it_is_refused(dialect: str, text: str) -> None:
    with pytest.raises(CronError) as refusal:
        parse(text, dialect)
    assert 0 <= refusal.value.position <= len(text)
    assert str(refusal.value) == refusal.value.message


@pytest.mark.parametrize(
    ("text", "position", "part"),
    [
        ("", 0, "empty"),
        ("* * * *", 7, "5 fields"),
        ("* * * * * * * *", 14, "5 fields"),
        ("61 * * * *", 0, "minute: 61 is not within 0-59"),
        ("0 0 1,2,40 * *", 8, "day of month: 40 is not within 1-31"),
        ("*/0 * * * *", 2, "minute: a step of 0"),
        ("1,,2 * * * *", 2, "minute: a list item is empty"),
        ("0 22-2 * * *", 2, "write 22-23,0-2 instead"),
        ("0 0 * * FRI-MON", 8, "write 5-7,0-1 instead"),
        ("0 0 * * Mon-Fry", 12, '"Fry" is not a value; write a number within 0-7 or SUN-SAT'),
        ("0 0 * Foo *", 6, "within 1-12 or JAN-DEC"),
        ("H * * * *", 0, "hashed"),
        ("5~9 * * * *", 0, "random"),
        ("@reboot", 0, "no start of a machine"),
        ("@sometimes", 0, "@yearly"),
        ("@every 5x", 7, "90s, 5m or 1h30m"),
        ("@every 1s5x", 9, "90s, 5m or 1h30m"),
        ("CRON_TZ=Mars/X * * * * *", 8, "no time zone"),
        ("0 9 * * *\n", 9, "'\\n'"),
        ("0\u00a09 * * *", 1, "'\\xa0'"),
        ("\uff15 9 * * *", 0, "'\\uff15'"),
        ("0 9 * * \u0665", 8, "plain ASCII"),
        ("* " * 300, 512, "at most 512"),
    ],
)
def test_a_refusal_points_at_the_place_and_says_what_to_do(text: str, position: int, part: str) -> None:
    with pytest.raises(CronError) as refusal:
        parse(text)
    assert refusal.value.position == position
    assert part in refusal.value.message


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CronError, match="standard, nodeget, go-crontab, quartz"):
        parse("* * * * *", "vixie")
    assert set(DIALECTS) == {"standard", "nodeget", "go-crontab", "quartz"}


def test_512_characters_are_read() -> None:
    assert parse("* * * * *" + " " * 503)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("59/15 * * * *", "59 * * * *"),
        ("*/100 * * * *", "0 * * * *"),
        ("10/20 * * * *", "10,30,50 * * * *"),
        ("5-5/2 * * * *", "5 * * * *"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * fri,SAT,Sun"),
        ("0 0 * * 1/6", "0 0 * * 1,0"),
        ("0 0 ? * 1", "0 0 * * 1"),
        ("@weekly", "0 0 * * 0"),
        ("@yearly", "0 0 1 1 *"),
        ("0 0 9 * * *", "0 9 * * *"),
        ("0 0 L * *", "0 0 L-0 * *"),
    ],
)
def test_two_spellings_fire_alike(one: str, other: str) -> None:
    assert fires(one) == fires(other)


def test_a_stepped_star_is_a_star_and_the_same_days_as_a_range_are_not() -> None:
    assert fires("0 0 */2 * 1", count=2) == [ms("2026-01-05T00:00Z"), ms("2026-01-19T00:00Z")]
    assert fires("0 0 1-31/2 * 1", count=2) == [ms("2026-01-03T00:00Z"), ms("2026-01-05T00:00Z")]


def fires(text: str, dialect: str = "standard", count: int = 40, after: str = "2026-01-01T00:00Z") -> list[int]:
    expr, at, found = parse(text, dialect), ms(after), []
    for _ in range(count):
        at = next_after(expr, at, zone("UTC")) or at
        found.append(at)
    return found


@pytest.mark.parametrize(
    ("dialect", "text", "days"),
    [
        ("standard", "0 0 * * 1", "2026-01-05 2026-01-12"),
        ("go-crontab", "0 0 0 * * 1", "2026-01-05 2026-01-12"),
        ("nodeget", "0 0 0 * * 1", "2026-01-04 2026-01-11"),
        ("quartz", "0 0 0 ? * 1", "2026-01-04 2026-01-11"),
        ("quartz", "0 0 0 ? * 7", "2026-01-03 2026-01-10"),
        ("quartz", "0 0 0 ? * L", "2026-01-03 2026-01-10"),
        ("standard", "0 0 13 * 5", "2026-01-02 2026-01-09 2026-01-13 2026-01-16"),
        ("standard", "0 0 13 * */5", "2026-02-13 2026-03-13 2026-09-13"),
        ("go-crontab", "0 0 0 13 * 5", "2026-01-02 2026-01-09 2026-01-13 2026-01-16"),
        ("go-crontab", "0 0 0 13,? * 5", "2026-01-02 2026-01-09 2026-01-16"),
        ("nodeget", "0 0 0 13 * 6", "2026-02-13 2026-03-13 2026-11-13"),
        ("standard", "0 0 L * *", "2026-01-31 2026-02-28 2026-03-31"),
        ("standard", "0 0 LW * *", "2026-01-30 2026-02-27 2026-03-31"),
        ("standard", "0 0 L-3 * *", "2026-01-28 2026-02-25 2026-03-28"),
        ("standard", "0 0 L-30 * *", "2026-03-01 2026-05-01"),
        ("standard", "0 0 1W * *", "2026-02-02 2026-03-02 2026-04-01 2026-05-01 2026-06-01 2026-07-01 2026-08-03"),
        ("standard", "0 0 31W * *", "2026-01-30 2026-03-31 2026-05-29"),
        ("standard", "0 0 15W * *", "2026-01-15 2026-02-16 2026-03-16 2026-04-15"),
        ("quartz", "0 0 0 L-2W * ?", "2026-01-29 2026-02-26 2026-03-30"),
        ("standard", "0 0 * * 5L", "2026-01-30 2026-02-27 2026-03-27"),
        ("standard", "0 0 * * 1#5", "2026-03-30 2026-06-29"),
        ("standard", "0 0 * * 1#1,5L", "2026-01-05 2026-01-30 2026-02-02"),
        ("standard", "0 0 29 2 *", "2028-02-29 2032-02-29 2036-02-29"),
        ("standard", "0 0 0 1 1 * 2030,2040", "2030-01-01 2040-01-01"),
        ("quartz", "0 0 0 ? * FRI-MON", "2026-01-02 2026-01-03 2026-01-04 2026-01-05 2026-01-09"),
        ("quartz", "0 0 0 1 NOV-FEB ?", "2026-02-01 2026-11-01 2026-12-01 2027-01-01"),
    ],
)
def test_it_fires_on_these_days(dialect: str, text: str, days: str) -> None:
    wanted = [ms(f"{day}T00:00Z") for day in days.split()]
    assert fires(text, dialect, len(wanted)) == wanted


def test_the_nicknames_of_a_dialect_are_its_own() -> None:
    assert parse("@weekly", "nodeget") == parse("0 0 0 * * 1", "nodeget")
    assert parse("@daily", "go-crontab") == parse("0 0 0 * * *", "go-crontab")
    assert parse("@daily") == parse("0 0 * * *")


def test_go_intervals_are_cut_to_seconds_and_standard_ones_are_exact() -> None:
    assert parse("@every 90500ms", "go-crontab").interval_ms == 90_000
    assert parse("@every 90500ms").interval_ms == 90_500
    assert parse("@every 1h2m3.5s").interval_ms == 3_723_500


@pytest.mark.parametrize(
    ("dialect", "text", "canonical"),
    [
        ("standard", " 00 09 * JAN-mar  Mon,7 ", "0 9 * 1-3 1,7"),
        ("standard", "30 0 9 ? * fri#2", "30 0 9 * * 5#2"),
        ("standard", "0 0 9 * * * 2026", "0 0 9 * * * 2026"),
        ("standard", "*/1 0-23/1 5/1 * friL", "* 0-23 5/1 * 5L"),
        ("standard", "@Hourly", "0 * * * *"),
        ("standard", "@every 5400s", "@every 1h30m"),
        ("standard", "@every 1500ms", "@every 1.5s"),
        ("standard", "CRON_TZ=Europe/Berlin @daily", "CRON_TZ=Europe/Berlin 0 0 * * *"),
        ("go-crontab", "? 1,,2 * * ?", "* 1,2 * * * *"),
        ("nodeget", "@weekly", "0 0 0 * * 1"),
        ("quartz", "/10 0 9 ? * L", "*/10 0 9 ? * 7"),
    ],
)
def test_the_canonical_spelling(dialect: str, text: str, canonical: str) -> None:
    assert parse(text, dialect).canonical() == canonical


def test_expressions_are_equal_by_meaning_of_the_tree_and_keep_their_text() -> None:
    one, other = parse("0 9 * * mon"), parse(" 0 9 * * 1 ")
    assert one == other
    assert len({one, other}) == 1
    assert other.text == " 0 9 * * 1 "
    assert parse("0 0 0 1 * *", "go-crontab") != parse("0 0 0 1 * *", "nodeget")


def test_has_seconds_and_the_zone_prefix_are_told() -> None:
    assert not parse("0 0 9 * * *").has_seconds
    assert parse("*/10 0 9 * * *").has_seconds
    assert parse("@every 90s").has_seconds
    assert not parse("@every 5m").has_seconds
    assert parse("CRON_TZ=Asia/Tokyo 0 9 * * *").zone_name == "Asia/Tokyo"
    assert parse("0 9 * * *").zone_name is None
