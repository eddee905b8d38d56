from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from core.cron.oracle import ms
from mainspring.cli.cron_local import register

NOW = ms("2026-03-07T12:00Z")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="mainspring")
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(words)
    args.clock = lambda: NOW
    code = args.run(args)
    assert isinstance(code, int)
    return code


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_next_shows_utc_local_weekday_and_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("next", "30 2 * * *", "--timezone", "America/New_York", "--count", "2") == 0
    assert capsys.readouterr().out.splitlines() == [
        "At 02:30 every day, America/New_York time.",
        "",
        "UTC                   America/New_York",
        "2026-03-08 07:00:00   Sun 2026-03-08 03:00:00 -04:00   02:30 does not exist on 2026-03-08 "
        "(the clock goes from 02:00 to 03:00): moved to right after the change.",
        "2026-03-09 06:30:00   Mon 2026-03-09 02:30:00 -04:00",
    ]


def test_next_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("next", "0 9 * * 1", "--timezone", "Asia/Shanghai", "--lang", "zh", "--count", "1") == 0
    assert capsys.readouterr().out.splitlines() == [
        "每周一 09:00 执行（Asia/Shanghai 时间）。",
        "",
        "UTC                   Asia/Shanghai",
        "2026-03-09 01:00:00   周一 2026-03-09 09:00:00 +08:00",
    ]


def test_next_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            "next",
            "*/30 1 * * *",
            "--timezone",
            "Europe/London",
            "--after",
            "2026-10-25T00:15Z",
            "--count",
            "2",
            "--json",
        )
        == 0
    )
    assert answer(capsys) == {
        "expr": "*/30 1 * * *",
        "dialect": "standard",
        "timezone": "Europe/London",
        "next": [
            {
                "utc": "2026-10-25T00:30:00.000Z",
                "local": "2026-10-25T01:30:00+01:00",
                "note": "01:30 occurs twice on 2026-10-25: this is the first pass, it fires in both.",
            },
            {
                "utc": "2026-10-25T01:00:00.000Z",
                "local": "2026-10-25T01:00:00+00:00",
                "note": "01:00 occurs twice on 2026-10-25: this is the second pass.",
            },
        ],
    }


@pytest.mark.parametrize(
    ("after", "utc"),
    [
        ("2026-06-01T09:00:00Z", "2026-06-02T07:00:00.000Z"),
        ("2026-06-01T08:59:59+02:00", "2026-06-01T07:00:00.000Z"),
        ("2026-06-01T09:00", "2026-06-02T07:00:00.000Z"),
        ("2026-06-01", "2026-06-01T07:00:00.000Z"),
    ],
)
def test_after_takes_any_offset_and_without_one_it_is_local(
    after: str, utc: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("next", "0 9 * * *", "--timezone", "Europe/Berlin", "--after", after, "--count", "1", "--json")
    assert answer(capsys)["next"][0]["utc"] == utc


def test_the_clock_is_asked_without_after_and_an_interval_counts_from_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("next", "@every 1.5s", "--count", "2", "--json") == 0
    assert [fire["utc"] for fire in answer(capsys)["next"]] == ["2026-03-07T12:00:01.500Z", "2026-03-07T12:00:03.000Z"]


def test_next_ends_where_the_expression_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("next", "0 0 0 1 1 * 2027,2028", "--json") == 0
    assert [fire["local"] for fire in answer(capsys)["next"]] == [
        "2027-01-01T00:00:00+00:00",
        "2028-01-01T00:00:00+00:00",
    ]


def test_the_zone_of_the_expression_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("next", "CRON_TZ=Asia/Tokyo 0 9 * * *", "--count", "1", "--json") == 0
    assert answer(capsys)["timezone"] == "Asia/Tokyo"
    assert run("next", "CRON_TZ=Asia/Tokyo 0 9 * * *", "--timezone", "Asia/Tokyo") == 0


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "0 9 * * 1-5", "--timezone", "Europe/Berlin") == 0
    assert run("explain", "0 9 * * 1-5", "--lang", "zh") == 0
    assert capsys.readouterr().out == "At 09:00, Monday to Friday, Europe/Berlin time.\n每周一至周五 09:00 执行。\n"
    assert run("explain", "0 0 9 ? * 2-6", "--dialect", "quartz", "--json", "--lang", "zh") == 0
    assert answer(capsys) == {
        "expr": "0 0 9 ? * 2-6",
        "dialect": "quartz",
        "timezone": "UTC",
        "canonical": "0 0 9 ? * 2-6",
        "text": "每周一至周五 09:00 执行。",
        "en": "At 09:00, Monday to Friday.",
        "zh": "每周一至周五 09:00 执行。",
    }


def test_validate(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("validate", "@daily") == 0
    assert run("validate", "@daily", "--lang", "zh") == 0
    assert capsys.readouterr().out == "valid: 0 0 * * *\n有效：0 0 * * *\n"
    assert run("validate", " 00 9 * * mon", "--json") == 0
    assert answer(capsys) == {
        "expr": " 00 9 * * mon",
        "dialect": "standard",
        "timezone": "UTC",
        "valid": True,
        "canonical": "0 9 * * 1",
    }


@pytest.mark.parametrize("command", ["next", "explain", "validate"])
def test_a_refusal_points_at_the_place(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "0 25 * * *") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "mainspring cron: hour: 25 is not within 0-23\n  0 25 * * *\n    ^\n"


@pytest.mark.parametrize("command", ["next", "explain", "validate"])
def test_a_refusal_as_json(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "0 25 * * *", "--json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {"code": "VALIDATION_FAILED", "message": "hour: 25 is not within 0-23", "position": 2}
    }
    assert "hour: 25" in err


@pytest.mark.parametrize("command", ["next", "explain", "validate"])
def test_what_never_fires_is_refused_with_the_reason(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "0 0 30 2 *", "--json") == 1
    assert answer(capsys) == {"error": {"code": "NEVER_FIRES", "message": "it never fires: 30 February does not exist"}}
    assert run(command, "0 0 30 2 *") == 1
    assert capsys.readouterr() == ("", "mainspring cron: it never fires: 30 February does not exist\n")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("* * * * *", "--timezone", "Mars/X"), 'there is no time zone "Mars/X"'),
        (("* * * * *", "--dialect", "vixie"), 'there is no dialect "vixie"'),
        (("CRON_TZ=UTC * * * * *", "--timezone", "Asia/Tokyo"), "CRON_TZ=UTC differs from --timezone Asia/Tokyo"),
        (("9" * 600,), "at most 512"),
        (("\N{FULLWIDTH DIGIT FIVE} 9 * * *",), "  ? 9 * * *\n  ^"),
    ],
)
def test_other_refusals_say_why(words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("next", *words) == 1
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("next",),
        ("next", "* * * * *", "--count", "0"),
        ("next", "* * * * *", "--count", "1001"),
        ("next", "* * * * *", "--count", "\N{ARABIC-INDIC DIGIT FIVE}"),
        ("next", "* * * * *", "--after", "tomorrow"),
        ("next", "* * * * *", "--lang", "de"),
        ("validate", "* * * * *", "--count", "3"),
    ],
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        run(*words)
    assert exit_code.value.code == 2
    assert "usage:" in capsys.readouterr().err
